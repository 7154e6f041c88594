"""Hit rates as mteb computes them: the first result of each query is the query itself, and is left out.

mteb calls it `hit_rate_at_k`, and called it `cv_recall_at_k` when the published figures were made: the share of the
queries with a relevant picture among the first k. Its `recall_at_k` is another figure.
"""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.met.data import Relevant

SIZES = (1, 3, 5, 10)
KEPT = 1 + max(SIZES)
"""Results of each query: the query itself, which is left out, and as many as are looked at."""
BLOCK_ROWS = 256
TASK = "METI2IRetrieval"
DECIMALS = 5
"""mteb rounds to so many."""

Results = dict[str, dict[str, float]]
"""The cosines of a query's nearest pictures, by their ids, the nearest first."""


def search(queries: np.ndarray, query_ids: list[str], corpus: np.ndarray, corpus_ids: list[str]) -> Results:
    """The KEPT nearest pictures of each query by cosine, in float32 as mteb has them.

    Args:
        queries: float32 [Q, dim], rows of length 1.
        query_ids: of each row.
        corpus: float32 [N, dim], rows of length 1.
        corpus_ids: of each row.
    """
    found: Results = {}
    kept = min(KEPT, len(corpus))
    for start in range(0, len(queries), BLOCK_ROWS):
        cosines = queries[start : start + BLOCK_ROWS] @ corpus.T
        near = np.sort(np.argpartition(cosines, -kept, axis=1)[:, -kept:], axis=1)
        values = np.take_along_axis(cosines, near, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        for row, places in enumerate(order):
            found[query_ids[start + row]] = {
                corpus_ids[int(near[row, place])]: float(values[row, place]) for place in places
            }
    return found


def hit_rates(relevant: Relevant, results: Results) -> dict[int, float]:
    """The hit rate for each k of SIZES, rounded as mteb does.

    The first result is left out by the cosine alone; what is left is ordered as trec_eval does: of equal cosines, the
    greater id comes first. Queries without a relevant picture do not count.
    """
    hits = dict.fromkeys(SIZES, 0)
    asked = [query for query in results if any(score > 0 for score in relevant.get(query, {}).values())]
    for query in asked:
        first_left_out = sorted(results[query].items(), key=lambda item: item[1], reverse=True)[1:]
        ranked = sorted(first_left_out, key=lambda item: (item[1], item[0]), reverse=True)
        wanted = {document for document, score in relevant[query].items() if score > 0}
        for k in SIZES:
            hits[k] += any(document in wanted for document, _ in ranked[:k])
    return {k: round(count / len(asked), DECIMALS) for k, count in hits.items()} if asked else {}


def has_mteb() -> bool:
    """Whether mteb is installed here: the extra `mteb` of pyproject.toml."""
    return importlib.util.find_spec("mteb") is not None


@dataclass
class _Found:
    """What mteb asks for rankings, with the rankings that were computed here."""

    results: Results
    mteb_model_meta: Any = None

    def index(self, corpus: Any, **_: Any) -> None:
        """Nothing is to be done: the corpus is embedded already."""

    def search(self, queries: Any, **_: Any) -> Results:
        """The rankings of the queries that mteb asks."""
        return {query: dict(self.results[query]) for query in queries["id"]}


def hit_rates_by_mteb(relevant: Relevant, results: Results, corpus_ids: Sequence[str]) -> dict[int, float]:
    """The same by mteb's own task, with its own settings, from the same rankings. Nothing is fetched.

    Raises:
        ModuleNotFoundError: mteb is not installed.
    """
    mteb, datasets = (importlib.import_module(name) for name in ("mteb", "datasets"))
    task = mteb.get_task(TASK)
    split = {
        "corpus": datasets.Dataset.from_dict({"id": list(corpus_ids)}),
        "queries": datasets.Dataset.from_dict({"id": [query for query in results if query in relevant]}),
        "relevant_docs": {query: dict(relevant[query]) for query in results if query in relevant},
        "top_ranked": None,
    }
    task.dataset, task.data_loaded = {"default": {"test": split}}, True
    scores: Mapping[str, Any] = task.evaluate(_Found(results), "test", encode_kwargs={})["default"]
    return {k: float(scores[f"hit_rate_at_{k}"]) for k in SIZES}
