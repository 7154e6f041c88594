"""How an answer is decoded: the parameters of the loaders that write. All of it is part of the fingerprint."""

from typing import Literal

from pydantic import Field, model_validator

from atlas_resources.files.contract import Contract, Sha256

FlorenceTask = Literal[
    "caption", "detailed_caption", "more_detailed_caption", "ocr", "ocr_with_regions", "dense_regions"
]


class Decoding(Contract):
    """How the next token is chosen, and when a model stops. Greedy unless a temperature is declared."""

    max_new_tokens: int = Field(gt=0, le=16384, description="An answer that reaches it is cut off, and not used.")
    stop: str = Field(default="", description="The answer ends before this text; empty for none.")
    temperature: float = Field(default=0, ge=0, le=5, description="0 takes the likeliest token; else tokens are drawn.")
    top_p: float = Field(default=1, gt=0, le=1, description="Tokens are drawn among the likeliest of this probability.")
    seed: int = Field(default=0, ge=0, description="Of the first attempt; each further one takes the next number.")
    repetition_penalty: float = Field(default=1, gt=0, le=10, description="As in arXiv:1909.05858; 1 is none.")
    no_repeat_ngram_size: int = Field(default=0, ge=0, le=64, description="Runs of so many tokens occur once; 0: any.")
    attempts: int = Field(
        default=1, ge=1, le=10, description="How often a question is asked until an answer is usable."
    )

    @model_validator(mode="after")
    def _attempts_differ(self) -> "Decoding":
        if self.attempts > 1 and self.temperature == 0:
            raise ValueError("attempts is 1 at temperature 0: every further attempt would give the same answer")
        return self

    @model_validator(mode="after")
    def _nothing_to_draw(self) -> "Decoding":
        if self.temperature == 0 and self.top_p != 1:
            raise ValueError("top_p is 1 at temperature 0, where no token is drawn")
        return self


class CaptionerParameters(Decoding):
    """Parameters of `blip` and `blip2`."""


class FlorenceParameters(Decoding):
    """Parameters of `florence2`. Each task is an instrument of its own."""

    task: FlorenceTask


class ChatParameters(Decoding):
    """Parameters of `chat`: any image-text-to-text model of transformers that has a chat template."""

    chat_template_sha256: Sha256 | None = Field(
        default=None, description="Of the snapshot's chat template, UTF-8. Required for admission."
    )
    image_backend: Literal["pil", "torchvision"] = Field(
        default="pil", description="Which of transformers' two image processors: they differ in the last digits."
    )
    min_pixels: int | None = Field(
        default=None, gt=0, description="Fewest pixels of the image as sent, if the processor has such a limit."
    )
    max_pixels: int | None = Field(
        default=None, gt=0, description="Most pixels of the image as sent, if the processor has such a limit."
    )
    is_constrained: bool = Field(
        default=True,
        description="Whether an answer that has a JSON Schema may contain only tokens that the schema allows. "
        "If not, it is validated and asked again.",
    )

    @model_validator(mode="after")
    def _limits_in_order(self) -> "ChatParameters":
        if self.min_pixels and self.max_pixels and self.min_pixels > self.max_pixels:
            raise ValueError(f"min_pixels is at most max_pixels, found {self.min_pixels} of {self.max_pixels}")
        return self


class ServedChatParameters(Decoding):
    """Parameters of `openai_chat`: a model that a server answers for.

    The picture is made ready here, so that its size as sent is known: to a number of pixels between `min_pixels` and
    `max_pixels`, and to sides that are multiples of `multiple_px`, bicubic.
    """

    no_repeat_ngram_size: int = Field(default=0, ge=0, le=0, description="0: no server takes it.")
    chat_template_sha256: Sha256 | None = Field(
        default=None, description="Of the snapshot's chat template, UTF-8. Required for admission."
    )
    min_pixels: int | None = Field(
        default=None, gt=0, description="Fewest pixels of the picture as sent. Null: a small one is not enlarged."
    )
    max_pixels: int = Field(gt=0, description="Most pixels of the picture as sent.")
    multiple_px: int = Field(
        default=1,
        ge=1,
        description="Each side of the picture as sent is a multiple of it: a network whose own is the same, such as "
        "Qwen2-VL with 28, does not resize the picture again.",
    )
    is_constrained: bool = Field(
        default=True,
        description="Whether the server is asked to keep an answer to its JSON Schema. A server that was found to "
        "ignore schemas is refused. If not, an answer is validated and asked again.",
    )
    concurrency: int = Field(
        default=4, ge=1, le=64, description="Plates of a batch that are asked about at once; 1 for strict repetition."
    )
    timeout_seconds: float = Field(default=300, gt=0, description="Limit of one request.")
    retries: int = Field(
        default=4, ge=0, le=10, description="Repetitions of a request after an error of the server or the connection."
    )

    @model_validator(mode="after")
    def _limits_in_order(self) -> "ServedChatParameters":
        if self.min_pixels and self.min_pixels > self.max_pixels:
            raise ValueError(f"min_pixels is at most max_pixels, found {self.min_pixels} of {self.max_pixels}")
        return self
