"""The code version and the environment that every sealed manifest records."""

import functools
import importlib.metadata
import platform
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from atlas_resources.files.project import PROJECT_ROOT
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.devices import describe_accelerator
from atlas_resources.plates.run_contracts import CodeVersion, Environment, ServerRecord

PACKAGES_THAT_TOUCH_NUMBERS = (
    "torch",
    "torchvision",
    "transformers",
    "timm",
    "open_clip_torch",
    "onnxruntime",
    "opencv-python-headless",
    "rapidocr",
    "tesserocr",
    "segment-anything",
    "sentencepiece",
    "numpy",
    "pillow",
    "scikit-image",
    "scikit-learn",
    "scipy",
    "pycocotools",
)
CPU_FILE = Path("/proc/cpuinfo")
PACKAGES_OF_CLIENTS = ("openai", "httpx2", "tritonclient")
PACKAGES_OF_CUDA = ("nvidia-cublas", "nvidia-cudnn-cu13", "nvidia-cuda-runtime", "triton")


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(PROJECT_ROOT), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@functools.cache
def _cpu_model() -> str | None:
    """Model name of the processor as the kernel states it; None where no file does."""
    with suppress(OSError):
        if found := re.search(r"^model name\s*: (.+)$", CPU_FILE.read_text(encoding="utf-8"), re.MULTILINE):
            return found[1].strip()
    return None


@functools.cache
def code_version() -> CodeVersion:
    """The project's version and commit; the commit is None outside a git checkout."""
    git_sha = _git("rev-parse", "HEAD")
    status = _git("status", "--porcelain") if git_sha else None
    return CodeVersion(
        project=importlib.metadata.version("atlas-plates"),
        git_sha=git_sha,
        is_dirty=None if status is None else bool(status),
    )


def environment(spec: Spec, server: ServerRecord | None = None) -> Environment:
    """The software of this process, and the accelerator of an instrument that is declared for one.

    Versions are read from package metadata, without an import.

    Args:
        spec: the instrument.
        server: the server that answers for its model; its own record says what software it is.

    Raises:
        ValueError: the spec declares no numeric mode.
    """
    if spec.numeric is None:
        raise ValueError(
            f"{spec.key}: numeric is not declared. Fix: `atlas models check` shows what the spec is missing"
        )
    on_cuda = spec.numeric.device == "cuda" and spec.served is None
    own = PACKAGES_OF_CLIENTS if spec.served else PACKAGES_OF_CUDA if on_cuda else ()
    packages = {}
    for name in (*PACKAGES_THAT_TOUCH_NUMBERS, *own):
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return Environment(
        python=platform.python_version(),
        os=platform.platform(),
        device=spec.numeric.device,
        dtype=spec.numeric.dtype,
        packages=packages,
        accelerator=None if spec.served else describe_accelerator(spec),
        cpu=_cpu_model(),
        threads=torch.get_num_threads() if (torch := sys.modules.get("torch")) else None,
        server=server,
    )
