"""The ledger of reproduced runs: what `reproductions/` says of each plate."""
