"""Answers: what a model writes about a plate, with a row for every question and attempt.

An answer that is cut off, empty or against its schema is a row of evidence and nothing else: nothing is repaired, and
what reads this instrument takes usable answers only. A plate is sealed even if none of its answers is usable: greedy
decoding would give the same again, and the rows say what was written.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from atlas_assets.roles.declared import ContractBroken, source_pixels
from atlas_assets.roles.text.earlier import earlier_answers, filled_in
from atlas_assets.roles.text.places import place_columns
from atlas_assets.roles.text.scripts import script_of
from atlas_assets.roles.text.verdicts import Verdict, verdict_on
from atlas_assets.ui.encoding import shrink
from atlas_assets.ui.texts import PREVIEW_PX, ShownLine, answers_card, lines_overlay
from atlas_resources.instruments.prompts import AskedPrompt, prompt_columns
from atlas_resources.instruments.spec.output import TextOutput
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.texts.json_schemas import sha256_of
from atlas_resources.models.protocols import Answer, AnswerRefused, Describer, Question, TextLine
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import ServerRecord
from atlas_resources.runs.sealing import Measurement
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.runs.upstream import SealedResult
from atlas_resources.tables.table import frame_of
from atlas_resources.tables.text_columns import ANSWER, TEXT

SHOWN_CHARACTERS = 300  # of the first usable answer, among the metrics


@dataclass(frozen=True)
class Asked:
    """One attempt at one question.

    Attributes:
        number: of the question, from 1.
        question: what was asked.
        answer: what the model wrote.
        verdict: what it is worth.
    """

    number: int
    question: Question
    answer: Answer
    verdict: Verdict

    @property
    def text_id(self) -> str:
        """`answer-0001`; a further attempt has its number at the end."""
        again = f"-attempt-{self.question.attempt}" if self.question.attempt > 1 else ""
        return f"answer-{self.number:04d}{again}"


class Interview:
    """Asks a model every question of its instrument, again where the spec declares attempts.

    Args:
        spec: the instrument.
        load: returns the loaded model.
    """

    def __init__(self, spec: Spec, load: Callable[[], Any]):
        self.spec = spec
        self._load = load
        if not isinstance(spec.output, TextOutput):
            raise ContractBroken(f"{spec.key}: what is asked must be declared as an output of text")
        self.form = spec.output.form
        self._attempts = int(spec.parameters.get("attempts", 1))

    def load(self) -> None:
        """Loads the model. Raises ContractBroken for one that answers no questions."""
        self.model: Describer = self._load()
        if not isinstance(self.model, Describer):
            raise ContractBroken(f"{self.spec.key}: expected a Describer, found {type(self.model).__name__}")

    def ask(self, pixels: np.ndarray, earlier: dict[str, str]) -> list[Asked]:
        """Every attempt at every question, in order.

        Args:
            pixels: uint8 [H, W, 3], RGB in sRGB.
            earlier: what earlier stages answered, by form.
        """
        prompts: Sequence[AskedPrompt | None] = self.model.prompts or [None]
        found = [self._attempt(number, prompt, pixels, earlier) for number, prompt in enumerate(prompts, start=1)]
        return [asked for attempts in found for asked in attempts]

    def _attempt(
        self, number: int, prompt: AskedPrompt | None, pixels: np.ndarray, earlier: dict[str, str]
    ) -> list[Asked]:
        """The attempts at one question, until one is usable or none is left."""
        made: list[Asked] = []
        words = filled_in(prompt, earlier) if prompt else ""
        while len(made) < self._attempts and not (made and made[-1].verdict.is_usable):
            question = Question(prompt, words, attempt=len(made) + 1)
            found = self.model.describe(pixels, [question])
            if len(found) != 1:
                raise ContractBroken(f"{self.spec.key}: expected an answer to the question, found {len(found)}")
            made.append(Asked(number, question, found[0], verdict_on(found[0], question, self.form)))
        return made

    def rows(
        self, asked: Asked, *, before: str = "", segment_id: str | None = None, place: TextLine | None = None
    ) -> list[dict[str, Any]]:
        """The row of an attempt, then those of the texts that it has places for.

        Args:
            asked: the attempt.
            before: put before the attempt's id, to tell attempts at several pictures of a plate apart.
            segment_id: the segment that the model was shown; None for the plate.
            place: the segment's place on the plate.
        """
        answer, verdict, name = asked.answer, asked.verdict, f"{before}{asked.text_id}"
        common = {
            "machine_made": True,
            "form": self.form,
            "scope": "segment" if segment_id else "plate",
            "segment_id": segment_id,
            "status": verdict.status,
            "attempt": asked.question.attempt,
            "finish_reason": answer.finish_reason,
            **prompt_columns(asked.question.prompt),
        }
        whole = {
            **common,
            "text_id": name,
            "text": answer.text,
            "script": script_of(answer.text),
            "question_sha256": sha256_of(asked.question.text) if asked.question.text else None,
            "parsed_json": verdict.parsed_json,
            "is_valid": verdict.is_valid,
            **{column.name: getattr(answer, column.name) for column in ANSWER if hasattr(answer, column.name)},
            **(place_columns(place) if place else {}),
        }
        whole["image_grid"] = None if answer.image_grid is None else list(answer.image_grid)
        parts = [
            {
                **common,
                "text_id": f"{name}-region-{number:04d}",
                "text": region.text,
                "score": region.score,
                "script": script_of(region.text),
                **place_columns(region),
            }
            for number, region in enumerate(answer.regions, start=1)
        ]
        return [whole, *parts]


def metrics_of(attempts: Sequence[Asked]) -> dict[str, float | int | str | bool | None]:
    """Counts, the share of valid answers among those with a schema, tokens per second, and the first usable answer."""
    answers = [asked.answer for asked in attempts]
    judged = [asked.verdict.is_valid for asked in attempts if asked.verdict.is_valid is not None]
    tokens = sum(answer.output_token_count or 0 for answer in answers)
    seconds = sum(answer.answer_seconds or 0.0 for answer in answers)
    usable = [asked.answer.text for asked in attempts if asked.verdict.is_usable]
    return {
        "answer_count": len(usable),
        "attempt_count": len(attempts),
        "cut_off_count": sum(asked.verdict.status == "cut_off" for asked in attempts),
        "valid_ratio": sum(judged) / len(judged) if judged else None,
        "region_count": sum(len(answer.regions) for answer in answers),
        "output_token_count": tokens,
        "tokens_per_second": tokens / seconds if seconds else None,
        "first_answer": usable[0][:SHOWN_CHARACTERS] if usable else None,
    }


@dataclass(frozen=True)
class PlateToDescribe:
    """A plate and what was said about it.

    Attributes:
        pixels: the source, uint8 [H, W, 3], RGB in sRGB.
        picture: a small image of the plate for the preview.
        earlier: what earlier stages answered, by form.
    """

    pixels: np.ndarray
    picture: Image.Image
    earlier: dict[str, str]


class AnsweringWork:
    """Asks a model about plates, one question at a time about each."""

    def __init__(self, spec: Spec, load: Callable[[], Any]):
        self.spec = spec
        self._interview = Interview(spec, load)

    def load(self) -> None:
        """Loads the model."""
        self._interview.load()

    def prepare(self, plate: Plate, upstream: SealedResult | None, stopwatch: Stopwatch) -> PlateToDescribe:
        """The plate at full size, and the usable answers of the instrument that this one reads."""
        source = source_pixels(plate, stopwatch)
        earlier = earlier_answers(self.spec, plate, upstream) if self.spec.upstream else {}
        return PlateToDescribe(np.asarray(source), shrink(source, PREVIEW_PX), earlier)

    @property
    def server(self) -> ServerRecord | None:
        """The server that answers for the loaded model; None for a model of this process."""
        return getattr(self._interview.model, "server", None)

    @property
    def device_map(self) -> dict[str, str] | None:
        """Which part of the loaded model is where; None for a model on one device."""
        return getattr(self._interview.model, "device_map", None)

    def measure(self, batch: list[PlateToDescribe]) -> list[Measurement | AnswerRefused]:
        """A row per question and attempt, in the order asked, each followed by its regions.

        Where the model allows it, several plates are asked about at once, and no plate's rows depend on the others'
        order. A plate whose question is refused has the error in its place.
        """
        at_once = min(len(batch), getattr(self._interview.model, "concurrency", 1))
        if at_once <= 1:
            return [self._try_one(plate) for plate in batch]
        with ThreadPoolExecutor(at_once, thread_name_prefix="ask") as pool:
            try:
                return list(pool.map(self._try_one, batch))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)  # what is not asked yet is not asked any more
                raise

    def _try_one(self, plate: PlateToDescribe) -> Measurement | AnswerRefused:
        try:
            return self._measure_one(plate)
        except AnswerRefused as error:
            return error

    def _measure_one(self, plate: PlateToDescribe) -> Measurement:
        attempts = self._interview.ask(plate.pixels, plate.earlier)
        rows = [row for asked in attempts for row in self._interview.rows(asked)]
        height_px, width_px = plate.pixels.shape[:2]
        require_places(self.spec, attempts)
        sides = np.array([width_px, height_px])
        places = [
            ShownLine(region.corners / sides, region.text, region.score)
            for asked in attempts
            for region in asked.answer.regions
        ]
        preview = lines_overlay(plate.picture, places) if places else answers_card(plate.picture, shown(attempts))
        return Measurement(frame_of((*TEXT, *ANSWER), rows), metrics_of(attempts), preview)


def shown(attempts: Sequence[Asked]) -> list[tuple[str, str]]:
    """Each attempt as a heading, with its status where it is not usable, and its text."""
    return [
        (asked.text_id if asked.verdict.is_usable else f"{asked.text_id}: {asked.verdict.status}", asked.answer.text)
        for asked in attempts
    ]


def require_places(spec: Spec, attempts: Sequence[Asked]) -> None:
    """Raises ContractBroken for a region without text or without four finite corners."""
    for region in (region for asked in attempts for region in asked.answer.regions):
        if not region.text.strip() or region.corners.shape != (4, 2) or not np.isfinite(region.corners).all():
            raise ContractBroken(
                f"{spec.key}: expected a text with four finite corners, found {region.text!r} at "
                f"{region.corners.tolist()}"
            )
