"""What a test leaves on an SFTP server, and that it is removed."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.sftp.connection import SftpConnection
from client_delivery.transfer.sftp.packets import NO_SUCH_FILE, ConnectionLost, SftpError

if TYPE_CHECKING:
    from client_delivery.config.model import SftpSection
    from client_delivery.transfer.finding import Findings
    from client_delivery.transfer.secret import Secret
    from client_delivery.transfer.sftp.session import SftpSession

_MOST_LISTED = 20_000


class Leftovers:
    """Every file with the test's name in its own.

    :param path: of the test's file.
    :param ask: what to ask of the partner where a file cannot be removed.
    """

    def __init__(self, config: SftpSection, secret: Secret, findings: Findings, *, path: str, ask: str) -> None:
        self._config = config
        self._secret = secret
        self._findings = findings
        self._path = path
        self._ask = ask

    def remove(self, sftp: SftpSession, made: Sequence[str], *, handed_over: bool) -> None:
        """Remove them, on another connection if this one is lost, and tell whether any is left.

        :param made: what the test made besides.
        :param handed_over: whether the recipient's side has taken a file away.
        """
        connection: SftpConnection | None = None
        try:
            if sftp.lost:
                connection = SftpConnection(self._config, self._secret)
                sftp = connection.sftp
            for path in self._leftovers(sftp, made):
                self._remove(sftp, path)
        except (ConnectionLost, DestinationUnavailable) as error:
            self.may_be_there(error)
        finally:
            if connection is not None:
                connection.close()
        if self._findings.left:
            return
        if handed_over:
            self._findings.unknown("Removing", "the test left nothing but the file that the recipient's side has taken")
        else:
            self._findings.yes("Removing", "the test left nothing")

    def may_be_there(self, error: Exception) -> None:
        """Note that nobody could look, for this reason."""
        self._findings.left.append(f"{self._path}, and temporary files of that name, may be there: {error}")

    def _leftovers(self, sftp: SftpSession, made: Sequence[str]) -> list[str]:
        found, stem = [self._path, *made], self._path.rpartition("/")[2]
        for directory in dict.fromkeys(filter(None, (self._config.directory, self._config.staging_directory))):
            with contextlib.suppress(SftpError):
                names = [name for name in sftp.list_names(directory, _MOST_LISTED) if stem in name]
                found += [name if directory == "." else f"{directory.rstrip('/')}/{name}" for name in names]
        return list(dict.fromkeys(found))

    def _remove(self, sftp: SftpSession, path: str) -> None:
        try:
            sftp.remove(path)
        except SftpError as error:
            if error.code == NO_SUCH_FILE:
                return
            refused = str(error)
        else:
            return
        try:
            sftp.stat(path, follow=False)
        except SftpError as error:
            if error.code == NO_SUCH_FILE:
                return
        self._findings.left.append(f"{path}: {refused}")
        self._findings.no(
            "Removing",
            f"{path!r} is still there: {refused}",
            f"Remove {path!r}. {self._ask}",
            needed=False,
        )
