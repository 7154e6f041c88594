"""Ranking: keywords that another instrument sealed, in the order of their cosine with the plate's sealed image vector.

A keyword is put into each prompt template; its score is the mean of the cosines. How stable its rank is follows from
seeded draws of the templates. Nothing is added to the keywords and none is dropped.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from atlas_assets.roles.declared import ContractBroken, sealed_rows
from atlas_assets.roles.tensors import plate_vector
from atlas_assets.roles.text.earlier import NothingToFillIn
from atlas_assets.roles.text.keywords import MOST_KEYWORDS, Keyword, sealed_keywords
from atlas_assets.roles.text.scripts import script_of
from atlas_assets.ui.encoding import open_picture
from atlas_assets.ui.texts import RankedKeyword, ranking_card
from atlas_resources.instruments.prompts import KEYWORD, AskedPrompt
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.measures.ranks import RankedScores, rank_scores
from atlas_resources.models.protocols import TemplateEmbedder
from atlas_resources.plates.plate import Plate
from atlas_resources.runs.sealing import Measurement
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.runs.upstream import SealedResult
from atlas_resources.tables.table import frame_of
from atlas_resources.tables.text_columns import ANSWER, TEXT


@dataclass(frozen=True)
class KeywordsToRank:
    """A plate's keywords and its image vector.

    Attributes:
        keywords: in the order in which they were written.
        left_out_count: how many more there are.
        vector: raw image vector, float32 [dim].
        picture: a small image of the plate for the preview; None if its groundwork is not done.
    """

    keywords: list[Keyword]
    left_out_count: int
    vector: np.ndarray
    picture: Image.Image | None


class RankingWork:
    """Ranks the keywords of each plate. A keyword's text vectors are computed once for all plates of a run."""

    def __init__(self, spec: Spec, load: Callable[[], Any]):
        self.spec = spec
        self._load = load
        if spec.ranking is None:
            raise ContractBroken(f"{spec.key}: `ranking` is not declared")
        self._ranking = spec.ranking
        self._words: dict[str, np.ndarray] = {}

    def load(self) -> None:
        """Loads the text tower. Raises ContractBroken for a model that is none."""
        self.model: TemplateEmbedder = self._load()
        if not isinstance(self.model, TemplateEmbedder):
            found = type(self.model).__name__
            raise ContractBroken(f"{self.spec.key}: expected a text tower with templates, found {found}")

    def prepare(self, plate: Plate, upstream: SealedResult | None, stopwatch: Stopwatch) -> KeywordsToRank:
        """The keywords of the instrument that this one reads, and the plate's vector.

        Raises:
            NothingToFillIn: there is no usable keyword.
        """
        found = sealed_keywords(sealed_rows(self.spec, plate, upstream))
        if not found:
            raise NothingToFillIn(
                f"{plate.id}: expected usable keywords of {self.spec.upstream}, found none. Fix: declare more tokens "
                f"or another question for {self.spec.upstream}; the changed instrument is measured again, and then "
                f"{self.spec.key}"
            )
        vectors = upstream and upstream.vectors
        vector = plate_vector(self.spec, self._ranking.vectors, plate, vectors)
        thumbnail = plate.thumbnail()
        picture = open_picture(thumbnail) if thumbnail else None
        return KeywordsToRank(found[:MOST_KEYWORDS], max(0, len(found) - MOST_KEYWORDS), vector, picture)

    def measure(self, batch: list[KeywordsToRank]) -> list[Measurement]:
        """A row per keyword, in the order in which they were written."""
        return [self._measure_one(plate) for plate in batch]

    def _measure_one(self, plate: KeywordsToRank) -> Measurement:
        cosines = np.stack([self._unit_words(one.text) @ _unit(plate.vector) for one in plate.keywords], axis=1)
        settings = self._ranking.model_dump(exclude={"vectors"})
        found = rank_scores(cosines, **settings)
        rows = _rows(plate.keywords, found, self.model.templates)
        order = np.argsort(found.rank, kind="stable")
        shown = [
            RankedKeyword(
                plate.keywords[index].text,
                float(found.score[index]),
                int(found.rank[index]),
                int(found.rank_low[index]),
                int(found.rank_high[index]),
            )
            for index in order
        ]
        metrics = {
            "keyword_count": len(rows),
            "keyword_left_out_count": plate.left_out_count,
            "first_keyword": shown[0].text,
            "first_cosine": shown[0].cosine,
            "rank_agreement": _or_none(found.agreement),
        }
        return Measurement(frame_of((*TEXT, *ANSWER), rows), metrics, ranking_card(plate.picture, shown))

    def _unit_words(self, keyword: str) -> np.ndarray:
        """The keyword's text vectors of unit length, float64 [templates, dim]."""
        if keyword not in self._words:
            # Alone, so that no result depends on which keywords a plate or a batch has besides.
            texts = [template.text.replace(KEYWORD, keyword) for template in self.model.templates]
            self._words[keyword] = _unit(self.model.embed_text(texts))
        return self._words[keyword]


def _rows(keywords: Sequence[Keyword], found: RankedScores, templates: Sequence[AskedPrompt]) -> list[dict[str, Any]]:
    sets = {(template.set, template.version) for template in templates}
    name, version = sets.pop() if len(sets) == 1 else (None, None)  # `prompts` of the spec has them all
    return [
        {
            "text_id": f"keyword-{index + 1:04d}",
            "machine_made": True,
            "form": "ranking",
            "scope": "plate",
            "text": keyword.text,
            "script": script_of(keyword.text),
            "prompt_set": name,
            "prompt_version": version,
            "cosine": found.score[index],
            "rank": found.rank[index],
            "rank_low": found.rank_low[index],
            "rank_high": found.rank_high[index],
            "top_ratio": found.top_ratio[index],
            "rank_agreement": _or_none(found.agreement),
            "ranked_text_id": keyword.text_id,
        }
        for index, keyword in enumerate(keywords)
    ]


def _unit(vectors: np.ndarray) -> np.ndarray:
    """The vectors along the last axis, of unit length, float64."""
    wide = vectors.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=-1, keepdims=True)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
