"""Signed-in requests to Google Cloud Storage's XML API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from client_delivery.transfer.contract import TransferError
from client_delivery.transfer.gcs.credentials import credentials_from
from client_delivery.transfer.gcs.identity import Identity
from client_delivery.transfer.gcs.refusals import MEANINGS
from client_delivery.transfer.http.connection import Body, Request
from client_delivery.transfer.http.pool import HttpPool, Response, Unreachable, error_code
from client_delivery.transfer.objects.refusals import refusal

if TYPE_CHECKING:
    from client_delivery.config.model import GcsSection
    from client_delivery.transfer.secret import Secret


class GcsAccess:
    """One bucket, as one account sees it. For any number of threads."""

    def __init__(self, config: GcsSection, secret: Secret, endpoint: str, pool: HttpPool | None = None) -> None:
        self.config = config
        self._endpoint = endpoint.rstrip("/")
        self._identity = Identity(credentials_from(secret, endpoint), secret.connection_id)
        self._pool = pool or HttpPool()

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def __call__(
        self,
        method: str,
        key: str,
        *,
        verb: str,
        new: bool = False,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes | Body = b"",
        accept: tuple[int, ...] = (200,),
        patience: int | None = None,
    ) -> Response:
        """One call, retried while the trouble is temporary.

        :param verb: what it does with the object, for messages.
        :param new: whether it creates an object where none is known to be.
        :param patience: seconds that the response may take, where that is longer than usual.

        Raises :class:`TransferError` or one of its kinds if the response's status is not in ``accept``.
        """
        url = f"{self._endpoint}/{self.config.bucket}/{quote(key, safe='/~')}"
        if query:
            url += f"?{query}"

        def build() -> Request:
            asked = {**self._headers(method, url), **(headers or {})}
            return (
                Request(method, url, asked, body) if patience is None else Request(method, url, asked, body, patience)
            )

        try:
            response = self._exchange(build, accept)
        except Unreachable as error:
            away = TransferError(
                f"Google Cloud Storage cannot be reached ({error}). Check the network's outbound access. The request "
                "will be retried."
            )
            away.alike = "unreachable"
            raise away from error
        if response.status not in accept:
            with response:
                raise self.refused(response, key, verb, new=new)
        return response

    def granted(self, permissions: Sequence[str]) -> Response:
        """Which of these permissions the account has on the bucket: Google's response, whatever its status.

        Raises as a call does.
        """
        asked = [("permissions", one) for one in permissions]
        if self.config.project:
            asked.append(("userProject", self.config.project))
        return self._about_bucket(f"/iam/testPermissions?{urlencode(asked)}")

    def bucket(self, fields: str) -> Response:
        """What Google says of the bucket itself, whatever its status; the account needs storage.buckets.get.

        :param fields: those that are wanted (https://cloud.google.com/storage/docs/json_api/v1/buckets/get).

        Raises as a call does.
        """
        asked = {"fields": fields, **({"userProject": self.config.project} if self.config.project else {})}
        return self._about_bucket(f"?{urlencode(asked)}")

    def listed(self, begins: str, token: str) -> Response:
        """A page of the objects whose names begin so, without those in folders further down: Google's response,
        whatever its status. Raises as a call does.

        :param token: of the page before, for the next one; empty for the first.
        """
        asked = {
            "prefix": begins,
            "delimiter": "/",
            "fields": "items(name,size,updated),nextPageToken",
            **({"pageToken": token} if token else {}),
            **({"userProject": self.config.project} if self.config.project else {}),
        }
        return self._about_bucket(f"/o?{urlencode(asked)}")

    def _about_bucket(self, path: str) -> Response:
        url = f"{self._endpoint}/storage/v1/b/{self.config.bucket}{path}"
        try:
            return self._exchange(lambda: Request("GET", url, self._headers("GET", url)), (200, 403, 404))
        except Unreachable as error:
            raise TransferError(f"Google Cloud Storage cannot be reached ({error}).") from error

    @property
    def account(self) -> str:
        """The account that delivers, as far as its credential names it."""
        return self._identity.account

    @property
    def token_url(self) -> str:
        """Where tokens are asked for; empty where the credential does not say."""
        return self._identity.token_url

    def uri(self, key: str) -> str:
        """Where an object is."""
        return f"gs://{self.config.bucket}/{key}"

    def refused(self, response: Response, key: str, verb: str, *, new: bool = False) -> TransferError:
        """The error for an unexpected response."""
        config = self.config
        return refusal(
            MEANINGS,
            "Google Cloud Storage",
            (response.status, *error_code(response)),
            verb=verb,
            uri=self.uri(key),
            new=new,
            bucket=config.bucket,
            connection_id=config.connection_id,
        )

    def _exchange(self, build: Callable[[], Request], accept: tuple[int, ...]) -> Response:
        response = self._pool.exchange(build, accept=lambda response: response.status in accept)
        if response.status == 401 and 401 not in accept:
            # A token may be revoked before its time: one new one is asked for.
            response.close()
            self._identity.forget_token()
            response = self._pool.exchange(build, accept=lambda response: response.status in accept)
        return response

    def _headers(self, method: str, url: str) -> dict[str, str]:
        billed = {"x-goog-user-project": self.config.project} if self.config.project else {}
        return {**billed, **self._identity.headers(method, url)}
