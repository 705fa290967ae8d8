"""What decides how fast, and how surely, files go to an SFTP server: tried step by step, under temporary names."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from client_delivery.runtime.backoff import Backoff
from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.finding import Findings
from client_delivery.transfer.sftp.connection import SftpConnection, Unreached
from client_delivery.transfer.sftp.packets import ConnectionLost, SftpError
from client_delivery.transfer.sftp.server import Server

if TYPE_CHECKING:
    from client_delivery.config.model import SftpSection
    from client_delivery.transfer.secret import Secret
    from client_delivery.transfer.sftp.session import SftpSession
    from client_delivery.transfer.sftp.temporary import TemporaryNames

_HALF = b"h" * 40_000
"""More than fits into one write."""
_TRIES = 3
_BACKOFF = Backoff(first=1.5, longest=3.0, jitter=False)
"""Before a connection is asked for again: a server may not have noticed yet that another one is closed."""
_SKEW = 120
"""Seconds by which two clocks may differ before anybody has to know."""
_LITTLE = 10 * 1024**3


def connected_again(config: SftpSection, secret: Secret) -> SftpConnection:
    """One more connection, where another may have been closed just now. Raises :class:`DestinationUnavailable`."""
    for failures in range(1, _TRIES):
        try:
            return SftpConnection(config, secret)
        except Unreached:
            _BACKOFF.wait(failures)
    return SftpConnection(config, secret)


class Abilities:
    """Tries them one by one; what a server does not offer is no fault.

    :param path: of the probe file, whose temporary names are used.
    """

    def __init__(
        self,
        config: SftpSection,
        secret: Secret,
        findings: Findings,
        *,
        names: TemporaryNames,
        server: Server,
        path: str,
    ) -> None:
        self._config = config
        self._secret = secret
        self._findings = findings
        self._names = names
        self._server = server
        self._path = path
        self.made: list[str] = []
        """What may be there now."""
        self._mode = None if config.file_mode is None else int(config.file_mode, 8)

    def try_all(self, sftp: SftpSession, *, files: bool) -> None:
        """Raises :class:`ConnectionLost`.

        :param files: whether temporary files may be written.
        """
        findings = self._findings
        findings.yes("Blocks", f"writes of {sftp.block // 1024} KiB, a window of {_amount(sftp.window)}")
        offered = [name for name in ("posix-rename", "fsync", "limits") if f"{name}@openssh.com" in sftp.extensions]
        findings.yes("Extensions", f"of those that we use: {', '.join(offered) or 'none'}")
        with contextlib.suppress(SftpError):
            self._tell_space(sftp)
        if self._config.appear == "direct":
            findings.unknown("Details", "not tried: with appear: direct there are no temporary files")
        elif not files:
            findings.unknown("Details", "not tried: temporary files would stay")
        else:
            self._try_file(sftp)
        self._try_connections(sftp)

    def _tell_space(self, sftp: SftpSession) -> None:
        free = sftp.free_space(self._config.directory)
        if free is None:
            self._findings.unknown("Free space", "the server does not tell")
        elif free < _LITTLE:
            self._findings.no(
                "Free space", f"{_amount(free)} are left", "Make room, or say how much is enough.", needed=False
            )
        else:
            self._findings.yes("Free space", f"{_amount(free)} are left")

    # -- one file ----------------------------------------------------------------------------------------------------

    def _try_file(self, sftp: SftpSession) -> None:
        path = self._temporary("a")
        try:
            handle = sftp.create(path, self._mode, exclusive=self._server.exclusive)
            told = sftp.write_whole(handle, _HALF, self._mode)
        except SftpError as error:
            self._findings.unknown("Details", f"not tried: {error}")
            return
        tells = self._tell_size(sftp, path, told.size)
        self._tell_clock(sftp, path)
        self._try_exclusive(sftp, path)
        self._try_mode(sftp, path)
        readable = self._try_reading(sftp, path)
        if readable and not tells and self._config.verify != "read_back":
            self._findings.fit("verify", "read_back", "the server tells no size, or a wrong one, and lets us read")
        self._try_again(sftp, path)
        self._try_two_writers(sftp, readable=readable)

    def _tell_size(self, sftp: SftpSession, path: str, told: int | None) -> bool:
        try:
            size = sftp.stat(path, follow=False).size
        except SftpError as error:
            self._findings.unknown("Size", f"the server does not tell ({error})")
            return False
        before = "also before the file is closed" if told == len(_HALF) else "only when the file is closed"
        if size == len(_HALF):
            self._findings.yes("Size", f"the server tells it, {before}")
        else:
            self._findings.unknown("Size", f"the server says {size}, and {len(_HALF)} were written")
        return size == len(_HALF)

    def _tell_clock(self, sftp: SftpSession, path: str) -> None:
        with contextlib.suppress(SftpError):
            modified = sftp.stat(path, follow=False).modified
            if modified is None:
                self._findings.unknown("Clock", "the server does not tell")
                return
            skew = modified - time.time()
            if abs(skew) > _SKEW:
                way = "ahead" if skew > 0 else "behind"
                self._findings.no("Clock", f"the server's is {abs(skew):.0f} s {way}", "Set the clock.", needed=False)
            else:
                self._findings.yes(
                    "Clock", f"the server's differs by less than {max(2, int(abs(skew)) + 1)} s from ours"
                )

    def _try_exclusive(self, sftp: SftpSession, path: str) -> None:
        try:
            sftp.close(sftp.create(path, exclusive=True))
        except SftpError:
            self._findings.yes("Exclusive create", "a file that is there is not opened as a new one")
        else:
            self._findings.unknown("Exclusive create", "the server opens what is there; deliveries look first")

    def _try_mode(self, sftp: SftpSession, path: str) -> None:
        if self._mode is None:
            return
        with contextlib.suppress(SftpError):
            mode = sftp.stat(path, follow=False).mode
            if mode is None:
                self._findings.unknown("File mode", "the server does not tell")
            elif mode & 0o777 == self._mode:
                self._findings.yes("File mode", f"{self._mode:04o} is taken")
            else:
                self._findings.no(
                    "File mode",
                    f"{self._mode:04o} was asked for, and the file has {mode & 0o777:04o}",
                    f"Let {self._config.username!r} set permissions, or have destination.file_mode taken out.",
                    needed=False,
                )

    def _try_reading(self, sftp: SftpSession, path: str) -> bool:
        try:
            whole = b"".join(sftp.read(path, len(_HALF) + 1)) == _HALF
        except SftpError as error:
            needed = self._config.verify == "read_back"
            if needed:
                self._findings.fit("verify", "size", "the server does not let us read")
                self._findings.no("Reading back", f"refused: {error}", "Let us read the files in the directory.")
            else:
                self._findings.unknown("Reading back", f"refused ({error}); deliveries do without it")
            return False
        if whole:
            self._findings.yes("Reading back", "what is read is what was written")
        else:
            self._findings.no("Reading back", "other bytes came back than were written", "Check the disk.")
        return whole

    def _try_again(self, sftp: SftpSession, path: str) -> None:
        over = "an interrupted file starts over"
        try:
            handle = sftp.open_existing(path, write=True)
            for _ in sftp.write(handle, len(_HALF), [b"more"]):
                pass
            sftp.finish(handle)
        except SftpError as error:
            self._findings.unknown("Going on", f"refused ({error}): {over}")
            return
        try:
            kept = b"".join(sftp.read(path, len(_HALF) + 5)) == _HALF + b"more"
        except SftpError:
            self._findings.unknown("Going on", f"whether the bytes stay cannot be read back: {over}")
            return
        if kept:
            self._findings.yes("Going on", "an interrupted file can be resumed")
        else:
            self._findings.unknown("Going on", f"a file that is opened again loses what is in it: {over}")

    # -- several connections -----------------------------------------------------------------------------------------

    def _try_two_writers(self, sftp: SftpSession, *, readable: bool) -> None:
        """Whether the bytes survive two handles into one file, on two connections."""
        if self._config.connections < 2:
            self._findings.unknown("Parallel writes", "not tried: connections is 1")
            return
        try:
            other = connected_again(self._config, self._secret)
        except DestinationUnavailable:
            self._findings.unknown("Parallel writes", "not tried: the server takes no second connection")
            return
        try:
            survived = self._written_by_two(sftp, other.sftp)
        except (SftpError, ConnectionLost) as error:
            self._findings.unknown("Parallel writes", f"refused ({error}): one writer for each file")
            return
        finally:
            other.close()
        if not readable or survived is None:
            self._findings.unknown("Parallel writes", "whether the bytes survive cannot be read back: one writer each")
        elif not survived:
            self._findings.unknown(
                "Parallel writes", "**the bytes do not survive two writers**: one writer for each file"
            )
            if self._config.parallel_writes:
                self._findings.fit("parallel_writes", False, "two writers spoil a file here")
        else:
            self._findings.yes("Parallel writes", "the bytes survive two writers of one file")
            if not self._server.has_file_system and self._config.parallel_writes is None:
                self._findings.fit(
                    "parallel_writes",
                    True,
                    "faster for large files; only if the partner says that no object store is behind the server",
                )

    def _written_by_two(self, sftp: SftpSession, other: SftpSession) -> bool | None:
        path = self._temporary("b")
        first = sftp.create(path, exclusive=self._server.exclusive)
        try:
            second = other.open_existing(path, write=True)
        except SftpError:
            sftp.close(first)
            raise
        tail = b"t" * len(_HALF)
        for _ in other.write(second, len(_HALF), [tail]):
            pass
        for _ in sftp.write(first, 0, [_HALF]):
            pass
        other.finish(second)
        sftp.finish(first)
        with contextlib.suppress(SftpError):
            return b"".join(sftp.read(path, 2 * len(_HALF) + 1)) == _HALF + tail
        return None

    def _try_connections(self, sftp: SftpSession) -> None:
        """Whether as many can be open as are configured."""
        wanted, opened = self._config.connections, list[SftpConnection]()
        refused = ""
        try:
            while len(opened) + 1 < wanted:
                opened.append(connected_again(self._config, self._secret))
        except DestinationUnavailable as error:
            refused = str(error)
        finally:
            for connection in opened:
                connection.close()
        if not refused:
            self._findings.yes("Connections", f"{wanted} at once, as configured")
            return
        self._findings.no(
            "Connections",
            f"{len(opened) + 1} at once, and {wanted} are configured: {refused}",
            f"Say how many connections {self._config.username!r} may have at once.",
            needed=False,
        )
        self._findings.fit("connections", len(opened) + 1, "the server takes no more at once")

    def _temporary(self, which: str) -> str:
        path = self._names.path(self._path, f"probe{which}", 1, self._server.form)
        self.made.append(path)
        return path


def _amount(size: int) -> str:
    for unit, factor in (("TiB", 1024**4), ("GiB", 1024**3), ("MiB", 1024**2)):
        if size >= factor:
            return f"{size / factor:.0f} {unit}"
    return f"{size // 1024} KiB"
