"""The ledger of provenance: what each file, run and instrument was made from, as edges in the words of W3C PROV."""
