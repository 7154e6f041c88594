"""The role `text`: `reading` finds and reads what is printed on a plate; answers of models have a module of their own.

No text changes a plate's identity: titles and numbers come from the index alone.
"""
