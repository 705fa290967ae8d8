"""An external SFTP server (R1.2).

A file is written under a temporary name beside its place, verified, and renamed: the recipient never sees a part of it
(R6.5). The temporary name carries the attempt's token. A later attempt adopts what an earlier one wrote by renaming it,
and so takes away the name under which a straggler would have finished (R3.5).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Self

from client_delivery.transfer.contract import Job, Journal, Receipt, TransferError
from client_delivery.transfer.naming import remote_path
from client_delivery.transfer.reading.source import Source
from client_delivery.transfer.sftp.connection import SftpConnection
from client_delivery.transfer.sftp.create import Creator
from client_delivery.transfer.sftp.directory import RemoteDirectory
from client_delivery.transfer.sftp.large import LargeFile
from client_delivery.transfer.sftp.packets import ConnectionLost, SftpError
from client_delivery.transfer.sftp.pool import ConnectionPool
from client_delivery.transfer.sftp.publication import Delivery
from client_delivery.transfer.sftp.publish import Publisher
from client_delivery.transfer.sftp.recipient import Recipient
from client_delivery.transfer.sftp.sending import Tools
from client_delivery.transfer.sftp.server import Server
from client_delivery.transfer.sftp.small import SmallFile
from client_delivery.transfer.sftp.stragglers import Stragglers
from client_delivery.transfer.sftp.temporary import TemporaryNames
from client_delivery.transfer.throttle import Throttle

if TYPE_CHECKING:
    from client_delivery.config.model import SftpSection
    from client_delivery.transfer.s3_wire.access import S3Access
    from client_delivery.transfer.secret import Secret
    from client_delivery.transfer.sftp.session import SftpSession

_SMALL = 4 * 1024**2
_JOBS_PER_CONNECTION = 8
_MOST_JOBS = 16
_RECONNECTIONS = 2
_PROGRESS = 50
"""What part of a file must have arrived since the last break for that one not to count."""


class SftpDestination:
    """One client's directory on its server, over at most ``connections`` connections."""

    def __init__(self, config: SftpSection, secret: Secret, source_s3: S3Access, *, small: int = _SMALL) -> None:
        self._config = config
        self._s3 = source_s3
        self._small = small
        server, names, directory = Server(), TemporaryNames(config), RemoteDirectory(config)
        mode = None if config.file_mode is None else int(config.file_mode, 8)

        def connect() -> SftpConnection:
            connection = SftpConnection(config, secret)
            server.introduce(connection.banner, connection.sftp.extensions)
            return connection

        pool = ConnectionPool(connect, config.connections)
        self._tools = Tools(
            config=config,
            server=server,
            pool=pool,
            directory=directory,
            creator=Creator(directory, names, server, mode),
            publisher=Publisher(config, directory, names, server),
            recipient=Recipient(server),
            stragglers=Stragglers(names, pool),
            throttle=Throttle(config.max_bytes_per_second),
            mode=mode,
        )
        # While one file waits for a response another one uses the connection.
        self.parallel_jobs = min(config.connections * _JOBS_PER_CONNECTION, _MOST_JOBS)

    @property
    def server(self) -> Server:
        """What deliveries have found out about the server so far."""
        return self._tools.server

    def session(self) -> AbstractContextManager[SftpSession]:
        """A session on a connection of the destination's, to look at what was delivered."""
        return self._tools.pool.session(shared=True)

    def __enter__(self) -> Self:
        try:
            with self._tools.pool.session() as sftp:
                self._tools.directory.require(sftp)
        except BaseException:
            self.__exit__()  # nobody else does
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._tools.stragglers.close()
        self._tools.pool.close()

    def deliver(self, job: Job, journal: Journal) -> Receipt:
        """Deliver one file."""
        path = remote_path(self._config.directory, job.name)
        to = Delivery(job, path, Source(self._s3, job.source), journal)
        kind = SmallFile if job.source.size <= self._small else LargeFile
        sending = kind(self._tools, to, job.resume or {})
        left = _RECONNECTIONS
        while True:
            before = sending.acknowledged
            try:
                return sending.attempt()
            except SftpError as error:
                raise self._tools.directory.explained(error, path) from error
            except ConnectionLost as error:
                journal.progress(0)  # who is told to stop does not begin again
                if sending.acknowledged - before > job.source.size // _PROGRESS:
                    left = _RECONNECTIONS
                if not left:
                    raise self._lost(error, path, sending.state) from error
                left -= 1
                sending.alone = True

    def discard(self, name: str, resume: Mapping[str, Any]) -> None:
        """Remove the temporary file that an attempt left."""
        if "part" not in resume:
            return
        path = remote_path(self._config.directory, name)
        with contextlib.suppress(SftpError, ConnectionLost), self._tools.pool.session() as sftp:
            self._tools.publisher.withdraw(sftp, resume, path)

    def _lost(self, error: ConnectionLost, path: str, state: Mapping[str, Any]) -> TransferError:
        kept = (
            "The next attempt looks up whether the file has got its name."
            if "publishing" in state
            else "The next attempt resumes from what has arrived."
        )
        return TransferError(
            f"The connection to {self._tools.directory.where} was lost while {path!r} was sent ({error}). {kept}"
        )
