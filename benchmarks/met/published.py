"""What was published for the weights that are pinned here, and how far a figure may be from it."""

TOLERANCE = 0.005
"""Three standard errors of a share of 0.43 over 87,942 queries: 3 * sqrt(0.43 * 0.57 / 87942) = 0.005. Weights and
pictures are the same, so that a larger difference is one of preprocessing, of the pooled feature, or a mistake."""
PUBLISHED: dict[tuple[str, str], float] = {
    ("google/siglip-so400m-patch14-384", "9fdffc58afc957d1a03a25b10dba0329ab15c2a3"): 0.42686,
    ("facebook/dinov2-base", "f9e44c814b77203eaa57a6bdbbd535f21ede1415"): 0.43083,
    ("facebook/dinov2-large", "47b73eefe95e8d44ec3623f8890bd894b6ea2d6c"): 0.42852,
    ("facebook/dinov2-giant", "611a9d42f2335e0f921f1e313ad3c1b7178d206d"): 0.43455,
    ("openai/clip-vit-large-patch14", "32bd64288804d66eefd0ccbe215aa642df71cc41"): 0.37341,
}
"""`cv_recall_at_1` by model id and revision: embeddings-benchmark/results, METI2IRetrieval.json in the folder
`results/<model>/<revision>`, at the commits 8adcfd22, ca608990, 8adcfd22, 90321d86 and ca608990. mteb 1.14.15 made
them from revision 08ceaa61c0d172214abb3b8e82971d8f69d2aec0 of the data set; since then mteb has a repository of its
own for it, at the revision in `data`."""
QUERIES, CORPUS = 87_942, 260_655
"""Of the data set: `descriptive_stats` of mteb 2.26.24. A figure over fewer is not that of the benchmark."""


def verdict(key: str, found: float, published: float | None, counts: tuple[int, int]) -> str:
    """Whether a figure is the published one, in a sentence.

    Args:
        key: of the instrument.
        found: its hit rate at 1.
        published: that of the same weights; None if there is none.
        counts: of the queries and the pictures of the corpus.
    """
    if published is None:
        return f"no figure is published for the revision that {key} pins"
    if counts != (QUERIES, CORPUS):
        whole = f"{QUERIES:,} queries among {CORPUS:,}"
        return f"not comparable with the published {published:.5f}, which is of {whole}"
    difference = found - published
    within = "within" if abs(difference) <= TOLERANCE else "NOT within"
    return f"published {published:.5f}, difference {difference:+.5f}: {within} the tolerance of {TOLERANCE}"
