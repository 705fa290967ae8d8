"""A pick-up's place in S3, and what S3's refusals there mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from client_delivery.runtime.backoff import Backoff

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from client_delivery.config.model import ClientConfig

PARALLEL = 16
"""Requests at once."""
CONFLICT = Backoff(first=0.2, longest=1.0, jitter=False)
VERSIONS_LOOKED_AT = 20


class PickupError(Exception):
    """The pick-up cannot be used. The message says which bucket, why, and what to do."""


class Place:
    """The pick-up of one configuration, over an S3 client that already has its region and role."""

    def __init__(self, config: ClientConfig, s3: S3Client) -> None:
        self._config = config
        self._bucket = config.pickup.bucket
        self._s3 = s3


@contextmanager
def explained(config: ClientConfig, verb: str, what: str) -> Iterator[None]:
    """Turns S3's response into an error that says what to do."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (ClientError, BotoCoreError) as error:
        pickup = config.pickup
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
        identity = f"the role {pickup.role_arn}" if pickup.role_arn else "the environment's execution role"
        denied = f"access denied to {identity}; have its policy and the bucket's policy allow it"
        advice = {
            "NoSuchBucket": f"there is no bucket {pickup.bucket!r}; correct pickup.bucket, or have it created",
            "AccessDenied": denied,
            "403": denied,
            "ExpiredToken": "the AWS credentials have expired; the next try takes new ones",
        }.get(code, str(error))
        where = f"Cannot {verb} s3://{pickup.bucket}/{what} in the pick-up of {config.name}"
        raise PickupError(f"{where}: {advice} [{code}].") from error


def version_of(head: Any) -> str | None:
    """The version that S3 reported for an object; None if the bucket keeps none."""
    version = head.get("VersionId")
    return None if version == "null" else version
