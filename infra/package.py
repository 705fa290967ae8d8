"""What MWAA takes: python -m infra.package [--output DIR] writes plugins.zip and requirements.txt into ``dist``.

With ``--wheels`` the archive brings the packages as well, for an environment that reaches no PyPI (MWAA's user guide,
"Managing Python dependencies in requirements.txt": wheels in plugins.zip, and ``--no-index``).

The archive is reproducible: the same files make the same bytes, whenever and wherever it is built, so that an
environment is only updated (20 to 30 minutes) when the code did change.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "dist"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16
_LEFT_OUT = {"__pycache__"}
_ON_MWAA = "/usr/local/airflow/plugins"
"""Where MWAA unpacks the archive."""
_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


@dataclass(frozen=True)
class Package:
    """The files that were built."""

    plugins: Path
    requirements: Path

    @property
    def image_tag(self) -> str:
        """A tag for the transfer image that changes with what is in it; wheels for MWAA are not."""
        digest = hashlib.sha256()
        with zipfile.ZipFile(self.plugins) as archive:
            for name in archive.namelist():
                if not name.endswith(".whl"):
                    digest.update(name.encode() + b"\0" + archive.read(name))
        digest.update(_image_recipe())
        return digest.hexdigest()[:16]


def build(output: Path = OUTPUT, wheels: Sequence[Path] = ()) -> Package:
    """Build everything anew; with the wheels that the archive is to bring, MWAA looks for packages there only."""
    output.mkdir(parents=True, exist_ok=True)
    package = Package(output / "plugins.zip", output / "requirements.txt")
    with zipfile.ZipFile(package.plugins, "w") as archive:
        for path in plugin_files():
            entry = zipfile.ZipInfo(path.relative_to(ROOT / "plugins").as_posix(), _EPOCH)
            entry.external_attr, entry.compress_type, entry.create_system = _MODE, zipfile.ZIP_DEFLATED, 3
            archive.writestr(entry, path.read_bytes(), compresslevel=9)
        for path in sorted(wheels, key=lambda one: one.name):
            entry = zipfile.ZipInfo(path.name, _EPOCH)
            entry.external_attr, entry.create_system = _MODE, 3
            archive.writestr(entry, path.read_bytes())  # a wheel is compressed already
    # Without a --constraint line MWAA installs under its own constraints for this version: constraints.txt is their
    # copy, and tests hold requirements.txt against it.
    offline = f"--find-links {_ON_MWAA}\n--no-index\n" if wheels else ""
    package.requirements.write_text(offline + (ROOT / "requirements.txt").read_text())
    return package


def fetch_wheels(directory: Path) -> list[Path]:
    """The wheels of requirements.txt with all that they need, for MWAA's Python and processor; from PyPI."""
    directory.mkdir(parents=True, exist_ok=True)
    lock = directory / "lock.txt"
    files = [str(ROOT / "requirements.txt"), "-c", str(ROOT / "constraints.txt")]
    tool = [str(Path(sys.executable).parent / "uv"), "pip", "compile", "--quiet", "--python-version", "3.12"]
    platforms = [option for platform in _PLATFORMS for option in ("--platform", platform)]
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*tool, "--no-header", "--no-annotate", *files, "--output-file", str(lock)], check=True)
    subprocess.run(
        [*download, "--python-version", "3.12", *platforms, "--dest", str(directory), "--requirement", str(lock)],
        check=True,
    )
    return sorted(directory.glob("*.whl"))


def plugin_files() -> Iterator[Path]:
    """Everything below ``plugins``, templates and ``.airflowignore`` included, in a fixed order."""
    for path in sorted((ROOT / "plugins").rglob("*")):
        if path.is_file() and not _LEFT_OUT.intersection(path.parts):
            yield path


def _image_recipe() -> bytes:
    return b"".join(path.read_bytes() for path in sorted((ROOT / "docker" / "transfer").iterdir()))


def main() -> None:
    """Build, and say what was built."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--wheels", action="store_true", help="for a private web server, which reaches no PyPI")
    arguments = parser.parse_args()
    wheels = fetch_wheels(arguments.output / "wheels") if arguments.wheels else ()
    package = build(arguments.output, wheels)
    for path in (package.plugins, package.requirements):
        print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}")
    print(f"transfer image tag: {package.image_tag}")


if __name__ == "__main__":
    main()
