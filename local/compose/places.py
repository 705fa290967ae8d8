"""Where things are inside the docker-compose stack; ``docker-compose.yaml`` says the same."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path

from local.airflow_api import AirflowApi
from local.mailbox import Mailbox
from local.sshd import SftpServer
from local.stand_ins import StandIns

AIRFLOW_SECRETS = Path("/run/airflow-secrets")
PARTNER_SECRETS = Path("/run/partner-secrets")
CHECKOUT = Path("/checkout")
"""The ``dags`` and ``include`` folders of the checkout, live."""
DAGS = Path("/usr/local/airflow/dags")
"""As on MWAA, where the bucket's ``dags/`` folder is copied to it every few seconds; ``include`` is below it."""
CONFIGS = DAGS / "include" / "client_configs"
SFTP_HOME = Path("/srv/sftp")
AWS_URL = "http://aws:5000"
ECS_URL = "http://ecs:5000"
GCS_URL = "http://gcs:8000"
SFTP_PORT = 2222


class ComposeStandIns(StandIns):
    """The stand-ins that run as services of the stack."""

    aws_url, ecs_url, gcs_url = AWS_URL, ECS_URL, GCS_URL

    def __init__(self) -> None:
        self.mailbox = Mailbox("http://mailbox:8025/")

    @cached_property
    def sftp(self) -> SftpServer:  # type: ignore[override]
        """The only SFTP server: OpenSSH, login by key."""
        return SftpServer(
            kind="openssh",
            host="sftp",
            port=SFTP_PORT,
            host_key=(PARTNER_SECRETS / "host_key.pub").read_text().strip(),
            username="client",
            root=SFTP_HOME,
            private_key=(PARTNER_SECRETS / "client_key").read_text(),
        )

    @cached_property
    def gcs_key(self) -> str:
        """The service-account key that was made for this stack."""
        return (PARTNER_SECRETS / "gcs-key.json").read_text()


def airflow_api() -> AirflowApi:
    """Airflow, as its administrator."""
    return AirflowApi("http://api-server:8080", "admin", airflow_password())


def airflow_password() -> str:
    """The password of the user ``admin``."""
    password: str = json.loads((AIRFLOW_SECRETS / "passwords.json").read_text())["admin"]
    return password
