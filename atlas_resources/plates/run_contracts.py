"""The JSON files of a run, one frozen model each: its configuration, what it sealed of each plate, how it ended."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from atlas_resources.files.contract import Contract, FileContract, Sha256, is_null
from atlas_resources.instruments.instrument import InstrumentIdentity
from atlas_resources.plates.contracts import FileDigest, PlateId

RUN_ID_PATTERN = r"^run-\d{8}-\d{6}Z-[0-9a-f]{8}$"

RunId = Annotated[str, Field(pattern=RUN_ID_PATTERN)]


class Accelerator(Contract):
    """The CUDA device a run used, its software, and the numeric modes that were pinned on it."""

    name: str = Field(description="Of the device, as its driver states it.")
    index: int = Field(ge=0, description="Among the devices that the process sees.")
    uuid: str = Field(description="Of the device; tells two of one name apart.")
    capability: str = Field(description="Compute capability, such as 9.0.")
    memory_bytes: int = Field(description="Memory of the device.")
    driver: str | None = Field(description="Version of NVIDIA's driver. Null: no file of the machine states it.")
    cuda: str = Field(description="Version of CUDA that torch is built for.")
    cudnn: int | None = Field(description="Version of cuDNN, as one number: 92400 is 9.24.0.")
    modes: dict[str, str | bool] = Field(description="Switches of torch and cuBLAS, which are part of the fingerprint.")


class ServerRecord(Contract):
    """A server that answered for a model: what was started or is vouched for, and what it was found to do.

    Its digest, `server_sha256`, is in every row that it gave.
    """

    program: str = Field(description="Program that serves.")
    version: str = Field(description="Its version: as the program states it, or as whoever vouches for it does.")
    flags: dict[str, int | float | str | bool] = Field(description="Flags that the spec declares.")
    dtype: str | None = Field(description="Numeric type that the spec declares and the program was told.")
    device: str | None = Field(description="Class of the device that the spec declares, `cpu` or `cuda`.")
    command: list[str] = Field(
        description="The whole command as it was started, without folders of the machine; empty for a server of "
        "somebody else."
    )
    endpoint: str = Field(description="Address, with its port.")
    model_name: str = Field(description="Name of the model at that address.")
    model_id: str = Field(description="The instrument's model.")
    files: dict[str, Sha256] = Field(
        description="sha256 of each file by its path, as it was when the server started; empty if nobody looked."
    )
    host: str = Field(description="Name of the machine that started it, or from which it was probed.")
    process_id: int | None = Field(description="Of the program; null for a server of somebody else.")
    started_at: datetime = Field(description="When the program started, or a server of somebody else was probed, UTC.")
    attested_by: str | None = Field(description="Who vouches for a server that somebody else runs; null otherwise.")
    honoured: dict[str, bool | None] = Field(
        description="What the server was found to honour of seed, json_schema, max_tokens, images and image_limits; "
        "null: the probe could not tell."
    )
    notes: list[str] = Field(default_factory=list, description="What the probes showed, for a person.")


class Environment(Contract):
    """The software and the machine class a run used."""

    python: str = Field(description="Version of Python.")
    os: str = Field(description="Operating system and processor, as `platform.platform()` states them.")
    device: str = Field(description="Class of the device, `cpu` or `cuda`.")
    dtype: str = Field(description="Numeric type of the computation.")
    packages: dict[str, str] = Field(description="Version of each library that can change the numbers.")
    accelerator: Accelerator | None = Field(
        default=None, description="Null: the run was on the CPU, or it was sealed before this was kept."
    )
    cpu: str | None = Field(
        default=None,
        exclude_if=is_null,
        description="Model of the processor. Null: the system does not state it, or sealed before this was kept.",
    )
    threads: int | None = Field(
        default=None,
        exclude_if=is_null,
        description="Threads of one operation of torch, which change the last digits. Null: torch was not in use, or "
        "sealed before this was kept.",
    )
    device_map: dict[str, str] | None = Field(
        default=None,
        exclude_if=is_null,
        description="Where each part of the network was, by its path: `cuda:<index>`, `cpu` or `disk`. Null: it was on "
        "one device.",
    )
    server: ServerRecord | None = Field(
        default=None, exclude_if=is_null, description="The server that answered. Null: the model was loaded in the run."
    )


class CodeVersion(Contract):
    """The project's own version: the git commit, and whether the working tree differed from it."""

    project: str = Field(description="Version of the project.")
    git_sha: str | None = Field(description="Commit; null outside a git checkout.")
    is_dirty: bool | None = Field(description="Whether the code differed from that commit; null without one.")


class StructuredError(Contract):
    """Why a plate failed."""

    type: str = Field(description="Type of the exception.")
    message: str = Field(description="Its message.")
    stage: Literal["decode", "compute", "seal"] = Field(description="Stage that failed.")
    traceback: str = Field(description="Python's traceback.")


class RunManifest(FileContract):
    """`runs/<run_id>/run.manifest.json`: one instrument's sealed result for one plate."""

    run_id: RunId
    plate_id: PlateId
    status: Literal["complete", "failed"] = Field(description="failed: `error` says why, and there are no outputs.")
    source_sha256: Sha256
    instrument: InstrumentIdentity
    inputs: list[FileDigest] = Field(description="Files that were read, the source first.")
    outputs: list[FileDigest] = Field(description="Files that were sealed with this manifest.")
    environment: Environment
    code: CodeVersion
    dagster_run_id: str | None
    started_at: datetime = Field(description="When the run over all its plates started, not this plate's measurement.")
    sealed_at: datetime = Field(description="When this plate was sealed.")
    error: StructuredError | None

    @property
    def read_run_ids(self) -> tuple[str, ...]:
        """The runs of the plate whose sealed results it read, by its inputs."""
        return tuple(file.path.split("/")[1] for file in self.inputs if file.path.startswith("runs/"))


Stage = Literal["decode", "preprocess", "compute", "seal"]


class StageSeconds(Contract):
    """Seconds of wall time that each stage of one plate took. Stages of different plates overlap."""

    decode: float = Field(
        ge=0,
        description="Reading the plate's files and decoding its source; reading the result of the instrument that this "
        "one reads. Instruments that decode a plate together have equal shares of its decoding.",
    )
    preprocess: float = Field(ge=0, description="Making the model's input from the decoded pixels or the result read.")
    compute: float = Field(
        ge=0,
        description="The model and all that is made from its output, the preview included. Plates of a batch are "
        "measured together and have equal shares of its time.",
    )
    seal: float = Field(
        ge=0,
        description="Encoding the result and writing its files to disk, until this file is written. The manifest and "
        "the renaming of the folder follow.",
    )


class Metrics(FileContract):
    """`runs/<run_id>/metrics.json`: scalars for a person, and what the plate cost."""

    run_id: RunId
    plate_id: PlateId
    values: dict[str, float | int | str | bool | None] = Field(
        description="Scalars by name; which ones depends on the role."
    )
    seconds: StageSeconds | None = Field(
        default=None, description="Seconds by stage. Null: sealed before seconds were kept."
    )
    peak_memory_bytes: int | None = Field(
        default=None,
        description="Most memory that the process had in use until the plate was sealed, other plates, libraries "
        "and all models of its pass included. Null: sealed before it was kept.",
    )
    peak_device_memory_bytes: int | None = Field(
        default=None,
        description="Most memory that torch had allocated on the CUDA device from the loading of the model until the "
        "plate was sealed. Null: no CUDA device was in use, or sealed before it was kept.",
    )


class RunConfig(FileContract):
    """`reports/<run_id>/config.json`: what the run was asked to do."""

    run_id: RunId
    instrument: InstrumentIdentity
    spec: dict = Field(description="The whole spec as it was read, descriptions included.")
    batch_size: int = Field(gt=0, description="Plates that the model measures at once, as the spec declares.")
    forced: bool = Field(description="Whether done plates were measured again.")
    plate_ids: list[PlateId] = Field(description="Plates that the run was asked for.")
    dagster_run_id: str | None
    started_at: datetime


class FailedPlate(Contract):
    """A plate that failed, by name and reason."""

    plate_id: PlateId
    error: StructuredError


class RunReport(FileContract):
    """`reports/<run_id>/report.json`: how the run ended. A run in progress or a killed run has none."""

    run_id: RunId
    config_sha256: Sha256 = Field(description="sha256 of the run's config.json.")
    status: Literal["complete", "failed"] = Field(description="failed: at least one plate failed.")
    selected: list[PlateId] = Field(description="Plates that the run was asked for.")
    done: list[PlateId] = Field(description="Plates that it measured.")
    skipped: list[PlateId] = Field(description="Plates that an earlier run had done.")
    failed: list[FailedPlate] = Field(description="Plates that failed, and why.")
    finished_at: datetime = Field(description="When the run ended, UTC.")
    load_seconds: float = Field(description="Loading the model.")
    decode_seconds: float = Field(
        description="Decoding, summed over plates; plates are decoded on several threads. Where preprocess_seconds is "
        "null it includes preprocessing."
    )
    preprocess_seconds: float | None = Field(
        default=None, description="Preprocessing, summed likewise. Null: reported before it was measured separately."
    )
    compute_seconds: float = Field(description="Computing, summed over plates.")
    seal_seconds: float = Field(description="Sealing, summed over plates; with manifests and renaming.")
    wall_seconds: float = Field(description="From the start of the run to its report.")
