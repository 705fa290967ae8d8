"""Buckets as pick-ups may be: what they keep of older versions, and whether their ETags say anything."""

from __future__ import annotations

import itertools
from typing import Any

from local.stand_ins import encrypt_by_kms, keep_versions

KINDS = ("plain", "versioned", "versioned, KMS", "suspended", "suspended, KMS", "KMS")
_numbers = itertools.count(1)


def make_bucket(s3: Any, kind: str) -> str:
    """A bucket of its own, of one of :data:`KINDS`."""
    name = f"pickup-{next(_numbers)}"
    s3.create_bucket(Bucket=name)
    if "KMS" in kind:
        encrypt_by_kms(s3, name)
    if "versioned" in kind or "suspended" in kind:
        keep_versions(s3, name)
    if "suspended" in kind:
        suspend_versions(s3, name)
    return name


def suspend_versions(s3: Any, bucket: str) -> None:
    """From now on the bucket keeps the versions that it has, and no new ones."""
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
