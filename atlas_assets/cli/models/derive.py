"""`atlas models derive`: an instrument in another numeric mode or on a working raster, by a file that refers to it."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from atlas_assets.cli.models.chosen import SpecsFolder, folder_to_write, named_specs, notify, registry_in, write_new
from atlas_assets.cli.output import console, fail

if TYPE_CHECKING:
    from atlas_resources.instruments.registry import Registry
    from atlas_resources.instruments.spec.variant import Variant

CPU_FACTS = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16"}
"""Names in /proc/cpuinfo of the instructions that multiply bfloat16; the last one is of Arm."""


Device = Literal["cpu", "cuda"]
Dtype = Literal["float32", "float16", "bfloat16"]
WorkingRaster = Literal["work_1024", "work_2048"]


def models_derive(
    name: Annotated[str, typer.Argument(metavar="KEY", help="Key, model id or alias of an instrument.")],
    *,
    device: Annotated[Device | None, typer.Option(help="Device that the variant computes on.")] = None,
    dtype: Annotated[Dtype | None, typer.Option(help="Type that most operations compute in.")] = None,
    is_compiled: Annotated[bool, typer.Option("--compile", help="Compile the network with torch.compile.")] = False,
    raster: Annotated[
        WorkingRaster | None,
        typer.Option(help="Smaller copy of the plates that it reads; kept, so that no source is decoded again."),
    ] = None,
    key: Annotated[str | None, typer.Option(help="The variant's key; by default KEY_cpu, KEY_cpu_bf16, ...")] = None,
    with_downstream: Annotated[
        bool, typer.Option("--with-downstream", help="Also derive what reads its results or shows it segments.")
    ] = False,
    specs: SpecsFolder = None,
) -> None:
    """Write a variant of an instrument: the same weights in another mode or on another raster.

    It has a fingerprint of its own, so that its results are beside the first one's and never replace them.

    The file refers to the instrument and states only what differs. It shares the weights on disk.
    """
    from atlas_resources.instruments.spec.derivation import Mode, plan_variants

    registry = registry_in(specs)
    (spec,) = named_specs(registry, [name])
    mode = Mode(device, dtype, "inductor" if is_compiled else None, raster)
    if mode == Mode():
        raise fail("Name what is to differ: --device, --dtype, --compile or --raster.")
    try:
        planned = plan_variants(registry.specs, spec.key, mode, key, with_downstream)
    except ValueError as error:
        raise fail(str(error)) from None
    _require_sound(registry, planned)
    _write(folder_to_write(specs), planned)
    _print_result(registry_in(specs), planned)
    is_narrow = any(one.numeric and (one.numeric.device, one.numeric.dtype) == ("cpu", "bfloat16") for one in planned)
    if is_narrow and lacks_bfloat16(CPU_FACTS):
        notify(
            "This CPU has no instructions for bfloat16 (avx512_bf16, amx_bf16): it computes bfloat16 several times "
            "slower than float32."
        )


def lacks_bfloat16(cpu_facts: Path) -> bool:
    """Whether the CPU is known to have no instructions for bfloat16; false where the file cannot be read."""
    try:
        text = cpu_facts.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    named = re.findall(r"^(?:flags|Features)\s*:(.*)$", text, flags=re.MULTILINE)
    return bool(named) and not BFLOAT16_FLAGS & set(named[0].split())


def _require_sound(registry: "Registry", planned: list["Variant"]) -> None:
    """Exits with what is wrong with a variant, or with why its mode could never be admitted, before any is written."""
    from atlas_resources.instruments.admission import missing_raster
    from atlas_resources.instruments.fast_modes import has_golden_test, is_fast, missing_golden
    from atlas_resources.instruments.loader_table import problems_with_loader
    from atlas_resources.instruments.spec.spec import Spec
    from atlas_resources.instruments.spec.variant import resolve_variant

    for variant in planned:
        found = resolve_variant(variant, registry.specs[variant.variant_of])
        if not isinstance(found, Spec):
            raise fail("\n".join(map(str, found)))
        if variant.raster and (unsuitable := missing_raster(found)):
            raise fail(f"{variant.key}: {unsuitable[0]}")
        if found.region is None and (problems := problems_with_loader(f"{variant.key}.yaml", found)):
            raise fail("\n".join(map(str, problems)))
        if variant.numeric and is_fast(variant.numeric) and not has_golden_test(found):
            raise fail(f"{variant.key}: {missing_golden(found)[0]}")


def _write(folder: Path, planned: list["Variant"]) -> None:
    import yaml

    paths = [folder / f"{variant.key}.yaml" for variant in planned]
    if there := next((path for path in paths if path.exists()), None):
        raise fail(f"{there} exists already and is not overwritten. Give another --key, or remove the file.")
    for path, variant in zip(paths, planned, strict=True):
        write_new(path, yaml.safe_dump(variant.model_dump(mode="json", exclude_none=True), sort_keys=False))


def _print_result(registry: "Registry", planned: list["Variant"]) -> None:
    from atlas_resources.instruments.spec.weights import Algorithm

    for variant in planned:
        status = registry.status(variant.key)
        reason = f": {status.reason}" if status.reasons else ""
        line = f"{variant.key}, a variant of {variant.variant_of}: {status.name}{reason}"
        console.print(f"written: {registry.path_of(variant.key)}", markup=False, highlight=False, soft_wrap=True)
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    with_files = [registry.specs[one.key] for one in planned if registry.specs[one.key].region is None]
    keys = " ".join(spec.key for spec in with_files if not isinstance(spec.weights, Algorithm))
    console.print(f"Then: atlas models pull {keys}; atlas models docs", markup=False, highlight=False, soft_wrap=True)
