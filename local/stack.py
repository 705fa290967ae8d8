"""All stand-ins together: AWS, Google Cloud Storage, two SFTP servers and a mailbox, under one work directory."""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import boto3
import httpx

from delivery.ledger import expressions
from delivery.ledger.entry import Entry
from delivery.ledger.schema import create_table
from local.gcs import service_account_key
from local.mailbox import Mailbox
from local.process import Service
from local.sshd import AsyncSsh, OpenSsh, SftpServer, find_sshd

PICKUP_BUCKET = "example-pickup"
S3_BUCKET = "example-partner-landing"
GCS_BUCKET = "example-gcs-landing"
LEDGER_TABLE = "client-file-ledger"
ECS_CLUSTER = "transfers"
ECS_FAMILY = "transfer"
ECS_LOG_GROUP = "/ecs/transfer"
SENDER = "deliveries@example.org"


class Stack:
    """The stand-ins, started when entered and ended when left."""

    aws_url: str
    gcs_url: str
    mailbox: Mailbox
    sftp: SftpServer
    """Key login: OpenSSH where it is installed, otherwise asyncssh."""
    sftp_password: SftpServer
    """Password login: asyncssh."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as starting:

            def started(server: Any) -> Any:
                starting.callback(server.stop)
                return server

            logs = self.directory / "logs"
            self.mailbox = started(Mailbox(self.directory / "mailbox"))
            smtp = f"127.0.0.1:{self.mailbox.smtp_port}"
            self.aws_url = url_of(started(Service("local.aws", "--smtp", smtp, log=logs / "aws.log")))
            objects = str(self.directory / "gcs")
            self.gcs_url = url_of(started(Service("local.gcs", "--directory", objects, log=logs / "gcs.log")))
            self.sftp_password = started(AsyncSsh(self.directory / "sftp-password")).server
            by_key = OpenSsh if find_sshd() else AsyncSsh
            self.sftp = started(by_key(self.directory / "sftp-key")).server
            self._prepare()
            self._exit = starting.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._exit.close()

    def client(self, service: str) -> Any:
        """A boto3 client for the AWS stand-in."""
        return self._session.client(service, endpoint_url=self.aws_url)

    @cached_property
    def gcs_key(self) -> str:
        """A service-account key that the GCS stand-in accepts, as JSON."""
        return json.dumps(service_account_key(self.gcs_url))

    def environment(self) -> dict[str, str]:
        """What a process needs to work against the stand-ins as it would against AWS and Google."""
        return {
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.aws_url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
            "AIRFLOW__DELIVERY__LEDGER_TABLE": LEDGER_TABLE,
            "AIRFLOW__DELIVERY__MAIL_SENDER": SENDER,
            "AIRFLOW__DELIVERY__GCS_ENDPOINT": self.gcs_url,
            "AIRFLOW__DELIVERY__ECS_CLUSTER": ECS_CLUSTER,
            "AIRFLOW__DELIVERY__ECS_TASK_DEFINITION": ECS_FAMILY,
            "AIRFLOW__DELIVERY__ECS_LOG_GROUP": ECS_LOG_GROUP,
            "AIRFLOW__DELIVERY__ECS_POLL_SECONDS": "1",
            "AIRFLOW__SECRETS__BACKEND": "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend",
            "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps(
                {
                    "connections_prefix": "airflow/connections",
                    "variables_prefix": None,
                    "config_prefix": None,
                }
            ),
        }

    def store_connection(self, connection_id: str, connection: dict[str, Any]) -> None:
        """Put a connection where MWAA's Airflow looks for it."""
        secrets_manager = self.client("secretsmanager")
        name = f"airflow/connections/{connection_id}"
        try:
            secrets_manager.create_secret(Name=name, SecretString=json.dumps(connection))
        except secrets_manager.exceptions.ResourceExistsException:
            secrets_manager.put_secret_value(SecretId=name, SecretString=json.dumps(connection))

    def ledger_entries(self, delivery_key: str) -> dict[str, Entry]:
        """All ledger entries of a client, by file name: the whole partition, as no product code may read it."""
        pages = (
            self.client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=LEDGER_TABLE,
                KeyConditionExpression="clientHNumber = :key",
                ExpressionAttributeValues={":key": {"S": delivery_key}},
            )
        )
        items = [expressions.from_item(item) for page in pages for item in page["Items"]]
        entries = [Entry.from_item(item) for item in items if not item["etag"].startswith("mail#")]
        return {entry.file_name: entry for entry in entries}

    def gcs(self, path: str) -> Any:
        """Ask the GCS stand-in's control pages: ``events``, ``requests``."""
        return httpx.get(f"{self.gcs_url}/_local/{path}", timeout=30).json()

    def gcs_contents(self, bucket: str, prefix: str) -> dict[str, bytes]:
        """What is visible in the GCS stand-in: names and bytes."""
        names = self.gcs(f"objects/{bucket}?prefix={quote(prefix)}")
        return {
            name: httpx.get(f"{self.gcs_url}/_local/content/{bucket}/{quote(name)}", timeout=60).content
            for name in names
        }

    def _prepare(self) -> None:
        s3 = self.client("s3")
        for bucket in (PICKUP_BUCKET, S3_BUCKET):
            s3.create_bucket(Bucket=bucket)
        create_table(self.client("dynamodb"), LEDGER_TABLE)
        self.client("ses").verify_email_identity(EmailAddress=SENDER)
        httpx.post(f"{self.gcs_url}/_local/buckets/{GCS_BUCKET}", timeout=30).raise_for_status()
        ecs = self.client("ecs")
        ecs.create_cluster(clusterName=ECS_CLUSTER)
        ecs.register_task_definition(
            family=ECS_FAMILY,
            containerDefinitions=[
                {
                    "name": "transfer",
                    "image": "transfer",
                    "memory": 512,
                    "command": ["python", "-m", "delivery.container"],
                    # What the task's role and its definition provide on AWS.
                    "environment": [{"name": name, "value": value} for name, value in self.environment().items()],
                    "logConfiguration": {
                        "logDriver": "awslogs",
                        "options": {"awslogs-group": ECS_LOG_GROUP, "awslogs-stream-prefix": "transfer"},
                    },
                }
            ],
        )

    @cached_property
    def _session(self) -> boto3.session.Session:
        return boto3.session.Session(aws_access_key_id="local", aws_secret_access_key="local", region_name="us-east-1")


def url_of(service: Service) -> str:
    """Where an HTTP stand-in listens."""
    return f"http://127.0.0.1:{service.facts['port']}"
