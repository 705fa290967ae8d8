"""The secrets of one docker-compose stack: made once, kept in its volumes, known to nobody else.

    python -m local.compose.secrets

Two directories: Airflow's own secrets, and those of the partners whose part the stand-ins play.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import asyncssh
from cryptography.fernet import Fernet

from local.compose.places import AIRFLOW_SECRETS, GCS_URL, PARTNER_SECRETS
from local.gcs import service_account_key


def main() -> None:
    """Make what is not there yet."""
    _make(AIRFLOW_SECRETS, airflow_secrets())
    _make(PARTNER_SECRETS, partner_secrets())


def airflow_secrets() -> dict[str, str]:
    """What Airflow's configuration reads by its ``…_CMD`` options, and the servers behind it."""
    database, broker = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    return {
        "postgres-password": database,
        "redis-password": broker,
        "sql-alchemy-conn": f"postgresql+psycopg2://airflow:{database}@postgres/airflow",
        "celery-result-backend": f"db+postgresql://airflow:{database}@postgres/airflow",
        "celery-broker-url": f"redis://:{broker}@redis:6379/0",
        "fernet-key": Fernet.generate_key().decode(),
        "jwt-secret": secrets.token_hex(32),
        "api-secret-key": secrets.token_hex(32),
        "passwords.json": json.dumps({"admin": secrets.token_urlsafe(12)}),
    }


def partner_secrets() -> dict[str, str]:
    """The SFTP server's host key, the key that may log in there, and a Google service-account key."""
    host, client = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    return {
        "host_key": host.export_private_key().decode(),
        "host_key.pub": host.export_public_key().decode(),
        "client_key": client.export_private_key().decode(),
        "authorized_keys": client.export_public_key().decode(),
        "gcs-key.json": json.dumps(service_account_key(GCS_URL)),
    }


def _make(directory: Path, contents: dict[str, str]) -> None:
    """All or nothing: a set that is half made is made anew."""
    complete = directory / ".complete"
    if complete.exists():
        return
    for name, content in contents.items():
        path = directory / name
        path.touch(mode=0o600)
        path.write_text(content)
    complete.touch()


if __name__ == "__main__":
    main()
