"""The role `text`: what is printed on a plate and read, and what models answer about it.

No text changes a plate's identity: titles and numbers come from the index alone.
"""
