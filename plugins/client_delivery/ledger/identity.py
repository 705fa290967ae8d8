"""Which files are the same (R3.1, R3.6, R5.7): the sort key is made from the ETag, recognition compares content.

The ETag is the MD5 of the content only for an object that was uploaded in one request and is not encrypted with a KMS
or customer key. Under SSE-KMS every upload of the same bytes has another ETag, and the ETag of a multipart upload
depends on its part size (Amazon S3 API reference, *Object*: ETag). S3 also keeps a checksum of every object that was
uploaded since December 2024: the one that the uploader chose (SHA-256, SHA-1, CRC32, CRC32C, CRC64NVME), else
CRC64NVME (Amazon S3 user guide, *Checking object integrity*). Equal checksums and sizes say that the content is equal.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

_CRYPTOGRAPHIC = ("sha256", "sha1")
_STRONG = (*_CRYPTOGRAPHIC, "crc64nvme")
"""Long enough that two files of one client never share one by chance."""
_WEAK = ("crc32c", "crc32")
"""32 bits, which some SDKs choose: among a hundred thousand files of one size, two share one by chance. Together with
the name they identify a file; without it they are a hint, and the content has to be read."""
_EMPTY = "AAAAAAAAAAA="
"""CRC64NVME of no bytes."""


def identity(etag: str, name: str, *, by_name: bool) -> str:
    """The ledger's sort key of a file that is new to it (R3.1, R5.7).

    If names tell files apart, the name is part of it, as a digest: a sort key may have 1,024 bytes, and so may a name.
    """
    return f"{etag}#{name_digest(name)}" if by_name else etag


def name_digest(name: str) -> str:
    """A file's name in a sort key."""
    return hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What is known about an object's content without reading it.

    Each checksum is written ``<algorithm>:<base64>:<size in bytes>``. That of a multipart upload's parts has the number
    of parts in it (``…-12``): equal ones still say equal content, different ones say nothing.
    """

    checksums: tuple[str, ...] = ()

    @classmethod
    def of(cls, checksums: Mapping[str, str], size: int) -> Self:
        """From the checksums by algorithm (in lower case), and the object's size."""
        known = (*_STRONG, *_WEAK)
        checksums = checksums if size else {**checksums, "crc64nvme": _EMPTY}
        return cls(tuple(f"{name}:{checksums[name]}:{size}" for name in known if checksums.get(name)))

    @classmethod
    def of_head(cls, head: Mapping[str, Any]) -> Self:
        """From the response to a HeadObject request with ``ChecksumMode=ENABLED``."""
        found = {name: head.get(f"Checksum{name.upper()}", "") for name in (*_STRONG, *_WEAK)}
        return cls.of(found, head["ContentLength"])

    def with_crc64nvme(self, value: int, size: int) -> Self:
        """The same, with the CRC64NVME that was computed from the content."""
        computed = base64.b64encode(value.to_bytes(8, "big")).decode()
        return type(self)(tuple(dict.fromkeys((*self.checksums, f"crc64nvme:{computed}:{size}"))))

    @property
    def strong(self) -> tuple[str, ...]:
        """Those that identify the content under any name, the best first."""
        return tuple(one for one in self.checksums if one.partition(":")[0] in _STRONG)

    @property
    def certain(self) -> bool:
        """Whether a strong one is of the whole content: then it shows both equal and different content."""
        return any("-" not in one.split(":")[1] for one in self.strong)

    @property
    def weak(self) -> tuple[str, ...]:
        """Those that identify the content only together with the same name."""
        return tuple(one for one in self.checksums if one.partition(":")[0] in _WEAK)

    @property
    def whole(self) -> bool:
        """Whether S3 has a checksum of the whole content, not only of the uploaded parts."""
        return any("-" not in one.split(":")[1] for one in self.checksums)

    def contradicts(self, other: Fingerprint) -> bool:
        """Whether a cryptographic digest that both have says that the contents differ."""
        theirs = dict(other._digests())
        return any(theirs.get(name, value) != value for name, value in self._digests())

    def _digests(self) -> Iterator[tuple[str, str]]:
        """Only those of the whole content: a digest of parts differs with their size."""
        for one in self.checksums:
            name, value, _ = one.split(":")
            if name in _CRYPTOGRAPHIC and "-" not in value:
                yield name, value
