"""Specs that could not be read, as nodes that cannot run: the graph shows what is broken instead of leaving it out."""

import re

import dagster as dg

from atlas_resources.instruments.registry import Registry


def build_broken_spec_assets(registry: Registry) -> list[dg.AssetSpec]:
    """One node per broken file, its description saying what is wrong and how to see it."""
    by_file: dict[str, list[str]] = {}
    for problem in registry.problems:
        by_file.setdefault(problem.file, []).append(str(problem))
    return [
        dg.AssetSpec(
            dg.AssetKey(["broken_specs", *re.sub(r"[^a-z0-9_/]", "_", file.removesuffix(".yaml").lower()).split("/")]),
            group_name="broken_specs",
            description="This spec could not be read; mend it, see `atlas models check`, and reload:\n\n"
            + "\n".join(f"- {problem}" for problem in problems),
            kinds={"yaml"},
        )
        for file, problems in by_file.items()
    ]
