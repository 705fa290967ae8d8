"""OpenSSH's server as a service of the stack, without root: python -m local.compose.sftp."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from local.compose.places import PARTNER_SECRETS, SFTP_HOME, SFTP_PORT
from local.sshd import find_sshd, sshd_config


def main() -> None:
    """Become sshd."""
    executable = find_sshd()
    if executable is None:
        raise RuntimeError("the image lacks OpenSSH's server")
    directory = Path(tempfile.mkdtemp())
    for name in ("host_key", "authorized_keys"):
        path = directory / name
        path.touch(mode=0o600)  # sshd insists
        path.write_text((PARTNER_SECRETS / name).read_text())
    config = directory / "sshd_config"
    config.write_text(sshd_config(directory, SFTP_HOME, "0.0.0.0", SFTP_PORT))
    os.execv(executable, [executable, "-D", "-e", "-f", str(config)])


if __name__ == "__main__":
    main()
