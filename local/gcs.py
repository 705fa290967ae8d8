"""Google Cloud Storage on this machine, faithful where deliveries depend on it.

    python -m local.gcs --directory DIR [--port N] [--discard]

It speaks what the engine and Google's own client use: the OAuth token endpoint, the JSON API (metadata, listing,
media and resumable uploads), and the XML API with multipart uploads. Checksums are really checked, preconditions
really hold, and only complete objects are visible. ``/_local/events`` lists what became visible, in order;
``/_local/faults`` makes calls fail (see :mod:`local.faults`). ``--discard`` keeps checksums and sizes, not bytes.
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from local.faults import ConnectionCutError, Faults, error_body
from local.gcs_objects import Blob, ObjectStore, StoreError
from local.process import announce_ready

_CHUNK = 256 * 1024


class GcsServer(ThreadingHTTPServer):
    """The server and what it knows."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, store: ObjectStore) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.store = store
        self.faults = Faults()
        self.counts: Counter[str] = Counter()
        self.tokens: set[str] = set()
        self.sessions: dict[str, dict[str, Any]] = {}
        self.lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that was cut is nothing to report."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: GcsServer

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the requests are counted."""

    def do_GET(self) -> None:
        """Reads."""
        self._serve()

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))
        path = parts.path
        self.left = int(self.headers.get("Content-Length") or 0)
        try:
            call, action = self._route(path)
            self.server.counts[call] += 1
            rule = self.server.faults.match(call, unquote(path))
            if rule:
                time.sleep(rule.get("delay", 0))
                if rule.get("reset") == "before":
                    self._read(min(self.left, rule.get("after_bytes", 0)))
                    raise ConnectionCutError
                if "status" in rule:
                    self._drain()
                    self._answer(
                        rule["status"], error_body("s3" if call.startswith("xml") else call, rule.get("code", ""))
                    )
                    return
            self.rule = rule or {}
            action()
        except StoreError as error:
            self._drain()
            self._error(error.status, error.code, str(error))
        except ConnectionError:
            self.close_connection = True

    def _route(self, path: str) -> tuple[str, Any]:
        if path.startswith("/_local/"):
            return "local", lambda: self._control(path)
        if path == "/token":
            return "token", self._token
        self._authorize()
        method = self.command
        if found := re.fullmatch(r"/storage/v1/b/([^/]+)", path):
            return "json.GetBucket", lambda: self._bucket(found[1])
        if found := re.fullmatch(r"/storage/v1/b/([^/]+)/o/(.+)", path):
            bucket, name = found[1], unquote(found[2])
            if method == "DELETE":
                return "json.DeleteObject", lambda: self._delete(bucket, name)
            if self.query.get("alt") == "media":
                return "json.Download", lambda: self._download(bucket, name)
            return "json.GetObject", lambda: self._json(200, self._describe(bucket, name))
        if found := re.fullmatch(r"/storage/v1/b/([^/]+)/o", path):
            return "json.List", lambda: self._list(found[1])
        if found := re.fullmatch(r"(?:/resumable)?/upload/storage/v1/b/([^/]+)/o", path):
            return self._route_upload(found[1])
        return self._route_xml(*_bucket_and_name(path))

    def _route_upload(self, bucket: str) -> tuple[str, Any]:
        kind = self.query.get("uploadType", "media")
        if "upload_id" in self.query:
            if self.command == "DELETE":
                return "json.CancelUpload", self._cancel_session
            return "json.ResumableChunk", self._resumable_chunk
        if kind == "resumable":
            return "json.StartResumable", lambda: self._start_session(bucket)
        if kind == "media":
            return "json.Upload", lambda: self._upload(bucket, self.query["name"])
        return "json.MultipartUpload", lambda: self._upload_related(bucket)

    def _route_xml(self, bucket: str, name: str) -> tuple[str, Any]:
        method, upload = self.command, self.query.get("uploadId")
        if upload is not None:
            actions = {
                "PUT": ("UploadPart", lambda: self._part(bucket, name, upload)),
                "POST": ("CompleteUpload", lambda: self._complete(bucket, name, upload)),
                "DELETE": ("AbortUpload", lambda: self._abort(upload)),
                "GET": ("ListParts", lambda: self._parts(upload)),
            }
        elif "uploads" in self.query:
            actions = {
                "POST": ("InitiateUpload", lambda: self._initiate(bucket, name)),
                "GET": ("ListUploads", lambda: self._uploads(bucket)),
            }
        else:
            actions = {
                "PUT": ("PutObject", lambda: self._xml_put(bucket, name)),
                "GET": ("GetObject", lambda: self._download(bucket, name)),
                "HEAD": ("HeadObject", lambda: self._head(bucket, name)),
                "DELETE": ("DeleteObject", lambda: self._delete(bucket, name)),
            }
        if method not in actions:
            raise StoreError(405, "MethodNotAllowed", f"{method} {self.path}")
        call, action = actions[method]
        return f"xml.{call}", action

    # -- identity ----------------------------------------------------------------------------------------------------

    def _token(self) -> None:
        form = dict(parse_qsl(self._body().decode()))
        if (
            form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer"
            or form.get("assertion", "").count(".") != 2
        ):
            self._json(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
            return
        token = f"local.{secrets.token_urlsafe(24)}"
        self.server.tokens.add(token)
        self._json(200, {"access_token": token, "expires_in": 3600, "token_type": "Bearer"})

    def _authorize(self) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.server.tokens:
            raise StoreError(401, "AuthenticationRequired", "Invalid Credentials")

    # -- JSON API ----------------------------------------------------------------------------------------------------

    def _bucket(self, bucket: str) -> None:
        self.server.store.require_bucket(bucket)
        self._json(
            200, {"kind": "storage#bucket", "id": bucket, "name": bucket, "location": "US", "storageClass": "STANDARD"}
        )

    def _describe(self, bucket: str, name: str) -> dict[str, Any]:
        return self.server.store.get(bucket, name).resource()

    def _list(self, bucket: str) -> None:
        items = [blob.resource() for blob in self.server.store.list(bucket, self.query.get("prefix", ""))]
        self._json(200, {"kind": "storage#objects", "items": items})

    def _delete(self, bucket: str, name: str) -> None:
        generation = self._precondition("ifGenerationMatch", "x-goog-if-generation-match") or self.query.get(
            "generation"
        )
        self.server.store.delete(bucket, name, None if generation is None else int(generation))
        self._answer(204)

    def _upload(self, bucket: str, name: str) -> None:
        self.server.store.require_bucket(bucket)
        self._finish_json(self._receive(bucket, name, self.query))

    def _upload_related(self, bucket: str) -> None:
        boundary = re.search(r"boundary=['\"]?([^'\";]+)", self.headers["Content-Type"])
        pieces = self._body().split(b"--" + (boundary[1] if boundary else "").encode())
        metadata = json.loads(pieces[1].split(b"\r\n\r\n", 1)[1])
        content = pieces[2].split(b"\r\n\r\n", 1)[1][:-2]
        blob = self._new(bucket, metadata.get("name") or self.query["name"], metadata)
        blob.append(content)
        self._finish_json(blob, metadata.get("crc32c"))

    def _finish_json(self, blob: Blob, crc32c: str | None = None) -> None:
        expected = crc32c or self._hash_header()
        self.server.store.publish(blob, self._precondition("ifGenerationMatch"), expected, self.rule)
        self._effect_then(lambda: self._json(200, blob.resource()))

    def _start_session(self, bucket: str) -> None:
        metadata = json.loads(self._body() or b"{}")
        self.server.store.require_bucket(bucket)
        blob = self._new(bucket, metadata.get("name") or self.query["name"], metadata)
        upload_id = secrets.token_urlsafe(24)
        self.server.sessions[upload_id] = {
            "blob": blob,
            "crc32c": metadata.get("crc32c"),
            "if": self._precondition("ifGenerationMatch"),
        }
        host = self.headers["Host"]
        self._answer(
            200,
            headers={
                "Location": f"http://{host}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={upload_id}"
            },
        )

    def _resumable_chunk(self) -> None:
        session = self.server.sessions.get(self.query["upload_id"])
        if session is None:
            raise StoreError(404, "NotFound", "upload session not found")
        blob: Blob = session["blob"]
        sent = re.fullmatch(
            r"bytes (?:\*|(\d+)-(\d+))/(\*|\d+)",
            self.headers.get("Content-Range", f"bytes 0-{self.left - 1}/{self.left}"),
        )
        if "done" in session:
            self._drain()
            self._json(200, session["done"])
            return
        if sent is None:
            raise StoreError(400, "InvalidArgument", "bad Content-Range")
        first, _, total = sent.groups()
        if first is not None:
            if int(first) > blob.size:
                raise StoreError(503, "ServiceUnavailable", "gap in the upload")
            self._read(blob.size - int(first))  # bytes that are persisted already
            self._receive_into(blob)
        if total == "*" or blob.size < int(total):
            # What is not a multiple of 256 KiB is not persisted before the end.
            blob.truncate(blob.size - blob.size % _CHUNK)
            headers = {"Range": f"bytes=0-{blob.size - 1}"} if blob.size else {}
            self._effect_then(lambda: self._answer(308, headers=headers))
            return
        self.server.store.publish(blob, session["if"], session["crc32c"] or self._hash_header(), self.rule)
        session["done"] = blob.resource()
        self._effect_then(lambda: self._json(200, blob.resource()))

    def _cancel_session(self) -> None:
        self.server.sessions.pop(self.query["upload_id"], None)
        self._answer(499)

    def _download(self, bucket: str, name: str) -> None:
        blob = self.server.store.get(bucket, name)
        start, end = 0, blob.size
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted:
            start, end = int(wanted[1]), min(int(wanted[2] or blob.size - 1) + 1, blob.size)
        self.send_response(206 if wanted else 200)
        for header, value in blob.headers().items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(end - start))
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{blob.size}")
        self.end_headers()
        for piece in blob.read(start, end):
            self.wfile.write(piece)

    # -- XML API -----------------------------------------------------------------------------------------------------

    def _xml_put(self, bucket: str, name: str) -> None:
        self.server.store.require_bucket(bucket)
        blob = self._receive(bucket, name, {})
        condition = self._precondition(None, "x-goog-if-generation-match")
        self.server.store.publish(blob, condition, self._hash_header(), self.rule)
        self._effect_then(lambda: self._answer(200, headers=blob.headers()))

    def _head(self, bucket: str, name: str) -> None:
        blob = self.server.store.get(bucket, name)
        self._answer(200, headers={**blob.headers(), "x-goog-stored-content-length": str(blob.size)}, length=blob.size)

    def _initiate(self, bucket: str, name: str) -> None:
        self._drain()
        upload_id = self.server.store.initiate(self._new(bucket, name, {}))
        self._xml(
            f"<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{escape(name)}</Key>"
            f"<UploadId>{upload_id}</UploadId></InitiateMultipartUploadResult>"
        )

    def _part(self, bucket: str, name: str, upload_id: str) -> None:
        part = self._receive(bucket, name, {})
        expected = self._hash_header()
        etag = self.server.store.add_part(upload_id, int(self.query["partNumber"]), part, expected, self.rule)
        headers = {"ETag": f'"{etag}"', "x-goog-hash": f"crc32c={part.crc32c}"}
        self._effect_then(lambda: self._answer(200, headers=headers))

    def _parts(self, upload_id: str) -> None:
        after, most = int(self.query.get("part-number-marker", 0)), int(self.query.get("max-parts", 1000))
        parts = [(number, part) for number, part in self.server.store.parts(upload_id) if number > after]
        shown = parts[:most]
        rows = "".join(
            f'<Part><PartNumber>{number}</PartNumber><ETag>"{part.etag}"</ETag><Size>{part.size}</Size></Part>'
            for number, part in shown
        )
        more = len(parts) > len(shown)
        marker = f"<NextPartNumberMarker>{shown[-1][0]}</NextPartNumberMarker>" if more else ""
        self._xml(f"<ListPartsResult><IsTruncated>{str(more).lower()}</IsTruncated>{marker}{rows}</ListPartsResult>")

    def _complete(self, bucket: str, name: str, upload_id: str) -> None:
        tree = ElementTree.fromstring(self._body())
        listed = [
            (
                int(part.findtext("{*}PartNumber") or part.findtext("PartNumber") or 0),
                (part.findtext("{*}ETag") or part.findtext("ETag") or "").strip('"'),
            )
            for part in tree
        ]
        condition = self._precondition(None, "x-goog-if-generation-match")
        blob = self.server.store.complete(upload_id, listed, condition, self.rule)
        body = (
            f"<CompleteMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{escape(name)}</Key>"
            f'<ETag>"{blob.etag}"</ETag></CompleteMultipartUploadResult>'
        )
        headers = {**blob.headers(), "Content-Type": "application/xml"}
        self._effect_then(lambda: self._answer(200, body.encode(), headers))

    def _abort(self, upload_id: str) -> None:
        self.server.store.abort(upload_id)
        self._answer(204)

    def _uploads(self, bucket: str) -> None:
        rows = "".join(
            f"<Upload><Key>{escape(blob.name)}</Key><UploadId>{upload_id}</UploadId></Upload>"
            for upload_id, blob in self.server.store.open_uploads(bucket)
        )
        self._xml(f"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{rows}</ListMultipartUploadsResult>")

    # -- control -----------------------------------------------------------------------------------------------------

    def _control(self, path: str) -> None:
        body = self._body()
        match path.removeprefix("/_local/"):
            case "events":
                answer: Any = self.server.store.events
            case "requests":
                answer = dict(self.server.counts)
                if self.command == "DELETE":
                    self.server.counts.clear()
            case "faults":
                answer = self.server.faults.replace(json.loads(body or b"[]"))
            case request if request.startswith("objects/"):
                bucket = request.removeprefix("objects/")
                answer = [blob.name for blob in self.server.store.list(bucket, self.query.get("prefix", ""))]
            case request if request.startswith("uploads/"):
                answer = [blob.name for _, blob in self.server.store.open_uploads(request.removeprefix("uploads/"))]
            case request if request.startswith("content/"):
                self._download(*_bucket_and_name(request.removeprefix("content/")))
                return
            case _:
                answer = self.server.store.create_bucket(path.removeprefix("/_local/buckets/"))
        self._json(200, answer)

    # -- plumbing ----------------------------------------------------------------------------------------------------

    def _new(self, bucket: str, name: str, metadata: dict[str, Any]) -> Blob:
        return self.server.store.new_blob(
            bucket,
            name,
            storage_class=metadata.get("storageClass") or self.headers.get("x-goog-storage-class", "STANDARD"),
            kms_key=self.query.get("kmsKeyName") or self.headers.get("x-goog-encryption-kms-key-name"),
            content_type=metadata.get("contentType") or self.headers.get("Content-Type", "application/octet-stream"),
            metadata=metadata.get("metadata") or {},
        )

    def _receive(self, bucket: str, name: str, metadata: dict[str, Any]) -> Blob:
        blob = self._new(bucket, name, metadata)
        self._receive_into(blob)
        return blob

    def _receive_into(self, blob: Blob) -> None:
        buffer = memoryview(bytearray(1024 * 1024))
        cut_at = self.rule.get("cut_after_bytes")
        while self.left:
            count = self.rfile.readinto1(buffer[: min(self.left, len(buffer))])  # type: ignore[attr-defined]
            if not count:
                raise ConnectionCutError
            self.left -= count
            blob.append(buffer[:count])
            if cut_at is not None and blob.size >= cut_at:
                raise ConnectionCutError

    def _hash_header(self) -> str | None:
        for header in self.headers.get_all("x-goog-hash") or []:
            for item in header.split(","):
                kind, _, value = item.strip().partition("=")
                if kind == "crc32c":
                    return value
        return None

    def _precondition(self, parameter: str | None, header: str | None = None) -> int | None:
        value = self.query.get(parameter) if parameter else None
        if value is None and header:
            value = self.headers.get(header)
        return None if value is None else int(value)

    def _effect_then(self, answer: Any) -> None:
        if self.rule.get("reset") == "after":
            raise ConnectionCutError
        answer()

    def _body(self) -> bytes:
        return self._read(self.left)

    def _read(self, count: int) -> bytes:
        body = self.rfile.read(count) if count > 0 else b""
        self.left -= len(body)
        return body

    def _drain(self) -> None:
        while self.left and self._read(min(self.left, 1 << 20)):
            pass

    def _json(self, status: int, value: Any) -> None:
        self._answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _xml(self, body: str) -> None:
        self._answer(200, body.encode(), {"Content-Type": "application/xml"})

    def _error(self, status: int, code: str, message: str) -> None:
        if "/storage/v1/" in self.path:
            self._json(
                status,
                {"error": {"code": status, "message": message, "errors": [{"reason": code, "message": message}]}},
            )
        else:
            body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
            self._answer(status, body.encode(), {"Content-Type": "application/xml"})

    def _answer(
        self, status: int, body: bytes = b"", headers: dict[str, str] | None = None, length: int | None = None
    ) -> None:
        self.send_response(status)
        for header, value in (headers or {}).items():
            self.send_header(header, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _bucket_and_name(path: str) -> tuple[str, str]:
    bucket, _, name = path.lstrip("/").partition("/")
    return bucket, unquote(name)


def service_account_key(endpoint: str) -> dict[str, str]:
    """A service-account key, freshly made, whose token endpoint is the stand-in's."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return {
        "type": "service_account",
        "project_id": "local-project",
        "private_key_id": secrets.token_hex(20),
        "private_key": pem,
        "client_email": "delivery@local-project.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": f"{endpoint}/token",
    }


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--discard", action="store_true")
    arguments = parser.parse_args()
    server = GcsServer(arguments.port, ObjectStore(arguments.directory, discard=arguments.discard))
    announce_ready(port=server.server_port)
    server.serve_forever()


if __name__ == "__main__":
    main()
