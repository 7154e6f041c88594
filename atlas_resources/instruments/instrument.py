"""An instrument: its spec, the identity that every result carries, the instruments it reads and the prompts it asks."""

import hashlib
import json
from dataclasses import dataclass
from typing import Literal, Optional

from pydantic import Field

from atlas_resources.files.contract import Contract, Sha256
from atlas_resources.instruments.admission import missing_of_itself, status_of
from atlas_resources.instruments.prompts import AskedPrompt
from atlas_resources.instruments.spec.numeric import mode_of, pinned_modes
from atlas_resources.instruments.spec.output import VectorOutput
from atlas_resources.instruments.spec.pins import model_sha, weights_sha256
from atlas_resources.instruments.spec.spec import Licence, Spec
from atlas_resources.instruments.spec.weights import Algorithm


class InstrumentIdentity(Contract):
    """Which instrument made a result. `fingerprint` covers everything that can change it."""

    key: str = Field(description="Key of its spec, `model_specs/KEY.yaml`.")
    role: str = Field(description="embedding, segmentation, detection, probe, or a derivation of segments.")
    model_id: str = Field(description="Model or algorithm.")
    model_sha: str = Field(description="Hub revision, or library==version for weights that come with a library.")
    weights_sha256: Sha256 | None = Field(description="Null only for an algorithm without weights.")
    preprocess_tag: str = Field(description="Short name of the preprocessing and of its reference.")
    loader: str = Field(description="Family of the code that loads the model.")
    loader_version: int = Field(description="Version of that code; raised when its numbers change.")
    fingerprint: Sha256 = Field(description="sha256 over everything in the instrument that can change a result.")
    licence: str = Field(description="SPDX id, or unknown; includes the licences of the instruments that it reads.")
    commercial_use: Literal["yes", "no", "unknown"] = Field(
        description="Whether the licence allows commercial use: the strictest of its own and those it reads."
    )


@dataclass(frozen=True)
class Instrument:
    """An admitted instrument. Made by the registry.

    Attributes:
        spec: what its file declares.
        identity: what it is known by; part of every sealed run and ledger row.
        upstream: the instrument whose sealed results it reads; None if it reads pixels only.
        prompts: the prompts that its spec pins, in order.
        vectors: the embedding whose sealed vectors it reads besides; None unless it ranks keywords.
    """

    spec: Spec
    identity: InstrumentIdentity
    upstream: Optional["Instrument"] = None
    prompts: tuple[AskedPrompt, ...] = ()
    vectors: Optional["Instrument"] = None

    @property
    def reads(self) -> tuple["Instrument", ...]:
        """The instruments whose sealed results it reads, upstream first; empty if it reads pixels only."""
        return tuple(one for one in (self.upstream, self.vectors) if one is not None)

    @property
    def key(self) -> str:
        """The spec's key."""
        return self.spec.key

    @property
    def vector_dims(self) -> dict[str, int]:
        """Declared length of its vectors, by its key; empty unless it makes vectors."""
        return {self.key: self.spec.output.dim} if isinstance(self.spec.output, VectorOutput) else {}

    @property
    def depth(self) -> int:
        """How many instruments are between this one and the pixels, at most."""
        return max((1 + one.depth for one in self.reads), default=0)

    @property
    def is_gpu(self) -> bool:
        """Whether its runs need a GPU. It never runs on the CPU instead. Of a served model, the server needs it."""
        spec = self.spec
        return spec.served is None and spec.numeric is not None and spec.numeric.device == "cuda"


def fingerprint(
    spec: Spec,
    loader_version: int,
    upstream: InstrumentIdentity | None = None,
    vectors: InstrumentIdentity | None = None,
) -> str:
    """sha256 over everything that can change a result. Prose, licence and batch size are not part of it.

    Args:
        spec: the instrument.
        loader_version: version of the loader's code, from the registry.
        upstream: the instrument that it reads.
        vectors: the embedding that it reads besides, if it ranks keywords.
    """
    weights = [] if spec.weights is None or isinstance(spec.weights, Algorithm) else spec.weights.files
    payload = {
        "model_id": spec.model_id,
        "model_sha": model_sha(spec),
        "weights": {file.path: file.sha256 for file in weights},
        "preprocessing": spec.preprocessing and spec.preprocessing.steps(),
        "output": spec.output and spec.output.model_dump(),
        "parameters": spec.parameters,
        "numeric": spec.numeric and mode_of(spec.numeric),
        "loader": [spec.loader, loader_version],
        "role": spec.role,
    }
    if (modes := pinned_modes(spec.numeric)) and spec.served is None:
        payload["modes"] = modes
    if spec.served:
        payload["served"] = spec.served.model_dump(exclude={"endpoint"})
    if spec.own_preprocessing:
        payload["own_preprocessing"] = spec.own_preprocessing.model_dump()
    if spec.upstream:
        payload["upstream"] = [spec.upstream, upstream and upstream.fingerprint]
    if spec.ranking:
        payload["ranking"] = [spec.ranking.model_dump(), vectors and vectors.fingerprint]
    if spec.region and spec.region.crop:
        payload["crop"] = spec.region.crop.model_dump()
    if spec.prompts:
        payload["prompts"] = [pin.model_dump() for pin in spec.prompts]
    if spec.tiles:
        payload["tiles"] = spec.tiles.model_dump()
    return hashlib.sha256(json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def preprocess_tag(spec: Spec) -> str:
    """A short name that tells two preprocessings apart, such as `shortest_side256.bicubic.crop224.timm.1a2b3c4d`.

    A working raster, resize, interpolation, crop, the reference, and the first digits of a sha256 over the steps. Rows
    sealed before the reference was declared have a tag without it, with the same digits.
    """
    cut = f"{spec.region.crop.tag}." if spec.region and spec.region.crop else ""
    if own := spec.own_preprocessing:
        return f"{cut}own.{own.form}.{hashlib.sha256(own.model_dump_json().encode()).hexdigest()[:8]}"
    if spec.preprocessing is None:
        return f"sealed.{spec.upstream}" if spec.upstream else "undeclared"
    steps = spec.preprocessing
    digest = hashlib.sha256(steps.model_dump_json(exclude={"reference"}).encode()).hexdigest()[:8]
    resize = f"{steps.resize.mode}{steps.resize.size_px}" if steps.resize else "unresized"
    crop = f"crop{steps.crop_px}" if steps.crop_px else "uncropped"
    reference = f"{steps.reference}." if steps.reference else ""
    raster = "" if steps.raster == "source" else f"{steps.raster}."
    return f"{cut}{raster}{resize}.{steps.interpolation}.{crop}.{reference}{digest}"


def _terms(licence: Licence, *read: InstrumentIdentity | None) -> Licence:
    """The terms of what is made from other instruments' rows: all licences hold, the narrowest use counts."""
    for one in read:
        if one is not None:
            both = sorted({*licence.spdx.split(" AND "), *one.licence.split(" AND ")})
            uses = (licence.commercial_use, one.commercial_use)
            narrower = next(use for use in ("no", "unknown", "yes") if use in uses)
            licence = licence.model_copy(update={"spdx": " AND ".join(both), "commercial_use": narrower})
    return licence


def identity(
    spec: Spec,
    loader_version: int,
    upstream: InstrumentIdentity | None = None,
    vectors: InstrumentIdentity | None = None,
) -> InstrumentIdentity:
    """The part of the spec that every sealed run and ledger row carries.

    Args:
        spec: the instrument.
        loader_version: version of the loader's code, from the registry.
        upstream: the instrument that it reads.
        vectors: the embedding that it reads besides, if it ranks keywords.

    Raises:
        ValueError: the spec is not admitted, or `upstream` or `vectors` is not the instrument it declares.
    """
    missing = missing_of_itself(spec)
    sha = model_sha(spec)
    if missing or sha is None or spec.licence is None or spec.loader is None:
        status = status_of(spec)
        what = "refused" if status.name == "refused" else "an idea, not an instrument"
        raise ValueError(f"{spec.key} is {what}: {status.reason}. {status.fix(spec.variant_of or spec.key)}")
    ranked_by = spec.ranking and spec.ranking.vectors
    for given, declared in ((upstream, spec.upstream), (vectors, ranked_by)):
        if (given and given.key) != declared:
            raise ValueError(f"{spec.key}: expected the identity of {declared}, found {given and given.key}")
    terms = _terms(spec.licence, upstream, vectors)
    return InstrumentIdentity(
        key=spec.key,
        role=spec.role,
        model_id=spec.model_id,
        model_sha=sha,
        weights_sha256=weights_sha256(spec),
        preprocess_tag=preprocess_tag(spec),
        loader=spec.loader,
        loader_version=loader_version,
        fingerprint=fingerprint(spec, loader_version, upstream, vectors),
        licence=terms.spdx,
        commercial_use=terms.commercial_use,
    )
