"""What MWAA installs: under its constraints, and nothing that it ships at another version."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def pins(path: Path) -> dict[str, str]:
    lines = re.findall(r"(?m)^([A-Za-z0-9._-]+)==([^\s;\\]+)", path.read_text())
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in lines}


REQUIRED, CONSTRAINTS, LOCK = (
    pins(ROOT / name) for name in ("requirements.txt", "constraints.txt", "requirements-dev.lock")
)
ADDED = {"ssh-python", "awscrt", "apache-airflow", "holidays", "isal", "pysequoia"}
"""What MWAA's constraints do not name."""


def test_the_fixed_packages_are_required():
    assert REQUIRED.keys() >= {
        "apache-airflow",
        "apache-airflow-providers-amazon",
        "apache-airflow-providers-google",
        "apache-airflow-providers-sftp",
        "boto3",
    }
    assert REQUIRED["apache-airflow"] == "3.2.1"


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_requirements_are_at_mwaas_versions(name):
    if name in ADDED:
        assert name not in CONSTRAINTS
    else:
        assert REQUIRED[name] == CONSTRAINTS[name]


def test_the_lock_keeps_every_version_that_mwaa_ships():
    differing = {
        name: (LOCK[name], CONSTRAINTS[name])
        for name in LOCK.keys() & CONSTRAINTS.keys()
        if LOCK[name] != CONSTRAINTS[name]
    }
    assert differing == {}
    assert REQUIRED.items() <= LOCK.items()


def test_requirements_resolve_under_the_constraints():
    """As MWAA does: pip with requirements.txt and the constraints; here against what the lock installed."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--disable-pip-version-check", "-q"),
            *("-r", str(ROOT / "requirements.txt"), "-c", str(ROOT / "constraints.txt")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
