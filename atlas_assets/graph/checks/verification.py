"""The check of the whole library: every file is the one that was registered, sealed or built."""

from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from atlas_assets.graph.checks.finding import finding_metadata
from atlas_assets.graph.ledgers import CATALOGUE_KEY
from atlas_assets.ui.metadata import summary
from atlas_resources.instruments.registry import Registry
from atlas_resources.plates.dataset import Dataset
from atlas_resources.resources import DatasetResource
from atlas_resources.verification.library import verify
from atlas_resources.verification.reading import LEVELS, Level

CHECK_NAME = "library_is_whole"


class Verification(dg.Config):
    """How thoroughly the library is verified."""

    level: str = Field(
        default="quick", description=" ".join(f"{level}: {meaning}" for level, meaning in LEVELS.items())
    )


def verification_config(level: Level) -> dict[str, Any]:
    """Run configuration of the check at a level."""
    return {"ops": {f"{CATALOGUE_KEY.to_python_identifier()}_{CHECK_NAME}": {"config": {"level": level}}}}


def build_verification_check(registry: Registry, most_attempts: int) -> Any:
    """Builds the check, quick by default. It fails while anything is wrong and names each file.

    It does not keep the catalogue from being built: the ledgers leave out what is not whole.

    Args:
        registry: the instruments.
        most_attempts: after as many failures, a plate is given up.
    """

    @dg.asset_check(
        asset=CATALOGUE_KEY,
        name=CHECK_NAME,
        description="Every file is the one that was registered, sealed or built, and nothing else is there.",
    )
    def library_is_whole(
        context: dg.AssetCheckExecutionContext, config: Verification, dataset: DatasetResource
    ) -> dg.AssetCheckResult:
        if config.level not in LEVELS:
            raise dg.Failure(f"level: expected one of {', '.join(LEVELS)}, found {config.level!r}", allow_retries=False)
        opened = Dataset(Path(dataset.root))  # `open` would repair schemas
        found = verify(opened, registry, config.level, most_attempts=most_attempts)
        for finding in found.findings:
            context.log.log("ERROR" if finding.is_fault else "INFO", str(finding))
        faults = [str(finding) for finding in found.faults]
        unfinished = len(found.findings) - len(faults)
        return dg.AssetCheckResult(
            passed=found.is_clean,
            severity=dg.AssetCheckSeverity.ERROR,
            description=summary(faults) or f"{found.level} verification: {found.file_count} files are whole",
            metadata={
                **finding_metadata(found.file_count, faults),
                "unfinished": unfinished,
                "level": found.level,
                "seconds": found.seconds,
                "hashed_bytes": found.hashed_bytes,
                "state_of_the_library": found.root_sha256 or "",
            },
        )

    return library_is_whole
