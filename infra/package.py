"""What MWAA takes: python -m infra.package [--output DIR] writes plugins.zip and requirements.txt into ``dist``.

The archive is reproducible: the same files make the same bytes, whenever and wherever it is built, so that an
environment is only updated (20 to 30 minutes) when the code did change.
"""

from __future__ import annotations

import argparse
import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "dist"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16
_LEFT_OUT = {"__pycache__"}


@dataclass(frozen=True)
class Package:
    """The files that were built."""

    plugins: Path
    requirements: Path

    @property
    def image_tag(self) -> str:
        """A tag for the transfer image that changes with what is in it."""
        return hashlib.sha256(self.plugins.read_bytes() + _image_recipe()).hexdigest()[:16]


def build(output: Path = OUTPUT) -> Package:
    """Build everything anew."""
    output.mkdir(parents=True, exist_ok=True)
    package = Package(output / "plugins.zip", output / "requirements.txt")
    with zipfile.ZipFile(package.plugins, "w") as archive:
        for path in plugin_files():
            entry = zipfile.ZipInfo(path.relative_to(ROOT / "plugins").as_posix(), _EPOCH)
            entry.external_attr, entry.compress_type, entry.create_system = _MODE, zipfile.ZIP_DEFLATED, 3
            archive.writestr(entry, path.read_bytes(), compresslevel=9)
    # Without a --constraint line MWAA installs under its own constraints for this version: constraints.txt is their
    # copy, and tests hold requirements.txt against it.
    package.requirements.write_bytes((ROOT / "requirements.txt").read_bytes())
    return package


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
    package = build(parser.parse_args().output)
    for path in (package.plugins, package.requirements):
        print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}")
    print(f"transfer image tag: {package.image_tag}")


if __name__ == "__main__":
    main()
