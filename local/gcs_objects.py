"""The objects behind :mod:`local.gcs`: bytes on disk, checksums, generations, multipart uploads."""

from __future__ import annotations

import base64
import hashlib
import itertools
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from awscrt import checksums

from local.http_stand_in import StandInError

_MIN_PART = 5 * 1024 * 1024
_MAX_PARTS = 10_000


@dataclass
class Blob:
    """An object, or one that is being received. Its bytes are the concatenation of files."""

    bucket: str
    name: str
    files: list[tuple[Path, int]]
    storage_class: str
    kms_key: str | None
    content_type: str
    metadata: dict[str, str]
    carried: dict[str, str]
    """Headers that Google keeps with the object, ``x-goog-meta-`` among them."""
    discard: bool
    size: int = 0
    generation: int = 0
    composite: bool = False
    created: str = ""
    _crc: int = 0
    _checkpoints: dict[int, int] = field(default_factory=dict)

    def append(self, data: bytes | memoryview) -> None:
        """More bytes at the end."""
        self._crc = checksums.crc32c(data, self._crc)
        if not self.discard:
            with self.files[0][0].open("ab") as file:
                file.write(data)
        self.size += len(data)
        self.files = [(self.files[0][0], self.size)]

    def truncate(self, size: int) -> None:
        """Keep only the first ``size`` bytes."""
        if size == self.size:
            return
        path = self.files[0][0]
        with path.open("r+b") as file:
            file.truncate(size)
            file.seek(0)
            self._crc = 0
            while piece := file.read(1 << 20):
                self._crc = checksums.crc32c(piece, self._crc)
        self.size = size
        self.files = [(path, size)]

    def join(self, parts: list[Blob]) -> None:
        """Become the concatenation of the parts."""
        for part in parts:
            self._crc = checksums.combine_crc32c(self._crc, part._crc, part.size)
            self.size += part.size
        self.files = [file for part in parts for file in part.files]
        self.composite = True

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes of a range, in pieces."""
        offset = 0
        for path, size in self.files:
            first, last = max(start - offset, 0), min(end - offset, size)
            offset += size
            if first >= last:
                continue
            with path.open("rb") as file:
                file.seek(first)
                left = last - first
                while left and (piece := file.read(min(left, 1 << 20))):
                    left -= len(piece)
                    yield piece

    @property
    def crc32c(self) -> str:
        """As Google writes it: base64 of the big-endian checksum."""
        return base64.b64encode(self._crc.to_bytes(4, "big")).decode()

    @property
    def etag(self) -> str:
        """Opaque, and the same for the same bytes."""
        return hashlib.sha256(f"{self.crc32c}:{self.size}".encode()).hexdigest()[:32]

    def corrupt(self) -> None:
        """Flip a bit of what is stored, as a lying server's disk would."""
        path = self.files[0][0]
        content = bytearray(path.read_bytes())
        content[0] ^= 1
        path.write_bytes(content)
        self._crc = checksums.crc32c(bytes(content))

    def resource(self) -> dict[str, Any]:
        """The object's resource in the JSON API."""
        shown = {
            "kind": "storage#object",
            "name": self.name,
            "bucket": self.bucket,
            "generation": str(self.generation),
            "metageneration": "1",
            "size": str(self.size),
            "crc32c": self.crc32c,
            "etag": self.etag,
            "storageClass": self.storage_class,
            "contentType": self.content_type,
            "timeCreated": self.created,
            "updated": self.created,
            "metadata": self.metadata,
        }
        return shown | ({"kmsKeyName": self.kms_key} if self.kms_key else {})

    def headers(self) -> dict[str, str]:
        """The object's headers in the XML API."""
        shown = {
            "ETag": f'"{self.etag}"',
            "x-goog-generation": str(self.generation),
            "x-goog-metageneration": "1",
            "x-goog-hash": f"crc32c={self.crc32c}",
            "x-goog-storage-class": self.storage_class,
            **self.carried,
        }
        return shown | ({"x-goog-encryption-kms-key-name": self.kms_key} if self.kms_key else {})


class ObjectStore:
    """Buckets, objects and uploads."""

    def __init__(self, directory: Path, *, discard: bool = False) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._discard = discard
        self._buckets: dict[str, dict[str, Blob]] = {}
        self._uploads: dict[str, tuple[Blob, dict[int, Blob]]] = {}
        self._numbers = itertools.count()
        self._generations = itertools.count(time.time_ns() // 1000)
        self._lock = threading.RLock()
        self.retention: dict[str, int] = {}
        """Seconds for which a bucket keeps whatever is written to it."""
        self.events: list[dict[str, Any]] = []

    def create_bucket(self, name: str) -> None:
        """A bucket is there from now on."""
        self._buckets.setdefault(name, {})

    def require_bucket(self, name: str) -> dict[str, Blob]:
        """The bucket's objects; an error if there is no such bucket."""
        if name not in self._buckets:
            raise StandInError(404, "NoSuchBucket", "The specified bucket does not exist.")
        return self._buckets[name]

    def new_blob(self, bucket: str, name: str, **attributes: Any) -> Blob:
        """An object to be received; nobody sees it yet."""
        path = self._directory / f"{next(self._numbers):08d}"
        return Blob(bucket, name, [(path, 0)], discard=self._discard, **attributes)

    def get(self, bucket: str, name: str) -> Blob:
        """The visible object."""
        blob = self.require_bucket(bucket).get(name)
        if blob is None:
            raise StandInError(404, "NoSuchKey", f"No such object: {bucket}/{name}")
        return blob

    def listing(self, bucket: str, prefix: str) -> list[Blob]:
        """Visible objects in the order of their names."""
        return [blob for name, blob in sorted(self.require_bucket(bucket).items()) if name.startswith(prefix)]

    def delete(self, bucket: str, name: str, generation: int | None) -> None:
        """Remove an object, of that generation where one is given."""
        with self._lock:
            blob = self.get(bucket, name)
            if generation is not None and blob.generation != generation:
                raise StandInError(412, "PreconditionFailed", "generation does not match")
            self._require_unkept(blob)
            del self._buckets[bucket][name]
            self.events.append({"event": "deleted", "bucket": bucket, "name": name, "generation": blob.generation})

    def _require_unkept(self, blob: Blob) -> None:
        """https://cloud.google.com/storage/docs/bucket-lock: neither deleted nor replaced before it is old enough."""
        if seconds := self.retention.get(blob.bucket):
            until = datetime.fromisoformat(blob.created) + timedelta(seconds=seconds)
            if until > datetime.now(UTC):
                raise StandInError(
                    403,
                    "RetentionPolicyNotMet",
                    f"Object '{blob.bucket}/{blob.name}' is subject to bucket's retention policy or object retention "
                    f"and cannot be deleted or overwritten until {until:%Y-%m-%dT%H:%M:%SZ}",
                )

    def forget(self, bucket: str, prefix: str) -> None:
        """Remove what is visible or open below the prefix, with its bytes, as if it had never been."""
        with self._lock:
            objects = self.require_bucket(bucket)
            blobs = [objects.pop(blob.name) for blob in self.listing(bucket, prefix)]
            for upload_id, blob in self.open_uploads(bucket):
                if blob.name.startswith(prefix):
                    blobs += [blob, *self._uploads.pop(upload_id)[1].values()]
            self.events = [one for one in self.events if not one["name"].startswith(prefix)]
        for path in {path for blob in blobs for path, _ in blob.files}:
            path.unlink(missing_ok=True)

    def publish(self, blob: Blob, condition: int | None, crc32c: str | None, rule: dict[str, Any]) -> None:
        """Make a received object visible, all of it at once."""
        if rule.get("corrupt"):
            blob.corrupt()
        elif crc32c is not None and crc32c != blob.crc32c:
            raise StandInError(400, "BadDigest", f"The crc32c {crc32c} does not match the computed {blob.crc32c}.")
        if not self._discard and not blob.size:
            blob.files[0][0].touch()
        with self._lock:
            objects = self.require_bucket(blob.bucket)
            current = objects.get(blob.name)
            if condition is not None and condition != (current.generation if current else 0):
                raise StandInError(412, "PreconditionFailed", "At least one of the pre-conditions did not hold.")
            if current is not None:
                self._require_unkept(current)
            blob.generation = next(self._generations)
            blob.created = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            objects[blob.name] = blob
            self.events.append(
                {
                    "event": "visible",
                    "bucket": blob.bucket,
                    "name": blob.name,
                    "size": blob.size,
                    "crc32c": blob.crc32c,
                    "generation": blob.generation,
                    "precondition": condition,
                    "carried": {"content-type": blob.content_type, **blob.carried},
                }
            )

    def initiate(self, blob: Blob) -> str:
        """Open a multipart upload."""
        self.require_bucket(blob.bucket)
        upload_id = secrets.token_urlsafe(24)
        self._uploads[upload_id] = (blob, {})
        return upload_id

    def add_part(self, upload_id: str, number: int, part: Blob, crc32c: str | None, rule: dict[str, Any]) -> str:
        """Keep a part; returns its ETag."""
        _, parts = self._upload(upload_id)
        if not 1 <= number <= _MAX_PARTS:
            raise StandInError(400, "InvalidArgument", "Part number must be an integer between 1 and 10000.")
        if rule.get("corrupt"):
            part.corrupt()
        elif crc32c is not None and crc32c != part.crc32c:
            raise StandInError(400, "BadDigest", "The part's crc32c does not match.")
        parts[number] = part
        return part.etag

    def parts(self, upload_id: str) -> list[tuple[int, Blob]]:
        """The parts kept so far, in order."""
        return sorted(self._upload(upload_id)[1].items())

    def complete(self, upload_id: str, listed: list[tuple[int, str]], rule: dict[str, Any]) -> Blob:
        """Make the object of the listed parts, and make it visible, whatever is there."""
        blob, parts = self._upload(upload_id)
        numbers = [number for number, _ in listed]
        if not listed or numbers != sorted(set(numbers)):
            raise StandInError(400, "InvalidPartOrder", "The list of parts was not in ascending order.")
        if any(number not in parts or parts[number].etag != etag for number, etag in listed):
            raise StandInError(400, "InvalidPart", "One or more of the specified parts could not be found.")
        chosen = [parts[number] for number in numbers]
        if any(part.size < _MIN_PART for part in chosen[:-1]):
            raise StandInError(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size.")
        blob.size, blob._crc = 0, 0
        blob.join(chosen)
        if rule.get("corrupt"):
            blob.corrupt()
        self.publish(blob, None, None, {})
        del self._uploads[upload_id]
        return blob

    def abort(self, upload_id: str) -> None:
        """Forget a multipart upload and its parts."""
        self._upload(upload_id)
        del self._uploads[upload_id]

    def open_uploads(self, bucket: str) -> list[tuple[str, Blob]]:
        """Multipart uploads neither completed nor aborted."""
        return [(upload_id, blob) for upload_id, (blob, _) in self._uploads.items() if blob.bucket == bucket]

    def _upload(self, upload_id: str) -> tuple[Blob, dict[int, Blob]]:
        if upload_id not in self._uploads:
            raise StandInError(404, "NoSuchUpload", "The specified multipart upload does not exist.")
        return self._uploads[upload_id]
