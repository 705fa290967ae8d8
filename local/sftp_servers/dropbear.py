"""dropbear with OpenSSH's sftp-server behind it: routers, NAS boxes, embedded Linux.

Its receive window is 24 KiB unless it is told otherwise: smaller than one write of 32 KiB.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from local.ports import free_port
from local.process import find_program, start, stop
from local.sftp_servers.family import NO_ORDERS, Orders
from local.sftp_servers.keys import make_credentials
from local.sshd import SftpServer
from local.wait import wait_for_port

SFTP_SERVER = Path("/usr/lib/openssh/sftp-server")
_WRAPPERS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib")
_PACKAGES = "dropbear-bin openssh-sftp-server libnss-wrapper"


class Dropbear:
    """A private dropbear for the current user, who gets a home of its own in it.

    dropbear reads the authorized keys in the home directory that the system names; libnss-wrapper names another one.
    """

    def __init__(self, directory: Path, orders: Orders = NO_ORDERS) -> None:
        executable, wrapper = find_program("dropbear"), _wrapper()
        if executable is None or wrapper is None:
            raise RuntimeError(missing())
        home, root = directory / "home", directory / "root"
        (home / ".ssh").mkdir(parents=True, mode=0o700)
        root.mkdir()
        credentials = make_credentials(directory)
        shutil.copy(credentials.authorized_keys, home / ".ssh" / "authorized_keys")
        for secret in (home, home / ".ssh", home / ".ssh" / "authorized_keys"):
            secret.chmod(0o700 if secret.is_dir() else 0o600)
        host_key = directory / "dropbear_host_key"
        subprocess.run(["dropbearkey", "-t", "ed25519", "-f", str(host_key)], check=True, capture_output=True)
        shown = subprocess.run(["dropbearkey", "-y", "-f", str(host_key)], check=True, capture_output=True, text=True)
        public = next(line for line in shown.stdout.splitlines() if line.startswith("ssh-ed25519 "))
        (directory / "passwd").write_text(f"client:*:{os.geteuid()}:{os.getegid()}::{home}:/bin/sh\n")
        (directory / "group").write_text(f"clients:*:{os.getegid()}:client\n")
        sftp = [str(SFTP_SERVER), "-e", "-d", str(root)]
        if orders.refuse_rename:
            sftp += ["-P", "rename,posix-rename"]
        port = free_port()
        self.log_file = directory / "dropbear.log"
        self._process = start(
            [
                "env",
                f"LD_PRELOAD={wrapper}",
                f"NSS_WRAPPER_PASSWD={directory}/passwd",
                f"NSS_WRAPPER_GROUP={directory}/group",
                *(executable, "-F", "-E", "-s", "-j", "-k", "-m", "-P", str(directory / "pid")),
                *("-p", f"127.0.0.1:{port}", "-r", str(host_key), "-c", shlex.join(sftp)),
            ],
            log=self.log_file,
            largest_file=orders.largest_file,
        )
        wait_for_port(port, self._process, self.log_file)
        self.server = SftpServer(
            kind="dropbear",
            host="127.0.0.1",
            port=port,
            host_key=" ".join(public.split()[:2]),
            username="client",
            root=root,
            private_key=credentials.private_key,
        )

    def stop(self) -> None:
        """End the server."""
        stop(self._process)


def missing() -> str | None:
    """Why it cannot be started here; None if it can."""
    if find_program("dropbear") and SFTP_SERVER.exists() and _wrapper():
        return None
    return f"dropbear, sftp-server or libnss_wrapper is not installed (Debian and Ubuntu: apt install {_PACKAGES})"


def _wrapper() -> Path | None:
    places = (Path(place) / "libnss_wrapper.so" for place in _WRAPPERS)
    return next((place for place in places if place.exists()), None)
