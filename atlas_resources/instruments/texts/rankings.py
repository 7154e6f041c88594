"""Instruments that rank another one's keywords by an image-text embedding: made of a probe, and what is wrong with one.

The keywords are those of the spec's upstream. The text tower embeds them in each prompt template; the plate's image
vector is read from the embedding that `ranking.vectors` names, which must be of the same model.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from atlas_resources.files.yaml_files import FileProblem
from atlas_resources.instruments.loader_table import LOADERS
from atlas_resources.instruments.spec.output import TextOutput
from atlas_resources.instruments.spec.pins import model_sha
from atlas_resources.instruments.spec.ranking import Ranking, RankingSettings
from atlas_resources.instruments.spec.spec import PromptPin, Spec


def can_rank(spec: Spec | None) -> bool:
    """Whether a spec is a probe whose text tower compares texts with sealed image vectors."""
    entry = LOADERS.get(spec.loader or "") if spec else None
    return bool(spec and entry and entry.can_rank and spec.role == "probe" and spec.upstream)


def ranking_fields(
    probe: Spec, settings: RankingSettings | None, prompts: Sequence[PromptPin] | None
) -> dict[str, Any]:
    """The fields in which an instrument that ranks differs from the probe whose text tower it uses.

    Args:
        probe: see `can_rank`. Its upstream becomes the embedding whose vectors are read besides.
        settings: the draws, or the defaults.
        prompts: the templates.
    """
    stated = (settings or RankingSettings()).model_dump()
    return {
        "role": "text",
        "output": TextOutput(kind="text", form="ranking"),
        "prompts": list(prompts or []),
        "ranking": Ranking(vectors=str(probe.upstream), **stated),
    }


def problems_with_ranking(spec: Spec, specs: Mapping[str, Spec]) -> list[FileProblem]:
    """What is wrong with what a ranking reads. An instrument that is missing is not the ranking's fault.

    Args:
        spec: the instrument; nothing is wrong with one that ranks nothing.
        specs: all specs, by key.
    """
    if spec.ranking is None:
        return []
    file, problems = f"{spec.key}.yaml", []
    vectors, keywords = specs.get(spec.ranking.vectors), specs.get(spec.upstream or "")
    if vectors and vectors.role != "embedding":
        found = f"{vectors.key!r}, {vectors.role}"
        problems.append(FileProblem(file, "ranking.vectors", found, "an instrument of role 'embedding'"))
    elif vectors and (vectors.model_id, model_sha(vectors)) != (spec.model_id, model_sha(spec)):
        found = f"{vectors.key!r}, {vectors.model_id} at {model_sha(vectors)}"
        expected = f"an embedding by the same model, {spec.model_id} at {model_sha(spec)}: no other shares its space"
        problems.append(FileProblem(file, "ranking.vectors", found, expected))
    if keywords and not (isinstance(keywords.output, TextOutput) and keywords.output.form == "keywords"):
        found = f"{keywords.key!r}, which gives {getattr(keywords.output, 'form', keywords.role)}"
        problems.append(FileProblem(file, "upstream", found, "an instrument that gives keywords"))
    if not isinstance(spec.output, TextOutput) or spec.output.form != "ranking":
        problems.append(FileProblem(file, "output.form", repr(getattr(spec.output, "form", None)), "'ranking'"))
    return problems
