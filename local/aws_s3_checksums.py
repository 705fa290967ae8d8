"""Checksums as S3 keeps and compares them, which moto mostly takes on trust.

User Guide, *Checking object integrity in Amazon S3*; API reference, *PutObject*, *CopyObject*, *HeadObject*,
*CompleteMultipartUpload*:

- Every object has one since December 2024: the one that its uploader chose, else CRC64NVME. It is returned only where
  ``x-amz-checksum-mode: ENABLED`` is asked for, and not for a range.
- In parts, SHA-1 and SHA-256 are always ``COMPOSITE`` (a checksum of the parts' checksums, ``-`` and their number), and
  so are CRC32 and CRC32C unless the upload was begun with ``FULL_OBJECT``; CRC64NVME is always of the whole.
- A copy in one request has one of the whole: of the kind asked for, else the source's kind.
- What comes along with a request is compared with its bytes: ``Content-MD5``, ``x-amz-content-sha256``, the checksum in
  a header or in the trailer, and at the end of an upload in parts the whole's checksum, its type and its size.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any
from xml.etree import ElementTree

import moto.s3.exceptions as errors
import moto.s3.models
import moto.s3.responses
from awscrt import checksums
from moto.s3.models import FakeKey, FakeMultipart, MultipartChecksumBuilder, S3Backend
from moto.s3.responses import S3Response

DEFAULT = "CRC64NVME"
_FULL, _COMPOSITE = "FULL_OBJECT", "COMPOSITE"
_ALGORITHMS: Mapping[str, Callable[[bytes], bytes]] = {
    DEFAULT: lambda data: checksums.crc64nvme(data).to_bytes(8, "big"),
    "CRC32C": lambda data: checksums.crc32c(data).to_bytes(4, "big"),
    "CRC32": lambda data: binascii.crc32(data).to_bytes(4, "big"),
    "SHA1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}


class BadDigest(errors.S3ClientError):
    """What arrived is not what the checksum that came along is of."""

    code = "BadDigest"

    def __init__(self, name: str) -> None:
        super().__init__(f"The {name} you specified did not match the calculated checksum.")


class Refused(errors.S3ClientError):
    """A request that makes no sense to S3."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)


def checksum(data: bytes, algorithm: str) -> str:
    """As S3 writes it. Raises :class:`Refused` for an algorithm that it does not know."""
    if algorithm not in _ALGORITHMS:
        raise Refused("InvalidRequest", f"Checksum algorithm provided is unsupported: {algorithm}")
    return base64.b64encode(_ALGORITHMS[algorithm](data)).decode()


def install() -> None:
    """Make moto's S3 so, in this process."""

    def compute(body: bytes, algorithm: str, encode_base64: bool = True) -> bytes:
        value = checksum(body, algorithm).encode()
        return value if encode_base64 else base64.b64decode(value)

    # moto computes CRC32 in the place of CRC32C where a library of its own is not installed.
    moto.s3.models.compute_checksum = moto.s3.responses.compute_checksum = compute
    _install_uploads()
    _install_parts()
    _install_copies()
    _install_answers()


def _install_uploads() -> None:
    put, put_object = S3Response._key_response_put, S3Backend.put_object

    @wraps(put)
    def compared(self: S3Response, query: dict[str, Any], key_name: str) -> Any:
        if "x-amz-copy-source" not in self.headers:
            _require_same(self)
        return put(self, query, key_name)

    @wraps(put_object)
    def kept(self: S3Backend, *arguments: Any, **options: Any) -> FakeKey:
        new = put_object(self, *arguments, **options)
        new.checksum_type = _FULL
        return new

    def chosen(self: S3Response, response_headers: dict[str, Any]) -> tuple[str, str | None]:
        if "x-amz-copy-source" in self.headers:
            return "", None
        algorithm = (_sent(self) or (DEFAULT, None))[0]
        value = checksum(self.body or b"", algorithm)
        response_headers[f"x-amz-checksum-{algorithm.lower()}"] = value
        return algorithm, value

    S3Response._key_response_put = compared  # type: ignore[method-assign]
    S3Backend.put_object = kept  # type: ignore[method-assign]
    S3Response._get_checksum = chosen  # type: ignore[method-assign]


def _sent(self: S3Response) -> tuple[str, str | None] | None:
    """Kind and value of the checksum that came along, or the kind alone where only that was asked for."""
    for algorithm in _ALGORITHMS:
        name = f"x-amz-checksum-{algorithm.lower()}"
        if value := self.headers.get(name):
            return algorithm, value
        if self.headers.get("x-amz-trailer", "").lower() == name:
            found = re.search(rb"\r\n%s:\s*(\S+)\r\n" % name.encode(), self.raw_body[-512:], re.IGNORECASE)
            return algorithm, found[1].decode() if found else ""
    asked = self.headers.get("x-amz-sdk-checksum-algorithm", "").upper()
    return (asked, None) if asked in _ALGORITHMS else None


def _require_same(self: S3Response) -> None:
    body = self.body or b""
    if given := self.headers.get("Content-MD5"):
        try:
            md5 = base64.b64decode(given, validate=True)
        except binascii.Error:
            md5 = b""
        if len(md5) != 16:
            raise Refused("InvalidDigest", "The Content-MD5 you specified was invalid.")
        if md5 != hashlib.md5(body, usedforsecurity=False).digest():
            raise BadDigest("Content-MD5")
    signed = self.headers.get("x-amz-content-sha256", "")
    if re.fullmatch("[0-9a-f]{64}", signed) and signed != hashlib.sha256(body).hexdigest():
        raise Refused("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match.")
    sent = _sent(self)
    if sent and sent[1] is not None and sent[1] != checksum(body, sent[0]):
        raise BadDigest(sent[0])


def _install_parts() -> None:
    create, complete, post = (
        S3Backend.create_multipart_upload,
        S3Backend.complete_multipart_upload,
        S3Response._key_response_post,
    )

    @wraps(create)
    def begin(self: S3Backend, bucket_name: str, key_name: str, metadata: Any, *arguments: Any) -> FakeMultipart:
        # moto would return these among the object's own headers.
        algorithm = metadata.pop("x-amz-checksum-algorithm", None)
        wanted = metadata.pop("x-amz-checksum-type", None)
        usual = _FULL if algorithm in (None, DEFAULT) else _COMPOSITE
        if algorithm and algorithm not in _ALGORITHMS:
            raise Refused("InvalidRequest", f"Checksum algorithm provided is unsupported: {algorithm}")
        if (wanted == _FULL and algorithm in ("SHA1", "SHA256")) or (wanted == _COMPOSITE and usual == _FULL):
            raise Refused("InvalidRequest", f"The {wanted} checksum type cannot be used with {algorithm or DEFAULT}.")
        upload = create(self, bucket_name, key_name, metadata, *arguments)
        upload.checksums = (algorithm or DEFAULT, wanted or usual)  # type: ignore[attr-defined]
        return upload

    @wraps(complete)
    def end(self: S3Backend, bucket_name: str, multipart_id: str, body: Any) -> FakeKey | None:
        upload: Any = self.get_bucket(bucket_name).multiparts[multipart_id]
        parts = list(body)
        known = all(number in upload.parts for number, _ in parts)
        whole = _of_parts(upload, [number for number, _ in parts]) if known else ""
        new = complete(self, bucket_name, multipart_id, iter(parts))  # raises for a part that is not known
        if new is not None:
            new.checksum_algorithm, new.checksum_type = upload.checksums
            new.checksum_value, new.checksum_parts = whole.partition("-")[0], len(parts)
        return new

    @wraps(post)
    def compared(self: S3Response, request: Any, body: bytes, bucket_name: str, query: Any, key_name: str) -> Any:
        upload: Any = self.backend.get_bucket(bucket_name).multiparts.get(query.get("uploadId", [""])[0])
        if upload is not None:
            _require_whole(self, upload, body)
        return post(self, request, body, bucket_name, query, key_name)

    S3Backend.create_multipart_upload = begin  # type: ignore[method-assign]
    S3Backend.complete_multipart_upload = end  # type: ignore[method-assign]
    S3Response._key_response_post = compared  # type: ignore[method-assign]
    MultipartChecksumBuilder.addPart = lambda self, part: None  # type: ignore[method-assign]
    MultipartChecksumBuilder.build = lambda self: None  # type: ignore[method-assign]


def _of_parts(upload: Any, numbers: list[int]) -> str:
    """The checksum of an upload in parts, as HeadObject returns it."""
    algorithm, kind = upload.checksums
    pieces = [upload.parts[number].value for number in numbers]
    if kind == _FULL:
        return checksum(b"".join(pieces), algorithm)
    digests = b"".join(_ALGORITHMS[algorithm](piece) for piece in pieces)
    return f"{checksum(digests, algorithm)}-{len(pieces)}"


def _require_whole(self: S3Response, upload: Any, body: bytes) -> None:
    """What the request says of the whole, before anything becomes visible."""
    algorithm, kind = upload.checksums
    if self.headers.get("x-amz-checksum-type", kind) != kind:
        raise BadDigest("checksum type")
    numbers = []
    for part in ElementTree.fromstring(body).iterfind("{*}Part"):
        number = int(part.findtext("{*}PartNumber") or 0)
        if number not in upload.parts:
            raise errors.InvalidPart()
        given = part.findtext(f"{{*}}Checksum{algorithm}")
        if given and given != checksum(upload.parts[number].value, algorithm):
            raise errors.InvalidPart()
        numbers.append(number)
    size = self.headers.get("x-amz-mp-object-size")
    if size and int(size) != sum(upload.parts[number].size for number in numbers):
        raise Refused("InvalidRequest", "The provided 'x-amz-mp-object-size' header does not match.")
    given = self.headers.get(f"x-amz-checksum-{algorithm.lower()}")
    if given and given != _of_parts(upload, numbers):
        raise BadDigest(algorithm)


def _install_copies() -> None:
    copy_object = S3Backend.copy_object

    @wraps(copy_object)
    def copied(self: S3Backend, src_key: FakeKey, dest_bucket_name: str, dest_key_name: str, **options: Any) -> None:
        copy_object(self, src_key, dest_bucket_name, dest_key_name, **options)
        new = self.get_bucket(dest_bucket_name).keys[dest_key_name]
        new.multipart = None
        new.checksum_algorithm = src_key.checksum_algorithm or DEFAULT
        new.checksum_value = checksum(new.value, new.checksum_algorithm)
        new.checksum_type = _FULL

    S3Backend.copy_object = copied  # type: ignore[method-assign]


def _install_answers() -> None:
    head = S3Response.head_object
    facts = FakeKey.response_dict.fget  # type: ignore[attr-defined]

    @wraps(head)
    def head_object(self: S3Response, *arguments: Any, headers: Any, **options: Any) -> Any:
        status, response, body = head(self, *arguments, headers=headers, **options)
        for name in [name for name in response if name.lower().startswith("x-amz-checksum-")]:
            del response[name]
        key = None
        if status == 200 and headers.get("x-amz-checksum-mode") == "ENABLED" and "range" not in headers:
            key = self.backend.get_object(
                self.bucket_name, self.parse_key_name(), self.querystring.get("versionId", [None])[0]
            )
        if key is not None and key.checksum_value:
            number = f"-{key.checksum_parts}" if key.checksum_type == _COMPOSITE else ""
            response[f"x-amz-checksum-{str(key.checksum_algorithm).lower()}"] = key.checksum_value + number
            response["x-amz-checksum-type"] = key.checksum_type
        return status, response, body

    def response_dict(self: FakeKey) -> dict[str, Any]:
        response: dict[str, Any] = facts(self)
        response.pop("x-amz-sdk-checksum-algorithm", None)
        return response

    S3Response.head_object = head_object  # type: ignore[method-assign]
    FakeKey.response_dict = property(response_dict)  # type: ignore[method-assign, assignment]
