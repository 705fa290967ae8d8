"""An external SFTP server (R1.2).

A file is written under a hidden temporary name beside its place, verified, and renamed: the recipient never sees a
part of it (R6.5). The temporary name carries the attempt's token. A later attempt adopts what an earlier one wrote by
renaming it, and so takes away the name under which a straggler would have finished (R3.5).
"""

from __future__ import annotations

import contextlib
import queue
import stat
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from delivery.transfer.contract import (
    DestinationUnavailable,
    IntegrityError,
    Interrupted,
    Job,
    Journal,
    Receipt,
    SourceChanged,
    Superseded,
    TransferError,
)
from delivery.transfer.integrity import Crc32c, require_equal
from delivery.transfer.naming import remote_path
from delivery.transfer.sftp.connection import Connection
from delivery.transfer.sftp.protocol import (
    NO_SUCH_FILE,
    PERMISSION_DENIED,
    ConnectionLost,
    SftpChannel,
    SftpError,
)
from delivery.transfer.source import Source, require_s3_checksum
from delivery.transfer.throttle import Throttle

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from delivery.config.model import SftpDestination
    from delivery.secret import Secret

_LEAST_BETWEEN_CHECKPOINTS = 16 * 1024**2
_CHECKPOINTS_PER_FILE = 50
_EARLIER_ATTEMPTS = 8


class SftpTarget:
    """One client's directory on its server, over at most ``connections`` connections."""

    def __init__(self, config: SftpDestination, secret: Secret, source_s3: S3Client) -> None:
        self._config = config
        self._secret = secret
        self._s3 = source_s3
        self._throttle = Throttle(config.max_bytes_per_second)
        self._idle: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self.parallel_jobs = config.connections
        self._where = f"sftp://{config.username}@{config.host}:{config.port}"

    def __enter__(self) -> Self:
        connection = Connection(self._config, self._secret)
        self._require_directory(connection.sftp)
        self._idle.put(connection)
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    def deliver(self, job: Job, journal: Journal) -> Receipt:
        """Deliver one file."""
        path = remote_path(self._config.directory, job.name)
        with self._connection() as sftp:
            try:
                return self._send(sftp, path, job, journal)
            except SftpError as error:
                raise self._explained(error, path) from error

    def discard(self, name: str, resume: Mapping[str, Any]) -> None:
        """Remove the temporary file that an attempt left."""
        if "part" in resume:
            with self._connection() as sftp, contextlib.suppress(SftpError):
                sftp.remove(resume["part"])

    # -- one file ----------------------------------------------------------------------------------------------------

    def _send(self, sftp: SftpChannel, path: str, job: Job, journal: Journal) -> Receipt:
        part = _temporary_path(path, job.source.etag, job.token)
        source = Source(self._s3, job.source)
        resumable = job.source.size > _LEAST_BETWEEN_CHECKPOINTS
        adopted = self._adopted(sftp, part, job)
        if adopted is None:
            self._remove_earlier(sftp, path, job)
        handle, checksum = adopted or (self._created(sftp, path, part), Crc32c())
        try:
            if resumable:
                journal.checkpoint(_state(part, job, checksum))
            journal.progress(checksum.size)
            self._write(sftp, handle, source, part, checksum, job, journal)
            if b"fsync@openssh.com" in sftp.extensions:
                with contextlib.suppress(SftpError):
                    sftp.sync(handle)
            sftp.close(handle)
            require_s3_checksum(source, checksum.base64)
            verified_by = self._verify(sftp, part, path, checksum)
            self._set_mode(sftp, part)
            journal.confirm()
        except (TransferError, SftpError, Superseded, Interrupted) as error:
            # What no attempt can use is not left on the client's server.
            if not resumable or isinstance(error, (SourceChanged, IntegrityError)):
                with contextlib.suppress(SftpError):
                    sftp.remove(part)
            raise
        self._put_in_place(sftp, part, path)
        uri = f"{self._where}/{path.lstrip('/')}"
        return Receipt(uri, checksum.size, f"crc32c:{checksum.base64}", verified_by)

    @staticmethod
    def _remove_earlier(sftp: SftpChannel, path: str, job: Job) -> None:
        """What the last few attempts left when their connection broke; a first attempt has nobody before it."""
        for token in range(max(1, job.token - _EARLIER_ATTEMPTS), job.token):
            with contextlib.suppress(SftpError):
                sftp.remove(_temporary_path(path, job.source.etag, token))

    def _write(  # noqa: PLR0917
        self, sftp: SftpChannel, handle: bytes, source: Source, part: str, checksum: Crc32c, job: Job, journal: Journal
    ) -> None:
        step = max(_LEAST_BETWEEN_CHECKPOINTS, job.source.size // _CHECKPOINTS_PER_FILE)
        kept = acknowledged = checksum.size
        # The checksum runs ahead of what is acknowledged, so it is remembered for each offset that may be kept.
        at_offset = {checksum.size: checksum.value}

        def pieces() -> Iterator[bytes]:
            for piece in checksum.over(source.read(kept, job.source.size)):
                self._throttle.take(len(piece))
                at_offset[checksum.size] = checksum.value
                yield piece

        for reached in sftp.write(handle, checksum.size, pieces()):
            journal.progress(reached - acknowledged)
            acknowledged = reached
            whole = [offset for offset in at_offset if offset <= acknowledged]
            safe = max(whole)
            if safe - kept >= step:
                journal.checkpoint({**_state(part, job, checksum), "offset": safe, "crc32c": at_offset[safe]})
                kept = safe
            for offset in whole:
                if offset < safe:
                    del at_offset[offset]

    def _adopted(self, sftp: SftpChannel, part: str, job: Job) -> tuple[bytes, Crc32c] | None:
        """Take over what an earlier attempt at the same content wrote, as far as its checkpoint vouches for it."""
        state = job.resume or {}
        if "part" not in state:
            return None
        try:
            if state["etag"] != job.source.etag:
                sftp.remove(state["part"])
                return None
            if state["part"] != part:
                sftp.rename(state["part"], part)
            size = sftp.stat(part, follow=False).size
            if size is None or size < state["offset"] or state["offset"] == 0:
                sftp.remove(part)
                return None
            handle = sftp.open_existing(part, write=True)
        except SftpError:
            return None
        checksum = Crc32c()
        checksum.value, checksum.size = state["crc32c"], state["offset"]
        return handle, checksum

    def _created(self, sftp: SftpChannel, path: str, part: str) -> bytes:
        mode = None if self._config.file_mode is None else int(self._config.file_mode, 8)
        try:
            return sftp.create(part, mode)
        except SftpError:
            # The directory is missing, or this very attempt was here before: mend either, then say what is wrong.
            self._make_directories(sftp, path)
            with contextlib.suppress(SftpError):
                sftp.remove(part)
            return sftp.create(part, mode)

    def _make_directories(self, sftp: SftpChannel, path: str) -> None:
        base = self._config.directory
        below = path.removeprefix(base).lstrip("/") if base not in ("", ".") else path
        made = "" if base in ("", ".") else base.rstrip("/")
        for component in below.split("/")[:-1]:
            made = f"{made}/{component}" if made else component
            with contextlib.suppress(SftpError):
                sftp.make_directory(made)
            self._refuse_link(sftp, made)

    def _refuse_link(self, sftp: SftpChannel, directory: str) -> None:
        """A link planted below the configured directory must not lead a delivery elsewhere."""
        try:
            mode = sftp.stat(directory, follow=False).mode
        except SftpError:
            return
        if mode is not None and stat.S_ISLNK(mode):
            raise TransferError(
                f"{self._where}: {directory!r} is a symbolic link; files are only delivered into real directories "
                "below destination.directory. Ask the client to remove it."
            )

    def _verify(self, sftp: SftpChannel, part: str, path: str, checksum: Crc32c) -> str:
        uri = f"{self._where}/{path.lstrip('/')}"
        if self._config.verify == "read_back":
            stored = Crc32c()
            handle = sftp.open_existing(part, write=False)
            for _ in stored.over(sftp.read(handle, checksum.size)):
                pass
            sftp.close(handle)
            require_equal(uri, stored.base64, checksum.base64)
            return "read-back"
        try:
            size = sftp.stat(part).size
        except SftpError as error:
            if error.code in (NO_SUCH_FILE, PERMISSION_DENIED):
                raise
            size = checksum.size  # a server without stat: each write was acknowledged, more it cannot say
        if size != checksum.size:
            raise IntegrityError(
                f"{uri} has {size} bytes on the server, but {checksum.size} were sent. The file was not put in place; "
                "it is tried again."
            )
        return "size"

    def _set_mode(self, sftp: SftpChannel, part: str) -> None:
        if self._config.file_mode is not None:
            # The mode was asked for at creation; a server that refuses to change it later still has the file.
            with contextlib.suppress(SftpError):
                sftp.set_mode(part, int(self._config.file_mode, 8))

    @staticmethod
    def _put_in_place(sftp: SftpChannel, part: str, path: str) -> None:
        if b"posix-rename@openssh.com" in sftp.extensions:
            try:
                sftp.posix_rename(part, path)
            except SftpError as error:
                if error.code in (NO_SUCH_FILE, PERMISSION_DENIED):
                    raise
            else:
                return
        try:
            sftp.rename(part, path)
        except SftpError:
            # Plain SFTP renames over nothing: an earlier version of the file makes way first.
            sftp.stat(part, follow=False)
            sftp.remove(path)
            sftp.rename(part, path)

    # -- connections and errors --------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _connection(self) -> Iterator[SftpChannel]:
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = Connection(self._config, self._secret)
        try:
            yield connection.sftp
        except ConnectionLost as error:
            connection.close()
            raise TransferError(
                f"The connection to {self._where} was lost ({error}). What has arrived is kept and resumed."
            ) from error
        except SftpError:
            connection.close()
            raise
        except BaseException:
            # Writes may be under way whose answers nobody will take: this channel is not used again.
            connection.close()
            raise
        else:
            self._idle.put(connection)

    def _require_directory(self, sftp: SftpChannel) -> None:
        directory = self._config.directory
        try:
            mode = sftp.stat(directory).mode
        except SftpError as error:
            if error.code not in (NO_SUCH_FILE, PERMISSION_DENIED):
                return  # a server without stat
            raise DestinationUnavailable(
                f"{self._where}: the directory {directory!r} is missing or not permitted ({error}). Correct "
                "destination.directory, or ask the client to create it."
            ) from error
        if mode is not None and not stat.S_ISDIR(mode):
            raise DestinationUnavailable(
                f"{self._where}: {directory!r} is not a directory. Correct destination.directory."
            )

    def _explained(self, error: SftpError, path: str) -> TransferError:
        where = f"{self._where}/{path.lstrip('/')}"
        message = str(error)
        if error.code == PERMISSION_DENIED:
            return TransferError(
                f"{where}: permission denied. Ask the client to let {self._config.username!r} write there."
            )
        if any(word in message.lower() for word in ("space", "quota", "full")):
            return TransferError(f"{where}: the server's disk is full ({message}). Ask the client to make room.")
        return TransferError(f"{where}: the server refuses ({message}, SFTP status {error.code}).")


def _temporary_path(path: str, etag: str, token: int) -> str:
    """Beside the final place, hidden, unlike every other attempt's, and no longer than a name may be."""
    directory, slash, base = path.rpartition("/")
    tail = f".{etag[:12]}.{token}.part"
    room = 255 - len(tail.encode()) - 1
    return f"{directory}{slash}.{base.encode()[:room].decode(errors='ignore')}{tail}"


def _state(part: str, job: Job, checksum: Crc32c) -> dict[str, Any]:
    return {"part": part, "etag": job.source.etag, "offset": checksum.size, "crc32c": checksum.value}
