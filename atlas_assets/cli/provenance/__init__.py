"""Commands about what the dataset can prove: that it is whole, where a number comes from, what it was at a time.

Commands that measure or ask for values do not belong here.
"""
