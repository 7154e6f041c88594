"""A question in words, by a picture, or both: what an image-text instrument sees, and words found as words."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from atlas_assets.search.encoding import loaded, unit_vectors
from atlas_assets.search.image_text import ImageText, embed_words, first_that_answers, require_image_text, why_not
from atlas_assets.search.ranking import cosines_to, highest
from atlas_resources.catalogue.search import TextFound, TitleFound, find_words
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.topology.spaces import Space, read_embedding_spaces
from atlas_resources.measures.spaces.fusion import mixed
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.decode import decode

EQUAL = 0.5


class QuestionRefused(ValueError):
    """A question that cannot be asked; the message says how to ask it."""


@dataclass(frozen=True)
class Question:
    """What is asked: words, a picture, or both with the weight of the picture, 0..1, by default EQUAL."""

    words: str | None
    picture: Path | None = None
    weight: float | None = None

    @property
    def is_mixed(self) -> bool:
        """Whether both parts are asked."""
        return bool(self.words) and self.picture is not None

    @property
    def picture_weight(self) -> float:
        """The weight of the picture beside words, 0..1."""
        return EQUAL if self.weight is None else self.weight

    def require_askable(self) -> None:
        """Raises QuestionRefused for a question without words and picture, or a weight that has no meaning."""
        if self.weight is not None and not self.is_mixed:
            raise QuestionRefused("--weight: expected words and --picture FILE, whose shares it states")
        if self.weight is not None and not 0 <= self.weight <= 1:
            problem = f"expected 0 (the words alone) to 1 (the picture alone), found {self.weight:g}"
            raise QuestionRefused(f"--weight: {problem}")
        if self.picture is None and not (self.words or "").strip():
            raise QuestionRefused('expected words, --picture FILE, or both. Fix: atlas search "a heron"')


@dataclass(frozen=True)
class Seen:
    """A plate as an image-text instrument sees it.

    Attributes:
        plate_id: the plate.
        rank: from 1.
        score: what orders: the cosine, or of a mixed question the weighted sum of both, standardised over the library.
        words_cosine, picture_cosine: of the plate to each part that was asked.
    """

    plate_id: str
    rank: int
    score: float
    words_cosine: float | None
    picture_cosine: float | None


@dataclass(frozen=True)
class Answer:
    """What was found.

    Attributes:
        instrument: key of the image-text instrument that was asked; None if none can be.
        seen: the nearest plates by it.
        titles: plates whose title has the words; only of words alone.
        texts: plates on which the words were read or written; only of words alone.
        left_out: image-text instruments that could not be asked, with the reason.
        without_words: why titles and texts were not searched, if they could not be.
    """

    instrument: str | None
    seen: list[Seen]
    titles: list[TitleFound]
    texts: list[TextFound]
    left_out: Mapping[str, str]
    without_words: str = ""


def ask(dataset: Dataset, registry: Registry, question: Question, by: str | None, k: int) -> Answer:
    """Asks a question. Nothing is written; the picture is not registered.

    Words alone are also looked for in titles, and in what instruments of role `text` read or wrote. That needs the
    catalogue, and no model.

    Args:
        dataset: the library.
        registry: every instrument.
        question: what is asked.
        by: the image-text instrument to ask; None asks the first whose weights and vectors are here.
        k: how many plates, of each part.

    Raises:
        QuestionRefused: see `Question.require_askable`; or it has a picture and no instrument can be asked.
        KeyError, ValueError: see `require_image_text`; or the instrument asked for by name cannot answer.
        ImageRefused: the picture is no image that could be registered.
    """
    question.require_askable()
    is_picture = question.picture is not None
    if by is not None:
        chosen, reasons = require_image_text(registry, by), dict[str, str]()
        if reason := why_not(dataset, registry, chosen, is_picture):
            raise QuestionRefused(f"{chosen.key}: {reason}")
    else:
        chosen, reasons = first_that_answers(dataset, registry, is_picture)
    if chosen is None and is_picture:
        why = next((f"{key}: {reason}" for key, reason in reasons.items()), "no instrument has a text tower")
        hint = f"Without words: atlas similar {question.picture}"
        raise QuestionRefused(f"no image-text instrument can be asked here. {why}. {hint}")
    seen = [] if chosen is None else see(dataset, registry, chosen, question, k)
    key = None if chosen is None else chosen.key
    if is_picture:
        return Answer(key, seen, [], [], reasons)
    try:
        titles, texts = find_words(dataset, question.words or "", k)
    except FileNotFoundError as error:  # no catalogue: its message names the command
        if chosen is None:
            raise
        return Answer(key, seen, [], [], reasons, str(error))
    return Answer(key, seen, titles, texts, reasons)


def see(dataset: Dataset, registry: Registry, one: ImageText, question: Question, k: int) -> list[Seen]:
    """The k plates nearest to a question by an image-text instrument.

    Raises:
        ValueError: a vector is not as long as those of the plates.
        ImageRefused: the picture is no image that could be registered.
    """
    (space,) = read_embedding_spaces(dataset, registry, [one.key])
    words = picture = None
    if question.words:
        words = _cosines(space, embed_words(one, question.words), one.tower.key)
    if question.picture is not None:
        image = decode(question.picture).image
        with loaded(one.encoder) as work:
            (vector,) = unit_vectors(work, [image])
        picture = _cosines(space, vector, one.key)
    scores = _scores(words, picture, question.picture_weight)
    return [
        Seen(
            space.plate_ids[place],
            rank,
            float(scores[place]),
            None if words is None else float(words[place]),
            None if picture is None else float(picture[place]),
        )
        for rank, place in enumerate(highest(space.plate_ids, scores, k), start=1)
    ]


def _scores(words: np.ndarray | None, picture: np.ndarray | None, weight: float) -> np.ndarray:
    """The cosines of the one part that was asked, or both mixed."""
    if words is not None and picture is not None:
        return mixed(words, picture, weight)
    alone = words if picture is None else picture
    if alone is None:
        raise QuestionRefused("expected words, a picture, or both")
    return alone


def _cosines(space: Space, vector: np.ndarray, key: str) -> np.ndarray:
    if vector.shape != space.unit.shape[1:]:
        expected = f"a vector of {space.unit.shape[1]} numbers, as plates have by {space.name}"
        raise ValueError(f"{key}: expected {expected}, found {vector.shape[0]}")
    return cosines_to(space, vector)
