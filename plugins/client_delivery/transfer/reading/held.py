"""A source that is held in memory: what a probe delivers, by the engine's own way, without any bucket."""

from __future__ import annotations

import hashlib
from typing import Any

from client_delivery.transfer.contract import Job, SourceObject
from client_delivery.transfer.http.connection import Head, HttpConnection
from client_delivery.transfer.http.pool import Response
from client_delivery.transfer.s3_wire.access import S3Access


class HeldFiles(S3Access):
    """Stands in the place of S3, as far as :class:`~client_delivery.transfer.reading.source.Source` reads from it."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def job(self, name: str, content: bytes, token: int) -> Job:
        """A job that delivers ``content`` under ``name``."""
        self._files[name] = content
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        return Job(name, SourceObject("probe", name, etag, len(content)), token)

    def exchange(self, method: str, bucket: str, key: str, **request: Any) -> Response:
        """The response that S3 would give for an object without a checksum of its own."""
        content, asked = self._files[key], (request.get("headers") or {}).get("Range")
        status, piece = 200, content
        if asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            status, piece = 206, content[int(first) : int(last) + 1]
        body = b"" if method == "HEAD" else piece
        headers = {"content-length": str(len(piece)), "content-type": "text/plain"}
        return Response(_Held(body), Head(status, headers, len(body), closes=True), lambda keep: None)


class _Held(HttpConnection):
    """The connection of a response that is there already."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def readinto(self, buffer: memoryview) -> int:
        """The next bytes."""
        piece, self._content = self._content[: len(buffer)], self._content[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)


class NoJournal:
    """Notes nothing: a probe is not resumed, and nobody else delivers it."""

    def checkpoint(self, state: Any) -> None:
        """Nothing to keep."""

    def confirm(self) -> None:
        """Nobody can own it but the probe."""

    def resumed(self, there: int) -> None:
        """Never."""

    def progress(self, moved: int) -> None:
        """Nobody watches."""
