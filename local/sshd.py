"""SFTP servers on this machine: a real OpenSSH sshd where one is installed, and asyncssh's, which takes passwords and
can be made to misbehave.

    python -m local.sshd --directory DIR [--port N] [--password] [--<misbehaviour> …]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pwd
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from local.ports import free_port
from local.process import Service, announce_ready, find_program, limit_files, start, stop
from local.sftp_servers.models import MODELS, NOT_OFFERED, Times
from local.wait import wait_for_port

_CONFIG = """
Port {port}
ListenAddress {address}
HostKey {directory}/host_key
PidFile {directory}/sshd.pid
AuthorizedKeysFile {directory}/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
StrictModes no
LogLevel ERROR
MaxStartups 100
MaxSessions 100
Subsystem sftp internal-sftp -d {root} {arguments}
ForceCommand internal-sftp -d {root} {arguments}
"""


@dataclass(frozen=True)
class SftpServer:
    """A server that runs, and how to log in to it."""

    kind: str
    """``openssh``, ``asyncssh``, or one of :mod:`local.sftp_servers.families`."""
    host: str
    port: int
    host_key: str
    """``ssh-ed25519 AAAA…``."""
    username: str
    root: Path
    """The login directory; deliveries appear below it."""
    password: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)


def find_sshd() -> str | None:
    """Where OpenSSH's server is, or None."""
    return find_program("sshd")


def sshd_config(directory: Path, root: Path, address: str, port: int, arguments: str = "") -> str:
    """The configuration of a private sshd whose keys are in ``directory`` and whose sessions begin in ``root``.

    ``arguments`` are for its SFTP server.
    """
    return _CONFIG.format(address=address, port=port, directory=directory, root=root, arguments=arguments)


class OpenSsh:
    """A private sshd with its own keys and configuration, for the current user.

    :param refuse: names of requests that are refused: ``rename,posix-rename``.
    :param largest_file: bytes; see :func:`local.process.limit_files`.
    """

    def __init__(self, directory: Path, *, refuse: str = "", largest_file: int | None = None) -> None:
        executable = find_sshd()
        if executable is None:
            raise RuntimeError("OpenSSH's sshd is not installed (Debian and Ubuntu: apt install openssh-server)")
        directory.mkdir(parents=True)
        root = directory / "root"
        root.mkdir()
        for name in ("host_key", "client_key"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(directory / name)]
            subprocess.run(command, check=True)
        shutil.copy(directory / "client_key.pub", directory / "authorized_keys")
        port = free_port()
        config = directory / "sshd_config"
        arguments = f"-P {refuse}" if refuse else ""
        config.write_text(sshd_config(directory, root, "127.0.0.1", port, arguments))
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # sshd refuses to run as root without it
        self.log_file = directory / "sshd.log"
        command = [executable, "-D", "-e", "-f", str(config)]
        self._process = start(command, log=self.log_file, largest_file=largest_file)
        wait_for_port(port, self._process, self.log_file)
        self.server = SftpServer(
            kind="openssh",
            host="127.0.0.1",
            port=port,
            host_key=" ".join((directory / "host_key.pub").read_text().split()[:2]),
            username=pwd.getpwuid(os.geteuid()).pw_name,
            root=root,
            private_key=(directory / "client_key").read_text(),
        )

    def stop(self) -> None:
        """End the server."""
        stop(self._process)


class AsyncSsh:
    """asyncssh's SFTP server, in its own process."""

    def __init__(self, directory: Path, **misbehaviour: Any) -> None:
        directory.mkdir(parents=True)
        root = directory / "root"
        root.mkdir()
        host_key = asyncssh.generate_private_key("ssh-ed25519")
        client_key = asyncssh.generate_private_key("ssh-ed25519")
        host_key.write_private_key(directory / "host_key")
        client_key.write_public_key(directory / "authorized_keys")
        password = secrets.token_urlsafe(16)
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in misbehaviour.items()]
        self.log_file = directory / "asyncssh.log"
        self._service = Service(
            "local.sshd",
            *("--directory", str(directory), *flags),
            log=self.log_file,
            environment={"LOCAL_SFTP_PASSWORD": password},
        )
        self.server = SftpServer(
            kind="asyncssh",
            host="127.0.0.1",
            port=self._service.facts["port"],
            host_key=" ".join(host_key.export_public_key().decode().split()[:2]),
            username="client",
            root=root,
            password=password,
            private_key=client_key.export_private_key().decode(),
        )

    def stop(self) -> None:
        """End the server."""
        self._service.stop()


class _Server(asyncssh.SSHServer):
    open_connections = 0

    def __init__(self, password: str, most: int | None) -> None:
        self._password = password
        self._most = most

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """No more connections than are allowed. One that is refused is not counted: asyncssh may not tell its end."""
        self._counted = self._most is None or _Server.open_connections < self._most
        if self._counted:
            _Server.open_connections += 1
        else:
            conn.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """One less."""
        _Server.open_connections -= self._counted

    def password_auth_supported(self) -> bool:
        """Passwords are taken."""
        return True

    def validate_password(self, username: str, password: str) -> bool:
        """Compare in constant time."""
        return username == "client" and secrets.compare_digest(password, self._password)


class _Sftp(asyncssh.SFTPServer):
    """The misbehaviours that tests order."""

    def __init__(self, channel: asyncssh.SSHServerChannel[Any], root: Path, order: Mapping[str, Any]) -> None:
        super().__init__(channel, chroot=os.fsencode(root))
        self._order = order
        self._written = 0
        self._expected: dict[int, int] = {}

    def write(self, file_obj: object, offset: int, data: bytes) -> Any:
        """A full disk, or a cut connection, after so many bytes."""
        self._written += len(data)
        if self._order["flood"]:
            self.channel.write(b"\x7f\xff\xff\xff" + bytes(1024 * 1024))
        if self._order["corrupt"] and offset == 0:
            data = bytes([data[0] ^ 1]) + data[1:]
        if self._order["sequential"]:
            if offset != self._expected.get(id(file_obj), 0):
                raise asyncssh.SFTPFailure("Only sequential writes are supported")
            self._expected[id(file_obj)] = offset + len(data)
        limit = self._order["full_after"]
        if limit is not None and self._written > limit:
            raise asyncssh.SFTPFailure("No space left on device")
        if self._order["cut_after"] is not None and self._written > self._order["cut_after"]:
            os._exit(1)
        return super().write(file_obj, offset, data)

    def stat(self, path: bytes) -> Any:
        """Refused, or with another size than the file's."""
        self._allow("stat")
        return self._lie(super().stat(path))

    def lstat(self, path: bytes) -> Any:
        """Like :meth:`stat`."""
        self._allow("stat")
        return self._lie(super().lstat(path))

    def fstat(self, file_obj: object) -> Any:
        """Like :meth:`stat`."""
        self._allow("stat")
        return self._lie(super().fstat(file_obj))

    def setstat(self, path: bytes, attrs: Any) -> Any:
        """Refused, as many managed servers do."""
        self._allow("setstat")
        return super().setstat(path, attrs)

    def fsetstat(self, file_obj: object, attrs: Any) -> Any:
        """Like :meth:`setstat`."""
        self._allow("setstat")
        return super().fsetstat(file_obj, attrs)

    def rename(self, oldpath: bytes, newpath: bytes) -> Any:
        """Refused, as for users without that permission."""
        self._allow("rename")
        return super().rename(oldpath, newpath)

    def open(self, path: bytes, pflags: int, attrs: Any) -> Any:
        """Refused where the path is too long for this server."""
        longest = self._order["longest_path"]
        if longest is not None and len(path) > longest:
            raise asyncssh.SFTPFailure("path too long")
        opened = super().open(path, pflags, attrs)
        self._expected[id(opened)] = 0
        return opened

    def _allow(self, what: str) -> None:
        if what in self._order["refuse"]:
            raise asyncssh.SFTPOpUnsupported(f"{what} is not supported")

    def _lie(self, attrs: Any) -> Any:
        if not self._order["wrong_size"]:
            return attrs
        shown = asyncssh.SFTPAttrs.from_local(attrs) if isinstance(attrs, os.stat_result) else attrs
        shown.size = (shown.size or 0) + 1
        return shown


async def _serve(directory: Path, port: int, order: Mapping[str, Any]) -> None:
    password = os.environ["LOCAL_SFTP_PASSWORD"]
    handler: Any = asyncssh.sftp.SFTPServerHandler  # what it offers is not meant to be changed, but only here
    model = order["model"]
    refused = tuple(name.encode() for name in (*order["refuse"], *NOT_OFFERED.get(model, ())) if name)
    times = Times(order["seconds"], order["seconds_per_mib"])
    files: Any = MODELS[model](_Sftp, directory, times) if model else _Sftp
    handler._extensions = [one for one in handler._extensions if not (refused and one[0].startswith(refused))]
    server = await asyncssh.create_server(
        lambda: _Server(password, order["connections"]),
        "127.0.0.1",
        port,
        server_host_keys=[str(directory / "host_key")],
        authorized_client_keys=str(directory / "authorized_keys"),
        sftp_factory=lambda channel: files(channel, directory / "root", order),
        compression_algs=None,
        server_version=order["banner"] or (),
        **({"encryption_algs": [order["ciphers"]]} if order["ciphers"] else {}),
    )
    announce_ready(port=server.sockets[0].getsockname()[1])
    await server.wait_closed()


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument(
        "--refuse", default="", help="comma-separated: stat, setstat, rename, posix-rename, limits, fsync"
    )
    parser.add_argument("--full-after", type=int, help="bytes after which the disk is full")
    parser.add_argument("--largest-file", type=int, help="bytes that a file may have; beyond, the disk is full")
    parser.add_argument("--cut-after", type=int, help="bytes after which the server dies")
    parser.add_argument("--wrong-size", type=bool, default=False)
    parser.add_argument("--corrupt", type=bool, default=False, help="store the first byte of every file wrong")
    parser.add_argument("--sequential", type=bool, default=False, help="take writes from front to back only")
    parser.add_argument("--connections", type=int, help="how many may be open at once")
    parser.add_argument("--longest-path", type=int, help="bytes")
    parser.add_argument("--ciphers", help="the only one on offer")
    parser.add_argument("--flood", type=bool, default=False, help="respond to every write with an endless packet")
    parser.add_argument("--model", choices=MODELS, help="what open, close and rename mean")
    parser.add_argument("--seconds", type=float, default=0.0, help="for a close or rename of the model, or its scanner")
    parser.add_argument("--seconds-per-mib", type=float, default=0.0, help="more for every MiB")
    parser.add_argument("--banner", help="the software that it says it is")
    arguments = parser.parse_args()
    order = vars(arguments) | {"refuse": arguments.refuse.split(",")}
    limit_files(arguments.largest_file)
    try:
        asyncio.run(_serve(arguments.directory, arguments.port, order))
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
