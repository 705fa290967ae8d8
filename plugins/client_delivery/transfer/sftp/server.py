"""What is known of one server: told by its banner and extensions, or found out by trying.

The protocol promises little, and products differ in what open, close and rename *mean*. What one delivery has found out
holds for the others through the same destination.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from typing import Final

LIMITS: Final = "limits@openssh.com"
SYNC: Final = "fsync@openssh.com"
SPACE: Final = "statvfs@openssh.com"
POSIX_RENAME: Final = "posix-rename@openssh.com"
_FILE_SYSTEM = frozenset({"hardlink@openssh.com", "fstatvfs@openssh.com", SYNC, POSIX_RENAME})
"""What OpenSSH's sftp-server offers, and what only a real file system can do."""
_ON_FILE_SYSTEMS = ("OpenSSH_", "dropbear_")
"""The SSH servers that run OpenSSH's sftp-server. Others copy its list of extensions."""
_WINDOWS = ("OpenSSH_for_Windows", "WinSSHD", "Bitvise", "CompleteFTP", "MOVEit", "Serv-U", "Cerberus", "WeOnlyDo")


@dataclass(slots=True)
class Server:
    """One server, as far as it is known. Shared by all connections to it; each fact is written whole."""

    banner: str = ""
    """Its SSH software version, for example ``OpenSSH_9.2p1``."""
    extensions: Set[str] = field(default_factory=frozenset)
    exclusive: bool = True
    """Whether a file can be opened so that it must be new. Some refuse the flag."""
    tells: bool = False
    """Whether a stat has ever succeeded: only then does a refused one mean that there is nothing."""
    readable: bool = True
    """Whether what was written can be read again. Drop boxes refuse that."""
    resumable: bool = True
    """Whether a file that exists can be opened for writing and keeps what is in it."""
    spoilt_by_lanes: bool = False
    """Whether several writers of one file have failed here."""
    takes_closed: str | None = None
    """A temporary file that it took away as soon as it was closed."""
    form: int = 0
    """The form of a temporary name that it takes."""
    folds_case: bool | None = None
    """Whether it takes two names that differ in case for one. None: not tried yet."""
    windows: bool | None = None
    """Whether ``\\`` separates directories there. None: not tried yet."""

    def introduce(self, banner: str, extensions: Set[str]) -> None:
        """A connection has been made."""
        self.banner, self.extensions = banner, extensions
        if any(name.lower() in banner.lower() for name in _WINDOWS):
            self.windows = True

    @property
    def has_file_system(self) -> bool:
        """Whether it is known to write into a file system: several handles into one file do what they say, a rename
        happens at once, and what fsync has acknowledged stays."""
        return self.banner.startswith(_ON_FILE_SYSTEMS) and self.windows is not True and self.extensions >= _FILE_SYSTEM

    def several_writers(self, allowed: bool | None) -> bool:
        """Whether several connections may write one file. ``allowed`` is what the configuration says, if it does.

        AWS says that uploads over several connections to an S3-backed server fail in unpredictable ways
        (docs.aws.amazon.com/transfer/latest/userguide/transfer-file.html); its banner, ``AWS_SFTP``, is none of those
        that are taken for a file system.
        """
        if not self.readable or self.spoilt_by_lanes or allowed is False:
            return False
        return bool(allowed) or self.has_file_system
