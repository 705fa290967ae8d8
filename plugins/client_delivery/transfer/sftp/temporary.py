"""Names of what is not delivered yet: unlike every other attempt's, and not taken for a file by the recipient."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from client_delivery.config.model import SftpSection

_MOST_BYTES = 255
"""In one name; every common file system's limit."""


class Form(NamedTuple):
    """What is put around a file's name."""

    prefix: str
    suffix: str


_FORMS = (Form(".", ".part"), Form("", ".part"), Form(".", ""))
"""Hidden and marked; where hidden files are forbidden, marked; where only some endings are allowed, hidden."""


class TemporaryNames:
    """The temporary names for files of one destination.

    The first form that a server takes is used: see :attr:`forms`.
    """

    def __init__(self, config: SftpSection) -> None:
        prefix, suffix = config.temporary_prefix, config.temporary_suffix
        if prefix is None and suffix is None:
            self.forms: tuple[Form, ...] = _FORMS
        else:
            self.forms = (Form("." if prefix is None else prefix, ".part" if suffix is None else suffix),)
        staging = config.staging_directory if config.appear == "staging" else None
        self._staging = None if staging is None else "" if staging == "." else f"{staging.rstrip('/')}/"
        self._patterns = [self._pattern(form) for form in self.forms]

    def path(self, path: str, etag: str, attempt: int | str, form: int) -> str:
        """Beside the final place, or in the staging directory, and no longer than a name may be.

        :param attempt: the fencing token; with ``.old`` after it for an older file that is moved aside.
        """
        directory, slash, base = path.rpartition("/")
        where = f"{directory}{slash}"
        mark = f"{etag[:12]}.{attempt}"
        if self._staging is not None:
            where = self._staging
            mark = f"{zlib.crc32(path.encode()):08x}.{mark}"  # files of one name come together here
        prefix, suffix = self.forms[form]
        room = _MOST_BYTES - len(f"{prefix}.{mark}{suffix}".encode())
        if suffix:
            return f"{where}{prefix}{base.encode()[:room].decode(errors='ignore')}.{mark}{suffix}"
        # The name's own ending stays: where a suffix is forbidden, it is because of rules about endings.
        return f"{where}{prefix}{mark}.{base.encode()[-room:].decode(errors='ignore')}"

    def directory_of(self, path: str) -> str:
        """Where the temporary files for a final name are; ``.`` for the login directory."""
        if self._staging is not None:
            return self._staging.rstrip("/") or ("/" if self._staging else ".")
        return path.rpartition("/")[0] or ("/" if path.startswith("/") else ".")

    def key_of(self, path: str) -> str:
        """What :meth:`parsed` returns for temporary names of this file."""
        base = path.rpartition("/")[2]
        return base if self._staging is None else f"{base}.{zlib.crc32(path.encode()):08x}"

    def parsed(self, name: str) -> tuple[str, str] | None:
        """The key and the beginning of the source's ETag in a temporary name; None if it is none of ours."""
        for pattern in self._patterns:
            if found := pattern.fullmatch(name):
                where = f".{found['path']}" if self._staging is not None else ""
                return f"{found['base']}{where}", found["etag"]
        return None

    def _pattern(self, form: Form) -> re.Pattern[str]:
        prefix, suffix = re.escape(form.prefix), re.escape(form.suffix)
        mark = r"(?P<etag>[^./]{1,12})\.\d+(?:\.\d+)?"
        if self._staging is not None:
            mark = rf"(?P<path>[0-9a-f]{{8}})\.{mark}"
        return re.compile(rf"{prefix}(?P<base>.+)\.{mark}{suffix}" if form.suffix else rf"{prefix}{mark}\.(?P<base>.+)")
