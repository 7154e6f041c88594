"""The page `docs/models.md`: every instrument with its pins, licence and failure modes, from the specs alone."""

from atlas_resources.instruments.registry import Registry
from atlas_resources.instruments.roles import ROLES
from atlas_resources.instruments.spec.input import REFERENCES, Preprocessing
from atlas_resources.instruments.spec.output import (
    OF_CONFIGURATION,
    BoxesOutput,
    ImageOutput,
    MasksOutput,
    RegionsOutput,
    ScoresOutput,
    TextOutput,
    VectorOutput,
)
from atlas_resources.instruments.spec.pins import model_sha, weight_files
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.variant import mode_words

DOCS_NAME = "docs/models.md"
HEAD = """# Instruments

Written by `atlas models docs` from `model_specs/`: change a spec, not this page.

An instrument is **admitted** when its spec declares pinned weights with their digest, licence, output, preprocessing,
numeric mode and a known failure mode, and a loader serves it. Until then it is an **idea**, and never runs. A
**refused** instrument would not run even with a complete spec. The status is computed from the spec. A licence follows
every row that comes from an instrument; `unknown` means that no source states one.

An instrument that is computed **on a GPU** runs on nothing else. `atlas models derive KEY --device cpu` makes one for
the CPU.
"""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _vocabulary(name: str) -> str:
    return "labels of its own" if name == OF_CONFIGURATION else name


def _gives(spec: Spec) -> str:
    """The output in a few words, such as its dimensions."""
    words = "-"
    match spec.output:
        case VectorOutput(dim=dim, pooled_feature=feature):
            words = f"{dim}, {feature}"
        case ScoresOutput(count=count, labels=labels):
            words = f"{count} {_vocabulary(labels)}"
        case MasksOutput(classes=classes, vocabulary=vocabulary):
            words = f"masks, {_vocabulary(vocabulary or ', '.join(classes) or 'class-agnostic')}"
        case BoxesOutput(max_boxes=number, labels=labels):
            words = f"{number} boxes, {_vocabulary(labels)}"
        case ImageOutput(width_px=width, height_px=height):
            words = f"image, {width} x {height} px"
        case RegionsOutput(kind=kind):
            words = f"{kind} of segments"
        case TextOutput(form=form):
            words = f"text, {form}"
    return words.replace("_", " ")


def _fixed_input(steps: Preprocessing) -> str:
    parts = []
    if steps.resize:
        limit = f", at most {steps.resize.max_px} px" if steps.resize.max_px else ""
        parts.append(f"{steps.resize.mode.replace('_', ' ')} {steps.resize.size_px} px{limit}")
    if steps.crop_px:
        parts.append(f"centre crop {steps.crop_px}")
    return ", ".join([*parts, steps.interpolation, *([steps.pad.replace("_", " ")] if steps.pad else [])])


def _input(spec: Spec) -> str:
    if spec.preprocessing:
        cut = f"segments of {spec.upstream}, " if spec.region else ""
        return cut + _fixed_input(spec.preprocessing)
    if spec.own_preprocessing:
        return f"the model's own: {spec.own_preprocessing.form}"
    return f"the sealed result{'s' if len(spec.reads) > 1 else ''} of {' and '.join(spec.reads)}" if spec.reads else "-"


def _row(registry: Registry, spec: Spec) -> str:
    terms = spec.licence
    status = registry.status(spec.key)
    cells = [
        f"[`{spec.key}`](#{spec.key})",
        spec.model_id,
        (model_sha(spec) or "-")[:40],
        terms.spdx if terms else "-",
        terms.commercial_use if terms else "-",
        _gives(spec),
        _input(spec),
        mode_words(spec.numeric) if spec.numeric else "-",
        f"**{status.name}**"
        + (", active" if spec.key in registry.active else "")
        + (f", a variant of `{spec.variant_of}`" if spec.variant_of else "")
        + (f": {status.reason}" * bool(status.reasons)),
    ]
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _processors(spec: Spec) -> list[str]:
    """Which processor the input equals, and how far the library's default one is from it."""
    steps, default = spec.preprocessing, spec.default_processor
    lines = []
    if steps and steps.reference and not spec.region:
        but_for = f", but for {', '.join(one.step for one in spec.departures)}" if spec.departures else ""
        lines.append(f"- Input: equal to that of {REFERENCES[steps.reference]}{but_for}")
    if default:
        lines.append(
            f"- The library's default, {default.name}, gives other inputs: values differ by up to "
            f"{default.largest_difference:g} (plate {default.farthest}), {default.mean_difference:g} in the mean, "
            f"after normalisation, on {default.plates} real plates"
        )
    return lines


def _details(registry: Registry, spec: Spec) -> list[str]:
    """The card below the table: description, digests, licence, failure modes, notes and sources."""
    status = registry.status(spec.key)
    lines = [
        f'### <a id="{spec.key}"></a>{spec.title}',
        "",
        f"`{spec.key}`, {status.name}. {_cell(spec.description)}",
        "",
    ]
    if spec.variant_of:
        lines += [f"A variant of [`{spec.variant_of}`](#{spec.variant_of}): same weights, other fingerprint.", ""]
        return lines
    facts = [f"{spec.parameter_count:,} parameters"] if spec.parameter_count else []
    facts += [spec.objective.replace("_", " ")] if spec.objective else []
    if facts:
        lines += [f"{'; '.join(facts)}.", ""]
    lines += [f"- Digest: `{file.path}`, sha256 `{file.sha256}`" for file in weight_files(spec) if file.sha256]
    if spec.refusal:
        lines.append(f"- Refused: {_cell(spec.refusal.reason)} ({_cell(spec.refusal.source)})")
    if spec.licence:
        terms = spec.licence
        lines.append(f"- Licence: {terms.spdx}, commercial use {terms.commercial_use} ({_cell(terms.source)})")
    if spec.own_preprocessing:
        lines.append(f"- Input: {_cell(spec.own_preprocessing.description)}")
    lines += _processors(spec)
    lines += [
        f"- Differs from its weights' own processor in {step.step}, there {step.own}: {_cell(step.reason)}"
        for step in spec.departures
    ]
    lines += [f"- Known failure mode: {_cell(mode.fact)} ({_cell(mode.source)})" for mode in spec.failure_modes]
    lines += [f"- Note: {_cell(note)}" for note in spec.notes]
    lines += [f"- {_cell(source)}" for source in spec.sources]
    return [*lines, ""]


def models_page(registry: Registry) -> str:
    """The page in Markdown: a table per role, then a card per instrument.

    Broken specs are not listed; `atlas models check` reports them.
    """
    lines = [HEAD]
    for role, record in ROLES.items():
        specs = [spec for _, spec in sorted(registry.specs.items()) if spec.role == role]
        if not specs:
            continue
        lines += [
            f"## {record.title}",
            "",
            "| instrument | model | revision | licence | commercial use | gives | input | computed in | status |",
        ]
        lines += ["|---" * 9 + "|", *(_row(registry, spec) for spec in specs), ""]
        for spec in specs:
            lines += _details(registry, spec)
    return "\n".join(lines).rstrip() + "\n"
