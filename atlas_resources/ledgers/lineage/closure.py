"""What some edges of lineage lead back to: from these on, all that their objects were made from."""

import polars as pl

from atlas_resources.tables.ledgers import LINEAGE


def made_from(start: pl.DataFrame, within: pl.DataFrame) -> pl.DataFrame:
    """The first edges, and those of `within` that their objects, and theirs in turn, are the subjects of."""
    kept, reached, rest = start, start, within
    while not reached.is_empty():
        reached = rest.join(reached.select(subject="object").unique(), on="subject", how="semi")
        rest = rest.join(reached.select("subject").unique(), on="subject", how="anti")
        kept = pl.concat([kept, reached])
    return LINEAGE.conform(kept.unique())
