"""What both APIs of :mod:`local.gcs` are made of: objects received, read, and preconditions."""

from __future__ import annotations

import re
from typing import Any

from local.gcs_objects import Blob, ObjectStore
from local.http_stand_in import Network, StandInHandler, StandInServer

_KEPT = frozenset({"content-encoding", "content-disposition", "content-language", "cache-control"})
_OWN = "x-goog-meta-"


class GcsServer(StandInServer):
    """The server and what it knows."""

    def __init__(
        self,
        address: tuple[str, int],
        store: ObjectStore,
        handler: type[StandInHandler],
        network: Network,
        tls: str | None,
    ) -> None:
        super().__init__(address, handler, network, tls)
        self.store = store
        self.tokens: set[str] = set()
        self.federated: list[str] = []
        """The AWS access keys for which federation gave out a token."""
        self.impersonated: list[tuple[str, int]] = []
        """The service accounts that somebody acted as, each with the token's seconds."""
        self.sessions: dict[str, dict[str, Any]] = {}


class GcsHandler(StandInHandler):
    """One connection."""

    server: GcsServer

    def _download(self, bucket: str, name: str) -> None:
        blob = self.server.store.get(bucket, name)
        start, end = 0, blob.size
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted:
            start, end = int(wanted[1]), min(int(wanted[2] or blob.size - 1) + 1, blob.size)
        headers = blob.headers()
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{blob.size}"
        self.head(206 if wanted else 200, headers, end - start)
        for piece in blob.read(start, end):
            self.send_body(piece)

    def _new(self, bucket: str, name: str, metadata: dict[str, Any]) -> Blob:
        headers = {name.lower(): value for name, value in self.headers.items()}
        return self.server.store.new_blob(
            bucket,
            name,
            storage_class=metadata.get("storageClass") or self.headers.get("x-goog-storage-class", "STANDARD"),
            kms_key=self.query.get("kmsKeyName") or self.headers.get("x-goog-encryption-kms-key-name"),
            content_type=metadata.get("contentType") or self.headers.get("Content-Type", "application/octet-stream"),
            metadata=metadata.get("metadata") or {},
            carried={name: value for name, value in headers.items() if name in _KEPT or name.startswith(_OWN)},
        )

    def _receive(self, bucket: str, name: str, metadata: dict[str, Any]) -> Blob:
        blob = self._new(bucket, name, metadata)
        self._receive_into(blob)
        return blob

    def _receive_into(self, blob: Blob) -> None:
        for piece in self.pieces():
            blob.append(piece)

    def _hash_header(self) -> str | None:
        for item in self.headers.get("x-goog-hash", "").split(","):
            kind, _, value = item.strip().partition("=")
            if kind == "crc32c":
                return str(value)
        return None

    def _precondition(self, parameter: str | None, header: str | None = None) -> int | None:
        value = self.query.get(parameter) if parameter else None
        if value is None and header:
            value = self.headers.get(header)
        return None if value is None else int(value)
