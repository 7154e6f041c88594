"""Working rasters: smaller copies of plates, kept without loss, from which instruments can be added without a decode.

They are made from the sources alone, and can be deleted at any time.
"""
