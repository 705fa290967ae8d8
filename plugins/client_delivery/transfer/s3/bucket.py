"""Requests to one bucket in S3, and what their refusals become."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from client_delivery.transfer.contract import TransferError
from client_delivery.transfer.http.pool import Response, Unreachable, error_code
from client_delivery.transfer.objects.api import Occupied
from client_delivery.transfer.objects.refusals import refusal
from client_delivery.transfer.s3.refusals import MEANINGS
from client_delivery.transfer.s3_wire.access import S3Access

if TYPE_CHECKING:
    from client_delivery.config.model import S3Section

DENIED = frozenset({"AccessDenied", "403"})
OCCUPIED = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict"})


class NotAllowed(Exception):
    """The role may not do this, and nothing depends on it."""


class S3Bucket:
    """One bucket, as one role sees it. For any number of threads."""

    def __init__(self, config: S3Section, access: S3Access) -> None:
        self.config = config
        self.s3 = access.client
        self._access = access

    def uri(self, key: str) -> str:
        """Where an object is."""
        return f"s3://{self.config.bucket}/{key}"

    def exchange(self, key: str, **request: Any) -> Response:
        """A PUT that this package sends itself, retried while the trouble may pass."""
        try:
            return self._access.exchange("PUT", self.config.bucket, key, **request)
        except Unreachable as error:
            raise self._unreachable("write", key, error) from error

    def require_success(self, response: Response, key: str, *, new: bool = False) -> None:
        """Raises what the response's refusal means.

        :param new: whether an object was to be created where none is known to be.
        """
        if response.status != 200:
            raise self._refused("write", key, response.status, *error_code(response), new=new)

    def call(
        self,
        verb: str,
        key: str,
        method: Callable[..., Any],
        *,
        missing: str = "",
        denied: Exception | None = None,
        denied_by: frozenset[str] = DENIED,
        new: bool = False,
        **request: Any,
    ) -> Any:
        """One of botocore's calls; None if it ends with the code ``missing``.

        Raises ``denied`` if it ends with a code of ``denied_by``, and
        :class:`~client_delivery.transfer.objects.api.Occupied`.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return method(Bucket=self.config.bucket, Key=key, **request)
        except ClientError as error:
            told = error.response.get("Error", {})
            code = str(told.get("Code", ""))
            about = error.response.get("ResponseMetadata", {})
            if code == missing:
                return None
            gone = code == "NoSuchKey" and ("IfMatch" in request or "CopySource" in request)
            if code in OCCUPIED or gone:
                raise Occupied(repeated=about.get("RetryAttempts", 1) > 0) from error
            if denied is not None and code in denied_by:
                raise denied from error
            status = about.get("HTTPStatusCode", 0)
            raise self._refused(verb, key, status, code, told.get("Message", ""), new=new) from error
        except BotoCoreError as error:
            raise self._unreachable(verb, key, type(error).__name__) from error

    def _unreachable(self, verb: str, key: str, why: object) -> TransferError:
        away = TransferError(f"S3 cannot be reached to {verb} {self.uri(key)}: {why}. It will be retried.")
        away.alike = "unreachable"
        return away

    def _refused(self, verb: str, key: str, status: int, code: str, reason: str, *, new: bool) -> TransferError:
        return refusal(
            MEANINGS,
            "S3",
            (status, code, reason),
            verb=verb,
            uri=self.uri(key),
            new=new,
            bucket=self.config.bucket,
            who=self.who,
        )

    @property
    def who(self) -> str:
        """The role, for messages."""
        return self.config.role_arn or "The environment's execution role"
