"""What a spec's weights are pinned by: revision or version, and digest."""

import hashlib
from collections.abc import Sequence

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import (
    Algorithm,
    FileWeights,
    GitWeights,
    HubWeights,
    LibraryWeights,
    RepositoryWeights,
    SystemWeights,
    WeightFile,
    WheelWeights,
)

WITHOUT_WEIGHTS = ("sentencepiece", "json", "text")
"""Formats of configuration, tokenizers and templates."""


def pinned_files(weights: FileWeights) -> list[WeightFile]:
    """All that has to lie on disk: the files, and the configuration of the weights' own processor."""
    processor = weights.processor if isinstance(weights, HubWeights) else None
    return [*weights.files, processor] if processor else weights.files


def weight_files(spec: Spec) -> list[WeightFile]:
    """The files that hold weights: all but configuration, tokenizer and templates."""
    if spec.weights is None or isinstance(spec.weights, Algorithm):
        return []
    return [file for file in spec.weights.files if file.format not in WITHOUT_WEIGHTS]


def is_pinned(spec: Spec, path: str) -> bool:
    """Whether the spec names this file and gives its digest."""
    if spec.weights is None or isinstance(spec.weights, Algorithm):
        return False
    return any(file.path == path and file.sha256 for file in spec.weights.files)


def model_sha(spec: Spec) -> str | None:
    """The pin of the model's weights or, without weights, of its code. None if it is not pinned."""
    match spec.weights:
        case HubWeights(revision=revision) | GitWeights(revision=revision):
            return revision
        case LibraryWeights() | SystemWeights() | Algorithm():
            return f"{spec.weights.library}=={spec.weights.version}"
        case WheelWeights():
            return spec.weights.requirement
        case RepositoryWeights(repository=repository, model=model, version=version):
            return f"{repository}:{model}/{version}"
    return None


def revision_url(spec: Spec) -> str | None:
    """Where the hub shows the pinned revision, for a person to open; None for what comes from no hub."""
    from huggingface_hub import constants

    if not isinstance(spec.weights, HubWeights) or spec.weights.revision is None:
        return None
    return f"{constants.ENDPOINT}/{spec.weights.repository}/tree/{spec.weights.revision}"


def weights_sha256(spec: Spec) -> str | None:
    """Digest of the weights, as `digest_of_files`; None without weights, and while a file has no digest."""
    return digest_of_files(weight_files(spec))


def digest_of_files(files: Sequence[WeightFile]) -> str | None:
    """Digest of files: of the file if there is one, else of the sorted list `sha256  path`.

    None without files, and while one has no digest.
    """
    if not files or any(file.sha256 is None for file in files):
        return None
    if len(files) == 1:
        return files[0].sha256
    lines = sorted(f"{file.sha256}  {file.path}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
