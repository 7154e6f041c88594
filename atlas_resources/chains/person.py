"""Who enters something, and where the name is from."""

import getpass
import subprocess
from dataclasses import dataclass

from atlas_resources.plates.records.withdrawal import PersonFrom

FROM: dict[PersonFrom, str] = {"option": "as stated", "git": "git's user.name", "system": "user of this machine"}
"""Where a person's name is from, in words."""


@dataclass(frozen=True)
class Person:
    """Who enters something, and where the name is from."""

    name: str
    source: PersonFrom


def this_person(stated: str | None) -> Person:
    """The person that is named, or else git's user.name, or else the user of the operating system."""
    if stated and stated.strip():
        return Person(stated.strip(), "option")
    try:
        git = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, timeout=10, check=False)
        name = git.stdout.strip()
    except OSError:
        name = ""
    return Person(name, "git") if name else Person(getpass.getuser(), "system")
