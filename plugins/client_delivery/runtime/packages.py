"""Whether what ``requirements.txt`` asks for is installed.

MWAA only logs it when installing the requirements fails, and still starts the worker (its public images:
``install_user_requirements``). A task would then end somewhere in the middle with an import error, or deliver with an
older package than the one that was tested.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution

REQUIRED = (
    "apache-airflow-providers-amazon",
    "apache-airflow-providers-google",
    "apache-airflow-providers-sftp",
    "boto3",
    "aiobotocore",
    "ssh-python",
    "awscrt",
    "holidays",
    "isal",
    "pysequoia",
    "zstandard",
)
"""The packages of ``requirements.txt``, without Airflow itself."""


class PackagesMissingError(Exception):
    """A package is not installed here. The message names it, and where MWAA logged why."""


def missing_packages() -> list[str]:
    """Those that are not installed. Takes milliseconds: nothing is imported."""
    return [name for name in REQUIRED if not _is_installed(name)]


def refusal_of(missing: list[str]) -> PackagesMissingError:
    """What to tell people about missing packages."""
    named = ", ".join(missing)
    return PackagesMissingError(
        f"Not installed on this worker: {named}. MWAA installs requirements.txt when a worker starts, and only "
        "logs it when that fails: look at the log group airflow-…-Worker, at the streams "
        "requirements_install…. Nothing was touched; the next try may find another worker. If all fail, have "
        "the environment updated again."
    )


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
