"""S3 as the engine uses it: botocore's client for what is rare, signed requests of its own for what moves bytes.

botocore knows the credentials and where a bucket lives; only the bytes' way through it is left out, for it copies them
several times and costs about 2 ms of CPU for every small request. Where that way leads is in
:mod:`client_delivery.transfer.s3_wire.endpoint`, how a request is signed in
:mod:`client_delivery.transfer.s3_wire.signature`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.http.connection import Request
from client_delivery.transfer.http.pool import HttpPool, Response
from client_delivery.transfer.s3_wire.chunked import TrailedBody
from client_delivery.transfer.s3_wire.endpoint import TEMPORARY, Endpoint
from client_delivery.transfer.s3_wire.signature import EMPTY, TRAILED, Signer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MOST_REDIRECTS = 3


class S3Access:
    """One identity's access to S3.

    :param credentials: botocore's, which renew themselves; None if there are none.
    """

    def __init__(self, client: S3Client, credentials: Any, pool: HttpPool | None = None) -> None:
        self.client = client
        self._signer = None if credentials is None else Signer(credentials)
        self._pool = pool or HttpPool()
        self._endpoints: dict[str, Endpoint] = {}
        self._lock = threading.Lock()

    def exchange(
        self,
        method: str,
        bucket: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: TrailedBody | None = None,
    ) -> Response:
        """One signed call, retried while the trouble may pass.

        Raises :class:`~client_delivery.transfer.http.pool.Unreachable`, :class:`TransferError` if there are no
        credentials.
        """
        path = f"/{quote(key, safe='/~')}"
        rest = path + (f"?{urlencode(query)}" if query else "")
        endpoint, redirects = self._endpoint(bucket), 0
        while True:
            build = partial(self._signed, method, endpoint, rest, headers or {}, body)
            response = self._pool.exchange(build)
            onward = endpoint.redirected(response.status, response.headers, bucket)
            if onward is None or redirects == _MOST_REDIRECTS:
                return response
            response.close()
            if response.status != TEMPORARY:
                with self._lock:
                    self._endpoints[bucket] = onward
            endpoint, redirects = onward, redirects + 1

    def _signed(
        self, method: str, endpoint: Endpoint, rest: str, headers: Mapping[str, str], body: TrailedBody | None
    ) -> Request:
        if self._signer is None:
            raise DestinationUnavailable(
                "There are no AWS credentials. Expected the environment's execution role, or the task's role in ECS."
            )
        url = endpoint.url + rest
        framed = dict(body.headers) if body else {}
        if framed and (encoding := headers.get("content-encoding")):
            # S3 keeps what is left when it has taken its own framing off.
            headers = {name: value for name, value in headers.items() if name != "content-encoding"}
            framed["Content-Encoding"] = f"{encoding},{framed['Content-Encoding']}"
        host, slash, target = url.partition("://")[2].partition("/")
        signed = self._signer.headers(
            method,
            host,
            slash + target,
            {**headers, **framed},
            region=endpoint.region,
            payload=TRAILED if body else EMPTY,
        )
        return Request(method, url, signed, body or b"")

    def _endpoint(self, bucket: str) -> Endpoint:
        with self._lock:
            if bucket not in self._endpoints:
                self._endpoints[bucket] = Endpoint.of(self.client, bucket)
            return self._endpoints[bucket]
