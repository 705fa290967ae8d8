"""AWS clients from the environment's own identity, or from a role that a configuration names.

Plain botocore and not an Airflow hook: the container needs the same, and an idle run must not pay for importing one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import boto3.session
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

    from delivery.transfer.s3.access import S3Access

_CONNECTIONS = 64
_SESSION_NAME = "client-file-delivery"


def s3_client(*, region: str | None = None, role_arn: str | None = None, external_id: str | None = None) -> S3Client:
    """An S3 client; credentials of an assumed role renew themselves, for a large transfer outlives them."""
    client: S3Client = _session(role_arn, external_id).client("s3", region_name=region, config=_config(_CONNECTIONS))
    return client


def s3_access(*, region: str | None = None, role_arn: str | None = None, external_id: str | None = None) -> S3Access:
    """The same identity for the transfer engine, which sends the requests that move bytes itself."""
    from delivery.transfer.s3.access import S3Access

    session = _session(role_arn, external_id)
    client: S3Client = session.client("s3", region_name=region, config=_config(_CONNECTIONS))
    return S3Access(client, session.get_credentials())


def dynamodb_client() -> DynamoDBClient:
    """A DynamoDB client for the ledger."""
    client: DynamoDBClient = _session(None, None).client("dynamodb", config=_config(_CONNECTIONS))
    return client


def _config(connections: int) -> Any:
    from botocore.config import Config

    return Config(
        retries={"mode": "standard", "max_attempts": 6},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=connections,
        user_agent_extra=_SESSION_NAME,
    )


def _session(role_arn: str | None, external_id: str | None) -> boto3.session.Session:
    import boto3.session
    import botocore.session
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

    base = botocore.session.get_session()
    if role_arn is None:
        return boto3.session.Session(botocore_session=base)
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=base.create_client,
        source_credentials=base.get_credentials(),
        role_arn=role_arn,
        extra_args={"RoleSessionName": _SESSION_NAME, **({"ExternalId": external_id} if external_id else {})},
    )
    assumed = botocore.session.get_session()
    # botocore has no public way to give a session self-renewing credentials.
    assumed._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")  # type: ignore[attr-defined]
    return boto3.session.Session(botocore_session=assumed)
