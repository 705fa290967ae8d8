"""From an untrusted file name to its place at the destination, and never outside of it (R6.8)."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from client_delivery.config.delivered import delivered_name, sidecar_suffix
from client_delivery.config.name_template import SEQUENCES, NameNotMade
from client_delivery.transfer.contract import UnsafeName

if TYPE_CHECKING:
    from client_delivery.config.model import ClientConfig, DestinationSection

_MAX_OBJECT_KEY = 1024
"""Bytes; S3's and GCS's limit."""
_MAX_COMPONENT = 255
"""Bytes in one file name; every common file system's limit."""
_MAX_PATH = 1024
"""Bytes in a path; what cautious SFTP servers take."""
_SHOWN = 80
_OBEYED = re.compile(
    r"\.(?:(?:bash|zsh|ksh|csh|tcsh)(?:rc|env|_?profile|_?login|_?logout|_aliases)"
    r"|profile|login|logout|rhosts|shosts|k5login|forward|netrc|environment)",
    re.IGNORECASE,
)
"""Files in a home directory that shells and servers read."""


def object_key(prefix: str, name: str) -> str:
    """The key below ``prefix`` for the file called ``name``. Raises :class:`UnsafeName`."""
    _check(name)
    key = prefix + name
    _limit(name, len(key.encode()), _MAX_OBJECT_KEY, "bytes in the object's key")
    return key


def remote_path(directory: str, name: str) -> str:
    """The path below ``directory`` on an SFTP server. Raises :class:`UnsafeName`.

    The directory may be an account's home, where servers and shells obey some files: none of them is ever written.
    """
    _check(name)
    *folders, base = name.split("/")
    if any(folder.startswith(".") for folder in folders) or _OBEYED.fullmatch(base):
        raise UnsafeName(
            f"The name {_shown(name)} could change how the account on the server works, as '.ssh/authorized_keys' "
            "does. Rename the file, or its folder, so that it does not begin with '.'."
        )
    for component in name.split("/"):
        _limit(name, len(component.encode()), _MAX_COMPONENT, "bytes in one path component")
    path = name if directory in ("", ".") else f"{directory.rstrip('/')}/{name}"
    _limit(name, len(path.encode()), _MAX_PATH, "bytes in the path")
    return path


def is_deliverable(destination: DestinationSection, name: str) -> bool:
    """Whether a file of this name can be put there at all."""
    try:
        require_deliverable(destination, name)
    except UnsafeName:
        return False
    return True


def is_nameable(config: ClientConfig, name: str) -> bool:
    """Whether a file of this name arrives under one that the destination can have."""
    at = datetime.now(UTC)
    try:
        numbers = dict.fromkeys(SEQUENCES, 1)
        made = delivered_name(config, name, source_date=at, date=at, numbers=numbers, done_file="x")
    except NameNotMade:
        return False
    return is_deliverable(config.destination, made + sidecar_suffix(config))


def require_deliverable(destination: DestinationSection, name: str) -> None:
    """Raises :class:`UnsafeName` if no file of this name can be put there."""
    if destination.type == "sftp":
        remote_path(destination.directory, name)
    else:
        object_key(destination.prefix, name)


def _check(name: str) -> None:
    if not name:
        raise UnsafeName("The file has no name below the pick-up's prefix. Drop it under a name.")
    if bad := sorted({f"U+{ord(char):04X}" for char in name if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")}):
        raise UnsafeName(f"The name {_shown(name)} holds control characters ({', '.join(bad)}). Rename the file.")
    components = name.split("/")
    if any(component in ("", ".", "..") for component in components):
        raise UnsafeName(
            f"The name {_shown(name)} has an empty, '.' or '..' path component and could leave the destination. "
            "Rename the file."
        )


def _limit(name: str, found: int, most: int, what: str) -> None:
    if found > most:
        raise UnsafeName(f"The name {_shown(name)} makes {found} {what}; {most} are possible. Rename the file.")


def _shown(name: str) -> str:
    return ascii(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…")
