"""Which instruments may run: what each spec must still declare, and what is refused even if it is complete.

The status is computed from the spec and never stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from atlas_resources.instruments.fast_modes import missing_golden, too_far
from atlas_resources.instruments.loader_table import LOADERS, LoaderEntry
from atlas_resources.instruments.roles import ROLES
from atlas_resources.instruments.spec.input import REFERENCES, Preprocessing
from atlas_resources.instruments.spec.output import ScoresOutput
from atlas_resources.instruments.spec.pins import WITHOUT_WEIGHTS, is_pinned, model_sha, weight_files
from atlas_resources.instruments.spec.spec import Role, Spec
from atlas_resources.instruments.spec.weights import Algorithm, HubWeights

NO_OTHERS: Mapping[str, Spec] = MappingProxyType({})
GENERATIVE_LATER = "role: generative models come only after segmentation and embeddings are stable"


@dataclass(frozen=True)
class Status:
    """Whether an instrument may run, and if not, why."""

    name: Literal["admitted", "idea", "refused"]
    reasons: tuple[str, ...]

    @property
    def reason(self) -> str:
        """The reasons in one line; empty for an admitted instrument."""
        return "; ".join(self.reasons)

    def fix(self, key: str) -> str:
        """What a person can do about it."""
        if self.name == "refused":
            return f"`atlas models show {key}` says why and on whose word."
        return f"Complete model_specs/{key}.yaml; `atlas models pin --fill {key}` asks the hub for what it states."


def _missing_pins(spec: Spec) -> list[str]:
    missing = [] if model_sha(spec) else ["weights: no pinned revision"]
    if spec.weights is None or isinstance(spec.weights, Algorithm):
        return missing
    files = weight_files(spec)
    without = [file.path for file in files if file.sha256 is None]
    if len(without) > 1:
        missing.append(f"weights: no sha256 of {without[0]} and {len(without) - 1} more")
    elif without:
        missing.append(f"weights: no sha256 of {without[0]}")
    if not files:
        missing.append("weights: no weight file")
    return missing


def _missing_configuration(spec: Spec) -> list[str]:
    """A snapshot's config.json decides on heads and activations, so it must be pinned, or its fields declared."""
    files = spec.weights.files if isinstance(spec.weights, HubWeights) else []
    has_one = any(file.path == "config.json" for file in files)
    if not has_one or spec.configuration or spec.loader == "image_classifier" or is_pinned(spec, "config.json"):
        return []  # a classifier's labels have a rule of their own
    return ["weights: neither the sha256 of config.json nor `configuration`"]


def _entry(spec: Spec) -> LoaderEntry | None:
    return LOADERS.get(spec.loader or "")


def _missing_words(spec: Spec) -> list[str]:
    """A model that reads words has a tokenizer, a template and rules in files, all of which change what it writes."""
    entry, weights = _entry(spec), spec.weights
    if entry is None or not (entry.is_asked or entry.reads_words) or not isinstance(weights, HubWeights):
        return []
    words = [file for file in weights.files if file.format in WITHOUT_WEIGHTS]
    # What a server reads of config.json is not compared with `configuration`.
    files = words if entry.is_served else [file for file in words if file.path != "config.json"]
    without = [file.path for file in files if file.sha256 is None]
    missing = [f"weights: no sha256 of {', '.join(without)}"] if without else []
    if not any(file.path.startswith("tokenizer") for file in weights.files):
        missing.append("weights: no file of the tokenizer")
    if "chat_template_sha256" in entry.parameters.__annotations__:
        missing += [] if "chat_template_sha256" in spec.parameters else ["parameters: no chat_template_sha256"]
        missing += [] if spec.prompts else ["prompts: no question"]
    return missing


def _missing_output(spec: Spec) -> list[str]:
    if spec.output is None:
        return ["output: no contract"]
    if ROLES[spec.role].output != spec.output.kind:
        return [f"output: {spec.output.kind!r} is not what the role {spec.role!r} gives"]
    return []


def _missing_labels(spec: Spec) -> list[str]:
    """A classifier's labels are in its configuration, which must be pinned; or the spec must declare them."""
    if spec.loader != "image_classifier" or not isinstance(spec.output, ScoresOutput) or spec.output.label_names:
        return []
    if spec.output.labels_sha256:
        return []
    return [] if is_pinned(spec, "config.json") else ["output: neither label_names nor the sha256 of config.json"]


def _not_computed(role: Role, steps: Preprocessing) -> list[str]:
    """Steps that may be declared but are not computed for a role."""
    if steps.pad == "batch_right_bottom" and role in {"embedding", "probe"}:
        return [f"preprocessing: with pad {steps.pad}, other plates of the batch would change a plate's result"]
    if steps.tiling and role != "segmentation":
        return [f"preprocessing: tiling is for masks; results of role {role!r} are not merged across tiles"]
    return []


def _missing_preprocessing(spec: Spec) -> list[str]:
    if spec.preprocessing and spec.own_preprocessing:
        return ["preprocessing: both `preprocessing` and `own_preprocessing` are declared"]
    if spec.own_preprocessing:
        entry = _entry(spec)
        return [] if entry is None or entry.has_own_steps else ["own_preprocessing: no loader computes it yet"]
    if spec.preprocessing is None:
        entry = _entry(spec)
        return [] if spec.upstream and not (entry and entry.is_asked) else ["preprocessing: not declared"]
    return _missing_reference(spec, spec.preprocessing) + _not_computed(spec.role, spec.preprocessing)


def _missing_reference(spec: Spec, steps: Preprocessing) -> list[str]:
    """Weights were trained or published with a processor; which one the steps equal must be said."""
    if steps.reference or isinstance(spec.weights, Algorithm):
        return []
    return [f"preprocessing.reference: not declared, one of {', '.join(REFERENCES)}"]


def missing_raster(spec: Spec) -> list[str]:
    """Why the instrument may not read the working raster that it declares; empty if it may, or declares none."""
    if spec.preprocessing is None or spec.preprocessing.raster == "source":
        return []
    if spec.role not in {"embedding", "probe"} or spec.tiles or spec.region or spec.upstream:
        what = f"preprocessing.raster: {spec.preprocessing.raster} is for embeddings and probes of whole plates"
        return [f"{what}; tiles, boxes and masks are in the source's pixels"]
    return []


def _misplaced_tiles(spec: Spec) -> list[str]:
    if spec.tiles and spec.role != "embedding":
        return ["tiles: only an embedding has a vector per tile"]
    return (
        ["tiles: an instrument that reads another's vectors has no pixels to cut"]
        if spec.tiles and spec.upstream
        else []
    )


def _missing_upstream(spec: Spec, others: Mapping[str, Spec]) -> list[str]:
    """Why the instruments that this one reads may not run."""
    missing = []
    for key in spec.reads:
        field = "upstream" if key == spec.upstream else "ranking.vectors"
        if broken := _broken_chain((spec.key,), key, others):
            missing.append(f"{field}: {broken}")
        elif missing_for_admission(others[key], others):
            missing.append(f"{field}: {key} is not admitted")
    return missing


def _broken_chain(readers: tuple[str, ...], key: str, others: Mapping[str, Spec]) -> str:
    """Which instrument is missing, or read by itself, among a read one and all that it reads; empty if none is."""
    if key not in others:
        return f"there is no instrument {key!r}"
    if key in readers:
        return " reads ".join([*readers, key])
    return next(filter(None, (_broken_chain((*readers, key), one, others) for one in others[key].reads)), "")


def missing_of_itself(spec: Spec) -> list[str]:
    """What the spec must still declare, or the project still build, regardless of other specs."""
    return [
        *([f"refused: {spec.refusal.reason}"] if spec.refusal else []),
        *([GENERATIVE_LATER] if spec.role == "generative" else []),
        *_missing_pins(spec),
        *_missing_configuration(spec),
        *_missing_words(spec),
        *(["prompts: no templates"] if spec.ranking and not spec.prompts else []),
        *([] if spec.licence else ["licence: neither an SPDX id nor `unknown`"]),
        *_missing_output(spec),
        *_missing_labels(spec),
        *_missing_preprocessing(spec),
        *_misplaced_tiles(spec),
        *missing_raster(spec),
        *([] if spec.numeric else ["numeric: dtype and device not declared"]),
        *missing_golden(spec),
        *([] if spec.failure_modes else ["failure_modes: none known and sourced"]),
        *([] if spec.loader else ["loader: none serves this family yet"]),
    ]


def missing_for_admission(spec: Spec, others: Mapping[str, Spec] = NO_OTHERS) -> list[str]:
    """Why the instrument may not run, a line for each reason; empty if it is admitted.

    Args:
        spec: the instrument.
        others: the other specs, by key; one of them may be the instrument it reads.
    """
    return missing_of_itself(spec) + _missing_upstream(spec, others)


def is_admitted(spec: Spec, others: Mapping[str, Spec] = NO_OTHERS) -> bool:
    """Whether the instrument may run."""
    return not missing_for_admission(spec, others)


def status_of(spec: Spec, others: Mapping[str, Spec] = NO_OTHERS) -> Status:
    """The instrument's status, computed from its spec and the others."""
    if spec.refusal:
        return Status("refused", (spec.refusal.reason,))
    if reason := too_far(spec):
        return Status("refused", (reason,))
    missing = missing_for_admission(spec, others)
    return Status("idea", tuple(missing)) if missing else Status("admitted", ())
