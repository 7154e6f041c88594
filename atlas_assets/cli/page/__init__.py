"""`atlas page`: the atlas as files that a curator opens from disk."""
