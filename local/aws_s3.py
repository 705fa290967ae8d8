"""What moto's S3 takes too lightly, made as unkind as S3 is.

- **ETag** (API reference, *Object*): the MD5 only of what one request wrote without KMS. Encrypted by ``aws:kms``, by
  the request or by the bucket's default, every object and every part gets a random one, the same bytes again too.
- **Checksums** (User Guide, *Checking object integrity*): see :mod:`local.aws_s3_checksums`.
- **Versions** (User Guide, *Using versioning*): see :mod:`local.aws_s3_versions`.
- **Conditions** (User Guide, *Conditional requests*): ``If-Match`` and ``If-None-Match`` of every write, of deletes
  (the current version is what is compared; 404 where nothing is, 412 at a delete marker) and of a copy's source.
- **Dates** (User Guide, *Working with object metadata*): what came in parts has the date on which its upload began.
"""

from __future__ import annotations

import secrets
from functools import wraps
from typing import Any

import moto.s3.exceptions as errors
from moto.core.utils import utcnow
from moto.s3.models import FakeDeleteMarker, FakeKey, FakeMultipart, S3Backend, s3_backends
from moto.s3.responses import S3Response

from local import aws_s3_checksums, aws_s3_versions

_ACCOUNT = "123456789012"


def install() -> None:
    """Make moto's S3 so, in this process."""
    aws_s3_versions.install()
    aws_s3_checksums.install()
    _install_etags()
    _install_multipart()
    _install_conditions()


def make_old(bucket: str, key: str) -> None:
    """Make an object's current version one from before December 2024, when S3 began to keep checksums of all."""
    found = s3_backends[_ACCOUNT]["aws"].get_object(bucket, key)
    if found is None:
        raise KeyError(f"{bucket}/{key}")
    found.checksum_algorithm = found.checksum_value = found.checksum_type = None


def _by_kms(encryption: str | None) -> bool:
    return bool(encryption) and str(encryption).startswith("aws:kms")


def _install_etags() -> None:
    put_object, set_part, create = S3Backend.put_object, FakeMultipart.set_part, S3Backend.create_multipart_upload

    @wraps(put_object)
    def put(self: S3Backend, *arguments: Any, **options: Any) -> FakeKey:
        new = put_object(self, *arguments, **options)
        if _by_kms(new.encryption):
            _, dash, parts = (new._etag or "").partition("-")
            new._etag = secrets.token_hex(16) + dash + parts
        return new

    @wraps(set_part)
    def part(self: FakeMultipart, *arguments: Any) -> FakeKey:
        new = set_part(self, *arguments)
        if _by_kms(self.sse_encryption):
            new._etag = secrets.token_hex(16)
        return new

    @wraps(create)
    def begin(self: S3Backend, bucket_name: str, *arguments: Any) -> FakeMultipart:
        upload = create(self, bucket_name, *arguments)
        default = (self.get_bucket(bucket_name).encryption or {}).get("Rule", {})
        upload.sse_encryption = upload.sse_encryption or default.get("ApplyServerSideEncryptionByDefault", {}).get(
            "SSEAlgorithm"
        )
        return upload

    S3Backend.put_object = put  # type: ignore[method-assign]
    FakeMultipart.set_part = part  # type: ignore[method-assign]
    S3Backend.create_multipart_upload = begin  # type: ignore[method-assign]


def _install_multipart() -> None:
    create, complete = S3Backend.create_multipart_upload, S3Backend.complete_multipart_upload
    upload_part, upload_part_copy = S3Backend.upload_part, S3Backend.upload_part_copy

    @wraps(create)
    def begin(self: S3Backend, *arguments: Any) -> FakeMultipart:
        upload = create(self, *arguments)
        upload.began = utcnow()  # type: ignore[attr-defined]
        return upload

    @wraps(complete)
    def end(self: S3Backend, bucket_name: str, multipart_id: str, body: Any) -> FakeKey | None:
        upload = _upload(self, bucket_name, multipart_id)
        new = complete(self, bucket_name, multipart_id, body)
        if new is not None:
            new.last_modified = upload.began  # type: ignore[attr-defined]
        return new

    @wraps(upload_part)
    def part(self: S3Backend, bucket_name: str, multipart_id: str, *arguments: Any) -> FakeKey:
        _upload(self, bucket_name, multipart_id)
        return upload_part(self, bucket_name, multipart_id, *arguments)

    @wraps(upload_part_copy)
    def part_copy(self: S3Backend, bucket_name: str, multipart_id: str, *arguments: Any, **options: Any) -> FakeKey:
        _upload(self, bucket_name, multipart_id)
        return upload_part_copy(self, bucket_name, multipart_id, *arguments, **options)

    S3Backend.create_multipart_upload = begin  # type: ignore[method-assign]
    S3Backend.complete_multipart_upload = end  # type: ignore[method-assign]
    S3Backend.upload_part = part  # type: ignore[method-assign]
    S3Backend.upload_part_copy = part_copy  # type: ignore[method-assign]


def _upload(backend: S3Backend, bucket: str, upload_id: str) -> FakeMultipart:
    found = backend.get_bucket(bucket).multiparts.get(upload_id)
    if found is None:
        raise errors.NoSuchUpload(upload_id=upload_id)
    return found


def _install_conditions() -> None:
    put, post = S3Response._key_response_put, S3Response._key_response_post

    @wraps(put)
    def guarded_put(self: S3Response, query: dict[str, Any], key_name: str) -> Any:
        if "x-amz-copy-source" in self.headers:
            _require_source(self)
            if "uploadId" not in query:
                _require_place(self, key_name)
        return put(self, query, key_name)

    @wraps(post)
    def guarded_post(self: S3Response, request: Any, body: bytes, bucket_name: str, query: Any, key_name: str) -> Any:
        if "uploadId" in query:
            _upload(self.backend, bucket_name, query["uploadId"][0])
            _require_place(self, key_name)
        return post(self, request, body, bucket_name, query, key_name)

    def delete(self: S3Response) -> Any:
        key = self.parse_key_name()
        _require_place(self, key, marker_is=errors.PreconditionFailed("If-Match"))
        bypass = self.headers.get("X-Amz-Bypass-Governance-Retention")
        _, facts = self.backend.delete_object(self.bucket_name, key, self._get_param("versionId"), bypass=bypass)
        return 204, {f"x-amz-{name}": value for name, value in facts.items()}, ""

    S3Response._key_response_put = guarded_put  # type: ignore[method-assign]
    S3Response._key_response_post = guarded_post  # type: ignore[method-assign]
    S3Response.delete_object = delete  # type: ignore[method-assign]


def _require_place(self: S3Response, key: str, marker_is: Exception | None = None) -> None:
    """``If-Match`` and ``If-None-Match``: what is at the place of the request now."""
    there = self.backend.get_bucket(self.bucket_name).keys.get(key)
    if wanted := self.headers.get("If-Match"):
        if isinstance(there, FakeDeleteMarker):
            raise marker_is or errors.MissingKey(key)
        if there is None:
            raise errors.MissingKey(key)
        if wanted != "*" and wanted.strip('"') != there.etag.strip('"'):
            raise errors.PreconditionFailed("If-Match")
    if self.headers.get("If-None-Match") == "*" and isinstance(there, FakeKey):
        raise errors.PreconditionFailed("If-None-Match")


def _require_source(self: S3Response) -> None:
    """``x-amz-copy-source-if-match`` and its kin: what the copy would take."""
    source = aws_s3_versions.copied(self)
    wanted = self.headers.get("x-amz-copy-source-if-match")
    unwanted = self.headers.get("x-amz-copy-source-if-none-match")
    etag = source.etag.strip('"')
    if wanted and wanted != "*" and wanted.strip('"') != etag:
        raise errors.PreconditionFailed("x-amz-copy-source-If-Match")
    if unwanted and unwanted.strip('"') in ("*", etag):
        raise errors.PreconditionFailed("x-amz-copy-source-If-None-Match")
