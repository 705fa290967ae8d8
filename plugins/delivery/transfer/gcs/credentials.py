"""Google credentials from an Airflow connection: a service-account key, or workload identity federation (R2.2)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from delivery.transfer.contract import DestinationUnavailable

if TYPE_CHECKING:
    from delivery.secret import Secret

_SCOPES = ("https://www.googleapis.com/auth/devstorage.read_write",)


def credentials_from(secret: Secret) -> Any:
    """Credentials that renew themselves. Raises :class:`DestinationUnavailable`; never quotes the secret."""
    from google.auth import identity_pool
    from google.auth.exceptions import GoogleAuthError
    from google.oauth2 import service_account

    problem = "its type is neither service_account nor external_account"
    try:
        info = _info(secret)
        match info.get("type"):
            case "service_account":
                return service_account.Credentials.from_service_account_info(info, scopes=_SCOPES)
            case "external_account" if "aws" in str(info.get("subject_token_type")):
                return _federated_from_aws(info)
            case "external_account":
                return identity_pool.Credentials.from_info(info, scopes=_SCOPES)
    except (GoogleAuthError, ValueError, TypeError, KeyError) as error:
        problem = type(error).__name__
    raise DestinationUnavailable(
        f"The Airflow connection {secret.connection_id!r} holds no usable Google credential ({problem}). Expected the "
        "extra 'keyfile_dict' with a service-account key or a workload-identity-federation configuration, as JSON."
    )


def _info(secret: Secret) -> dict[str, Any]:
    value = secret.extra.get("keyfile_dict") or secret.extra.get("extra__google_cloud_platform__keyfile_dict")
    info = json.loads(value) if isinstance(value, str) else value
    if not isinstance(info, dict):
        raise TypeError("keyfile_dict")
    return info


def _federated_from_aws(info: dict[str, Any]) -> Any:
    """Google's library would ask the EC2 metadata service, which MWAA and Fargate lack; botocore knows where to ask."""
    import botocore.session
    from google.auth import aws

    class Supplier(aws.AwsSecurityCredentialsSupplier):
        def __init__(self) -> None:
            self._session = botocore.session.get_session()

        def get_aws_security_credentials(self, context: Any, request: Any) -> Any:
            credentials: Any = self._session.get_credentials()
            frozen = credentials.get_frozen_credentials()
            return aws.AwsSecurityCredentials(frozen.access_key, frozen.secret_key, frozen.token)

        def get_aws_region(self, context: Any, request: Any) -> str:
            return self._session.get_config_variable("region") or "us-east-1"

    wanted = {key: value for key, value in info.items() if key not in ("type", "credential_source")}
    credentials = aws.Credentials(aws_security_credentials_supplier=Supplier(), **wanted)
    return credentials.with_scopes(_SCOPES)
