"""The ledger of what people judge, and finding the rows that they name."""
