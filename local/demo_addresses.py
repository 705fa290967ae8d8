"""Where everything of a running demo is: printed as soon as it is up, and kept for `make ledger`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

from local import demo_payer
from local.airflow import Airflow
from local.demo_clients import DemoClient
from local.demo_payer import Payer
from local.process import ROOT
from local.sshd import SftpServer
from local.stack import Stack
from local.stand_ins import GCS_BUCKET, LEDGER_TABLE, PICKUP_BUCKET, S3_BUCKET, StandIns

WORK = ROOT / ".local" / "demo"
_KEPT = WORK / "addresses.json"


class RunningDemo(StandIns):
    """The stand-ins of a demo that another process runs. Raises RuntimeError if none runs."""

    def __init__(self) -> None:
        if not _KEPT.exists():
            raise RuntimeError(
                "No demo is up. Start one with `make demo`, and ask again when it has printed its addresses."
            )
        kept: Mapping[str, str] = json.loads(_KEPT.read_text())
        self.aws_url = self.ecs_url = kept["aws"]
        self.gcs_url = kept["gcs"]


def keep(stack: Stack) -> None:
    """Tell other processes where the stand-ins are, until :func:`forget`."""
    _KEPT.write_text(json.dumps({"aws": stack.aws_url, "gcs": stack.gcs_url}))


def forget() -> None:
    """The demo is over."""
    _KEPT.unlink(missing_ok=True)


def addresses(stack: Stack, airflow: Airflow, clients: list[DemoClient], payer: Payer) -> str:
    """Where to look, with log-ins, and what to play with. The passwords are made anew by each demo."""
    pickup = clients[0].config.pickup
    relative = (WORK / "client_configs").relative_to(ROOT)
    return f"""
Deliveries    {airflow.url.rstrip("/")}/plugin/deliveries   (every client and file, in the Airflow UI)
Airflow UI    {airflow.url}   (no login needed)
Mailbox       {stack.mailbox.url}   (every e-mail, chat message and webhook that is sent)
Ledger        make ledger   (DynamoDB table {LEDGER_TABLE}; CLIENT=H1001 for one client)
S3            {stack.aws_url}   access key "local", secret key "local"
              pick-ups in {PICKUP_BUCKET}, partners' files in {S3_BUCKET}
Google        {stack.gcs_url}   partners' files: {stack.gcs_url}/_local/objects/{GCS_BUCKET}?prefix=
SFTP (key)    {login(stack.sftp, key=True)}
SFTP (passw.) {login(stack.sftp_password, key=False)}
{demo_payer.where(payer)}

Drop a file   .venv/bin/python -m local.drop {stack.aws_url} README.md {pickup.bucket} {pickup.prefix}
              and watch the DAG {clients[0].config.name!r}: it looks every minute
Add a client  put a YAML file into {relative}
Test a place  make check-destination NAME={clients[0].config.name} DEMO=1
Ctrl-C        ends everything
"""


def login(server: SftpServer, *, key: bool) -> str:
    """How to look into an SFTP server with OpenSSH's client; a key is kept in a file for it."""
    options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    place = f"{server.username}@{server.host}"
    if key and server.private_key:
        file = WORK / "sftp_key"
        file.touch(mode=0o600)
        file.write_text(server.private_key)
        return f"sftp -P {server.port} -i {_shown(file)} {options} {place}"
    return f"sftp -P {server.port} {options} {place}   password {server.password}"


def _shown(path: Path) -> str:
    return shlex.quote(str(path.relative_to(ROOT)))
