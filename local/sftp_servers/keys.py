"""Key pairs for the servers: made anew for each, in the forms that their programs read."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh


@dataclass(frozen=True)
class Credentials:
    """A server's host key, and what its one user logs in with."""

    host_key: str
    """``ssh-ed25519 AAAA…``."""
    host_key_file: Path
    """OpenSSH's format."""
    authorized_keys: Path
    """The user's public key, as OpenSSH keeps it."""
    private_key: str = field(repr=False)
    password: str = field(repr=False)


def make_credentials(directory: Path) -> Credentials:
    """Write ``host_key`` and ``authorized_keys`` into the directory."""
    host, user = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    host.write_private_key(directory / "host_key")
    (directory / "host_key").chmod(0o600)
    user.write_public_key(directory / "authorized_keys")
    return Credentials(
        host_key=" ".join(host.export_public_key().decode().split()[:2]),
        host_key_file=directory / "host_key",
        authorized_keys=directory / "authorized_keys",
        private_key=user.export_private_key().decode(),
        password=secrets.token_urlsafe(16),
    )
