"""paramiko's SFTP server, as its documentation has people write one: an interface to fill in, over local files.

python -m local.sftp_servers.paramiko_server --directory DIR
"""

from __future__ import annotations

import argparse
import os
import secrets
import socket
import threading
from pathlib import Path
from typing import Any

import paramiko
from paramiko import SFTPAttributes, SFTPHandle, SFTPServer

from local.process import Service, announce_ready, limit_files
from local.sftp_servers.family import NO_ORDERS, Orders
from local.sftp_servers.keys import make_credentials
from local.sshd import SftpServer


class Paramiko:
    """The server in a process of its own."""

    def __init__(self, directory: Path, orders: Orders = NO_ORDERS) -> None:
        root = directory / "root"
        root.mkdir(parents=True)
        credentials = make_credentials(directory)
        self.log_file = directory / "paramiko.log"
        self._service = Service(
            "local.sftp_servers.paramiko_server",
            *("--directory", str(directory)),
            *(["--refuse-rename"] if orders.refuse_rename else []),
            *(["--largest-file", str(orders.largest_file)] if orders.largest_file else []),
            log=self.log_file,
            environment={"LOCAL_SFTP_PASSWORD": credentials.password},
        )
        self.server = SftpServer(
            kind="paramiko",
            host="127.0.0.1",
            port=self._service.facts["port"],
            host_key=credentials.host_key,
            username="client",
            root=root,
            password=credentials.password,
        )

    def stop(self) -> None:
        """End the server."""
        self._service.stop()


class _Login(paramiko.ServerInterface):
    def get_allowed_auths(self, username: str) -> str:
        """One way in."""
        return "password"

    def check_auth_password(self, username: str, password: str) -> int:
        """Compare in constant time."""
        right = username == "client" and secrets.compare_digest(password, os.environ["LOCAL_SFTP_PASSWORD"])
        return paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        """Sessions only."""
        return paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED


def _told(call: Any) -> Any:
    """An OSError is answered by its SFTP code."""

    def told(*arguments: Any) -> Any:
        try:
            return call(*arguments)
        except OSError as error:
            return SFTPServer.convert_errno(error.errno)

    return told


class _Handle(SFTPHandle):
    @_told
    def stat(self) -> Any:
        """Of the open file, by its number."""
        return SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))

    def chattr(self, attr: SFTPAttributes) -> int:
        """Permissions of the open file."""
        return _change(self.filename, attr)


class _Files(paramiko.SFTPServerInterface):
    def __init__(self, server: paramiko.ServerInterface, *, root: Path, refuse_rename: bool) -> None:
        super().__init__(server)
        self._root = root
        self._refuse_rename = refuse_rename

    def _path(self, path: str) -> Path:
        return self._root / self.canonicalize(path).lstrip("/")

    @_told
    def list_folder(self, path: str) -> Any:
        """Names and attributes."""
        found = []
        for entry in os.scandir(self._path(path)):
            found.append(SFTPAttributes.from_stat(entry.stat(follow_symlinks=False), entry.name))
        return found

    @_told
    def stat(self, path: str) -> Any:
        """What a link leads to."""
        return SFTPAttributes.from_stat(self._path(path).stat())

    @_told
    def lstat(self, path: str) -> Any:
        """A link itself."""
        return SFTPAttributes.from_stat(self._path(path).lstat())

    @_told
    def open(self, path: str, flags: int, attr: SFTPAttributes) -> Any:
        """With the flags that the client asked for."""
        mode = getattr(attr, "st_mode", None)
        number = os.open(self._path(path), flags | os.O_CLOEXEC, 0o666 if mode is None else mode)
        file = os.fdopen(number, "rb+" if flags & os.O_RDWR else "wb" if flags & os.O_WRONLY else "rb")
        handle = _Handle(flags)
        handle.filename = str(self._path(path))
        handle.readfile = handle.writefile = file
        return handle

    @_told
    def remove(self, path: str) -> int:
        """A file."""
        self._path(path).unlink()
        return paramiko.SFTP_OK

    @_told
    def rename(self, oldpath: str, newpath: str) -> int:
        """Over nothing, as the draft says."""
        if self._refuse_rename:
            return paramiko.SFTP_PERMISSION_DENIED
        if os.path.lexists(self._path(newpath)):
            return paramiko.SFTP_FAILURE
        self._path(oldpath).rename(self._path(newpath))
        return paramiko.SFTP_OK

    @_told
    def posix_rename(self, oldpath: str, newpath: str) -> int:
        """Over an existing file, too."""
        if self._refuse_rename:
            return paramiko.SFTP_PERMISSION_DENIED
        self._path(oldpath).replace(self._path(newpath))
        return paramiko.SFTP_OK

    @_told
    def mkdir(self, path: str, attr: SFTPAttributes) -> int:
        """A directory."""
        self._path(path).mkdir()
        return paramiko.SFTP_OK

    @_told
    def rmdir(self, path: str) -> int:
        """An empty directory."""
        self._path(path).rmdir()
        return paramiko.SFTP_OK

    def chattr(self, path: str, attr: SFTPAttributes) -> int:
        """Permissions and sizes."""
        return _change(str(self._path(path)), attr)


@_told
def _change(path: str, attr: SFTPAttributes) -> int:
    SFTPServer.set_file_attr(path, attr)
    return paramiko.SFTP_OK


def _serve(connection: socket.socket, key: paramiko.PKey, root: Path, refuse_rename: bool) -> None:
    transport = paramiko.Transport(connection)
    transport.add_server_key(key)
    transport.set_subsystem_handler("sftp", SFTPServer, _Files, root=root, refuse_rename=refuse_rename)
    transport.start_server(server=_Login())


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--refuse-rename", action="store_true")
    parser.add_argument("--largest-file", type=int)
    arguments = parser.parse_args()
    limit_files(arguments.largest_file)
    key = paramiko.Ed25519Key.from_private_key_file(str(arguments.directory / "host_key"))
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    announce_ready(port=listener.getsockname()[1])
    root = arguments.directory / "root"
    while True:
        connection, _ = listener.accept()
        # The handshake takes a while, and others are waiting.
        threading.Thread(target=_serve, args=(connection, key, root, arguments.refuse_rename), daemon=True).start()


if __name__ == "__main__":
    main()
