"""Where the bytes of files are that have been dealt with: in the pick-up, its archive, or a version that S3 keeps."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from client_delivery.ledger.file import Kept, Origin
from client_delivery.ledger.identity import Fingerprint
from client_delivery.pickup.place import PARALLEL, VERSIONS_LOOKED_AT, Place, explained, version_of

if TYPE_CHECKING:
    from client_delivery.ledger.file import PickupFile


class Locating(Place):
    """Looks where a file can still be."""

    def locate(self, kept: Iterable[Kept]) -> list[PickupFile | None]:
        """Where the bytes of each are now: in the pick-up, its archive, or a version that S3 keeps; None: nowhere.

        Raises :class:`PickupError` if S3 does not respond; if it refuses to show one place, the next is looked at.
        """
        places = list(kept)
        if not places:
            return []
        with explained(self._config, "read", places[0].file.key), ThreadPoolExecutor(PARALLEL) as pool:
            return list(pool.map(self._located, places))

    def _located(self, kept: Kept) -> PickupFile | None:
        file = kept.file
        if (head := self._seen(file.bucket, file.key)) and _is_it(file, head):
            return replace(file, etag=head["ETag"].strip('"'), version_id=version_of(head), origin=None)
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
            page = self._s3.list_object_versions(Bucket=file.bucket, Prefix=file.key, MaxKeys=VERSIONS_LOOKED_AT)
        except ClientError as error:
            if 400 <= error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                return []
            raise
        rows = [row for row in page.get("Versions", ()) if row["Key"] == file.key]
        # One that was put while the bucket had no versions is called "null", and is read by that.
        return [row["VersionId"] for row in rows if row["ETag"].strip('"') == file.etag]


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
