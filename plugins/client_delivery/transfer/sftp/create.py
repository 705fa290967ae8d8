"""A new file on the server, under whatever name and by whatever flags it takes."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Mapping
from typing import Any, NamedTuple

from client_delivery.transfer.contract import TransferError
from client_delivery.transfer.sftp.directory import RemoteDirectory, is_full
from client_delivery.transfer.sftp.packets import NO_SUCH_FILE, SftpError
from client_delivery.transfer.sftp.server import Server
from client_delivery.transfer.sftp.session import SftpSession
from client_delivery.transfer.sftp.temporary import TemporaryNames

_EARLIER_ATTEMPTS = 8


class Created(NamedTuple):
    """A file that is open for writing."""

    handle: bytes
    path: str
    occupied: bool
    """Whether there is a file under the final name already."""


class Creator:
    """Creates temporary files; remembers what the server refuses."""

    def __init__(self, directory: RemoteDirectory, names: TemporaryNames, server: Server, mode: int | None) -> None:
        self._directory = directory
        self._names = names
        self._server = server
        self._mode = mode

    def temporary(self, sftp: SftpSession, path: str, etag: str, token: int) -> Created:
        """Open a new file under a temporary name for the final ``path``, whose directories are made.

        Raises :class:`SftpError` if no form of name is taken, with the reason that the first one got.
        """
        return self._directory.within(sftp, path, lambda: self._in_some_form(sftp, path, etag, token))

    def remove_earlier(
        self, sftp: SftpSession, path: str, source_etag: str, token: int, known: Mapping[str, Any]
    ) -> None:
        """What the last few attempts left when their connection broke; a first attempt has nobody before it."""
        form = self._server.form
        tokens = range(max(1, token - _EARLIER_ATTEMPTS), token)
        names = [self._names.path(path, source_etag, earlier, form) for earlier in tokens]
        for name in dict.fromkeys([*names, *([known["part"]] if "part" in known else []), *known.get("claimed", ())]):
            if name != path:
                with contextlib.suppress(SftpError):
                    sftp.remove(name)

    def name_for(self, path: str, etag: str, token: int) -> str:
        """The temporary name of an attempt."""
        return self._names.path(path, etag, token, self._server.form)

    def final(self, sftp: SftpSession, path: str) -> bytes:
        """Open a file under its final name, empty; for servers that take files no other way."""

        def create() -> bytes:
            if self._is_link(sftp, path):
                raise TransferError(
                    f"{self._directory.uri(path)} is a symbolic link, which is not followed. Ask the client to remove "
                    "it."
                )
            return sftp.create(path, self._mode, exclusive=False)

        return self._directory.within(sftp, path, create)

    def _in_some_form(self, sftp: SftpSession, path: str, etag: str, token: int) -> Created:
        first: SftpError | None = None
        for form in range(self._server.form, len(self._names.forms)):
            part = self._names.path(path, etag, token, form)
            try:
                handle, occupied = self._at(sftp, part, path)
            except SftpError as error:
                if error.code == NO_SUCH_FILE or is_full(error):
                    raise
                first = first or error
            else:
                self._server.form = form
                return Created(handle, part, occupied)
        assert first is not None  # noqa: S101 - there is one form at least
        raise first

    def _at(self, sftp: SftpSession, part: str, final: str) -> tuple[bytes, bool]:
        refused: SftpError | None = None
        if self._server.exclusive:
            try:
                handle, seen = sftp.create_and_look(part, final, self._mode)
            except SftpError as error:
                if error.code == NO_SUCH_FILE:
                    raise
                refused = error
            else:
                return handle, seen is not None
        # This very attempt may have been here before, or somebody has planted a link.
        with contextlib.suppress(SftpError):
            sftp.remove(part)
            if refused is not None:
                return sftp.create(part, self._mode), self._occupied(sftp, final)
        if self._is_link(sftp, part):
            raise refused or SftpError(4, "a symbolic link is in the way", "open")
        try:
            handle = sftp.create(part, self._mode, exclusive=False)
        except SftpError as error:
            raise refused or error from error
        if refused is not None:
            self._server.exclusive = False
        return handle, self._occupied(sftp, final)

    def _occupied(self, sftp: SftpSession, final: str) -> bool:
        if self._server.folds_case is False:
            return False  # then nobody asks
        try:
            sftp.stat(final, follow=False)
        except SftpError:
            return False
        return True

    @staticmethod
    def _is_link(sftp: SftpSession, path: str) -> bool:
        try:
            mode = sftp.stat(path, follow=False).mode
        except SftpError:
            return False
        return mode is not None and stat.S_ISLNK(mode)
