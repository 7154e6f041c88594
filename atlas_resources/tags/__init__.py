"""What people judge of plates and of machines' rows: an append-only log, and the files that selections come in.

Which rows there are is known in the ledgers; a machine's row is never written here.
"""
