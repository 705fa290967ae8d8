"""The pick-up: what waits in it, its done file, and the removal of what has been dealt with.

Nothing is ever deleted that is not still the very object that was looked at: every removal carries its ETag. None names
a version: a bucket that keeps them gets a delete marker, under which everything stays, and nothing older comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from client_delivery.ledger.file import PickupFile
from client_delivery.pickup.locating import Locating
from client_delivery.pickup.place import CONFLICT, PARALLEL, VERSIONS_LOOKED_AT, PickupError, explained, version_of
from client_delivery.pickup.reading import Reading

__all__ = ["DoneFile", "Pickup", "PickupError"]

_CONFLICT_TRIES = 3
_DENIED = frozenset({"AccessDenied", "403"})


@dataclass(frozen=True, slots=True)
class DoneFile:
    """The done file as it was seen, so that only that very object is removed later (R4.5)."""

    key: str
    etag: str
    last_modified: datetime
    version_id: str | None
    """None where the bucket has no versions; ``null`` for what was put while it had none."""
    by_kms: bool = False
    """Encrypted by KMS: S3 then gives each upload an ETag of its own, of equal bytes too."""


class _Changed(Exception):
    """Not deleted: it is no longer what was looked at."""


class _Conflict(Exception):
    """Not deleted: someone else was writing or deleting it."""


class Pickup(Reading, Locating):
    """The pick-up of one configuration, over an S3 client that already has its region and role."""

    def files(self) -> Iterator[PickupFile]:
        """Every file that waits, in key order: not the done file, no folder marker, nothing that the patterns exclude.

        A folder marker is an empty object whose key ends with ``/``; one that has content is a file.

        Raises :class:`PickupError` if the bucket is missing or may not be listed.
        """
        return (file for file, taken in self.everything() if taken)

    def everything(self) -> Iterator[tuple[PickupFile, bool]]:
        """The same with those that the patterns exclude, and whether the patterns take the file."""
        prefix = self._config.pickup.prefix
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        with explained(self._config, "list", prefix):
            for page in pages:
                for item in page.get("Contents", ()):
                    key = item["Key"]
                    name = key[len(prefix) :]
                    marker = key.endswith("/") and not item["Size"]
                    if marker or key == self._config.done_file_key:
                        continue
                    yield (
                        PickupFile(
                            name, self._bucket, key, item["ETag"].strip('"'), item["Size"], item["LastModified"]
                        ),
                        self._config.pickup.matches(name),
                    )

    def waiting(self, most: int = 1000) -> tuple[int, bool]:
        """How many files wait, at most ``most``, and whether there are more: one listing, unless patterns exclude much.

        Raises :class:`PickupError` as :meth:`files` does.
        """
        found = sum(1 for _ in islice(self.files(), most + 1))
        return min(found, most), found > most

    def done_file(self, *, sure: bool = True) -> DoneFile | None:
        """The done file, or None if it is not there (R4.3) or the configuration does not go by one.

        ``sure``: raise for a missing bucket, which costs a listing where there is no done file.
        """
        if not self._config.trigger_on_done_file:
            return None
        key = self._config.done_file_key
        with explained(self._config, "read", key):
            head = self._head(key, sure=sure)
        if head is None:
            return None
        by_kms = head.get("ServerSideEncryption", "").startswith("aws:kms")
        return DoneFile(key, head["ETag"].strip('"'), head["LastModified"], head.get("VersionId"), by_kms)

    def done_file_begins(self, seen: DoneFile, most: int) -> bytes:
        """The first ``most`` bytes of the done file, if it is still the object that was ``seen``.

        Raises :class:`PickupError`, also if it is not: the next try goes by the one that is there then.
        """
        from botocore.exceptions import ClientError

        with explained(self._config, "read", seen.key):
            try:
                response = self._s3.get_object(Bucket=self._bucket, Key=seen.key, IfMatch=f'"{seen.etag}"')
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] not in (404, 412):
                    raise
                raise PickupError(
                    f"s3://{self._bucket}/{seen.key}, the done file of {self._config.name}, was replaced or deleted "
                    "while it was being read. Nothing was sent by it; the next try reads it again."
                ) from error
            with closing(response["Body"]) as body:
                return body.read(most)

    def remove_done_file(self, seen: DoneFile) -> bool:
        """Remove the done file if it is still the object that was ``seen``; True if it was removed (R4.5).

        A newer one stays, and no older one comes back, whatever the bucket keeps of either. The delete is bound to
        the ETag, which under KMS is this upload's alone. Elsewhere a done file, often empty, has the ETag of the one
        before: so it is looked at again, and a delete marker that has still covered a newer version is removed.
        Raises :class:`PickupError`.
        """
        with explained(self._config, "delete", seen.key):
            for tried in range(1, _CONFLICT_TRIES + 1):
                if not seen.by_kms and self.done_file() != seen:
                    return False
                try:
                    marker = self._delete(seen.key, seen.etag)
                except _Changed:
                    return False
                except _Conflict:
                    CONFLICT.wait(tried)
                    continue
                return seen.by_kms or not self._taken_back(seen, marker)
        raise PickupError(
            f"s3://{self._bucket}/{seen.key}, the done file of {self._config.name}, is being written or deleted by "
            "someone else at this moment. It was left unchanged; the next try checks again."
        )

    def _taken_back(self, seen: DoneFile, marker: str | None) -> bool:
        """Remove the delete marker if it has covered a version that came after the one seen.

        It stays where the bucket's owner does not allow to list its versions or to delete one.
        """
        from botocore.exceptions import ClientError

        if marker is None:
            return False
        try:
            page = self._s3.list_object_versions(Bucket=self._bucket, Prefix=seen.key, MaxKeys=VERSIONS_LOOKED_AT)
            # Newest first, each of the two kinds for itself.
            versions = [row["VersionId"] for row in page.get("Versions", ()) if row["Key"] == seen.key]
            markers = [row for row in page.get("DeleteMarkers", ()) if row["Key"] == seen.key]
            on_top = bool(markers) and markers[0]["IsLatest"] and markers[0]["VersionId"] == marker
            if not on_top or seen.version_id not in versions[1:]:
                return False
            self._s3.delete_object(Bucket=self._bucket, Key=seen.key, VersionId=marker)
        except ClientError as error:
            if error.response["Error"]["Code"] in _DENIED:
                return False
            raise
        return True

    def remove(self, files: Iterable[tuple[str, str]]) -> list[str]:
        """Delete each ``(key, etag)`` that still has that ETag; returns the keys that were kept since they had changed.

        An object that is gone already counts as removed. Raises :class:`PickupError` if deleting is not permitted.
        """
        pairs = list(files)
        if not pairs:
            return []
        with (
            explained(self._config, "delete", pairs[0][0]),
            ThreadPoolExecutor(min(PARALLEL, len(pairs))) as pool,
        ):
            removed = pool.map(lambda pair: self._removed(*pair), pairs)
            return [key for (key, _), gone in zip(pairs, removed, strict=True) if not gone]

    def _removed(self, key: str, etag: str) -> bool:
        try:
            self._delete(key, etag)
        except (_Changed, _Conflict):
            return False
        return True

    def _delete(self, key: str, etag: str) -> str | None:
        """Delete what has that ETag, or find it gone; the version id of the delete marker, where versions are kept.

        User Guide, "How to perform conditional deletes": the current version is what is compared. Raises
        :class:`_Changed`, :class:`_Conflict`.
        """
        from botocore.exceptions import ClientError

        try:
            deleted = self._s3.delete_object(Bucket=self._bucket, Key=key, IfMatch=f'"{etag}"')
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("PreconditionFailed", "412"):
                raise _Changed from error
            if code in ("ConditionalRequestConflict", "409"):
                raise _Conflict from error
            if code in ("NoSuchKey", "404"):
                return None
            raise
        # Where versioning is suspended the marker is "null", and has replaced what was "null" before.
        return version_of(deleted)

    def _head(self, key: str, *, sure: bool) -> Any:
        from botocore.exceptions import ClientError

        try:
            return self._s3.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            # A missing bucket is a 404 as well, but not "nothing to do": listing it tells the two apart.
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            if sure:
                self._s3.list_objects_v2(Bucket=self._bucket, Prefix=key, MaxKeys=1)
            return None
