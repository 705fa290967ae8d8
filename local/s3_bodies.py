"""Bodies as the fast S3 sends and receives them: repeated blocks, or files that were kept; checksums of all kinds."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from typing import Any

from awscrt import checksums

from local.faults import ConnectionCutError
from local.http_stand_in import CHUNK, StandInError, StandInHandler
from local.s3_objects import BLOCK, Object, S3Server, as_base64


class BodyHandler(StandInHandler):
    """Sends and receives bodies."""

    server: S3Server

    def _send_kept(self, found: Object, start: int, end: int) -> None:
        self.send_body(b"")
        for path, size in found.kept:
            if start < size and end > 0:
                with path.open("rb") as file:
                    file.seek(max(start, 0))
                    left = min(end, size) - max(start, 0)
                    while left and (piece := file.read(min(left, CHUNK))):
                        self.connection.sendall(piece)
                        self.server.sent += len(piece)
                        left -= len(piece)
            start, end = start - size, end - size

    def _send(self, start: int, end: int) -> None:
        """On order: a wrong byte in the middle (``corrupt``), or an early end (``truncate``: bytes that are sent)."""
        if "truncate" in self.rule:
            end = min(end, start + self.rule["truncate"])
        if end - start <= 128 * 1024 and not self.rule:
            self.server.sent += end - start
            offset = start % BLOCK
            if offset + end - start <= BLOCK:
                self.send_body(memoryview(self.server.block)[offset : offset + end - start])
                return
        self.send_body(b"")
        position = start
        plain = self.server.scheme == "http" and not self.rule.get("corrupt")
        while position < end:
            offset = position % BLOCK
            size = min(BLOCK - offset, end - position, BLOCK if plain else CHUNK)
            if plain:
                sent = os.sendfile(self.connection.fileno(), self.server.block_file, offset, size)
            else:
                piece: Any = memoryview(self.server.block)[offset : offset + size]
                if self.rule.get("corrupt") and position <= (start + end) // 2 < position + size:
                    piece = bytearray(piece)
                    piece[(start + end) // 2 - position] ^= 1
                self.connection.sendall(piece)
                sent = size
            position += sent
            self.server.sent += sent
        if "truncate" in self.rule:
            raise ConnectionCutError

    def _received(self) -> Object:
        """Take the body in and compare it with every checksum that came along."""
        signed = self.headers.get("x-amz-content-sha256", "")
        sha256 = hashlib.sha256() if re.fullmatch("[0-9a-f]{64}", signed) else None
        md5 = hashlib.md5(usedforsecurity=False) if "content-md5" in self.headers else None
        crc32c = size = 0
        expected = self.headers.get("x-amz-checksum-crc32c")
        kept = None if self.server.keep is None else self.server.keep / secrets.token_hex(8)
        file = None if kept is None else kept.open("wb")
        for piece in self._unframed() if "aws-chunked" in self.headers.get("content-encoding", "") else self.pieces():
            if isinstance(piece, str):
                expected = piece
                continue
            if self.rule.get("corrupt") and not size:
                piece[0] ^= 1  # as if it had been garbled on its way
            crc32c, size = checksums.crc32c(piece, crc32c), size + len(piece)
            if file is not None:
                file.write(piece)
            for digest in (sha256, md5):
                if digest:
                    digest.update(piece)
        if (
            (sha256 and sha256.hexdigest() != signed)
            or (md5 and base64.b64encode(md5.digest()).decode() != self.headers["content-md5"])
            or (expected is not None and expected != as_base64(crc32c))
        ):
            raise StandInError(400, "BadDigest", "The checksum you specified did not match what we received.")
        if file is not None:
            file.close()
        return Object(size, f"{crc32c:08x}{size:024x}", crc32c, kept=((kept, size),) if kept else ())

    def _unframed(self) -> Iterator[memoryview | str]:
        """``aws-chunked``: the bytes, then the trailing CRC32C as text."""
        rate, began, total = self.server.network.rate, time.monotonic(), 0
        buffer = memoryview(bytearray(CHUNK))
        while size := int(self._line().partition(b";")[0], 16):
            while size:
                count = self.rfile.readinto(buffer[: min(size, CHUNK)])
                if not count:
                    raise ConnectionCutError
                size -= count
                self.left -= count
                total += count
                yield buffer[:count]
            if rate:
                time.sleep(max(0.0, total / rate - (time.monotonic() - began)))
            self._line()
        while self.left:
            name, _, value = self._line().decode().partition(":")
            if name.lower() == "x-amz-checksum-crc32c":
                yield value.strip()

    def _line(self) -> bytes:
        line = self.rfile.readline()
        if not line:
            raise ConnectionCutError
        self.left -= len(line)
        return line.strip()
