"""Workload identity federation: Google takes the word of another identity provider, and no long-lived key exists.

The file says where to get a token and where to send it. It comes from a partner, and Google asks to validate it before
use (https://cloud.google.com/docs/authentication/external/externally-sourced-credentials): tokens go to Google alone,
nothing is executed, and no file of a worker or a container is read.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from google.auth.exceptions import RefreshError

_GOOGLE = "googleapis.com"
_ALSO_GOOGLE = frozenset({"accounts.google.com"})
"""Older service-account keys name it as their ``token_uri``."""
_AWS = "urn:ietf:params:aws:token-type:aws4_request"
_REFUSED_SOURCES = {
    "executable": "a program to run, which is never allowed here",
    "file": "a file, which does not exist on a worker or in a container",
    "certificate": "a certificate file, which does not exist on a worker or in a container",
}


class UnusableFile(ValueError):
    """Google's file cannot be used. The message says why, and never quotes it."""


class NoAwsCredentials(RefreshError):
    """The AWS side of the federation: this worker or container has no credentials of its own just now."""


class GoogleHosts:
    """Which hosts may be asked for tokens.

    :param endpoint: where Cloud Storage is, by the environment's settings. Its host is trusted as well: a stand-in, or
        another Google universe.
    """

    def __init__(self, endpoint: str = "") -> None:
        parts = urlsplit(endpoint)
        self._origin = (parts.scheme, parts.netloc)
        self._host = parts.hostname or ""

    def require_universe(self, universe: object) -> None:
        """Raises :class:`UnusableFile` for the file of a cloud that this environment does not deliver to."""
        if universe not in (None, "", _GOOGLE) and not self._host.endswith(f".{universe}"):
            raise UnusableFile(
                "its file is for another cloud ('universe_domain') than the one that delivery.gcs_endpoint names"
            )

    def require(self, url: object, field: str) -> None:
        """Raises :class:`UnusableFile` unless it is one of Google's, by HTTPS."""
        parts = urlsplit(url) if isinstance(url, str) else None
        if parts is not None and parts.netloc and (parts.scheme, parts.netloc) == self._origin:
            return
        host = (parts.hostname or "") if parts else ""
        universe = self._host.removeprefix("storage.")
        ours = host == _GOOGLE or host.endswith(f".{_GOOGLE}") or host in _ALSO_GOOGLE
        if parts is None or parts.scheme != "https" or not (ours or (universe and host.endswith(f".{universe}"))):
            raise UnusableFile(
                f"{field!r} in its file is not an address of Google's ('https://….googleapis.com/…'): tokens are "
                "sent nowhere else"
            )


def federated(info: Mapping[str, Any], hosts: GoogleHosts) -> Any:
    """Credentials by workload identity federation. Raises :class:`UnusableFile`, and what google-auth raises."""
    from google.auth import aws, identity_pool

    for field in ("audience", "subject_token_type"):
        if not isinstance(info.get(field), str):
            raise UnusableFile(f"its federation configuration lacks {field!r}")
    chosen = {**info, "token_url": info.get("token_url") or f"https://sts.{_GOOGLE}/v1/token"}
    hosts.require(chosen["token_url"], "token_url")
    if chosen.get("service_account_impersonation_url"):
        hosts.require(chosen["service_account_impersonation_url"], "service_account_impersonation_url")
    source = chosen.pop("credential_source", None) or {}
    if not isinstance(source, Mapping):
        raise UnusableFile("'credential_source' in its federation configuration is not a JSON object")
    for kind, why in _REFUSED_SOURCES.items():
        if kind in source:
            raise UnusableFile(f"its federation configuration takes its token from {why}")
    if info["subject_token_type"] == _AWS or str(source.get("environment_id", "")).startswith("aws"):
        return aws.Credentials.from_info({**chosen, "aws_security_credentials_supplier": _supplier()})
    if "url" not in source:
        raise UnusableFile("its federation configuration does not say where its token comes from")
    _require_public(source["url"], hosts)
    return identity_pool.Credentials.from_info({**chosen, "credential_source": source})


def _require_public(url: object, hosts: GoogleHosts) -> None:
    """What is read there is sent on to Google: so never from a metadata service, nor from what stands beside us.

    Metadata services and ECS's endpoint for credentials speak plain HTTP, at addresses without a name.
    """
    try:
        hosts.require(url, "url")  # a stand-in
    except UnusableFile:
        parts = urlsplit(str(url))
        host = parts.hostname or ""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            named = "." in host and not host.endswith((".internal", ".local", ".localhost"))
        else:
            named = False
        if parts.scheme != "https" or not named:
            raise UnusableFile(
                "its federation configuration takes its token from a 'url' that is no public https address with a name"
            ) from None


def _supplier() -> Any:
    """AWS credentials as botocore finds them.

    Google's own library knows environment variables and EC2's metadata service. MWAA's workers and Fargate have
    neither: their credentials come from the container endpoint, and botocore renews them.
    """
    import botocore.session
    from botocore.exceptions import BotoCoreError
    from google.auth import aws

    class Supplier(aws.AwsSecurityCredentialsSupplier):
        def __init__(self) -> None:
            self._session = botocore.session.get_session()

        def get_aws_security_credentials(self, context: Any, request: Any) -> Any:
            try:
                credentials: Any = self._session.get_credentials()
                frozen = credentials.get_frozen_credentials() if credentials else None
            except BotoCoreError as error:
                raise NoAwsCredentials(type(error).__name__) from None
            if frozen is None:
                raise NoAwsCredentials("no role is attached")
            return aws.AwsSecurityCredentials(frozen.access_key, frozen.secret_key, frozen.token)

        def get_aws_region(self, context: Any, request: Any) -> str:
            region = self._session.get_config_variable("region") or os.environ.get("AWS_REGION")
            return region or "us-east-1"

    return Supplier()
