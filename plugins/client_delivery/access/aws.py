"""AWS clients from the environment's own identity, or from a role that a configuration names.

Plain botocore and not an Airflow hook: the container needs the same, and an idle run must not pay for importing one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from client_delivery.transfer.contract import DestinationUnavailable

if TYPE_CHECKING:
    import boto3.session
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ses import SESClient

    from client_delivery.config.destinations import S3Section
    from client_delivery.config.pickup import PickupSection
    from client_delivery.transfer.s3_wire.access import S3Access

THROTTLED = frozenset({"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException"})
"""AWS's error codes for a request that came too soon."""
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"})
_CONNECTIONS = 64
_WATCHING = 8
"""Connections of a client that watches: as many as there are looks at once."""
_SESSION_NAME = "client-file-delivery"


class IdentityUnavailable(DestinationUnavailable):
    """There are no AWS credentials, or a role that a configuration names cannot be assumed: now, or at all."""


def passes(code: str, status: int) -> bool:
    """Whether an AWS service that refuses with this error code and HTTP status is only in trouble."""
    return status >= 500 or code in THROTTLED


def no_region(error: Exception) -> str:
    """What to do if that is why AWS was not asked; empty if it is not.

    Every service but S3 needs one, and botocore finds it in AWS_DEFAULT_REGION or the profile
    (https://boto3.amazonaws.com/v1/documentation/api/latest/guide/configuration.html).
    """
    if type(error).__name__ != "NoRegionError":
        return ""
    return "No AWS region is known: set AWS_DEFAULT_REGION, for example to us-east-1, or a region in the AWS profile."


def identity_for(place: PickupSection | S3Section) -> dict[str, str | None]:
    """By what role, and in which region, a configuration's bucket is used: for the two functions below."""
    return {"region": place.region, "role_arn": place.role_arn, "external_id": place.external_id}


def s3_client(*, region: str | None = None, role_arn: str | None = None, external_id: str | None = None) -> S3Client:
    """An S3 client; credentials of an assumed role renew themselves, for a large transfer outlives them."""
    client: S3Client = _session(role_arn, external_id).client("s3", region_name=region, config=_s3_config())
    return client


def s3_access(*, region: str | None = None, role_arn: str | None = None, external_id: str | None = None) -> S3Access:
    """The same identity for the transfer engine, which sends the requests that move bytes itself."""
    from client_delivery.transfer.s3_wire.access import S3Access

    session = _session(role_arn, external_id)
    client: S3Client = session.client("s3", region_name=region, config=_s3_config())
    return S3Access(client, session.get_credentials())


def dynamodb_client(*, patient: bool = True) -> DynamoDBClient:
    """A DynamoDB client for the ledger; one that is not ``patient`` gives up after seconds."""
    config = _config(_CONNECTIONS) if patient else _config(1, attempts=2, connect_seconds=2, read_seconds=3)
    client: DynamoDBClient = _session(None, None).client("dynamodb", config=config)
    return client


@lru_cache(maxsize=512)
def watching_s3_client(
    *, region: str | None = None, role_arn: str | None = None, external_id: str | None = None
) -> S3Client:
    """As :func:`s3_client`, for all who use one identity in one process, and with little patience: a watcher asks
    again in any case. Of a thousand clients with roles of their own each would take 12 MiB; with botocore's
    descriptions read once it is half a MiB.
    """
    config = _s3_config().merge(_watching_config())
    client: S3Client = _session(role_arn, external_id, loader=_loader()).client("s3", region_name=region, config=config)
    return client


@lru_cache(maxsize=1)
def watching_dynamodb_client() -> DynamoDBClient:
    """A DynamoDB client for all who watch in one process."""
    client: DynamoDBClient = _session(None, None, loader=_loader()).client("dynamodb", config=_watching_config())
    return client


def _watching_config() -> Any:
    return _config(_WATCHING, attempts=2, connect_seconds=3, read_seconds=10)


@lru_cache(maxsize=1)
def _loader() -> Any:
    from botocore.loaders import create_loader

    return create_loader()


def events_client() -> Any:
    """An EventBridge client that makes each call once, and gives up after seconds: a call whose response was lost may
    have put its event."""
    return _one_call_client("events", None, connect_seconds=2, read_seconds=5)


def secrets_manager_client(region: str | None = None) -> SecretsManagerClient:
    """A Secrets Manager client for the destinations' credentials."""
    client: SecretsManagerClient = _session(None, None).client("secretsmanager", region_name=region, config=_config(1))
    return client


def ses_client(region: str | None = None) -> SESClient:
    """An SES client that makes one call and no more: a call whose response was lost may have sent the e-mail (R7.2)."""
    # It responds in a second or does not: no task waits longer than this for it.
    client: SESClient = _one_call_client("ses", region, connect_seconds=10, read_seconds=30)
    return client


def messaging_client(service: str, region: str | None, seconds: float) -> Any:
    """A client of SNS (``sns``) or EventBridge (``events``) with this environment's own identity, that makes one call
    in so many seconds and no more."""
    return _one_call_client(service, region, connect_seconds=min(5.0, seconds), read_seconds=seconds)


def _one_call_client(service: str, region: str | None, *, connect_seconds: float, read_seconds: float) -> Any:
    from botocore.config import Config

    # max_attempts counts the retries, total_max_attempts all of them
    # (https://botocore.amazonaws.com/v1/documentation/api/latest/reference/config.html).
    once = Config(connect_timeout=connect_seconds, read_timeout=read_seconds, retries={"total_max_attempts": 1})
    session: Any = _session(None, None)
    return session.client(service, region_name=region, config=_config(1).merge(once))


def _s3_config() -> Any:
    """Every bucket is asked for at its region's own endpoint; for us-east-1 botocore's default is the global one."""
    from botocore.config import Config

    return _config(_CONNECTIONS).merge(Config(s3={"us_east_1_regional_endpoint": "regional"}))


def _config(connections: int, *, attempts: int = 6, connect_seconds: int = 10, read_seconds: int = 60) -> Any:
    from botocore.config import Config

    return Config(
        retries={"mode": "standard", "max_attempts": attempts},
        connect_timeout=connect_seconds,
        read_timeout=read_seconds,
        max_pool_connections=connections,
        user_agent_extra=_SESSION_NAME,
    )


def _session(role_arn: str | None, external_id: str | None, loader: Any = None) -> boto3.session.Session:
    """``loader``: of botocore's descriptions of services, to be shared."""
    import boto3.session
    import botocore.session
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

    base = botocore.session.get_session()
    if loader is not None:
        base.register_component("data_loader", loader)
    own = _credentials(base)
    if role_arn is None:
        return boto3.session.Session(botocore_session=base)
    if own is None:
        raise IdentityUnavailable(_no_credentials("no role is attached"))
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=partial(base.create_client, config=_config(1)),
        source_credentials=own,
        role_arn=role_arn,
        extra_args={"RoleSessionName": _SESSION_NAME, **({"ExternalId": external_id} if external_id else {})},
    )
    assumed = botocore.session.get_session()
    if loader is not None:
        assumed.register_component("data_loader", loader)
    # botocore has no public way to give a session self-renewing credentials.
    assumed._credentials = DeferredRefreshableCredentials(  # type: ignore[attr-defined]
        partial(_assumed, role_arn, fetcher.fetch_credentials), "assume-role"
    )
    return boto3.session.Session(botocore_session=assumed)


def _credentials(session: Any) -> Any:
    """What a session signs with; None if there is nothing."""
    from botocore.exceptions import BotoCoreError

    try:
        return session.get_credentials()
    except BotoCoreError as error:
        raise IdentityUnavailable(_no_credentials(type(error).__name__)) from None


def _assumed(role_arn: str, fetch: Callable[[], Any]) -> Any:
    """Fresh credentials of the role. A token service in trouble is told from a role that may not be assumed."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return fetch()
    except ClientError as error:
        code = str(error.response["Error"]["Code"])
        if passes(code, error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)):
            raise IdentityUnavailable(_in_trouble(role_arn, code)) from None
        if code in _EXPIRED:
            raise IdentityUnavailable(
                f"AWS refuses the identity that was to assume the role {role_arn} [{code}]. The role is not the "
                "cause; the next attempt asks with new credentials."
            ) from None
        raise IdentityUnavailable(
            f"The role {role_arn} cannot be assumed [{code}]. Its trust policy must name this environment's roles and, "
            "if the configuration has an external_id, that one exactly; our own roles' policies must allow "
            "sts:AssumeRole on it (make deploy-clients). AWS says: "
            f"{error.response['Error'].get('Message', 'nothing')}"
        ) from None
    except BotoCoreError as error:
        raise IdentityUnavailable(no_region(error) or _in_trouble(role_arn, type(error).__name__)) from None


def _in_trouble(role_arn: str, code: str) -> str:
    return (
        f"AWS's token service cannot provide the role {role_arn} at the moment [{code}]: it is overloaded or "
        "unreachable. The role is not the cause; the next attempt asks again."
    )


def _no_credentials(why: str) -> str:
    return (
        f"There are no AWS credentials ({why}). Expected the environment's execution role, or the task's role in ECS; "
        "the next attempt asks again."
    )
