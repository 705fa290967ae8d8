"""An external SFTP server (R1.2).

A file is written under a hidden temporary name beside its place, verified, and renamed: the recipient never sees a
part of it (R6.5). The temporary name carries the attempt's token. A later attempt adopts what an earlier one wrote by
renaming it, and so takes away the name under which a straggler would have finished (R3.5).
"""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from delivery.transfer.contract import (
    IntegrityError,
    Job,
    Journal,
    Receipt,
    SourceChanged,
    Superseded,
    TransferError,
    discarding,
)
from delivery.transfer.integrity import Digest, require_equal
from delivery.transfer.naming import remote_path
from delivery.transfer.sftp.connection import Connection
from delivery.transfer.sftp.directory import RemoteDirectory, temporary_path
from delivery.transfer.sftp.lanes import LaneWriter, PartFile
from delivery.transfer.sftp.packets import (
    FAILURE,
    NO_SUCH_FILE,
    PERMISSION_DENIED,
    UNSUPPORTED,
    ConnectionLost,
    SftpError,
)
from delivery.transfer.sftp.pool import ConnectionPool
from delivery.transfer.sftp.session import SftpSession
from delivery.transfer.source import Source
from delivery.transfer.throttle import Throttle

if TYPE_CHECKING:
    from delivery.config.model import SftpDestination
    from delivery.secret import Secret
    from delivery.transfer.s3.access import S3Access

_SMALL = 4 * 1024**2
_JOBS_PER_CONNECTION = 8
_MOST_JOBS = 16
_RECONNECTIONS = 2
_EARLIER_ATTEMPTS = 8


class SftpTarget:
    """One client's directory on its server, over at most ``connections`` connections."""

    def __init__(self, config: SftpDestination, secret: Secret, source_s3: S3Access, *, small: int = _SMALL) -> None:
        self._config = config
        self._s3 = source_s3
        self._small = small
        self._mode = None if config.file_mode is None else int(config.file_mode, 8)
        self._lanes = config.connections
        self._throttle = Throttle(config.max_bytes_per_second)
        self._pool = ConnectionPool(lambda: Connection(config, secret), config.connections)
        self._directory = RemoteDirectory(config)
        # While one file waits for an answer another one uses the connection.
        self.parallel_jobs = min(config.connections * _JOBS_PER_CONNECTION, _MOST_JOBS)

    def __enter__(self) -> Self:
        with self._pool.session() as sftp:
            self._directory.require(sftp)
        return self

    def __exit__(self, *exc: object) -> None:
        self._pool.close()

    def deliver(self, job: Job, journal: Journal) -> Receipt:
        """Deliver one file."""
        path = remote_path(self._config.directory, job.name)
        source = Source(self._s3, job.source)
        small = job.source.size <= self._small
        state = dict(job.resume or {})
        reconnections = _RECONNECTIONS
        while True:
            try:
                if small:
                    return self._send_whole(path, job, source, journal, state)
                return self._send_lanes(path, job, source, journal, state)
            except SftpError as error:
                if small or self._lanes == 1 or error.code not in (FAILURE, UNSUPPORTED):
                    raise self._directory.explained(error, path) from error
                # Some servers only take a file from front to back, through one connection.
                self._lanes = 1
                self.discard(job.name, state)
                state.clear()
            except ConnectionLost as error:
                if not reconnections:
                    raise TransferError(
                        f"The connection to {self._directory.where} was lost ({error}). What has arrived is kept and "
                        "resumed."
                    ) from error
                reconnections -= 1

    def discard(self, name: str, resume: Mapping[str, Any]) -> None:
        """Remove the temporary file that an attempt left."""
        if "part" in resume:
            with contextlib.suppress(SftpError, ConnectionLost), self._pool.session() as sftp:
                sftp.remove(resume["part"])

    # -- small files -------------------------------------------------------------------------------------------------

    def _send_whole(self, path: str, job: Job, source: Source, journal: Journal, state: Mapping[str, Any]) -> Receipt:
        content, digest = source.whole(self._throttle)
        part = temporary_path(path, job.source.etag, job.token)
        with self._pool.session(shared=True) as sftp:
            self._directory.prepare(sftp, path)
            self._remove_earlier(sftp, path, job, state)
            try:
                size = self._written(sftp, part, content)
                receipt = self._verified(sftp, part, path, size, digest)
                journal.confirm()
                self._directory.put_in_place(sftp, part, path)
            except ConnectionLost:
                raise
            except BaseException:
                # No attempt can use it: it is not left on the client's server.
                with contextlib.suppress(SftpError):
                    sftp.remove(part)
                raise
        journal.progress(len(content))
        return receipt

    # -- large files -------------------------------------------------------------------------------------------------

    def _send_lanes(self, path: str, job: Job, source: Source, journal: Journal, state: dict[str, Any]) -> Receipt:
        name = temporary_path(path, job.source.etag, job.token)
        with self._pool.session() as sftp:
            self._directory.prepare(sftp, path)
            part = self._adopted(sftp, name, job, state)
            if part is None:
                self._remove_earlier(sftp, path, job, state)
                part = self._created(sftp, name, source)
        with discarding(self, job.name, part.state, on=Superseded):
            journal.checkpoint(part.state())
        writer = LaneWriter(self._pool, part, source, journal=journal, throttle=self._throttle)
        try:
            writer.run()
            digest = part.whole(source)
            source.require_same(digest)
            with self._pool.session() as sftp:
                receipt = self._verified(sftp, name, path, None, digest)
                journal.confirm()
                self._directory.put_in_place(sftp, name, path)
        except (SourceChanged, IntegrityError):
            self.discard(job.name, part.state())
            raise
        finally:
            state.clear()
            state.update(part.state())
        return receipt

    def _adopted(self, sftp: SftpSession, name: str, job: Job, state: Mapping[str, Any]) -> PartFile | None:
        """Take over what an earlier attempt at the same content wrote, as far as its checkpoint vouches for it."""
        part = PartFile.resumed(state, job.source.etag)
        if part is None or not part.written:
            return None
        try:
            if part.path != name:
                sftp.rename(part.path, name)
                part.path = name
            found = sftp.stat(name, follow=False)
        except SftpError:
            return None
        regular = found.mode is None or stat.S_ISREG(found.mode)
        return part if regular and found.size is not None and found.size >= part.written else None

    def _created(self, sftp: SftpSession, name: str, source: Source) -> PartFile:
        try:
            handle = sftp.create(name, self._mode)
        except SftpError:
            # This very attempt may have been here before; if that is not the reason, it comes again.
            with contextlib.suppress(SftpError):
                sftp.remove(name)
            handle = sftp.create(name, self._mode)
        sftp.finish(handle, self._mode)
        return PartFile.new(name, source, self._lanes)

    # -- both --------------------------------------------------------------------------------------------------------

    def _written(self, sftp: SftpSession, part: str, content: bytes) -> int | None:
        """Write a small file; the size that the server reports, if it does."""
        try:
            return sftp.write_whole(part, content, self._mode).size
        except SftpError:
            # This very attempt may have been here before; if that is not the reason, it comes again.
            with contextlib.suppress(SftpError):
                sftp.remove(part)
            return sftp.write_whole(part, content, self._mode).size

    @staticmethod
    def _remove_earlier(sftp: SftpSession, path: str, job: Job, state: Mapping[str, Any]) -> None:
        """What the last few attempts left when their connection broke; a first attempt has nobody before it."""
        tokens = range(max(1, job.token - _EARLIER_ATTEMPTS), job.token)
        earlier = [temporary_path(path, job.source.etag, token) for token in tokens]
        for name in dict.fromkeys([*earlier, *([state["part"]] if "part" in state else [])]):
            with contextlib.suppress(SftpError):
                sftp.remove(name)

    def _verified(self, sftp: SftpSession, part: str, path: str, size: int | None, digest: Digest) -> Receipt:
        """Compare what the server has under the temporary name with what was read (R6.4)."""
        uri = self._directory.uri(path)
        receipt = Receipt(uri, digest.size, f"crc32c:{digest.crc32c}", "size")
        if self._config.verify == "read_back":
            stored = Digest()
            for piece in sftp.read(part, digest.size):
                stored.update(piece)
            require_equal(uri, stored.crc32c, digest.crc32c)
            return replace(receipt, verified_by="read-back")
        if size is None:
            try:
                size = sftp.stat(part, follow=False).size
            except SftpError as error:
                if error.code in (NO_SUCH_FILE, PERMISSION_DENIED):
                    raise
        if size is None:
            return replace(receipt, verified_by="acknowledged")  # a server without stat: more it cannot say
        if size != digest.size:
            raise IntegrityError(
                f"{uri} has {size} bytes on the server, but {digest.size} were sent. The file was not put in place; "
                "it is tried again."
            )
        return receipt
