"""ProFTPD with mod_sftp: frequent at hosting companies and in appliances."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import asyncssh

from local.ports import free_port
from local.process import find_program, start, stop
from local.sftp_servers.family import NO_ORDERS, Orders
from local.sftp_servers.keys import make_credentials
from local.sshd import SftpServer
from local.wait import wait_for_port

_CONFIG = """
ModulePath /usr/lib/proftpd
LoadModule mod_sftp.c
ServerType standalone
ServerName local
DefaultServer on
DefaultAddress 127.0.0.1
Port {port}
User {user}
Group {group}
RootLogin on
UseReverseDNS off
AuthUserFile {directory}/passwd
AuthGroupFile {directory}/group
AuthOrder mod_auth_file.c
RequireValidShell off
AllowOverwrite on
AllowStoreRestart on
PidFile {directory}/pid
ScoreboardFile {directory}/scoreboard
DelayTable none
MaxInstances 60
TransferLog none
WtmpLog off
SystemLog {directory}/proftpd.log
SFTPEngine on
SFTPLog {directory}/sftp.log
SFTPHostKey {directory}/host_key
SFTPAuthMethods publickey
SFTPAuthorizedUserKeys file:{directory}/authorized_keys.rfc4716
DefaultRoot {root}
{orders}
"""
_NO_RENAME = """
<Directory />
  <Limit RNFR RNTO>
    DenyAll
  </Limit>
</Directory>
"""


class ProFtpd:
    """A private ProFTPD for the current user; run by root, its sessions see nothing but the root directory."""

    def __init__(self, directory: Path, orders: Orders = NO_ORDERS) -> None:
        executable = find_program("proftpd")
        if executable is None:
            raise RuntimeError(
                "proftpd is not installed (Debian and Ubuntu: apt install proftpd-core proftpd-mod-crypto)"
            )
        root = directory / "root"
        root.mkdir(parents=True)
        credentials = make_credentials(directory)
        public = asyncssh.read_public_key(credentials.authorized_keys)
        public.write_public_key(directory / "authorized_keys.rfc4716", "rfc4716")
        me, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
        (directory / "passwd").write_text(f"client:*:{os.geteuid()}:{os.getegid()}::{root}:/bin/sh\n")
        (directory / "group").write_text(f"clients:*:{os.getegid()}:client\n")
        for name in ("passwd", "group"):
            (directory / name).chmod(0o600)
        port = free_port()
        config = directory / "proftpd.conf"
        config.write_text(
            _CONFIG.format(
                port=port,
                user=me,
                group=group,
                directory=directory,
                root=root,
                orders=_orders(orders),
            )
        )
        self.log_file = directory / "proftpd.log"
        command = [executable, "--nodaemon", "--config", str(config)]
        self._process = start(command, log=directory / "start.log")
        wait_for_port(port, self._process, directory / "start.log")
        self.server = SftpServer(
            kind="proftpd",
            host="127.0.0.1",
            port=port,
            host_key=credentials.host_key,
            username="client",
            root=root,
            private_key=credentials.private_key,
        )

    def stop(self) -> None:
        """End the server."""
        stop(self._process)


def _orders(orders: Orders) -> str:
    lines = _NO_RENAME if orders.refuse_rename else ""
    # It dies of the signal of a file that is too large; with this setting it refuses it.
    return lines + (f"MaxStoreFileSize {orders.largest_file} B\n" if orders.largest_file else "")


def missing() -> str | None:
    """Why it cannot be started here; None if it can."""
    if find_program("proftpd") and Path("/usr/lib/proftpd/mod_sftp.so").exists():
        return None
    return "proftpd with mod_sftp is not installed (Debian and Ubuntu: apt install proftpd-core proftpd-mod-crypto)"
