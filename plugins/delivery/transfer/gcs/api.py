"""Signed-in requests to Google Cloud Storage's XML API, and what its refusals mean."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from delivery.transfer.contract import DestinationUnavailable, IntegrityError, TransferError
from delivery.transfer.gcs.credentials import credentials_from
from delivery.transfer.http.connection import Body, Request, trusted_authorities
from delivery.transfer.http.pool import HttpPool, Response, Unreachable, error_code

if TYPE_CHECKING:
    from delivery.config.model import GcsDestination
    from delivery.secret import Secret


class GcsApi:
    """One bucket, as one account sees it. For any number of threads."""

    def __init__(self, config: GcsDestination, secret: Secret, endpoint: str, pool: HttpPool | None = None) -> None:
        self._config = config
        self._endpoint = endpoint.rstrip("/")
        self._credentials = credentials_from(secret)
        self._pool = pool or HttpPool()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def __call__(
        self,
        method: str,
        key: str,
        *,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes | Body = b"",
        accept: tuple[int, ...] = (200,),
    ) -> Response:
        """One call, tried again while the trouble passes.

        Raises :class:`TransferError` or one of its kinds if the answer's status is not in ``accept``.
        """
        url = f"{self._endpoint}/{self._config.bucket}/{quote(key, safe='/~')}"
        if query:
            url += f"?{query}"

        def build() -> Request:
            return Request(method, url, {**self._identity(method, url), **(headers or {})}, body)

        try:
            answer = self._exchange(build, accept)
        except Unreachable as error:
            raise TransferError(
                f"Google Cloud Storage cannot be reached ({error}). Check the network's way out; it is tried again."
            ) from error
        if answer.status not in accept:
            with answer:
                raise self._refused(answer, key)
        return answer

    def _exchange(self, build: Callable[[], Request], accept: tuple[int, ...]) -> Response:
        answer = self._pool.exchange(build, accept=lambda answer: answer.status in accept)
        if answer.status == 401 and 401 not in accept:
            # A token may be revoked before its time: one new one is asked for.
            answer.close()
            self._forget_token()
            answer = self._pool.exchange(build, accept=lambda answer: answer.status in accept)
        return answer

    def _identity(self, method: str, url: str) -> dict[str, str]:
        from google.auth.exceptions import GoogleAuthError, TransportError

        headers = {"x-goog-user-project": self._config.project} if self._config.project else {}
        try:
            with self._lock:
                self._credentials.before_request(self._transport, method, url, headers)
        except TransportError:
            raise DestinationUnavailable(
                "Google's token service cannot be reached: the network or Google is in trouble. The credential is not "
                "the reason; the next attempt asks again."
            ) from None
        except GoogleAuthError as error:
            raise DestinationUnavailable(
                f"Google refuses the credential in the Airflow connection {self._config.connection_id!r} "
                f"({type(error).__name__}): it has expired, was revoked or is malformed. Store a valid one."
            ) from None
        return headers

    @cached_property
    def _transport(self) -> Any:
        """How google-auth asks for tokens: by the library that botocore uses as well, not by a second one."""
        import urllib3
        from google.auth.transport.urllib3 import Request as Transport

        return Transport(urllib3.PoolManager(ca_certs=trusted_authorities()))

    def _forget_token(self) -> None:
        with self._lock:
            self._credentials.token = None

    def _refused(self, answer: Response, key: str) -> TransferError:
        status, bucket = answer.status, self._config.bucket
        code, _ = error_code(answer)
        if code == "NoSuchBucket":
            return DestinationUnavailable(
                f"Google Cloud Storage has no bucket {bucket!r}. Correct destination.bucket, or have it created."
            )
        if status == 401:
            return DestinationUnavailable(
                f"Google refuses the credential in the Airflow connection {self._config.connection_id!r} [{code}]. "
                "Store a valid one."
            )
        if status == 403:
            return DestinationUnavailable(
                f"Access to gs://{bucket} is denied [{code}]. The account in {self._config.connection_id!r} needs "
                "storage.objects.create, .get and .delete, and storage.multipartUploads.* on it."
            )
        if code == "BadDigest":
            return IntegrityError(
                f"gs://{bucket}/{key}: the bytes did not arrive as they were sent. It is tried again."
            )
        return TransferError(f"Google Cloud Storage refuses gs://{bucket}/{key}: {code} [{status}].")
