"""Versions as S3 keeps them, which moto knows by halves.

API reference, *DeleteObject*; User Guide, *Deleting object versions from a versioning-enabled bucket* and *Working with
objects in a versioning-suspended bucket*:

- A delete without a version id removes no version where versioning is on: it puts a delete marker on top, where no
  object was too. Suspended, it removes the version ``null`` and puts a marker of that id.
- A delete with a version id removes exactly that version for good, and whatever lies below is there again.
- A write where versioning is suspended replaces the version ``null`` only; the older ones stay.
- An object from before versioning has the version id ``null``, which is returned wherever versioning was ever on.
"""

from __future__ import annotations

from functools import wraps
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

import moto.s3.exceptions as errors
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, S3Backend, s3_backends
from moto.s3.responses import S3Response

_NULL = "null"


def install() -> None:
    """Make moto's S3 so, in this process."""
    _install_reads()
    _install_writes()


def copied(self: S3Response) -> FakeKey:
    """The version that a copy's request names. Raises what S3 would respond where there is none."""
    parsed = urlparse(self.headers["x-amz-copy-source"])
    bucket, _, key = unquote(parsed.path).lstrip("/").partition("/")
    version = parse_qs(parsed.query).get("versionId", [None])[0]
    found = self.backend.get_object(bucket, key, version_id=version)
    if found is None:
        raise errors.MissingVersion() if version else errors.MissingKey(key)
    return found


def _install_reads() -> None:
    # Ever versioned: what is suspended keeps its versions.
    FakeBucket.is_versioned = property(lambda self: self.versioning_status is not None)  # type: ignore[method-assign, assignment]
    facts = FakeKey.response_dict.fget  # type: ignore[attr-defined]
    head = S3Response.head_object

    def response_dict(self: FakeKey) -> dict[str, Any]:
        response: dict[str, Any] = facts(self)
        response.pop("x-amz-version-id", None)
        bucket = s3_backends[self.account_id][self.partition].buckets.get(self.bucket_name or "")
        if bucket is not None and bucket.is_versioned:
            response["x-amz-version-id"] = self.version_id
        return response

    @wraps(head)
    def head_object(self: S3Response, bucket_name: str, query: dict[str, Any], *arguments: Any, **options: Any) -> Any:
        if query.get("versionId") == [_NULL] and not self.backend.get_bucket(bucket_name).is_versioned:
            query = {name: value for name, value in query.items() if name != "versionId"}
        return head(self, bucket_name, query, *arguments, **options)

    FakeKey.response_dict = property(response_dict)  # type: ignore[method-assign, assignment]
    S3Response.head_object = head_object  # type: ignore[method-assign]
    S3Backend.list_object_versions = _list_versions  # type: ignore[method-assign]


def _install_writes() -> None:
    put_object = S3Backend.put_object

    @wraps(put_object)
    def put(self: S3Backend, bucket_name: str, key_name: str, *arguments: Any, **options: Any) -> FakeKey:
        new = put_object(self, bucket_name, key_name, *arguments, **options)
        bucket = self.get_bucket(bucket_name)
        if bucket.versioning_status == "Suspended":
            _without(bucket, key_name, _NULL)
            new._version_id = _NULL
        return new

    S3Backend.put_object = put  # type: ignore[method-assign]
    S3Backend.delete_object = _delete  # type: ignore[method-assign]


def _delete(
    self: S3Backend, bucket_name: str, key_name: str, version_id: str | None = None, bypass: bool = False
) -> tuple[bool, dict[str, Any]]:
    bucket = self.get_bucket(bucket_name)
    if version_id is None and bucket.is_versioned:
        marker = FakeDeleteMarker(SimpleNamespace(name=key_name))  # type: ignore[arg-type]
        if bucket.versioning_status == "Suspended":
            _without(bucket, key_name, _NULL)
            marker._version_id = _NULL
        bucket.keys[key_name] = marker
        return True, {"version-id": marker.version_id, "delete-marker": "true"}
    versions = bucket.keys.getlist(key_name, [])
    gone = next((one for one in versions if version_id in (None, one.version_id)), None)
    if gone is None:
        return True, {"version-id": version_id} if bucket.is_versioned else {}
    if isinstance(gone, FakeKey) and gone.is_locked(governance_bypass=bypass):
        raise errors.AccessDeniedByLock
    _without(bucket, key_name, gone.version_id)
    response = {"version-id": version_id} if bucket.is_versioned else {}
    return True, response | ({"delete-marker": "true"} if isinstance(gone, FakeDeleteMarker) else {})


def _without(bucket: FakeBucket, key: str, version_id: str) -> None:
    """Remove that version of a key, if there is one."""
    left = [one for one in bucket.keys.getlist(key, []) if one.version_id != version_id]
    bucket.keys.setlist(key, left)
    if not left:
        bucket.keys.pop(key)


def _list_versions(
    self: S3Backend,
    bucket_name: str,
    delimiter: str | None = None,
    key_marker: str | None = None,
    max_keys: int | None = 1000,
    prefix: str = "",
    version_id_marker: str | None = None,
) -> tuple[list[FakeKey], list[str], list[FakeDeleteMarker], str | None, str | None]:
    """By key, the newest first. moto goes by dates, which equal ones mix up, and copies every object's bytes."""
    if delimiter:
        raise NotImplementedError("versions by folder")
    rows: list[Any] = []
    for key in sorted(name for name in _keys(self, bucket_name) if name.startswith(prefix)):
        for position, version in enumerate(reversed(self.get_bucket(bucket_name).keys.getlist(key, []))):
            version.is_latest = position == 0
            rows.append(version)
    if key_marker is not None:
        passed = [
            number
            for number, row in enumerate(rows)
            if row.name < key_marker or (row.name == key_marker and version_id_marker in (None, "", row.version_id))
        ]
        rows = rows[passed[-1] + 1 :] if passed else rows
    page, more = rows[:max_keys], rows[max_keys or 0 :] if max_keys is not None else []
    end = page[-1] if page and more else None
    return (
        [row for row in page if isinstance(row, FakeKey)],
        [],
        [row for row in page if isinstance(row, FakeDeleteMarker)],
        end.name if end else None,
        end.version_id if end else None,
    )


def _keys(backend: S3Backend, bucket: str) -> list[str]:
    """Those that have a version or a marker."""
    return list(dict.keys(backend.get_bucket(bucket).keys))
