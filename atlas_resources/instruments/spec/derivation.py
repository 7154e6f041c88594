"""Plans the variants of an instrument in another mode or on another raster, and of what reads it. Writes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from atlas_resources.instruments.spec.input import Raster
from atlas_resources.instruments.spec.numeric import Numeric, mode_of
from atlas_resources.instruments.spec.spec import Key, Spec
from atlas_resources.instruments.spec.variant import Variant, mode_words

SHORT = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
ON_GPU_ONLY = "flash_attention_2"


@dataclass(frozen=True)
class Mode:
    """What of the numeric mode, and of what the model is given, is to change; None for what stays."""

    device: Literal["cpu", "cuda"] | None = None
    dtype: Literal["float32", "float16", "bfloat16"] | None = None
    compile: Literal["inductor"] | None = None
    raster: Raster | None = None

    def applied_to(self, numeric: Numeric) -> Numeric:
        """The numeric mode with these changes; for the CPU without what is of a GPU: index, map, attention."""
        changed = {name: value for name, value in vars(self).items() if value and name != "raster"} | {"golden": None}
        if self.device == "cpu":
            changed |= {"device_index": None, "device_map": None} | (
                {"attention": None} if numeric.attention == ON_GPU_ONLY else {}
            )
        return numeric.model_copy(update=changed)


def mode_suffix(base: Numeric, numeric: Numeric) -> str:
    """What the mode adds to the key of an instrument whose mode is `base`, such as `cpu_bf16`."""
    parts = [numeric.device] if numeric.device != base.device else []
    parts += [SHORT[numeric.dtype]] if numeric.dtype != base.dtype else []
    parts += ["compiled"] if numeric.compile and not base.compile else []
    return "_".join(parts)


def plan_variants(
    specs: Mapping[str, Spec], key: str, mode: Mode, name: str | None = None, with_downstream: bool = False
) -> list[Variant]:
    """The variant of an instrument, and of each instrument downstream of it if asked, in order of dependence.

    Those downstream follow to the device, so that a machine without a GPU has all of them; their dtype stays, since the
    golden test compares instruments that read pixels.

    Args:
        specs: all instruments, by key.
        key: the instrument. Of a variant, the variant is made of the instrument that it is one of.
        mode: what is to change.
        name: the variant's key; by default the instrument's with what differs at its end.
        with_downstream: also what reads its results, and what shows it segments.

    Raises:
        ValueError: the instrument declares no mode, has this one, or a key is not available.
    """
    spec = specs[key]
    root = specs[spec.variant_of] if spec.variant_of else spec
    if spec.numeric is None or root.numeric is None:
        raise ValueError(f"{key}: numeric is not declared, so there is nothing to vary; see `atlas models show {key}`")
    numeric, raster = mode.applied_to(spec.numeric), mode.raster or _raster_of(spec)
    suffix = "_".join(filter(None, (mode_suffix(root.numeric, numeric), raster if raster != _raster_of(root) else "")))
    if mode.raster and spec.preprocessing is None:
        raise ValueError(f"{key}: preprocessing is not declared, so there is no raster to vary")
    if mode_of(numeric) == mode_of(spec.numeric) and raster == _raster_of(spec):
        raise ValueError(_has_it_already(specs, spec))
    if not suffix:
        raise ValueError(f"{root.key}, of which {key} is a variant, is computed in {mode_words(numeric)}. Use it.")
    first = _variant(root, name or _key_of(root, spec.upstream, suffix), numeric, spec.upstream, raster)
    planned, made = {first.key: first}, {key: first.key}
    for reader in _downstream_of(specs, key) if with_downstream else []:
        if variant := _of_reader(specs, reader, made, is_shown=_is_shown_to(reader, key), mode=mode, suffix=suffix):
            planned.setdefault(variant.key, variant)
            made[reader.key] = variant.key
    new = [variant for variant in planned.values() if not _is_there(specs, variant)]
    if not new:
        more = "" if with_downstream else " --with-downstream also derives what reads it."
        raise ValueError(f"{first.key} exists already and is this variant of {root.key}.{more}")
    return new


def _has_it_already(specs: Mapping[str, Spec], spec: Spec) -> str:
    upstream = specs.get(spec.upstream or "")
    words = f"{spec.key} is computed in {mode_words(spec.numeric)} already" if spec.numeric else spec.key
    if upstream is None:
        return f"{words}. Name another --device, --dtype or --raster."
    return (
        f"{words}; it reads {upstream.key}. To derive both: `atlas models derive {upstream.key} --device cpu "
        "--with-downstream`."
    )


def _key_of(root: Spec, upstream: str | None, suffix: str) -> str:
    """Of what follows another segmenter, its key begins with that one's, as in a region plan."""
    if root.region and upstream and upstream != root.upstream:
        segmenter = upstream if root.role == "pruning" else upstream.removesuffix("_kept")
        return f"{segmenter}_{root.region.part}"
    return f"{root.key}_{suffix}"


def _raster_of(spec: Spec) -> Raster | None:
    return spec.preprocessing.raster if spec.preprocessing else None


def _variant(
    root: Spec, key: str, numeric: Numeric | None, upstream: str | None, raster: Raster | None = None
) -> Variant:
    try:
        TypeAdapter(Key).validate_python(key)
    except ValidationError as error:
        raise ValueError(
            f"{key!r} is no key: {error.errors()[0]['msg'].lower()}. Give another one with --key."
        ) from None
    return Variant(
        key=key,
        variant_of=root.key,
        numeric=numeric if mode_of(numeric) != mode_of(root.numeric) else None,
        raster=raster if raster != _raster_of(root) else None,
        upstream=upstream if upstream != root.upstream else None,
    )


def _downstream_of(specs: Mapping[str, Spec], key: str) -> list[Spec]:
    """What reads the instrument or shows it segments, directly or through others, after what it reads itself."""
    found: dict[str, Spec] = {}
    last: int | None = None
    while last != len(found):
        last = len(found)
        for name, spec in sorted(specs.items()):
            reads = spec.upstream in {key, *found} or _is_shown_to(spec, key)
            if reads and name not in found and spec.ranking is None:  # a stage makes it, and it reads another one too
                found[name] = spec
    return list(found.values())


def _is_shown_to(spec: Spec, key: str) -> bool:
    """Whether it is the embedding of segments that a region plan makes of the instrument."""
    return spec.region is not None and spec.region.embedder == key and spec.variant_of is None


def _of_reader(
    specs: Mapping[str, Spec], reader: Spec, made: Mapping[str, str], *, is_shown: bool, mode: Mode, suffix: str
) -> Variant | None:
    """The variant of one downstream; None if nothing of it differs, as where segments are shown in the same mode."""
    root = specs[reader.variant_of] if reader.variant_of else reader
    upstream = made.get(reader.upstream or "", reader.upstream)
    device = mode.device if mode.device == "cpu" or is_shown else None
    numeric = reader.numeric and Mode(device=device).applied_to(reader.numeric)
    if upstream == reader.upstream:
        suffix = mode_suffix(root.numeric, numeric) if root.numeric and numeric else ""
    return _variant(root, _key_of(root, upstream, suffix), numeric, upstream) if suffix else None


def _is_there(specs: Mapping[str, Spec], variant: Variant) -> bool:
    """Whether the same variant exists. Raises ValueError if another instrument has its key."""
    there = specs.get(variant.key)
    if there is None:
        return False
    base = specs[variant.variant_of]
    raster = variant.raster or _raster_of(base)
    same = base.key, variant.upstream or base.upstream, mode_of(variant.numeric or base.numeric), raster
    if (there.variant_of, there.upstream, mode_of(there.numeric), _raster_of(there)) != same:
        raise ValueError(f"{variant.key} exists already and is another instrument. Give another --key.")
    return True
