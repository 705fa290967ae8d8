"""Files into MWAA's bucket: only what changed, and what is gone is removed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Upload:
    """One object that differs from its file."""

    action: str
    """``put`` or ``delete``."""
    key: str
    path: Path | None = None

    def __str__(self) -> str:
        return f"{self.action:<7}{self.key}"


class Bucket:
    """MWAA's bucket. Objects are small and encrypted with S3's own key, so that an ETag is an MD5."""

    def __init__(self, s3: Any, name: str) -> None:
        self._s3 = s3
        self.name = name

    def differences(self, prefix: str, files: dict[str, Path]) -> list[Upload]:
        """What must be done so that ``prefix`` holds exactly these files (names below the prefix)."""
        there = self._etags(prefix)
        wanted = {prefix + name: path for name, path in files.items()}
        changed = [Upload("put", key, path) for key, path in sorted(wanted.items()) if there.get(key) != _md5(path)]
        return changed + [Upload("delete", key) for key in sorted(there.keys() - wanted.keys())]

    def carry_out(self, uploads: list[Upload]) -> None:
        """Puts first: while both old and new name of a file exist, nothing is missing."""
        for upload in sorted(uploads, key=lambda one: one.action == "delete"):
            if upload.path is not None:
                self._s3.put_object(Bucket=self.name, Key=upload.key, Body=upload.path.read_bytes())
            else:
                self._s3.delete_object(Bucket=self.name, Key=upload.key)

    def download(self, prefix: str, directory: Path) -> None:
        """The files right below ``prefix``, into the directory."""
        for key in self._etags(prefix):
            name = key.removeprefix(prefix)
            if name and "/" not in name:
                body = self._s3.get_object(Bucket=self.name, Key=key)["Body"]
                (directory / name).write_bytes(body.read())

    def version_of(self, key: str, path: Path, *, upload: bool) -> str | None:
        """The version id of the object that equals the file; uploads it first if need be and allowed."""
        if self._etags(key).get(key) != _md5(path):
            if not upload:
                return None
            self._s3.put_object(Bucket=self.name, Key=key, Body=path.read_bytes())
        return str(self._s3.head_object(Bucket=self.name, Key=key)["VersionId"])

    def _etags(self, prefix: str) -> dict[str, str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return {item["Key"]: item["ETag"].strip('"') for page in pages for item in page.get("Contents", ())}


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
