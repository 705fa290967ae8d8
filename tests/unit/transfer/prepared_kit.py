"""The prepared area over a bucket in memory."""

from __future__ import annotations

import threading

import pytest

from client_delivery.transfer.contract import TransferError
from client_delivery.transfer.http.connection import Head
from client_delivery.transfer.http.pool import Response
from client_delivery.transfer.integrity import CRC32C, Digest, OwnChecksum
from client_delivery.transfer.objects.api import Occupied, Stored
from client_delivery.transfer.prepared import Prepared
from client_delivery.transfer.reading.held import _Held
from client_delivery.transfer.treatment.area import PreparedArea

PREPARED = Prepared("prepared", "files/k/1", "e", 70, 100, "crc32c:AAAAAA==", "AAAAAAAAAAA=", "digest")


def digest_of(content: bytes) -> Digest:
    digest = Digest()
    digest.update(content)
    return digest


class Bucket:
    """S3's verbs over a dictionary: a place that is taken is not written, and a part that never came not completed."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.lost = False
        """Whether the next object that is written is there, and its request is repeated."""
        self.refuses_part: int | None = None
        self._lock = threading.Lock()

    def uri(self, key):
        return f"s3://prepared/{key}"

    def look(self, key):
        if key not in self.objects:
            return None
        found = self.objects[key]
        return Stored(self._tag(found), len(found), OwnChecksum(CRC32C, digest_of(found).crc32c))

    def put(self, key, content, digest, instead_of, about):
        return self._written(key, bytes(content))

    def begin(self, key, about):
        self.uploads["u"] = {}
        return "u"

    def put_part(self, key, upload, number, held):
        content = b"".join(bytes(piece) for piece in held)
        with self._lock:
            if number == self.refuses_part:
                raise TransferError("S3 refuses to write: SlowDown")
            self.uploads[upload][number] = content
        return f'"{number}"'

    def complete(self, key, upload, tags, digest, instead_of):
        parts = self.uploads.pop(upload)
        assert tags == {number: f'"{number}"' for number in parts}
        content = b"".join(parts[number] for number in sorted(parts))
        assert digest.crc32c == digest_of(content).crc32c
        return self._written(key, content)

    def abort(self, key, upload):
        self.uploads.pop(upload, None)

    def withdraw(self, key, stored):
        if key in self.objects and self._tag(self.objects[key]) == stored.tag:
            del self.objects[key]

    def _written(self, key, content):
        if key in self.objects:
            raise Occupied
        self.objects[key] = content
        if self.lost:
            raise Occupied
        return Stored(self._tag(content))

    @staticmethod
    def _tag(content):
        return f'"{digest_of(content).crc32c}"'


class Access:
    """Responds to a HEAD so; or raises it."""

    client = None

    def __init__(self, answer=None):
        self.answer = answer

    def exchange(self, method, bucket, key, **request):
        if isinstance(self.answer, Exception):
            raise self.answer
        status, size = self.answer
        head = Head(status, {"content-length": str(size)}, 0, closes=True)
        return Response(_Held(b""), head, lambda keep: None)


@pytest.fixture
def bucket():
    return Bucket()


@pytest.fixture
def area(bucket):
    area = PreparedArea("s3://prepared/files/", Access())
    area._api = bucket
    return area
