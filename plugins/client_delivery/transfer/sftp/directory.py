"""Directories on the server: looked at and made; and what the server's refusals mean."""

from __future__ import annotations

import stat
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from client_delivery.transfer.contract import DestinationUnavailable, TransferError
from client_delivery.transfer.sftp.packets import NO_SUCH_FILE, PERMISSION_DENIED, UNSUPPORTED, SftpError
from client_delivery.transfer.sftp.session import SftpSession

if TYPE_CHECKING:
    from client_delivery.config.model import SftpSection

_T = TypeVar("_T")
_ADVICE = {
    "open": "Ask the client to let {user} create files there. If it takes certain names only, set "
    "destination.temporary_prefix and temporary_suffix, or appear: direct.",
    "write": "Ask the client what the server refuses. The next attempt resumes where the server can.",
    "fsync": "The server could not write the file to its disk: ask the client to check it.",
    "close": "The server took the bytes and refused the file at its end, as virus scanners and quotas do: ask the "
    "client for the reason.",
    "rename": "Ask the client to let {user} rename files there, or set destination.appear to direct, or to staging "
    "with a directory from which files may be moved.",
    "mkdir": "Ask the client to create the folder, or to let {user} do it.",
    "read": "Reading back is refused: ask the client to allow it, or set destination.verify to size.",
    "stat": "Ask the client to let {user} look at files there.",
    "remove": "Ask the client to let {user} remove files there.",
}
_FROM_STAGING = (
    "Ask the client whether {staging} is on the same file system as destination.directory, and to let {user} move "
    "files from the one to the other. A server moves no file between file systems: name another staging_directory "
    "then, or set destination.appear to rename."
)
_MADE_AGAIN = 4
"""How often a file's directories are made before it is given up."""
_FULL = ("no space", "disk full", "disk is full", "quota", "out of space")


class RemoteDirectory:
    """The configured directory, and what is below it."""

    def __init__(self, config: SftpSection) -> None:
        self._config = config
        self._known: set[str] = set()
        self._lock = threading.Lock()
        host = f"[{config.host}]" if ":" in config.host else config.host
        self.where = f"sftp://{config.username}@{host}:{config.port}"

    def uri(self, path: str) -> str:
        """Where a file is."""
        return f"{self.where}/{path.lstrip('/')}"

    def require(self, sftp: SftpSession) -> None:
        """Raises :class:`DestinationUnavailable` if a configured directory is known not to be there."""
        for field, directory in self.configured.items():
            self.require_one(sftp, directory, field)

    @property
    def configured(self) -> Mapping[str, str]:
        """The directories that must be there, by the fields that name them."""
        staging = self._config.staging_directory if self._config.appear == "staging" else None
        return {"directory": self._config.directory, **({} if staging is None else {"staging_directory": staging})}

    def require_one(self, sftp: SftpSession, directory: str, field: str) -> None:
        """The same for one of them."""
        try:
            mode = sftp.stat(directory).mode
        except SftpError as error:
            if error.code != NO_SUCH_FILE:
                return  # a server without stat, or a drop box that does not let anybody look
            raise DestinationUnavailable(
                f"{self.where}: the directory {directory!r} is missing ({error}). Correct "
                f"destination.{field}, or ask the client to create it."
            ) from error
        if mode is not None and stat.S_IFMT(mode) and not stat.S_ISDIR(mode):
            raise DestinationUnavailable(
                f"{self.where}: {directory!r} is not a directory. Correct destination.{field}."
            )

    def prepare(self, sftp: SftpSession, path: str) -> None:
        """Make the directories that the file needs below the configured one, which may not be links.

        A link planted there must not lead a delivery elsewhere. Raises :class:`TransferError`.
        """
        for made in self._needed(path):
            with self._lock:
                if made in self._known:
                    continue
            refused: SftpError | None = None
            try:
                sftp.make_directory(made)
            except SftpError as error:
                refused = error
            try:
                mode = sftp.stat(made, follow=False).mode
            except SftpError as error:
                if refused is not None and error.code == NO_SUCH_FILE:
                    raise self.explained(refused, made) from refused
                mode = None  # a server that does not tell
            if mode is not None and stat.S_ISLNK(mode):
                raise TransferError(
                    f"{self.where}: {made!r} is a symbolic link; files are only delivered into real directories "
                    "below destination.directory. Ask the client to remove it."
                )
            with self._lock:
                self._known.add(made)

    def within(self, sftp: SftpSession, path: str, act: Callable[[], _T]) -> _T:
        """What ``act`` returns, with the directories made that ``path`` needs.

        Some servers remove a directory when the last file in it is taken, and another file's sender may have found
        that out first: they are made again then. Raises what ``act`` raises at the last of a few tries.
        """
        made = 0
        while True:
            self.prepare(sftp, path)
            made += 1
            try:
                return act()
            except SftpError as error:
                if error.code != NO_SUCH_FILE or made == _MADE_AGAIN or not self.forget(path):
                    raise

    def forget(self, path: str) -> bool:
        """Make the file's directories again next time. False if it needs none."""
        needed = set(self._needed(path))
        with self._lock:
            self._known -= needed
        return bool(needed)

    def _needed(self, path: str) -> list[str]:
        directory = self._config.directory
        base = "" if directory in ("", ".") else "/" if directory == "/" else f"{directory.rstrip('/')}/"
        folders = path.removeprefix(base).split("/")[:-1]
        return [base + "/".join(folders[: count + 1]) for count in range(len(folders))]

    def explained(self, error: SftpError, path: str) -> TransferError:
        """What a refusal means: the operation, who refuses it, and what to do."""
        where, message = self.uri(path), str(error)
        operation = error.operation or "request"
        if any(word in message.lower() for word in _FULL):
            return TransferError(
                f"{where}: the server's disk is full, or a quota used up ({operation}: {message}). Ask the client to "
                "make room."
            )
        reason = {PERMISSION_DENIED: "permission denied", UNSUPPORTED: "not supported"}.get(error.code)
        shown = f"{reason}: {message}" if reason and reason not in message.lower() else message
        if operation == "rename" and self._config.appear == "staging":
            advice = _FROM_STAGING
        else:
            advice = _ADVICE.get(operation, "Ask the client.")
        advice = advice.format(user=repr(self._config.username), staging=repr(self._config.staging_directory))
        return TransferError(
            f"{where}: the server refuses to {operation} ({shown}, SFTP status {error.code}). {advice}"
        )


def is_full(error: SftpError) -> bool:
    """Whether the server says that it has no room: trying again at once would not help."""
    return any(word in str(error).lower() for word in _FULL)
