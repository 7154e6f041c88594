"""The programs that can serve a model: command line, version and environment of each. A new one is an entry here."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from atlas_resources.instruments.spec.numeric import Numeric
from atlas_resources.instruments.spec.served import FlagValue
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import RepositoryWeights

LOOPBACK = "127.0.0.1"
SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL|_PROXY$|^PYTHON(PATH|HOME)$", re.IGNORECASE)
"""Environment variables that no server gets: keys and proxies, and where this Python looks for its packages."""
OFFLINE: Mapping[str, str] = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
}


@dataclass(frozen=True)
class Launch:
    """What a command line is made of.

    Attributes:
        executable: the program.
        folder: has links to the pinned files, and to no others.
        port: free port of loopback.
        model_name: by which the model is asked.
        numeric: as the spec declares it.
        flags: those that the spec declares.
        template: file with the chat template; None if the model has none.
    """

    executable: str
    folder: Path
    port: int
    model_name: str
    numeric: Numeric
    flags: Mapping[str, FlagValue] = field(default_factory=dict)
    template: Path | None = None

    @property
    def declared(self) -> list[str]:
        """The declared flags, as the program takes them."""
        words = []
        for name, value in self.flags.items():
            words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
        return words

    def only_gguf(self, *, is_projector: bool) -> str:
        """The path of the one file of a network, or of its projector of pictures, which is named so.

        Raises ValueError for none and for several.
        """
        found = [path for path in sorted(self.folder.rglob("*.gguf")) if ("mmproj" in path.name) == is_projector]
        if len(found) != 1:
            what = "mmproj*.gguf" if is_projector else "*.gguf that is no mmproj"
            raise ValueError(f"expected one pinned file {what}, found {len(found)}")
        return str(found[0])


@dataclass(frozen=True)
class ServingProgram:
    """A program that serves models.

    Attributes:
        executable: its name on PATH.
        version_arguments: with which it prints its version.
        version_pattern: finds that version, as its first group, in what it prints; None for the last number with dots.
        command: the whole command line.
        layout: how the pinned files are laid out for it: a folder of them, or the cache of a hub.
        health_path: answers 200 once requests are taken.
        environment: variables that it is started with, besides those that keep it offline.
        install: how it is installed.
    """

    executable: str
    version_arguments: Sequence[str]
    command: Callable[[Launch], list[str]]
    layout: Literal["folder", "hub_cache"]
    health_path: str
    install: str
    environment: Mapping[str, str] = field(default_factory=dict)
    version_pattern: re.Pattern[str] | None = None


def served_name(spec: Spec) -> str:
    """The name by which a model that is started here is asked: a repository has one for it."""
    return spec.weights.model if isinstance(spec.weights, RepositoryWeights) else spec.model_id


def _vllm(launch: Launch) -> list[str]:
    template = ["--chat-template", str(launch.template)] if launch.template else []
    return [
        launch.executable, "serve", str(launch.folder), "--host", LOOPBACK, "--port", str(launch.port),
        "--served-model-name", launch.model_name, "--dtype", launch.numeric.dtype,
        # The snapshot's own generation_config.json would draw tokens and punish repetition.
        "--generation-config", "vllm", *template, *launch.declared,
    ]  # fmt: skip


def _lmdeploy(launch: Launch) -> list[str]:
    return [
        launch.executable, "serve", "api_server", str(launch.folder), "--server-name", LOOPBACK,
        "--server-port", str(launch.port), "--model-name", launch.model_name, "--dtype", launch.numeric.dtype,
        *launch.declared,
    ]  # fmt: skip


def _transformers(launch: Launch) -> list[str]:
    return [
        launch.executable, "serve", launch.model_name, "--host", LOOPBACK, "--port", str(launch.port),
        "--dtype", launch.numeric.dtype, "--device", launch.numeric.device, *launch.declared,
    ]  # fmt: skip


def _llama_cpp(launch: Launch) -> list[str]:
    template = ["--chat-template-file", str(launch.template)] if launch.template else []
    return [
        launch.executable, "--model", launch.only_gguf(is_projector=False),
        "--mmproj", launch.only_gguf(is_projector=True), "--host", LOOPBACK, "--port", str(launch.port),
        "--alias", launch.model_name, "--jinja", *template, *launch.declared,
    ]  # fmt: skip


def _triton(launch: Launch) -> list[str]:
    return [
        launch.executable, *launch.declared, f"--model-repository={launch.folder}", f"--http-address={LOOPBACK}",
        f"--http-port={launch.port}", "--allow-grpc=false", "--allow-metrics=false",
        # Nothing can be loaded or unloaded later on, and nothing is configured that the pinned file does not state.
        "--model-control-mode=none", "--disable-auto-complete-config",
    ]  # fmt: skip


PROGRAMS: Mapping[str, ServingProgram] = {
    "vllm": ServingProgram(
        "vllm", ("--version",), _vllm, "folder", "/health", "pip install 'vllm=={version}' in an environment of its own"
    ),
    "lmdeploy": ServingProgram(
        "lmdeploy", ("--version",), _lmdeploy, "folder", "/health",
        "pip install 'lmdeploy=={version}' in an environment of its own",
    ),
    "transformers": ServingProgram(
        "transformers", ("version",), _transformers, "hub_cache", "/health",
        "pip install 'transformers[serving]=={version}'",
    ),
    "triton": ServingProgram(
        # It has no flag for it: without a repository it prints its options, with the version among them, and ends.
        "tritonserver",
        ("--model-repository=/nowhere", "--allow-http=false", "--allow-grpc=false", "--allow-metrics=false"),
        _triton, "folder", "/v2/health/ready", "install Triton Inference Server {version}, see docs/triton.md",
        version_pattern=re.compile(r"\bserver_version\s*\|\s*(\S+)"),
    ),
    "llama-cpp": ServingProgram(
        "llama-server", ("--version",), _llama_cpp, "folder", "/health", "build llama.cpp at the declared version"
    ),
}  # fmt: skip
"""By the name in `served.program`."""


def environment_of(
    program: ServingProgram, executable: str, variables: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The environment of a program: without keys and proxies, offline, with its own folder first on PATH."""
    kept = {name: value for name, value in variables.items() if not SECRET_NAME.search(name)}
    own = str(Path(executable).parent)
    return {**kept, "PATH": os.pathsep.join([own, kept.get("PATH", "")]), **OFFLINE, **program.environment}
