"""Google Cloud Storage's JSON API, as far as Google's client, rclone and the tests use it."""

from __future__ import annotations

import json
import re
import secrets
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local.gcs_handler import GcsHandler
from local.gcs_objects import Blob
from local.http_stand_in import StandInError

_PERSISTED = 256 * 1024
_PAGE = 1000


class JsonApi(GcsHandler):
    """The JSON API's calls."""

    def _bucket(self, bucket: str) -> None:
        self.server.store.require_bucket(bucket)
        granted = self.server.permissions.get(bucket)
        if granted is not None and "storage.buckets.get" not in granted:
            raise StandInError(403, "forbidden", "The account does not have storage.buckets.get access to the bucket.")
        told: dict[str, Any] = {
            "kind": "storage#bucket",
            "id": bucket,
            "name": bucket,
            "location": "US",
            "storageClass": "STANDARD",
        }
        if seconds := self.server.store.retention.get(bucket):
            told["retentionPolicy"] = {"retentionPeriod": str(seconds), "effectiveTime": "2026-01-01T00:00:00.000Z"}
        self.json(200, told)

    def _tell_permissions(self, bucket: str) -> None:
        """https://cloud.google.com/storage/docs/json_api/v1/buckets/testIamPermissions: nobody needs one to ask."""
        self.server.store.require_bucket(bucket)
        asked = parse_qs(urlsplit(self.path).query).get("permissions", [])
        granted = self.server.permissions.get(bucket)
        held = [one for one in asked if granted is None or one in granted]
        told = {"kind": "storage#testIamPermissionsResponse", **({"permissions": held} if held else {})}
        self.json(200, told)

    def _describe(self, bucket: str, name: str) -> dict[str, Any]:
        return self.server.store.get(bucket, name).resource()

    def _list(self, bucket: str) -> None:
        """https://cloud.google.com/storage/docs/json_api/v1/objects/list, with storage.objects.list.

        A page is full of items and prefixes together (``maxResults``), so one may have prefixes only, and go on.
        """
        granted = self.server.permissions.get(bucket)
        if granted is not None and "storage.objects.list" not in granted:
            raise StandInError(403, "forbidden", "The account does not have storage.objects.list access to the bucket.")
        prefix, delimiter = self.query.get("prefix", ""), self.query.get("delimiter", "")
        most, after = min(int(self.query.get("maxResults", _PAGE)), _PAGE), self.query.get("pageToken", "")
        items, folders, last = list[Blob](), set[str](), ""
        told: dict[str, Any] = {"kind": "storage#objects"}
        for blob in self.server.store.listing(bucket, prefix):
            if after and blob.name <= after:
                continue
            rest, slash, _ = blob.name[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            folder = prefix + rest + slash if slash else ""
            if folder in folders or (folder and after.startswith(folder)):
                last = blob.name
                continue
            if len(items) + len(folders) == most:
                told["nextPageToken"] = last
                break
            if folder:
                folders.add(folder)
            else:
                items.append(blob)
            last = blob.name
        if items:
            told["items"] = [blob.resource() for blob in items]
        if folders:
            told["prefixes"] = sorted(folders)
        self.json(200, told)

    def _delete(self, bucket: str, name: str) -> None:
        generation = self._precondition("ifGenerationMatch", "x-goog-if-generation-match") or self.query.get(
            "generation"
        )
        self.server.store.delete(bucket, name, None if generation is None else int(generation))
        self.respond(204)

    def _upload(self, bucket: str, name: str) -> None:
        self.server.store.require_bucket(bucket)
        self._finish_json(self._receive(bucket, name, self.query))

    def _upload_related(self, bucket: str) -> None:
        boundary = re.search(r"boundary=['\"]?([^'\";]+)", self.headers["Content-Type"])
        pieces = self.body().split(b"--" + (boundary[1] if boundary else "").encode())
        metadata = json.loads(pieces[1].split(b"\r\n\r\n", 1)[1])
        content = pieces[2].split(b"\r\n\r\n", 1)[1][:-2]
        blob = self._new(bucket, metadata.get("name") or self.query["name"], metadata)
        blob.append(content)
        self._finish_json(blob, metadata.get("crc32c"))

    def _finish_json(self, blob: Blob, crc32c: str | None = None) -> None:
        expected = crc32c or self._hash_header()
        self.server.store.publish(blob, self._precondition("ifGenerationMatch"), expected, self.rule)
        self.effect_then(lambda: self.json(200, blob.resource()))

    def _start_session(self, bucket: str) -> None:
        metadata = json.loads(self.body() or b"{}")
        self.server.store.require_bucket(bucket)
        blob = self._new(bucket, metadata.get("name") or self.query["name"], metadata)
        upload_id = secrets.token_urlsafe(24)
        self.server.sessions[upload_id] = {
            "blob": blob,
            "crc32c": metadata.get("crc32c"),
            "if": self._precondition("ifGenerationMatch"),
        }
        host = self.headers["Host"]
        self.respond(
            200,
            headers={
                "Location": f"{self.server.scheme}://{host}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={upload_id}"
            },
        )

    def _resumable_chunk(self) -> None:
        session = self.server.sessions.get(self.query["upload_id"])
        if session is None:
            raise StandInError(404, "NotFound", "upload session not found")
        blob: Blob = session["blob"]
        sent = re.fullmatch(
            r"bytes (?:\*|(\d+)-(\d+))/(\*|\d+)",
            self.headers.get("Content-Range", f"bytes 0-{self.left - 1}/{self.left}"),
        )
        if "done" in session:
            self.drain()
            self.json(200, session["done"])
            return
        if sent is None:
            raise StandInError(400, "InvalidArgument", "bad Content-Range")
        first, _, total = sent.groups()
        if first is not None:
            if int(first) > blob.size:
                raise StandInError(503, "ServiceUnavailable", "gap in the upload")
            self.read(blob.size - int(first))  # bytes that are persisted already
            self._receive_into(blob)
        if total == "*" or blob.size < int(total):
            # What is not a multiple of 256 KiB is not persisted before the end.
            blob.truncate(blob.size - blob.size % _PERSISTED)
            headers = {"Range": f"bytes=0-{blob.size - 1}"} if blob.size else {}
            # What cannot bear a 308 asks for another status, as Google's Go client does.
            status = 200 if self.headers.get("X-GUploader-No-308") == "yes" else 308
            if status == 200:
                headers["X-Http-Status-Code-Override"] = "308"
            self.effect_then(lambda: self.respond(status, headers=headers))
            return
        self.server.store.publish(blob, session["if"], session["crc32c"] or self._hash_header(), self.rule)
        session["done"] = blob.resource()
        self.effect_then(lambda: self.json(200, blob.resource()))

    def _cancel_session(self) -> None:
        self.server.sessions.pop(self.query["upload_id"], None)
        self.respond(499)
