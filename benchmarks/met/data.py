"""The data set as the hub stores it: folders `corpus`, `queries` and `qrels` of Parquet files. Nothing is fetched."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

REPOSITORY, REVISION = "mteb/met", "c4994f2da3df0a6e20a310048a04be49da7282c3"
"""Of the task METI2IRetrieval in mteb 2.26.24."""
NAMES: Mapping[str, tuple[str, ...]] = {
    "corpus": ("corpus",),
    "queries": ("queries", "query"),
    "qrels": ("qrels", "default"),
}
"""What each part's folder may be called; the names with which mteb's own loader asks for it."""
BATCH_ROWS = 64
Relevant = dict[str, dict[str, int]]
"""The relevance of pictures of the corpus, by their ids, of each query."""


class DataMissing(ValueError):
    """A folder that is not the data set; the message names what is missing, and the command that fetches it."""


@dataclass(frozen=True)
class Pictures:
    """A part with pictures: its Parquet files, in order of name."""

    name: str
    files: tuple[Path, ...]

    def count(self) -> int:
        """How many pictures it has."""
        return sum(pq.ParquetFile(path).metadata.num_rows for path in self.files)

    def ids(self) -> list[str]:
        """The id of each picture, in order."""
        return [one for path in self.files for one in _ids(pq.read_table(path, columns=[_id_column(path)]).column(0))]


def find_parts(folder: Path) -> tuple[Pictures, Pictures, Path]:
    """The corpus, the queries, and the folder of the judgements.

    Raises:
        DataMissing: a part has no Parquet file in the folder.
    """
    found = {}
    for name, folders in NAMES.items():
        places = [folder / inner / one for one in folders for inner in (".", "data")]
        files = next((files for place in places if (files := sorted(place.glob("*.parquet")))), None)
        if files is None:
            expected = " or ".join(f"{one}/*.parquet" for one in folders)
            raise DataMissing(f"{folder}: expected {expected}, found none. {how_to_fetch(folder)}")
        found[name] = tuple(files)
    return Pictures("corpus", found["corpus"]), Pictures("queries", found["queries"]), found["qrels"][0].parent


def how_to_fetch(folder: Path) -> str:
    """The command that fetches the data set, on a machine with a network."""
    wanted = f"{REPOSITORY} --repo-type dataset --revision {REVISION}"
    return f"Fetch the data set before: hf download {wanted} --local-dir {folder}"


def read_relevant(folder: Path) -> Relevant:
    """The judgements, from columns `query-id`, `corpus-id` and `score`; those of relevance 0 too, as mteb keeps them.

    Raises:
        DataMissing: a column is not there.
    """
    relevant: Relevant = {}
    for path in sorted(folder.glob("*.parquet")):
        names = pq.read_schema(path).names
        if missing := [name for name in ("query-id", "corpus-id", "score") if name not in names]:
            raise DataMissing(f"{path}: expected a column {missing[0]}, found {', '.join(names)}")
        table = pq.read_table(path, columns=["query-id", "corpus-id", "score"]).to_pydict()
        for query, document, score in zip(table["query-id"], table["corpus-id"], table["score"], strict=True):
            relevant.setdefault(str(query), {})[str(document)] = int(score)
    return relevant


def read_pictures(path: Path) -> Iterator[tuple[str, bytes]]:
    """The id and the encoded picture of each row of a file, a few rows in memory at a time.

    Raises:
        DataMissing: a column is not there, or a row has no bytes of a picture.
    """
    id_column, names = _id_column(path), pq.read_schema(path).names
    if "image" not in names:
        raise DataMissing(f"{path}: expected a column image, found {', '.join(names)}")
    for batch in pq.ParquetFile(path).iter_batches(BATCH_ROWS, columns=[id_column, "image"]):
        for one, picture in zip(_ids(batch[id_column]), batch["image"].to_pylist(), strict=True):
            content = picture.get("bytes") if isinstance(picture, dict) else picture
            if not isinstance(content, bytes):
                raise DataMissing(f"{path}, {one}: expected the bytes of a picture, found none")
            yield one, content


def _id_column(path: Path) -> str:
    names = pq.read_schema(path).names
    for name in ("id", "_id"):
        if name in names:
            return name
    raise DataMissing(f"{path}: expected a column id, found {', '.join(names)}")


def _ids(column: Any) -> list[str]:
    return [str(one) for one in column.to_pylist()]
