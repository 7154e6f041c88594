"""Finding the program that a spec declares on this machine, in the declared version."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from atlas_resources.instruments.spec.served import Served
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.servers.records import is_version, without_secrets
from atlas_resources.serving.programs import PROGRAMS, ServingProgram, environment_of

VERSION = re.compile(r"\d+(?:\.\d+)+[\w.+-]*|\bversion: (\d+)")
VERSION_SECONDS = 300


class ServingFailed(RuntimeError):
    """A server cannot be started as declared, or did not start."""


def find_program(spec: Spec, asked: str | None, path: str | None) -> tuple[Served, ServingProgram, str, str]:
    """What the spec declares, the program's entry, its path on this machine, and its version.

    Args:
        spec: the instrument.
        asked: the program that a person names; None for the declared one.
        path: of the program; None to look on PATH.

    Raises:
        ServingFailed: the spec declares no server, another program or version, or the program is not here.
    """
    served = spec.served
    if served is None:
        raise ServingFailed(
            f"{spec.key} is loaded by runs themselves. Fix: a variant with `loader: openai_chat` and `served:`; see "
            f"docs/served-models.md"
        )
    if served.endpoint:
        raise ServingFailed(f"{spec.key}: {served.attested_by} runs its server. Fix: `atlas models probe {spec.key}`")
    if asked and asked != served.program:
        raise ServingFailed(f"{spec.key} declares {served.program}, not {asked}. Fix: a variant with the other program")
    if served.program not in PROGRAMS:
        raise ServingFailed(f"{spec.key}: {served.program} is not started by this command")
    program = PROGRAMS[served.program]
    beside = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])
    found = shutil.which(path or program.executable, path=beside)
    install = program.install.format(version=served.version)
    if found is None:
        where = path or f"{program.executable} on PATH or beside this Python"
        raise ServingFailed(f"{spec.key}: {where} is not there. Fix: {install}; then --program PATH")
    version = version_of(program, found)
    if not is_version(served.version, version):
        raise ServingFailed(
            f"{spec.key}: expected {served.program} {served.version}, found {version} at {found}. Fix: {install}, or a "
            f"spec with the other version"
        )
    return served, program, found, version


def version_of(program: ServingProgram, path: str) -> str:
    """The version that a program prints of itself: the last one, since some print notices before it.

    Raises ServingFailed if it prints none.
    """
    command = [path, *program.version_arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=VERSION_SECONDS, check=False,
            env=environment_of(program, path), stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServingFailed(f"`{' '.join(command)}` does not say its version: {error}") from error
    for text in (done.stdout, done.stderr):
        if found := list((program.version_pattern or VERSION).finditer(text)):
            return found[-1][1] or found[-1][0]
    raise ServingFailed(f"`{' '.join(command)}` does not say its version: {without_secrets(done.stderr[-500:])}")
