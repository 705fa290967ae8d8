"""The calls that write to a destination bucket in Google Cloud Storage, by its XML API.

Google documents that ``x-goog-if-generation-match`` holds for PUT, DELETE and compose, and that no precondition is
supported in the requests of a multipart upload: there it is never sent
(``docs/developers/conditional-requests.md``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from client_delivery.transfer.gcs.access import GcsAccess
from client_delivery.transfer.http.pool import Response, error_code
from client_delivery.transfer.integrity import CRC32C, Digest, OwnChecksum, require_equal
from client_delivery.transfer.objects.api import LookDenied, Occupied, Stored

if TYPE_CHECKING:
    from client_delivery.transfer.reading.carried import Carried
    from client_delivery.transfer.reading.source import Span

_COMPLETION_PATIENCE = 900
"""Seconds: Google says that completing an upload can take several minutes."""


class GcsApi:
    """One bucket, as one account sees it: :class:`~client_delivery.transfer.objects.api.ObjectApi`."""

    largest = 5 * 1024**4
    fences_completion = False

    def __init__(self, access: GcsAccess) -> None:
        self._request = access
        self._config = access.config
        self.uri = access.uri

    def look(self, key: str) -> Stored | None:
        """What is at the place now. Raises :class:`LookDenied`."""
        with self._request("HEAD", key, verb="look at", accept=(200, 403, 404)) as response:
            if response.status == 403:
                raise LookDenied(
                    f"the account in the Airflow connection {self._config.connection_id!r} may not look at "
                    f"{self.uri(key)} (storage.objects.get)."
                )
            if response.status != 200:
                return None
            size = response.headers.get("x-goog-stored-content-length")
            return replace(_stored(response), size=int(size) if size else None)

    def put(self, key: str, content: bytes, digest: Digest, instead_of: Stored | None, about: Carried) -> Stored:
        """Write a small object; Google refuses it if its checksum is another. Raises :class:`Occupied`."""
        headers = {**self._attributes(about), "x-goog-hash": f"crc32c={digest.crc32c}", **_fence(instead_of)}
        new = instead_of is None
        with self._request(
            "PUT", key, verb="write", new=new, headers=headers, body=content, accept=(200, 412)
        ) as response:
            if response.status == 412:
                raise Occupied(repeated=response.repeated)
            return _stored(response)

    def begin(self, key: str, about: Carried) -> str:
        """Begin a multipart upload; returns its id."""
        headers = self._attributes(about)
        with self._request("POST", key, verb="begin to write", new=True, query="uploads", headers=headers) as response:
            return _tree(response).findtext("{*}UploadId") or ""

    def put_part(self, key: str, upload_id: str, number: int, span: Span) -> str:
        """Send one part and compare what Google computed with what was read; returns its ETag."""
        query = f"partNumber={number}&uploadId={quote(upload_id)}"
        with self._request("PUT", key, verb="write a part of", query=query, body=span) as response:
            require_equal(f"Part {number} of {self.uri(key)}", _crc32c_of(response), span.digest.crc32c)
            return response.headers["etag"]

    def parts(self, key: str, upload_id: str) -> dict[int, str] | None:
        """The ETags of the parts that have arrived, by number; None if the upload is gone or may not be read."""
        there: dict[int, str] = {}
        marker = 0
        while True:
            query = f"uploadId={quote(upload_id)}&part-number-marker={marker}"
            with self._request("GET", key, verb="list the parts of", query=query, accept=(200, 403, 404)) as response:
                if response.status != 200:
                    return None
                tree = _tree(response)
            for part in tree.iterfind("{*}Part"):
                there[int(part.findtext("{*}PartNumber") or 0)] = part.findtext("{*}ETag") or ""
            if tree.findtext("{*}IsTruncated") != "true":
                return there
            marker = int(tree.findtext("{*}NextPartNumberMarker") or 0)

    def complete(
        self, key: str, upload_id: str, part_etags: Mapping[int, str], digest: Digest, instead_of: Stored | None
    ) -> Stored:
        """Make the object visible, whatever is there. Raises :class:`Occupied` if the upload is gone."""
        rows = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>"
            for number, etag in sorted(part_etags.items())
        )
        with self._request(
            "POST",
            key,
            verb="complete",
            query=f"uploadId={quote(upload_id)}",
            body=f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode(),
            accept=(200, 404),
            patience=_COMPLETION_PATIENCE,
        ) as response:
            if response.status == 404:
                if error_code(response)[0] == "NoSuchBucket":
                    raise self._request.refused(response, key, "complete")
                raise Occupied(repeated=response.repeated, upload_gone=True)
            stored = _stored(response)
            response.read()
            return stored

    def compose(self, key: str, place: str, assembled: Stored, instead_of: Stored | None, about: Carried) -> Stored:
        """Make an object that is at ``place`` visible under ``key``. Raises :class:`Occupied`."""
        body = (
            f"<ComposeRequest><Component><Name>{escape(place)}</Name>"
            f"<Generation>{assembled.tag}</Generation></Component></ComposeRequest>"
        ).encode()
        headers = {**self._attributes(about), **_fence(instead_of)}
        headers.pop("x-goog-storage-class", None)  # the component's
        with self._request(
            "PUT",
            key,
            verb="compose",
            query="compose",
            headers=headers,
            body=body,
            accept=(200, 404, 412),
            patience=_COMPLETION_PATIENCE,
        ) as response:
            if response.status == 404 and error_code(response)[0] == "NoSuchBucket":
                raise self._request.refused(response, key, "compose")
            if response.status != 200:
                raise Occupied(repeated=response.repeated, upload_gone=response.status == 404)
            stored = _stored(response)
            response.read()
            return stored

    def open_uploads(self, key: str) -> list[str]:
        """The ids of the uploads for that key that are neither complete nor aborted; none if they may not be listed."""
        # One page of a thousand will do: among the keys that begin with this one, it comes first itself
        # (https://cloud.google.com/storage/docs/xml-api/get-bucket-uploads: in the order of their keys).
        query = f"uploads&prefix={quote(key)}"
        with self._request("GET", "", verb="list uploads for", query=query, accept=(200, 403, 404)) as response:
            if response.status != 200:
                return []
            uploads = _tree(response).iterfind("{*}Upload")
        return [one.findtext("{*}UploadId") or "" for one in uploads if one.findtext("{*}Key") == key]

    def abort(self, key: str, upload_id: str) -> None:
        """Remove what has arrived of an upload, if it is still there and the account may."""
        query = f"uploadId={quote(upload_id)}"
        self._request("DELETE", key, verb="abort the upload of", query=query, accept=(204, 403, 404)).close()

    def withdraw(self, key: str, stored: Stored) -> None:
        """Remove this very object, if it is still there and the account may."""
        accept = (204, 403, 404, 412)
        self._request("DELETE", key, verb="remove", headers=_fence(stored), accept=accept).close()

    def _attributes(self, about: Carried) -> dict[str, str]:
        headers = {"content-type": "application/octet-stream", **about.as_headers("x-goog-meta-")}
        if self._config.storage_class:
            headers["x-goog-storage-class"] = self._config.storage_class
        if self._config.kms_key:
            headers["x-goog-encryption-kms-key-name"] = self._config.kms_key
        return headers


def _fence(instead_of: Stored | None) -> dict[str, str]:
    return {"x-goog-if-generation-match": instead_of.tag if instead_of else "0"}


def _tree(response: Response) -> ElementTree.Element:
    return ElementTree.fromstring(response.read())  # noqa: S314 - Google's response over verified TLS


def _stored(response: Response) -> Stored:
    """The object, by the headers of the response."""
    crc32c = _crc32c_of(response)
    checksum = OwnChecksum(CRC32C, crc32c) if crc32c else None
    return Stored(response.headers.get("x-goog-generation") or "", checksum=checksum)


def _crc32c_of(response: Response) -> str | None:
    for item in (response.headers.get("x-goog-hash") or "").split(","):
        kind, _, value = item.strip().partition("=")
        if kind == "crc32c":
            return value
    return None
