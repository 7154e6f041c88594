"""The file of a benchmark: how fast an instrument answered with several questions at once."""

from datetime import datetime

from pydantic import Field

from atlas_resources.files.contract import Contract, FileContract
from atlas_resources.instruments.instrument import InstrumentIdentity
from atlas_resources.plates.contracts import PlateId
from atlas_resources.plates.run_contracts import CodeVersion, Environment


class ConcurrencyFigure(Contract):
    """How fast plates were measured with a number of them at once."""

    concurrency: int = Field(ge=1, description="Plates that were measured at the same time.")
    images_per_second: float | None = Field(
        ge=0, allow_inf_nan=False, description="Measured plates over the seconds. Null: it was not measured."
    )
    image_count: int = Field(ge=0, description="Plates that were measured.")
    failure_count: int = Field(ge=0, description="Plates that could not be measured. They take time and do not count.")
    seconds: float | None = Field(ge=0, description="From the first call to the end of the last. Null: not measured.")
    reason: str | None = Field(description="Why it was not measured, or the first failure; null otherwise.")


class Benchmark(FileContract):
    """`benchmarks/<instrument>/<UTC>.json`: real calls of an instrument, timed. Nothing that it wrote is kept."""

    instrument: InstrumentIdentity
    measured_at: datetime = Field(description="UTC time at which the last call had ended.")
    plate_ids: list[PlateId] = Field(description="Plates that were measured, over and over.")
    load_seconds: float = Field(ge=0, description="Loading the model, or connecting to its server.")
    cold_seconds: float = Field(ge=0, description="The first call, which is in no figure.")
    most_at_once: int = Field(ge=1, description="Plates that the loaded model says it can be asked about at once.")
    figures: list[ConcurrencyFigure] = Field(description="One for each number of plates at once.")
    environment: Environment = Field(description="Of this process.")
    code: CodeVersion
