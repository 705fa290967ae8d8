"""Twisted Conch's SFTP server for Unix users, with one user of its own.

    python -m local.sftp_servers.conch --directory DIR

It knows no extensions at all, and its rename replaces what is there, which the draft does not allow.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from local.process import Service, announce_ready, limit_files
from local.sftp_servers.family import NO_ORDERS, Orders
from local.sftp_servers.keys import make_credentials
from local.sshd import SftpServer


class Conch:
    """The server in a process of its own."""

    def __init__(self, directory: Path, orders: Orders = NO_ORDERS) -> None:
        root = directory / "root"
        root.mkdir(parents=True)
        credentials = make_credentials(directory)
        self.log_file = directory / "conch.log"
        self._service = Service(
            "local.sftp_servers.conch",
            *("--directory", str(directory)),
            *(["--refuse-rename"] if orders.refuse_rename else []),
            *(["--largest-file", str(orders.largest_file)] if orders.largest_file else []),
            log=self.log_file,
            environment={"LOCAL_SFTP_PASSWORD": credentials.password},
        )
        self.server = SftpServer(
            kind="conch",
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


def _factory(directory: Path, password: str, refuse_rename: bool) -> Any:
    from twisted.conch.avatar import ConchUser
    from twisted.conch.interfaces import ISFTPServer
    from twisted.conch.ssh import factory, filetransfer, keys, session
    from twisted.conch.unix import SFTPServerForUnixConchUser
    from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
    from twisted.cred.portal import Portal
    from twisted.python import components
    from twisted.python.filepath import FilePath

    class User(ConchUser):
        """Nobody changes who this process is: it serves one user."""

        def __init__(self) -> None:
            super().__init__()
            self.channelLookup[b"session"] = session.SSHSession
            self.subsystemLookup[b"sftp"] = filetransfer.FileTransferServer

        def getHomeDir(self) -> Any:  # Twisted's name
            return FilePath(str(directory / "root"))

        def _runAsUser(self, calls: Any, *arguments: Any, **named: Any) -> Any:  # Twisted's name
            if callable(calls):
                return calls(*arguments, **named)
            answer = None
            for call in calls:
                answer = call[0](*(call[1] if len(call) > 1 else ()), **(call[2] if len(call) > 2 else {}))
            return answer

    class Files(SFTPServerForUnixConchUser):
        """As it is."""

        def renameFile(self, old: Any, new: Any) -> Any:  # Twisted's name
            if refuse_rename:
                raise filetransfer.SFTPError(filetransfer.FX_PERMISSION_DENIED, "no renaming")
            return super().renameFile(old, new)

    class Realm:
        def requestAvatar(self, name: object, mind: object, *interfaces: Any) -> Any:  # Twisted's name
            return interfaces[0], User(), lambda: None

    components.registerAdapter(Files, User, ISFTPServer)
    key = keys.Key.fromFile(str(directory / "host_key"))
    made = factory.SSHFactory()
    made.privateKeys = {key.sshType(): key}
    made.publicKeys = {key.sshType(): key.public()}
    made.portal = Portal(Realm(), [InMemoryUsernamePasswordDatabaseDontUse(client=password.encode())])
    return made


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--refuse-rename", action="store_true")
    parser.add_argument("--largest-file", type=int)
    arguments = parser.parse_args()
    limit_files(arguments.largest_file)

    from twisted.internet import reactor
    from twisted.python import log

    log.startLogging(sys.stderr, setStdout=False)
    made = _factory(arguments.directory, os.environ["LOCAL_SFTP_PASSWORD"], arguments.refuse_rename)
    loop: Any = reactor
    listener = loop.listenTCP(0, made, backlog=100, interface="127.0.0.1")
    announce_ready(port=listener.getHost().port)
    loop.run()


if __name__ == "__main__":
    main()
