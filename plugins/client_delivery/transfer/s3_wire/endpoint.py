"""Where a bucket's requests go: the endpoint of its region as botocore resolves it, and where S3 sends on from there.

User Guide, *Making requests using the REST API*, *Request redirection*: a 307 names another place for this request only
(a bucket that is hours old, asked for by the global name); a 301 or 400 says in ``x-amz-bucket-region`` that the bucket
is in another region.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

TEMPORARY = 307
_ELSEWHERE = frozenset({301, 400})
_ANY_CALL = "GetObjectTorrent"
"""Of an object, and called by nobody."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The place of one bucket."""

    url: str
    """Without the key, and without a ``/`` at its end."""
    region: str
    """For which requests are signed."""

    @classmethod
    def of(cls, client: S3Client, bucket: str) -> Endpoint:
        """As botocore resolves it for the client: region, partition, dual stack, FIPS, interface and own endpoints.

        Not by a presigned URL, for which botocore takes the global endpoint. The call is stopped before it is signed
        or sent. For one thread at a time.
        """
        found: list[str] = []

        # botocore takes what a handler of this event returns for the service's response.
        def instead(params: Mapping[str, Any], **_: Any) -> Any:
            from botocore.awsrequest import AWSResponse

            found.append(params["url"])
            return AWSResponse(params["url"], 200, {}, None), {}  # type: ignore[arg-type]

        event = f"before-call.s3.{_ANY_CALL}"
        client.meta.events.register(event, instead)
        try:
            client.get_object_torrent(Bucket=bucket, Key="k")
        finally:
            client.meta.events.unregister(event, instead)
        return cls(found[0].partition("?")[0].removesuffix("/k"), client.meta.region_name)

    def redirected(self, status: int, headers: Mapping[str, str], bucket: str) -> Endpoint | None:
        """Where S3 says that the request is to go instead; None if it does not, or to a place that is not S3's."""
        region = headers.get("x-amz-bucket-region", self.region)
        if status == TEMPORARY:
            return self._moved(headers.get("location", ""), region, bucket)
        here = urlsplit(self.url).hostname or ""
        if status not in _ELSEWHERE or region == self.region or f".{self.region}." not in here:
            return None
        return Endpoint(self.url.replace(f".{self.region}.", f".{region}.", 1), region)

    def _moved(self, location: str, region: str, bucket: str) -> Endpoint | None:
        here, there = urlsplit(self.url), urlsplit(location)
        if here.scheme != there.scheme or _owner(here.hostname) != _owner(there.hostname):
            return None
        path = "" if there.netloc.startswith(f"{bucket}.") else here.path
        return Endpoint(f"{there.scheme}://{there.netloc}{path}", region)


def _owner(host: str | None) -> str:
    """What has to stay the same: ``amazonaws.com`` or ``amazonaws.com.cn``, the host itself where it is not AWS's."""
    name = host or ""
    _, found, rest = name.rpartition(".amazonaws.")
    return f"amazonaws.{rest}" if found else name
