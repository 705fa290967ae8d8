"""The stand-ins for AWS, Google Cloud, SFTP and e-mail: where they are, what is prepared and what is in them.

:class:`local.stack.Stack` starts them as processes; `docker-compose.yaml` as containers.
"""

from __future__ import annotations

import json
import os
from functools import cached_property
from typing import Any
from urllib.parse import quote

import boto3
import httpx

from client_delivery.ledger.schema import create_table
from local.gcs import service_account_key
from local.ledger_item import LedgerItem
from local.mailbox import Mailbox
from local.sshd import SftpServer

PICKUP_BUCKET = "example-pickup"
PICKUP_BUCKETS = {"kms": "example-pickup-kms", "plain": "example-pickup-plain"}
"""The two kinds by name: encrypted by KMS and versioned, as the pick-ups on AWS are, and neither of it."""
PICKUP_KIND = os.environ.get("LOCAL_PICKUPS", "kms")
"""Which kind :data:`PICKUP_BUCKET` is."""
S3_BUCKET = "example-partner-landing"
PREPARED_BUCKET = "example-prepared"
"""Where files lie while they are delivered compressed or encrypted."""
GCS_BUCKET = "example-gcs-landing"
LEDGER_TABLE = "client-file-ledger"
ECS_CLUSTER = "transfers"
ECS_FAMILY = "transfer"
ECS_LOG_GROUP = "/ecs/transfer"
SENDER = "deliveries@example.org"
TASK_IDENTITY = "local-task"
"""The access key of ECS tasks, so that their calls can be told from the workers'."""


def encrypt_by_kms(s3: Any, bucket: str) -> None:
    """Make SSE-KMS a bucket's default, as infrastructure as code does: no ETag in it is an MD5 then."""
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})


def keep_versions(s3: Any, bucket: str) -> None:
    """Turn a bucket's versioning on, as infrastructure as code does."""
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


class StandIns:
    """Stand-ins that run."""

    aws_url: str
    ecs_url: str
    """ECS and CloudWatch Logs; the same as ``aws_url`` unless tasks run somewhere else."""
    gcs_url: str
    mailbox: Mailbox
    sftp: SftpServer
    """Key login: OpenSSH where it is installed, otherwise asyncssh."""
    sftp_password: SftpServer
    """Password login: asyncssh."""

    def client(self, service: str) -> Any:
        """A boto3 client for the AWS stand-in."""
        session: Any = self._session  # its stubs want the service's name as a literal
        return session.client(service, endpoint_url=self.ecs_url if service in ("ecs", "logs") else self.aws_url)

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
            "AIRFLOW__DELIVERY__PREPARED_LOCATION": f"s3://{PREPARED_BUCKET}/files/",
            "AIRFLOW__DELIVERY__ECS_CLUSTER": ECS_CLUSTER,
            "AIRFLOW__DELIVERY__ECS_TASK_DEFINITION": ECS_FAMILY,
            "AIRFLOW__DELIVERY__ECS_LOG_GROUP": ECS_LOG_GROUP,
            "AIRFLOW__DELIVERY__ECS_POLL_SECONDS": "1",
            "AIRFLOW__SECRETS__BACKEND": "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend",
            "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps(
                {
                    "connections_prefix": "airflow/connections",
                    "connections_lookup_pattern": "^(?!aws_default$).*$",
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

    def ledger_entries(self, delivery_key: str) -> dict[str, LedgerItem]:
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
        entries = [LedgerItem.of(item) for page in pages for item in page["Items"] if "status" in item]
        return {entry.file_name: entry for entry in entries}

    def order_index_lag(self, seconds: float, seed: int = 0) -> None:
        """From now on DynamoDB's index knows of a change after 0 to so many seconds; 0: at once."""
        order = {"seconds": seconds, "seed": seed}
        httpx.post(f"{self.aws_url}/_local/index-lag", json=order, timeout=30).raise_for_status()

    def gcs(self, path: str) -> Any:
        """Ask the GCS stand-in's control pages: ``events``, ``requests``."""
        return httpx.get(f"{self.gcs_url}/_local/{path}", timeout=30).json()

    def gcs_contents(self, bucket: str, prefix: str) -> dict[str, bytes]:
        """What is visible in the GCS stand-in: names and bytes."""
        found = {}
        with httpx.Client(timeout=60) as client:
            for name in self.gcs(f"objects/{bucket}?prefix={quote(prefix)}"):
                # As it is stored: httpx would decode what says that it is encoded.
                with client.stream("GET", f"{self.gcs_url}/_local/content/{bucket}/{quote(name)}") as content:
                    found[name] = b"".join(content.iter_raw())
        return found

    def prepare(self) -> None:
        """Make what infrastructure as code makes on AWS: buckets, ledger, sender, cluster, task definition."""
        s3 = self.client("s3")
        for bucket in (PICKUP_BUCKET, *PICKUP_BUCKETS.values(), S3_BUCKET, PREPARED_BUCKET):
            s3.create_bucket(Bucket=bucket)
        encrypt_by_kms(s3, PREPARED_BUCKET)
        for bucket in (PICKUP_BUCKETS["kms"], *([PICKUP_BUCKET] if PICKUP_KIND == "kms" else [])):
            encrypt_by_kms(s3, bucket)
            keep_versions(s3, bucket)
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
                    "command": ["python", "-m", "client_delivery.container"],
                    # What the task's role and its definition provide on AWS.
                    "environment": [
                        {"name": name, "value": value}
                        for name, value in (self.environment() | {"AWS_ACCESS_KEY_ID": TASK_IDENTITY}).items()
                    ],
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
