"""Files into MWAA's bucket: only what changed, and what is gone is removed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client_delivery.config.treatment import KEYS


@dataclass(frozen=True)
class Upload:
    """One object that differs from its file."""

    action: str
    """``put`` or ``delete``."""
    key: str
    path: Path | None = None

    def __str__(self) -> str:
        return f"{self.action:<7}{self.key}"


def in_order(uploads: Sequence[Upload], makes_room: Callable[[Upload, Upload], bool]) -> list[Upload]:
    """Puts first, deletes last; but what makes room for a put comes right before it.

    Otherwise the old file of a client that was renamed and the new one would be there together for a moment, and MWAA
    may copy the bucket in just that moment: two files with one delivery key, of which the newcomer is wrong, red and
    alarming. The other way round nothing is lost: the file's DAG has another id after a rename in any case, and a run
    of the old one that is under way ends as it began. Where two files change places, no order has no such moment:
    they are written one after the other, and neither is ever gone.

    :param makes_room: whether the first, once done, no longer has what the second is going to have.
    """
    ordered: dict[str, Upload] = {}

    def add(upload: Upload, waiting: frozenset[str]) -> None:
        if upload.key in ordered or upload.key in waiting:
            return
        for other in uploads:
            if other.key != upload.key and makes_room(other, upload):
                add(other, waiting | {upload.key})
        ordered[upload.key] = upload

    for upload in sorted(uploads, key=lambda one: one.action == "delete"):
        add(upload, frozenset())
    return list(ordered.values())


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

    def carry_out(self, uploads: Sequence[Upload]) -> None:
        """One after the other, as they are given: see :func:`in_order`."""
        for upload in uploads:
            if upload.path is not None:
                self._s3.put_object(Bucket=self.name, Key=upload.key, Body=upload.path.read_bytes())
            else:
                self._s3.delete_object(Bucket=self.name, Key=upload.key)

    def download(self, prefix: str, directory: Path) -> None:
        """The configurations right below ``prefix``, and the recipients' keys, into the directory."""
        for key in self._etags(prefix):
            folder, _, name = key.removeprefix(prefix).rpartition("/")
            if name and folder in ("", KEYS):
                body = self._s3.get_object(Bucket=self.name, Key=key)["Body"]
                (directory / folder).mkdir(exist_ok=True)
                (directory / folder / name).write_bytes(body.read())

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
