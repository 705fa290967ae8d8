"""S3 on this machine, fast: for measuring, and for objects too large to exist.

    python -m local.s3 [--port N] [--rtt S] [--rate B] [--copy-rate B] [--tls PEM] [--keep DIRECTORY]

What is read is declared, not uploaded: ``PUT /_local/objects`` with a JSON list of ``{bucket, key, size, etag}``; its
bytes are one random block, repeated. What is written is checked (CRC32C trailers and headers, Content-MD5, signed
payload hashes) and forgotten, unless there is a directory to keep it in; ``GET /_local/written`` tells the checksum of
each object that became visible. ``PUT /_local/locks`` gives buckets an object lock: for how many days each keeps the
versions that are written. For everything else there is :mod:`local.aws`.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.sax.saxutils import escape

from local.http_stand_in import Network, StandInError, options, serve
from local.s3_objects import Object, S3Server, as_base64
from local.s3_permissions import require_permission
from local.s3_writing import WritingHandler

_DATE = "2026-01-01T00:00:00.000Z"
_HTTP_DATE = "Thu, 01 Jan 2026 00:00:00 GMT"


class Handler(WritingHandler):
    """One connection."""

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
            headers |= {"x-amz-checksum-crc32c": as_base64(found.crc32c), "x-amz-checksum-type": "FULL_OBJECT"}
        self.head(status, headers, end - start)
        if self.command != "HEAD":
            if found.kept:
                self._send_kept(found, start, end)
            else:
                self._send(start, end)

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
            response[key] = {"etag": made.etag, "crc32c": as_base64(made.crc32c)}
        return response


def main() -> None:
    """Serve until ended."""
    parser = options(__doc__)
    parser.add_argument("--copy-rate", type=int, default=0, help="modelled bytes per second of one copy request")
    parser.add_argument("--keep", type=Path, help="a directory for what is written, which can then be read")
    arguments = parser.parse_args()
    network = Network(arguments.rtt, arguments.rate)
    address = (arguments.host, arguments.port)
    serve(S3Server(address, Handler, network, arguments.tls, arguments.copy_rate, arguments.keep))


if __name__ == "__main__":
    main()
