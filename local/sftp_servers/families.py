"""The SFTP servers that the product is tried on: eight, seven of which nobody here wrote.

for family in FAMILIES.values():
    if family.missing() is None:
        server = family.start(directory, Orders())
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from local.sftp_servers import conch, dropbear, node, paramiko_server, proftpd, rclone
from local.sftp_servers.family import Family, Orders, Running
from local.sshd import AsyncSsh, OpenSsh, find_sshd


def _openssh(directory: Path, orders: Orders) -> Running:
    refuse = "rename,posix-rename" if orders.refuse_rename else ""
    return OpenSsh(directory, refuse=refuse, largest_file=orders.largest_file)


def _asyncssh(**options: Any) -> Callable[[Path, Orders], Running]:
    def start(directory: Path, orders: Orders) -> Running:
        refuse = {"refuse": "rename,posix-rename"} if orders.refuse_rename else {}
        limit = {"largest_file": orders.largest_file} if orders.largest_file else {}
        return AsyncSsh(directory, **options, **refuse, **limit)

    return start


def _no_openssh() -> str | None:
    return None if find_sshd() else "sshd is not installed (Debian and Ubuntu: apt install openssh-server)"


FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family("openssh", "OpenSSH", _openssh, _no_openssh),
        Family("proftpd", "ProFTPD mod_sftp", proftpd.ProFtpd, proftpd.missing),
        Family("dropbear", "dropbear with OpenSSH's sftp-server", dropbear.Dropbear, dropbear.missing),
        Family("rclone", "rclone serve sftp (Go, pkg/sftp)", rclone.Rclone, rclone.missing, can_refuse_rename=False),
        Family("ssh2", "Node.js, npm ssh2", node.Ssh2, node.missing),
        Family("conch", "Twisted Conch", conch.Conch),
        Family("paramiko", "paramiko", paramiko_server.Paramiko),
        Family("asyncssh", "asyncssh", _asyncssh()),
    )
}
MODELLED: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family("object-store", "object store (model)", _asyncssh(model="object-store")),
        Family("mft-on-close", "MFT, takes what is closed (model)", _asyncssh(model="mft-on-close")),
        Family("mft-on-rename", "MFT, takes what is renamed (model)", _asyncssh(model="mft-on-rename")),
    )
}
"""Our own server with other meanings of open, close and rename: see :mod:`local.sftp_servers.models`."""
