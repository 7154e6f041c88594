"""A variant: the model of another instrument in another mode or raster, asked otherwise, or over another's results.

Its file names the other instrument and states only what differs. No files are read here.
"""

from collections.abc import Mapping, Sequence, Set
from typing import Any

from pydantic import Field

from atlas_resources.files.contract import Contract
from atlas_resources.files.yaml_files import FileProblem
from atlas_resources.instruments.spec.input import Preprocessing, Raster
from atlas_resources.instruments.spec.numeric import Numeric, mode_of
from atlas_resources.instruments.spec.output import TextOutput
from atlas_resources.instruments.spec.served import Served
from atlas_resources.instruments.spec.spec import Key, PromptPin, Spec

KEPT = "kept"  # part of the instrument that all others of a segmenter read


class Variant(Contract):
    """The file. What it leaves out is as in the other instrument; a mode that it states replaces the other's whole.

    Parameters, output and prompts can be stated for a model that writes: each question is an instrument of its own. So
    is each program that serves it: `loader` and `served` are stated together, and the parameters then whole.
    """

    key: Key
    variant_of: str
    title: str | None = None
    description: str | None = None
    numeric: Numeric | None = None
    raster: Raster | None = Field(default=None, description="The raster of the preprocessing, such as work_1024.")
    upstream: str | None = None
    loader: str | None = None
    served: Served | None = None
    parameters: dict[str, int | float | str | bool] | None = Field(
        default=None,
        description="Those that differ; the others are as in the other instrument. With another loader, all of them.",
    )
    output: TextOutput | None = None
    prompts: list[PromptPin] | None = None
    batch_size: int | None = Field(default=None, gt=0)
    max_partitions_per_run: int | None = Field(default=None, gt=0)


def schema_of(content: object) -> type[Spec] | type[Variant]:
    """The schema of a file in `model_specs/`, by whether it names another instrument."""
    is_variant = isinstance(content, dict) and content.get("variant_of") is not None
    return Variant if is_variant else Spec


def mode_words(numeric: Numeric) -> str:
    """Such as `bfloat16 on the CPU`."""
    device = {"cpu": "on the CPU", "cuda": "on a GPU"}[numeric.device]
    return f"{numeric.dtype} {device}" + (f", compiled by {numeric.compile}" if numeric.compile else "")


def resolve_variant(variant: Variant, base: Spec) -> Spec | list[FileProblem]:
    """The variant as a whole spec, or what is wrong with it.

    Args:
        variant: the file.
        base: the instrument that it names. It is no variant itself.
    """
    file, numeric, upstream = f"{variant.key}.yaml", variant.numeric or base.numeric, variant.upstream or base.upstream
    if variant.upstream and base.upstream is None:
        return [FileProblem(file, "upstream", repr(variant.upstream), f"none: {base.key} reads pixels")]
    if variant.raster and base.preprocessing is None:
        return [FileProblem(file, "raster", repr(variant.raster), f"none: {base.key} declares no preprocessing")]
    preprocessing = _on_raster(base.preprocessing, variant.raster)
    served = _served_otherwise(base, variant)
    own = base.model_copy(update={"parameters": {}}) if "loader" in served else base
    asked = asked_otherwise(own, variant.parameters, variant.output, variant.prompts) | served
    if asked and base.role != "text":
        return [FileProblem(file, ", ".join(asked), "stated", f"none: {base.key} does not write text")]
    is_on_raster = preprocessing != base.preprocessing
    if mode_of(numeric) == mode_of(base.numeric) and upstream == base.upstream and not (asked or is_on_raster):
        also = ", `parameters`, `prompts`, `served`" if base.role == "text" else ""
        expected = f"`numeric`{also}, `raster` or `upstream` other than those of {base.key}"
        return [FileProblem(file, "(file)", "nothing that changes a result", expected)]
    differs = [f"in {mode_words(numeric)}"] if numeric and mode_of(numeric) != mode_of(base.numeric) else []
    differs += [f"from {upstream}"] if upstream and upstream != base.upstream else []
    differs += [f"from the raster {preprocessing.raster}"] if preprocessing and is_on_raster else []
    differs += [f"by {served['served'].program} {served['served'].version}"] if "served" in served else []
    others = [name for name in asked if name not in served] if "loader" not in served else []
    differs += [f"with other {' and '.join(others)}"] if others else []
    words = ", ".join(differs)
    changed: dict[str, Any] = {
        "key": variant.key,
        "variant_of": base.key,
        "title": variant.title or f"{base.title}, computed {words}",
        "description": variant.description or f"{base.description.strip()} Computed {words}.",
        "numeric": numeric,
        "upstream": upstream,
        "preprocessing": preprocessing,
        **asked,
        "batch_size": variant.batch_size or base.batch_size,
        "max_partitions_per_run": variant.max_partitions_per_run or base.max_partitions_per_run,
    }
    if base.region and upstream:
        segmenter = upstream if base.role == "pruning" else upstream.removesuffix(f"_{KEPT}")
        part = variant.key.removeprefix(f"{segmenter}_")
        if part == variant.key or (base.role == "pruning" and part != KEPT):
            expected = f"{segmenter}_{KEPT}" if base.role == "pruning" else f"a key that begins with {segmenter}_"
            return [FileProblem(file, "key", repr(variant.key), expected)]
        changed["region"] = base.region.model_copy(update={"segmenter": segmenter, "part": part})
    return base.model_copy(update=changed)


def _on_raster(steps: Preprocessing | None, raster: Raster | None) -> Preprocessing | None:
    return steps.model_copy(update={"raster": raster}) if steps and raster else steps


def _served_otherwise(base: Spec, variant: Variant) -> dict[str, Any]:
    """The loader and the program that serves, where they are not those of `base`, by name."""
    stated = {"loader": variant.loader, "served": variant.served}
    return {name: value for name, value in stated.items() if value is not None and value != getattr(base, name)}


def asked_otherwise(
    base: Spec,
    parameters: Mapping[str, int | float | str | bool] | None,
    output: TextOutput | None,
    prompts: Sequence[PromptPin] | None,
) -> dict[str, Any]:
    """The fields of a model that writes which differ from those of `base`, by name: parameters, output, prompts."""
    joined = dict(sorted({**base.parameters, **(parameters or {})}.items()))
    stated = {"parameters": joined, "output": output or base.output, "prompts": list(prompts or base.prompts or [])}
    own = {"parameters": base.parameters, "output": base.output, "prompts": base.prompts or []}
    return {name: value for name, value in stated.items() if value != own[name]}


def resolve_variants(
    variants: Mapping[str, Variant], specs: Mapping[str, Spec], unreadable: Set[str]
) -> tuple[dict[str, Spec], dict[str, list[FileProblem]]]:
    """Variants as whole specs, by key, and the problems of those that are not, each of which costs only itself.

    Args:
        variants: by key.
        specs: the instruments that they may name.
        unreadable: keys of those that could not be read.
    """
    made: dict[str, Spec] = {}
    broken: dict[str, list[FileProblem]] = {}
    for key, variant in variants.items():
        base = specs.get(variant.variant_of)
        found = resolve_variant(variant, base) if base and base.variant_of is None else None
        if isinstance(found, Spec):
            made[key] = found
        else:
            broken[key] = found or [_wrong_base(variant, variants, base, unreadable)]
    return made, broken


def _wrong_base(
    variant: Variant, variants: Mapping[str, Variant], base: Spec | None, unreadable: Set[str]
) -> FileProblem:
    name = variant.variant_of
    root = base.variant_of if base else variants[name].variant_of if name in variants else None
    found, expected = repr(name), "the key of an instrument"
    if root:
        found, expected = f"{name!r}, itself a variant", f"an instrument that is none, such as {root!r}"
    elif name in unreadable:
        found, expected = f"{name!r}, which could not be read", "an instrument whose spec is sound"
    return FileProblem(f"{variant.key}.yaml", "variant_of", found, expected)
