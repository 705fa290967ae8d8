"""S3 on this machine, fast: for measuring, and for objects too large to exist.

    python -m local.s3 [--port N] [--rtt S] [--rate B] [--copy-rate B] [--tls PEM] [--keep DIRECTORY]

What is read is declared, not uploaded: ``PUT /_local/objects`` with a JSON list of ``{bucket, key, size, etag}``; its
bytes are one random block, repeated. What is written is checked (CRC32C trailers and headers, Content-MD5, signed
payload hashes) and forgotten, unless there is a directory to keep it in; ``GET /_local/written`` tells the checksum of
each object that became visible. ``PUT /_local/locks`` gives buckets an object lock: for how many days each keeps the
versions that are written. For everything else there is :mod:`local.aws`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from awscrt import checksums

from local.faults import ConnectionCutError
from local.http_stand_in import CHUNK, Network, StandInError, StandInHandler, StandInServer, options, serve
from local.s3_permissions import require_permission

BLOCK = 64 * 1024 * 1024
_OUT = 4 * 1024 * 1024
_DATE = "2026-01-01T00:00:00.000Z"
_HTTP_DATE = "Thu, 01 Jan 2026 00:00:00 GMT"
_ENCRYPTION = ("x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id")


@dataclass
class Object:
    """An object's facts; its bytes are the block's, or gone."""

    size: int
    etag: str
    crc32c: int
    about: dict[str, str] = field(default_factory=dict)
    """Headers about its encryption and its lock."""
    kept: tuple[tuple[Path, int], ...] = ()
    """The files with its bytes, in their order, and how many are in each; none if they are the block's, or gone."""


@dataclass
class Upload:
    """A multipart upload."""

    bucket: str
    key: str
    about: dict[str, str] = field(default_factory=dict)
    parts: dict[int, Object] = field(default_factory=dict)


class S3Server(StandInServer):
    """The server and what it knows."""

    def __init__(
        self, address: tuple[str, int], network: Network, tls: str | None, copy_rate: int, keep: Path | None = None
    ) -> None:
        super().__init__(address, Handler, network, tls)
        self.keep = keep
        self.copy_rate = copy_rate
        self.objects: dict[tuple[str, str], Object] = {}
        self.written: dict[str, dict[str, Any]] = {}
        self.uploads: dict[str, Upload] = {}
        self.locks: dict[str, int] = {}
        self.sent = 0
        self.block = os.urandom(BLOCK)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the server
        self._file.write(self.block)
        self._file.flush()
        self.block_file = self._file.fileno()
        self._block_crc = checksums.crc32c(self.block)

    def crc32c(self, start: int, end: int) -> int:
        """Of so many bytes of the repeated block."""
        value = 0
        while start < end:
            offset = start % BLOCK
            size = min(BLOCK - offset, end - start)
            crc = self._block_crc if size == BLOCK else checksums.crc32c(memoryview(self.block)[offset : offset + size])
            value = checksums.combine_crc32c(value, crc, size)
            start += size
        return value


class Handler(StandInHandler):
    """One connection."""

    server: S3Server

    def route(self, path: str) -> tuple[str, Any]:
        """Which call this is."""
        if path.startswith("/_local/"):
            return "local", lambda: self._control(path)
        bucket, _, key = unquote(path).lstrip("/").partition("/")
        method, copies = self.command, "x-amz-copy-source" in self.headers
        if not key:
            if method == "GET" and "location" in self.query:
                return "s3.GetBucketLocation", lambda: self.xml("<LocationConstraint/>")
            if method == "GET" and "object-lock" in self.query:
                return (
                    "s3.GetObjectLockConfiguration",
                    lambda: self._if_allowed(bucket, key, "GetObjectLockConfiguration", lambda: self._lock(bucket)),
                )
            if method == "GET" and "uploads" in self.query:
                return (
                    "s3.ListMultipartUploads",
                    lambda: self._if_allowed(bucket, key, "ListMultipartUploads", lambda: self._open_uploads(bucket)),
                )
            if method == "GET":
                return (
                    "s3.ListObjectsV2",
                    lambda: self._if_allowed(bucket, key, "ListObjectsV2", lambda: self._list(bucket)),
                )
            return "s3.HeadBucket", self.respond_empty
        if "uploadId" in self.query:
            calls = {
                "PUT": ("UploadPartCopy", self._copy_part) if copies else ("UploadPart", self._part),
                "POST": ("CompleteMultipartUpload", lambda: self._complete(bucket, key)),
                "DELETE": ("AbortMultipartUpload", self._abort),
                "GET": ("ListParts", self._parts),
            }
        elif "uploads" in self.query:
            calls = {"POST": ("CreateMultipartUpload", lambda: self._create(bucket, key))}
        else:
            put = (
                ("CopyObject", lambda: self._copy(bucket, key))
                if copies
                else ("PutObject", lambda: self._put(bucket, key))
            )
            calls = {
                "GET": ("GetObject", lambda: self._get(bucket, key)),
                "HEAD": ("HeadObject", lambda: self._get(bucket, key)),
                "PUT": put,
                "DELETE": ("DeleteObject", lambda: self._delete(bucket, key)),
            }
        if method not in calls:
            raise StandInError(405, "MethodNotAllowed", f"{method} {path}")
        name, action = calls[method]
        return f"s3.{name}", lambda: self._if_allowed(bucket, key, name, action)

    def _if_allowed(self, bucket: str, key: str, name: str, action: Any) -> None:
        """Carry a call out if the role may."""
        if (granted := self.server.permissions.get(bucket)) is not None:
            require_permission(
                granted,
                name,
                there=(bucket, key) in self.server.objects,
                conditional="If-Match" in self.headers,
            )
        action()

    def fail(self, error: StandInError) -> None:
        """As S3 words it."""
        self.xml(f"<Error><Code>{error.code}</Code><Message>{escape(str(error))}</Message></Error>", error.status)

    def respond_empty(self) -> None:
        """Nothing to say."""
        self.respond(204 if self.command == "DELETE" else 200)

    # -- reading -----------------------------------------------------------------------------------------------------

    def _object(self, bucket: str, key: str) -> Object:
        try:
            return self.server.objects[bucket, key]
        except KeyError:
            raise StandInError(404, "NoSuchKey", "The specified key does not exist.") from None

    def _get(self, bucket: str, key: str) -> None:
        found = self._object(bucket, key)
        if self.headers.get("If-Match", found.etag).strip('"') != found.etag.strip('"'):
            raise StandInError(412, "PreconditionFailed", "At least one of the pre-conditions did not hold.")
        start, end, status = 0, found.size, 200
        headers = {"ETag": f'"{found.etag}"', "Last-Modified": _HTTP_DATE, "Accept-Ranges": "bytes", **found.about}
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, end, status = int(wanted[1]), min(int(wanted[2] or found.size - 1) + 1, found.size), 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{found.size}"
        elif "x-amz-checksum-mode" in self.headers:
            headers |= {"x-amz-checksum-crc32c": _base64(found.crc32c), "x-amz-checksum-type": "FULL_OBJECT"}
        self.head(status, headers, end - start)
        if self.command != "HEAD":
            if found.kept:
                self._send_kept(found, start, end)
            else:
                self._send(start, end)

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

    def _list(self, bucket: str) -> None:
        prefix = self.query.get("prefix", "")
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{_DATE}</LastModified><ETag>&quot;{found.etag}&quot;</ETag>"
            f"<Size>{found.size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for (where, key), found in sorted(self.server.objects.items())
            if where == bucket and key.startswith(prefix)
        )
        self.xml(
            f"<ListBucketResult><Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>0</KeyCount>"
            f"<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"
        )

    # -- writing -----------------------------------------------------------------------------------------------------

    def _put(self, bucket: str, key: str) -> None:
        received = self._received()
        received.about = self._about(bucket)
        self._publish(bucket, key, received)
        headers = {"ETag": f'"{received.etag}"', "x-amz-checksum-crc32c": _base64(received.crc32c)}
        self.effect_then(lambda: self.respond(200, headers=headers))

    def _delete(self, bucket: str, key: str) -> None:
        with self.server.lock:
            there = self.server.objects.get((bucket, key))
            match = self.headers.get("If-Match")
            if match and there is not None and there.etag != match.strip('"'):
                raise StandInError(412, "PreconditionFailed", "At least one of the pre-conditions did not hold.")
            if match and there is None:
                raise StandInError(404, "NoSuchKey", "The specified key does not exist.")
            if there is not None and "versionId" in self.query and "x-amz-object-lock-mode" in there.about:
                raise StandInError(403, "AccessDenied", "Access Denied because object protected by object lock.")
            gone = self.server.objects.pop((bucket, key), None)
        for path, _ in gone.kept if gone else ():
            path.unlink(missing_ok=True)
        self.respond(204)

    def _lock(self, bucket: str) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLockConfiguration.html."""
        if not (days := self.server.locks.get(bucket)):
            raise StandInError(
                404,
                "ObjectLockConfigurationNotFoundError",
                "Object Lock configuration does not exist for this bucket",
            )
        self.xml(
            "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>"
            f"<Mode>COMPLIANCE</Mode><Days>{days}</Days></DefaultRetention></Rule></ObjectLockConfiguration>"
        )

    def _about(self, bucket: str) -> dict[str, str]:
        """What S3 keeps with an object that this request begins.

        A bucket's default retention is each new version's own, and who looks is told of it:
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html and
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html (``x-amz-object-lock-*``).
        """
        about = {name: self.headers[name] for name in _ENCRYPTION if name in self.headers}
        if days := self.server.locks.get(bucket):
            until = datetime.now(UTC) + timedelta(days=days)
            about |= {
                "x-amz-version-id": secrets.token_urlsafe(24),
                "x-amz-object-lock-mode": "COMPLIANCE",
                "x-amz-object-lock-retain-until-date": f"{until:%Y-%m-%dT%H:%M:%S.000Z}",
            }
        return about

    def _open_uploads(self, bucket: str) -> None:
        prefix = self.query.get("prefix", "")
        rows = "".join(
            f"<Upload><Key>{escape(upload.key)}</Key><UploadId>{upload_id}</UploadId></Upload>"
            for upload_id, upload in self.server.uploads.items()
            if upload.bucket == bucket and upload.key.startswith(prefix)
        )
        self.xml(f"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{rows}</ListMultipartUploadsResult>")

    def _create(self, bucket: str, key: str) -> None:
        self.drain()
        upload_id = secrets.token_urlsafe(24)
        self.server.uploads[upload_id] = Upload(bucket, key, self._about(bucket))
        self.xml(
            f"<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{escape(key)}</Key>"
            f"<UploadId>{upload_id}</UploadId></InitiateMultipartUploadResult>"
        )

    def _part(self) -> None:
        upload, received = self._upload(), self._received()
        upload.parts[int(self.query["partNumber"])] = received
        headers = {"ETag": f'"{received.etag}"', "x-amz-checksum-crc32c": _base64(received.crc32c)}
        self.effect_then(lambda: self.respond(200, headers=headers))

    def _copy_part(self) -> None:
        upload, source = self._upload(), self._copied()
        first, last = map(int, re.findall(r"\d+", self.headers["x-amz-copy-source-range"]))
        size = last + 1 - first
        self._take_time(size)
        crc32c = self.server.crc32c(first, last + 1)
        upload.parts[int(self.query["partNumber"])] = copied = Object(size, f"{crc32c:08x}{size:024x}", crc32c)
        assert last < source.size
        self.xml(f"<CopyPartResult><ETag>&quot;{copied.etag}&quot;</ETag></CopyPartResult>")

    def _copy(self, bucket: str, key: str) -> None:
        source = self._copied()
        if source.size > 5 * 1024**3:
            raise StandInError(400, "InvalidRequest", "The specified copy source is larger than 5 GiB.")
        self._take_time(source.size)
        self._publish(bucket, key, source)
        self.effect_then(
            lambda: self.xml(
                f"<CopyObjectResult><ETag>&quot;{source.etag}&quot;</ETag>"
                f"<ChecksumCRC32C>{_base64(source.crc32c)}</ChecksumCRC32C></CopyObjectResult>"
            )
        )

    def _complete(self, bucket: str, key: str) -> None:
        upload, tree = self._upload(), ElementTree.fromstring(self.body())
        crc32c = size = 0
        kept: tuple[tuple[Path, int], ...] = ()
        for part in tree:
            number = int(part.findtext("{*}PartNumber") or 0)
            found = upload.parts.get(number)
            if found is None or (part.findtext("{*}ETag") or "").strip('"') != found.etag:
                raise StandInError(400, "InvalidPart", f"part {number}")
            crc32c, size = checksums.combine_crc32c(crc32c, found.crc32c, found.size), size + found.size
            kept += found.kept
        if self.headers.get("x-amz-checksum-crc32c", _base64(crc32c)) != _base64(crc32c):
            raise StandInError(400, "BadDigest", "The CRC32C you specified did not match what we received.")
        whole = Object(size, f"{crc32c:08x}{size:024x}-{len(tree)}", crc32c, upload.about, kept)
        self._publish(bucket, key, whole)
        del self.server.uploads[self.query["uploadId"]]
        self.effect_then(
            lambda: self.xml(
                f"<CompleteMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{escape(key)}</Key>"
                f"<ETag>&quot;{whole.etag}&quot;</ETag><ChecksumCRC32C>{_base64(crc32c)}</ChecksumCRC32C>"
                f"<ChecksumType>FULL_OBJECT</ChecksumType></CompleteMultipartUploadResult>"
            )
        )

    def _abort(self) -> None:
        self._upload()
        del self.server.uploads[self.query["uploadId"]]
        self.respond(204)

    def _parts(self) -> None:
        rows = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{part.etag}&quot;</ETag><Size>{part.size}</Size></Part>"
            for number, part in sorted(self._upload().parts.items())
        )
        self.xml(f"<ListPartsResult><IsTruncated>false</IsTruncated>{rows}</ListPartsResult>")

    def _upload(self) -> Upload:
        try:
            return self.server.uploads[self.query["uploadId"]]
        except KeyError:
            raise StandInError(404, "NoSuchUpload", "The specified upload does not exist.") from None

    def _copied(self) -> Object:
        self.drain()
        bucket, _, key = unquote(self.headers["x-amz-copy-source"]).lstrip("/").partition("/")
        found = self._object(bucket, key)
        if self.headers.get("x-amz-copy-source-if-match", found.etag).strip('"') != found.etag:
            raise StandInError(412, "PreconditionFailed", "At least one of the pre-conditions did not hold.")
        return found

    def _take_time(self, size: int) -> None:
        if self.server.copy_rate:
            time.sleep(size / self.server.copy_rate)

    def _publish(self, bucket: str, key: str, new: Object) -> None:
        with self.server.lock:
            there = self.server.objects.get((bucket, key))
            match, none_match = self.headers.get("If-Match"), self.headers.get("If-None-Match")
            if match and there is None:
                raise StandInError(404, "NoSuchKey", "The specified key does not exist.")
            if (none_match and there) or (match and there and there.etag != match.strip('"')):
                raise StandInError(412, "PreconditionFailed", "At least one of the pre-conditions did not hold.")
            self.server.objects[bucket, key] = new
            self.server.written[f"{bucket}/{key}"] = {"size": new.size, "crc32c": _base64(new.crc32c)}

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
            or (expected is not None and expected != _base64(crc32c))
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

    # -- control -----------------------------------------------------------------------------------------------------

    def _control(self, path: str) -> None:
        common = self.control(path)
        if common is not None:
            self.json(200, common)
        elif path == "/_local/written":
            written = dict(self.server.written)
            if self.command == "DELETE":
                for name in written:
                    bucket, key = name.split("/", 1)
                    self.server.objects.pop((bucket, key), None)
                self.server.written.clear()
            self.json(
                200,
                {
                    "written": written,
                    "sent": self.server.sent,
                    "open_uploads": [upload.key for upload in self.server.uploads.values()],
                },
            )
        else:
            raise StandInError(404, "NoSuchPage", path)

    def control(self, path: str) -> Any:
        """The objects that can be read, and the buckets with an object lock."""
        if path == "/_local/locks":
            self.server.locks = json.loads(self.body())
            return self.server.locks
        if path != "/_local/objects":
            return super().control(path)
        response = {}
        for item in json.loads(self.body()):
            size, key = item["size"], item["key"]
            made = Object(
                size,
                item.get("etag") or f"{hashlib.sha256(key.encode()).hexdigest()[:32]}-1",
                self.server.crc32c(0, size),
            )
            self.server.objects[item["bucket"], key] = made
            response[key] = {"etag": made.etag, "crc32c": _base64(made.crc32c)}
        return response


def _base64(crc32c: int) -> str:
    return base64.b64encode(crc32c.to_bytes(4, "big")).decode()


def main() -> None:
    """Serve until ended."""
    parser = options(__doc__)
    parser.add_argument("--copy-rate", type=int, default=0, help="modelled bytes per second of one copy request")
    parser.add_argument("--keep", type=Path, help="a directory for what is written, which can then be read")
    arguments = parser.parse_args()
    network = Network(arguments.rtt, arguments.rate)
    serve(S3Server((arguments.host, arguments.port), network, arguments.tls, arguments.copy_rate, arguments.keep))


if __name__ == "__main__":
    main()
