"""An SFTP server in this process whose habits a test writes down as a class: what open, close and rename *mean* there.

class TakesFiles(Habits):
    def close(self, file_obj): …

with HabitServer(tmp_path / "server", TakesFiles) as server: …
"""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import asyncssh

from local.sshd import SftpServer


class Habits(asyncssh.SFTPServer):
    """Notes every call that changes something. ``house`` is the :class:`HabitServer`, shared by all connections."""

    house: HabitServer
    refuse: tuple[str, ...] = ()
    """Extensions that are not on offer, by the beginning of their names."""

    def __init__(self, channel: Any) -> None:
        super().__init__(channel, chroot=os.fsencode(self.house.root))
        self._channel = channel
        self._names: dict[int, bytes] = {}

    def real(self, path: bytes) -> Path:
        return Path(os.fsdecode(self.map_path(path)))

    def cut(self) -> None:
        """The connection breaks, and what was asked gets no response."""
        self.house.note("cut")
        self._channel.get_connection().abort()
        raise asyncssh.SFTPConnectionLost("cut")

    def name_of(self, file_obj: object) -> bytes:
        return self._names.get(id(file_obj), b"")

    def open(self, path: bytes, pflags: int, attrs: Any) -> Any:
        opened = super().open(path, pflags, attrs)
        self._names[id(opened)] = path
        self.house.note("open", path, pflags)
        return opened

    def close(self, file_obj: Any) -> None:
        self.house.note("close", self.name_of(file_obj))
        super().close(file_obj)

    def remove(self, path: bytes) -> Any:
        self.house.note("remove", path)
        return super().remove(path)

    def rename(self, oldpath: bytes, newpath: bytes) -> Any:
        self.house.note("rename", oldpath, newpath)
        if os.path.lexists(self.map_path(newpath)):
            raise asyncssh.SFTPFailure("exists")
        return super().posix_rename(oldpath, newpath)

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> Any:
        self.house.note("posix-rename", oldpath, newpath)
        return super().posix_rename(oldpath, newpath)


class HabitServer:
    """Runs until its ``with`` block ends. ``login`` makes the SSH side; ``more_keys`` are host keys beside the Ed25519
    one; ``options`` go to asyncssh."""

    password = "not-a-secret"

    def __init__(
        self,
        directory: Path,
        habits: type[Habits] = Habits,
        *,
        login: Callable[[], asyncssh.SSHServer] | None = None,
        version: str = "MFT_1.0",
        more_keys: Sequence[Any] = (),
        **options: Any,
    ) -> None:
        self.root = directory / "root"
        self.inbox = self.root / "in"
        self.inbox.mkdir(parents=True)
        self.calls: list[tuple[Any, ...]] = []
        self.taken: list[tuple[str, bytes]] = []
        """What the recipient took away, and under which names."""
        self._habits = type(habits.__name__, (habits,), {"house": self})
        self._login = login or (lambda: PasswordLogin(self.password))
        self._options = {"server_version": version, "compression_algs": None, **options}
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self._more_keys = more_keys
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> HabitServer:
        self._thread.start()
        self._listener = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(30)
        self.server = SftpServer(
            kind="habits",
            host="127.0.0.1",
            port=self._listener.sockets[0].getsockname()[1],
            host_key=" ".join(self._key.export_public_key().decode().split()[:2]),
            username="client",
            root=self.root,
            password=self.password,
        )
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._listener.close)
        asyncio.run_coroutine_threadsafe(self._end_all(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @staticmethod
    async def _end_all() -> None:
        """What a habit still waits for."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=5) if tasks else None

    def note(self, *call: Any) -> None:
        self.calls.append(tuple(os.fsdecode(part) if isinstance(part, bytes) else part for part in call))

    def take(self, path: Path) -> None:
        """The recipient's automation takes a file away."""
        self.taken.append((path.name, path.read_bytes()))
        path.unlink()

    def files(self) -> dict[str, bytes]:
        """What is in the delivery directory, below it too."""
        return {
            str(path.relative_to(self.inbox)): path.read_bytes() for path in self.inbox.rglob("*") if path.is_file()
        }

    def empty(self) -> None:
        shutil.rmtree(self.inbox)
        self.inbox.mkdir()

    async def _listen(self) -> asyncssh.SSHAcceptor:
        handler: Any = asyncssh.sftp.SFTPServerHandler  # which extensions it offers is not meant to be changed
        refused = tuple(name.encode() for name in self._habits.refuse)
        if not hasattr(handler, "all_extensions"):
            handler.all_extensions = list(handler._extensions)
        handler._extensions = [one for one in handler.all_extensions if not (refused and one[0].startswith(refused))]
        return await asyncssh.create_server(
            self._login,
            "127.0.0.1",
            0,
            server_host_keys=[self._key, *self._more_keys],
            sftp_factory=self._habits,
            **self._options,
        )


class PasswordLogin(asyncssh.SSHServer):
    """Takes the password."""

    def __init__(self, password: str) -> None:
        self._password = password

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("client", self._password)
