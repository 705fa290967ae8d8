"""What every child would import and read again: done once, in the process that they are forked from."""

from __future__ import annotations

import importlib
from functools import cache

import boto3.session
import botocore.loaders
import botocore.session

for name in (
    "aiobotocore.session",
    "airflow.providers.amazon.aws.hooks.ses",
    "airflow.providers.amazon.aws.operators.ecs",
    "client_delivery.access.aws",
    "client_delivery.operators.offload",
    "client_delivery.transfer.delivering.destinations",
    "client_delivery.transfer.gcs.destination",
    "client_delivery.transfer.s3.destination",
    "client_delivery.transfer.sftp.destination",
    "google.auth.transport.urllib3",
    "google.oauth2.service_account",
    "tests.faults.crash",
):
    importlib.import_module(name)

# botocore reads its descriptions of the services once, not for every client.
botocore.session.create_loader = cache(botocore.loaders.create_loader)  # type: ignore[attr-defined]
for service in ("dynamodb", "ecs", "logs", "s3", "secretsmanager", "ses", "sts"):
    boto3.session.Session("none", "none", region_name="us-east-1").client(service)
