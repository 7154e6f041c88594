"""A Postgres of one's own, in a folder, on loopback: for demonstrations and tests, never a service of the machine."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deploy.demo.programs import ProgramMissing, Programs, answers, free_port, require

URL_VARIABLE = "ATLAS_POSTGRES_URL"
ROLE = "atlas"
STOP_SECONDS = 20.0  # a killed Postgres leaves a shared memory segment to the machine
UNPRIVILEGED = ("postgres", "nobody")  # Postgres refuses root; Debian's package makes the first


@dataclass(frozen=True)
class Postgres:
    """A running server.

    Attributes:
        port: on 127.0.0.1.
        password: of the role `atlas`, who owns the server.
    """

    port: int
    password: str = field(repr=False)

    def url(self, database: str = "postgres") -> str:
        """The address of a database, with its driver and the password: for the environment, not for files."""
        return f"postgresql+psycopg2://{ROLE}:{self.password}@127.0.0.1:{self.port}/{database}"


def folders_of_postgres() -> list[Path]:
    """Where Debian puts initdb and postgres, which are not on the PATH; the newest version first."""
    return sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)


def why_no_postgres() -> str:
    """Why no Postgres can be started here, with the command that fixes it; empty if one can."""
    try:
        for program in ("initdb", "postgres"):
            require(program, "postgresql", *folders_of_postgres())
        account()
    except ProgramMissing as missing:
        return str(missing)
    return ""


def account() -> str | None:
    """The account that Postgres runs as: None, this one, unless this is root.

    Raises:
        ProgramMissing: this is root, and there is no other account.
    """
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED:
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise ProgramMissing(f"Postgres refuses root, and there is none of {UNPRIVILEGED}. Fix: adduser --system postgres")


@contextmanager
def postgres(programs: Programs, folder: Path) -> Iterator[Postgres]:
    """Runs a new server whose files are in a folder, which is made and removed.

    Args:
        programs: starts it.
        folder: must not exist; folders above it must be open to the account that Postgres runs as.
    """
    user, folders = account(), folders_of_postgres()
    server = Postgres(free_port(), secrets.token_urlsafe(24))
    folder.mkdir(mode=0o700)
    password = folder / "password"
    try:
        password.touch(mode=0o600)
        password.write_text(server.password)
        if user:
            for path in (folder, password):
                shutil.chown(path, user, user)
        _initialise(programs, folder, password, user, require("initdb", "postgresql", *folders))
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(server.port),
            "unix_socket_directories": "",
            "fsync": "off",  # a machine that goes down takes this server's data with it, and may
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = (require("postgres", "postgresql", *folders), "-D", folder / "data", *options)
        # SIGINT is Postgres's fast shutdown, which does not wait for clients.
        with programs.run(
            "postgres", *command, user=user, stop=signal.SIGINT, patience_seconds=STOP_SECONDS
        ) as process:
            programs.wait_until(lambda: answers(server.port), "postgres", process)
            yield server
    finally:
        shutil.rmtree(folder)


def _initialise(programs: Programs, folder: Path, password: Path, user: str | None, initdb: str) -> None:
    command = [initdb, "-D", folder / "data", "-U", ROLE, "--pwfile", password, "-A", "scram-sha-256"]
    with (programs.logs / "initdb.log").open("w") as log:
        subprocess.run(
            [*map(str, command), "-E", "UTF8", "--no-sync", "--no-instructions"],
            check=True,
            stdout=log,
            stderr=log,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            cwd=folder,
        )
    password.unlink()
