"""What is in directories of an SFTP server."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from client_delivery.transfer.contract import TransferError
from client_delivery.transfer.listing import Limit, ListingRefused, There
from client_delivery.transfer.sftp.connection import SftpConnection
from client_delivery.transfer.sftp.directory import RemoteDirectory
from client_delivery.transfer.sftp.packets import NO_SUCH_FILE, ConnectionLost, SftpError

if TYPE_CHECKING:
    from client_delivery.config.model import SftpSection
    from client_delivery.transfer.secret import Secret


class SftpListing:
    """One server, over one connection."""

    def __init__(self, config: SftpSection, secret: Secret, directory: str, limit: Limit) -> None:
        self._limit = limit
        self._config = config
        self._secret = secret
        self._directory = directory

    def __enter__(self) -> Self:
        self._connection = SftpConnection(self._config, self._secret)
        return self

    def __exit__(self, *exc: object) -> None:
        self._connection.close()

    def files(self, directory: str, begins: str) -> Iterator[There]:
        """The regular files in one directory. Raises :class:`ListingRefused`, :class:`TransferError`."""
        path = _joined(self._directory, directory)
        where = f"{path!r} on {RemoteDirectory(self._config).where}"
        try:
            for piece in self._connection.sftp.listed(path):
                self._limit.check(where)
                for name, known in piece:
                    # Mode and time as draft-ietf-secsh-filexfer-02, 5, has them; a server may leave them out.
                    if name.startswith(begins) and (known.mode is None or stat.S_ISREG(known.mode)):
                        modified = None if known.modified is None else datetime.fromtimestamp(known.modified, UTC)
                        yield There(name, known.size, modified)
        except SftpError as error:
            if error.code == NO_SUCH_FILE:
                return
            raise ListingRefused(
                f"The server refuses to list {where} ({error}, SFTP status {error.code}). Ask the client to let "
                f"{self._config.username!r} list that directory."
            ) from error
        except ConnectionLost as error:
            raise TransferError(f"The connection was lost while {where} was listed ({error}).") from error


def _joined(base: str, below: str) -> str:
    folder = below.rstrip("/")
    if not folder:
        return base
    return folder if base in ("", ".") else f"{base.rstrip('/')}/{folder}"
