"""Views of what models read and wrote: titles compared with it, what each stage gave, and the stages' candidates.

Macros that search in texts are in `macros`; what is read and written itself is the ledger `texts`.
"""
