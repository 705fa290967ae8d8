"""The pick-up: what waits in it, its done file, and the removal of what has been dealt with.

Nothing is ever deleted that is not still the very object that was looked at: every removal carries its ETag. None names
a version: a bucket that keeps them gets a delete marker, under which everything stays, and nothing older comes back.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

from client_delivery.ledger.file import Kept, Origin, PickupFile
from client_delivery.ledger.identity import Fingerprint
from client_delivery.runtime.backoff import Backoff

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from client_delivery.config.model import ClientConfig

_PARALLEL = 16
_CHUNK = 1024**2
_CONFLICT = Backoff(first=0.2, longest=1.0, jitter=False)
_CONFLICT_TRIES = 3
_VERSIONS_LOOKED_AT = 20
_REFUSALS = 3
"""How often an object is asked for that may not be read."""
_GONE = frozenset({404, 405, 412, 416})
"""No such key or version; a delete marker; another object in its place."""
_DENIED = frozenset({"AccessDenied", "403"})


class PickupError(Exception):
    """The pick-up cannot be used. The message says which bucket, why, and what to do."""


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


@dataclass(slots=True)
class _Computed:
    """Of bytes that were read."""

    size: int = 0
    crc64nvme: int = 0
    crc32: int = 0
    crc32c: int = 0

    @classmethod
    def of(cls, pieces: Iterable[bytes]) -> Self:
        """Of bytes as they come."""
        from awscrt import checksums

        found = cls()
        for piece in pieces:
            found.size += len(piece)
            found.crc64nvme = checksums.crc64nvme(piece, found.crc64nvme)
            found.crc32 = checksums.crc32(piece, found.crc32)
            found.crc32c = checksums.crc32c(piece, found.crc32c)
        return found

    def agrees_with(self, file: PickupFile) -> bool:
        """Whether these are the bytes of which S3 said this size and, where it has one, this 32-bit checksum."""
        theirs = {
            one
            for name, value in (("crc32", self.crc32), ("crc32c", self.crc32c))
            for one in Fingerprint.of({name: base64.b64encode(value.to_bytes(4, "big")).decode()}, file.size).weak
        }
        whole = [one for one in file.content.weak if "-" not in one.split(":")[1]]
        return self.size == file.size and theirs.issuperset(whole)


class _Changed(Exception):
    """Not deleted: it is no longer what was looked at."""


class _Conflict(Exception):
    """Not deleted: someone else was writing or deleting it."""


class Pickup:
    """The pick-up of one configuration, over an S3 client that already has its region and role."""

    def __init__(self, config: ClientConfig, s3: S3Client) -> None:
        self._config = config
        self._bucket = config.pickup.bucket
        self._s3 = s3

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
        with _explained(self._config, "list", prefix):
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

    def done_file(self) -> DoneFile | None:
        """The done file, or None if it is not there (R4.3) or the configuration does not go by one."""
        if not self._config.trigger_on_done_file:
            return None
        key = self._config.done_file_key
        with _explained(self._config, "read", key):
            head = self._head(key)
        if head is None:
            return None
        by_kms = head.get("ServerSideEncryption", "").startswith("aws:kms")
        return DoneFile(key, head["ETag"].strip('"'), head["LastModified"], head.get("VersionId"), by_kms)

    def remove_done_file(self, seen: DoneFile) -> bool:
        """Remove the done file if it is still the object that was ``seen``; True if it was removed (R4.5).

        A newer one stays, and no older one comes back, whatever the bucket keeps of either. The delete is bound to
        the ETag, which under KMS is this upload's alone. Elsewhere a done file, often empty, has the ETag of the one
        before: so it is looked at once more, and a delete marker that has covered a newer version all the same is
        taken back. Raises :class:`PickupError`.
        """
        with _explained(self._config, "delete", seen.key):
            for tried in range(1, _CONFLICT_TRIES + 1):
                if not seen.by_kms and self.done_file() != seen:
                    return False
                try:
                    marker = self._delete(seen.key, seen.etag)
                except _Changed:
                    return False
                except _Conflict:
                    _CONFLICT.wait(tried)
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
            page = self._s3.list_object_versions(Bucket=self._bucket, Prefix=seen.key, MaxKeys=_VERSIONS_LOOKED_AT)
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

    def identify(self, files: Iterable[PickupFile]) -> list[PickupFile]:
        """The files with what S3 knows of their content and version: one HeadObject request each.

        One that has been overwritten since it was listed comes as it is now; one that is gone is left out. Where the
        response is refused, the file comes as it was: reading it will show why.
        """
        waiting = list(files)
        if not waiting:
            return []
        with (
            _explained(self._config, "read", waiting[0].key),
            ThreadPoolExecutor(min(_PARALLEL, len(waiting))) as pool,
        ):
            return [file for file in pool.map(self._identified, waiting) if file is not None]

    def read(self, files: Iterable[PickupFile]) -> list[PickupFile]:
        """The files with the CRC64NVME of their content, which is read for it. One that may not be read, or has
        changed, comes as it was: the attempt to send it will tell.

        Raises :class:`PickupError` where S3 is in trouble: what could be read a moment later is not taken for unknown.
        """
        waiting = list(files)
        if not waiting:
            return []
        with _explained(self._config, "read", waiting[0].key), ThreadPoolExecutor(_PARALLEL) as pool:
            return list(pool.map(self._read, waiting))

    def read_again(self, past: Iterable[tuple[PickupFile, str | None]]) -> list[PickupFile]:
        """The same of files that have been dealt with, each with the place of its archived copy, if it has one (R5.8).

        Read is the object's version, which a bucket that keeps versions has under its delete marker; the object itself,
        where it was left; the archived copy, if it agrees with what S3 said of the file. One of which nothing is left,
        or may be read, comes as it was. Raises :class:`PickupError` as :meth:`read` does.
        """
        files = list(past)
        if not files:
            return []
        with _explained(self._config, "read", files[0][0].key), ThreadPoolExecutor(_PARALLEL) as pool:
            return list(pool.map(lambda one: self._read_again(*one), files))

    def _read(self, file: PickupFile) -> PickupFile:
        found = self._computed({"Bucket": file.bucket, "Key": file.key, "IfMatch": f'"{file.etag}"'})
        return file if found is None else replace(file, content=file.content.with_crc64nvme(found.crc64nvme, file.size))

    def _read_again(self, file: PickupFile, archived: str | None) -> PickupFile:
        place = {"Bucket": file.bucket, "Key": file.key, "IfMatch": f'"{file.etag}"'}
        found = self._computed({**place, "VersionId": file.version_id} if file.version_id else place)
        if found is None and archived is not None:
            bucket, _, key = archived.removeprefix("s3://").partition("/")
            copy = self._computed({"Bucket": bucket, "Key": key})
            # Anybody may have put something else there: its size and its checksum must be the file's.
            found = copy if copy and copy.agrees_with(file) else None
        return file if found is None else replace(file, content=file.content.with_crc64nvme(found.crc64nvme, file.size))

    def _computed(self, request: Mapping[str, Any]) -> _Computed | None:
        """The checksums of an object's bytes, which are read for it; None where it is gone, or may not be read."""
        from botocore.exceptions import ClientError

        for refusals in range(1, _REFUSALS + 1):
            try:
                response = self._s3.get_object(**request)
            except ClientError as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                if status in _GONE:
                    return None
                if status != 403:
                    raise
                # A role that was changed just now, or a clock that is wrong, refuses for a moment.
                if refusals < _REFUSALS:
                    _CONFLICT.wait(refusals)
            else:
                with closing(response["Body"]) as body:
                    return _Computed.of(body.iter_chunks(_CHUNK))
        return None

    def _identified(self, file: PickupFile) -> PickupFile | None:
        from botocore.exceptions import ClientError

        try:
            # Checksums are only told on demand (API reference, HeadObject: ChecksumMode).
            head = self._s3.head_object(Bucket=file.bucket, Key=file.key, ChecksumMode="ENABLED")
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status == 404:
                return None
            if 400 <= status < 500:
                return file
            raise
        version = head.get("VersionId")
        return replace(
            file,
            etag=head["ETag"].strip('"'),
            size=head["ContentLength"],
            last_modified=head["LastModified"],
            version_id=None if version == "null" else version,
            content=Fingerprint.of_head(head),
        )

    def locate(self, kept: Iterable[Kept]) -> list[PickupFile | None]:
        """Where the bytes of each are now: in the pick-up, its archive, or a version that S3 keeps; None: nowhere.

        Raises :class:`PickupError` if S3 does not answer; where it refuses to show one place, the next is looked at.
        """
        places = list(kept)
        if not places:
            return []
        with _explained(self._config, "read", places[0].file.key), ThreadPoolExecutor(_PARALLEL) as pool:
            return list(pool.map(self._located, places))

    def _located(self, kept: Kept) -> PickupFile | None:
        file = kept.file
        if (head := self._seen(file.bucket, file.key)) and _is_it(file, head):
            return replace(file, etag=head["ETag"].strip('"'), version_id=_version_of(head), origin=None)
        if kept.archived_to:
            bucket, _, key = kept.archived_to.removeprefix("s3://").partition("/")
            if (head := self._seen(bucket, key)) and _has_same_content(file, head):
                return replace(file, origin=Origin(bucket, key, head["ETag"].strip('"')))
        for version in [file.version_id] if file.version_id else self._versions(file):
            head = self._seen(file.bucket, file.key, VersionId=version)
            if head and head["ETag"].strip('"') == file.etag:
                return replace(file, version_id=version, origin=Origin(file.bucket, file.key, file.etag, version))
        return None

    def _seen(self, bucket: str, key: str, **which: Any) -> Any:
        """What S3 says of an object; None where there is none, or where it may not be read."""
        from botocore.exceptions import ClientError

        try:
            return self._s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED", **which)
        except ClientError as error:
            if 400 <= error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                return None
            raise

    def _versions(self, file: PickupFile) -> list[str]:
        """Those of this ETag: what was registered before the ledger kept the version."""
        from botocore.exceptions import ClientError

        try:
            page = self._s3.list_object_versions(Bucket=file.bucket, Prefix=file.key, MaxKeys=_VERSIONS_LOOKED_AT)
        except ClientError as error:
            if 400 <= error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                return []
            raise
        rows = [row for row in page.get("Versions", ()) if row["Key"] == file.key]
        # One that was put while the bucket had no versions is called "null", and is read by that.
        return [row["VersionId"] for row in rows if row["ETag"].strip('"') == file.etag]

    def remove(self, files: Iterable[tuple[str, str]]) -> list[str]:
        """Delete each ``(key, etag)`` that still has that ETag; returns the keys that were kept since they had changed.

        An object that is gone already counts as removed. Raises :class:`PickupError` if deleting is not permitted.
        """
        pairs = list(files)
        if not pairs:
            return []
        with (
            _explained(self._config, "delete", pairs[0][0]),
            ThreadPoolExecutor(min(_PARALLEL, len(pairs))) as pool,
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
        marker = deleted.get("VersionId")
        return None if marker == "null" else marker

    def _head(self, key: str) -> Any:
        from botocore.exceptions import ClientError

        try:
            return self._s3.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            # A missing bucket is a 404 as well, but not "nothing to do": listing it tells the two apart.
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            self._s3.list_objects_v2(Bucket=self._bucket, Prefix=key, MaxKeys=1)
            return None


def _version_of(head: Any) -> str | None:
    version = head.get("VersionId")
    return None if version == "null" else version


def _is_it(file: PickupFile, head: Any) -> bool:
    """Whether what waits under the file's name is the file, or another upload of its content."""
    if head["ETag"].strip('"') == file.etag:
        return True
    theirs = Fingerprint.of_head(head)
    return bool(set(theirs.strong).intersection(file.content.strong)) and not theirs.contradicts(file.content)


def _has_same_content(file: PickupFile, head: Any) -> bool:
    """Whether a copy, which was compared when it was made, has not been overwritten since, for all that S3 knows."""
    theirs = Fingerprint.of_head(head)
    known = set(theirs.checksums).intersection(file.content.checksums)
    comparable = {one.partition(":")[0] for one in theirs.checksums} & {
        one.partition(":")[0] for one in file.content.checksums if "-" not in one.split(":")[1]
    }
    return head["ContentLength"] == file.size and (bool(known) or not comparable)


@contextmanager
def _explained(config: ClientConfig, verb: str, what: str) -> Iterator[None]:
    """Turns S3's response into an error that says what to do."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (ClientError, BotoCoreError) as error:
        pickup = config.pickup
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
        identity = f"the role {pickup.role_arn}" if pickup.role_arn else "the environment's execution role"
        denied = f"access denied to {identity}; have its policy and the bucket's policy allow it"
        advice = {
            "NoSuchBucket": f"there is no bucket {pickup.bucket!r}; correct pickup.bucket, or have it created",
            "AccessDenied": denied,
            "403": denied,
            "ExpiredToken": "the AWS credentials have expired; the next try takes new ones",
        }.get(code, str(error))
        where = f"Cannot {verb} s3://{pickup.bucket}/{what} in the pick-up of {config.name}"
        raise PickupError(f"{where}: {advice} [{code}].") from error
