"""Names on the server: directories made and looked at, files put in their place, and the server's refusals."""

from __future__ import annotations

import contextlib
import stat
from typing import TYPE_CHECKING

from delivery.transfer.contract import DestinationUnavailable, TransferError
from delivery.transfer.sftp.packets import NO_SUCH_FILE, PERMISSION_DENIED, SftpError
from delivery.transfer.sftp.session import SftpSession

if TYPE_CHECKING:
    from delivery.config.model import SftpDestination


class RemoteDirectory:
    """The configured directory, and what is below it."""

    def __init__(self, config: SftpDestination) -> None:
        self._config = config
        self._base = "" if config.directory in ("", ".") else config.directory.rstrip("/")
        self._known: set[str] = set()
        self.where = f"sftp://{config.username}@{config.host}:{config.port}"

    def uri(self, path: str) -> str:
        """Where a file is."""
        return f"{self.where}/{path.lstrip('/')}"

    def require(self, sftp: SftpSession) -> None:
        """Raises :class:`DestinationUnavailable` if the configured directory is not there."""
        directory = self._config.directory
        try:
            mode = sftp.stat(directory).mode
        except SftpError as error:
            if error.code not in (NO_SUCH_FILE, PERMISSION_DENIED):
                return  # a server without stat
            raise DestinationUnavailable(
                f"{self.where}: the directory {directory!r} is missing or not permitted ({error}). Correct "
                "destination.directory, or ask the client to create it."
            ) from error
        if mode is not None and not stat.S_ISDIR(mode):
            raise DestinationUnavailable(
                f"{self.where}: {directory!r} is not a directory. Correct destination.directory."
            )

    def prepare(self, sftp: SftpSession, path: str) -> None:
        """Make the directories that the file needs below the configured one, which may not be links.

        A link planted there must not lead a delivery elsewhere. Raises :class:`TransferError`.
        """
        made = self._base
        for component in path.removeprefix(self._base).lstrip("/").split("/")[:-1]:
            made = f"{made}/{component}" if made else component
            if made in self._known:
                continue
            with contextlib.suppress(SftpError):
                sftp.make_directory(made)
            try:
                mode = sftp.stat(made, follow=False).mode
            except SftpError:
                mode = None  # a server that does not tell
            if mode is not None and stat.S_ISLNK(mode):
                raise TransferError(
                    f"{self.where}: {made!r} is a symbolic link; files are only delivered into real directories "
                    "below destination.directory. Ask the client to remove it."
                )
            self._known.add(made)

    @staticmethod
    def put_in_place(sftp: SftpSession, part: str, path: str) -> None:
        """Give a complete file its name."""
        if sftp.replaces:
            try:
                sftp.replace(part, path)
            except SftpError as error:
                if error.code in (NO_SUCH_FILE, PERMISSION_DENIED):
                    raise
            else:
                return
        try:
            sftp.rename(part, path)
        except SftpError as refused:
            # Plain SFTP renames over nothing: an earlier version of the file makes way, but only if ours is there.
            try:
                sftp.finish(sftp.open_existing(part, write=True))
            except SftpError:
                raise refused from None
            sftp.remove(path)
            sftp.rename(part, path)

    def explained(self, error: SftpError, path: str) -> TransferError:
        """What a refusal means."""
        where, message = self.uri(path), str(error)
        if error.code == PERMISSION_DENIED:
            return TransferError(
                f"{where}: permission denied. Ask the client to let {self._config.username!r} write there."
            )
        if any(word in message.lower() for word in ("space", "quota", "full")):
            return TransferError(f"{where}: the server's disk is full ({message}). Ask the client to make room.")
        return TransferError(f"{where}: the server refuses ({message}, SFTP status {error.code}).")


def temporary_path(path: str, etag: str, token: int) -> str:
    """Beside the final place, hidden, unlike every other attempt's, and no longer than a name may be."""
    directory, slash, base = path.rpartition("/")
    tail = f".{etag[:12]}.{token}.part"
    room = 255 - len(tail.encode()) - 1
    return f"{directory}{slash}.{base.encode()[:room].decode(errors='ignore')}{tail}"
