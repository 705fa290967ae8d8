"""Google Cloud Storage on this machine, faithful where deliveries depend on it.

    python -m local.gcs --directory DIR [--host HOST] [--port N] [--discard] [--rtt S] [--rate B] [--tls PEM]

It speaks what the engine and Google's own client use: the OAuth token endpoint, the JSON API (metadata, listing,
media and resumable uploads), and the XML API with multipart uploads and compose. Checksums are really checked,
preconditions really hold where Google documents that they do, and are refused in the requests of a multipart upload,
as Google documents too: completing one overwrites whatever is there. Only complete objects are visible.
``/_local/events`` lists what became visible, in order; ``/_local/faults`` makes calls fail (see :mod:`local.faults`);
``PUT /_local/permissions`` says what the account may do (see :mod:`local.gcs_permissions`), ``PUT /_local/retention``
for how many seconds which bucket keeps its objects. ``--discard`` keeps checksums and sizes, not bytes.
"""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.sax.saxutils import escape

from local.gcs_handler import GcsServer
from local.gcs_json import JsonApi
from local.gcs_objects import ObjectStore
from local.gcs_permissions import require_permission
from local.gcs_tokens import TokenApi
from local.gcs_xml import XmlApi
from local.http_stand_in import Network, StandInError, options, serve


class Handler(JsonApi, XmlApi, TokenApi):
    """One connection: which call it is, and who may make it."""

    def route(self, path: str) -> tuple[str, Any]:
        """Which call this is."""
        if path.startswith("/_local/"):
            return "local", lambda: self._control(path)
        if token := self.route_token(path):
            return token
        self._authorize()
        method = self.command
        if found := re.fullmatch(r"/storage/v1/b/([^/]+)/iam/testPermissions", path):
            return "json.TestPermissions", lambda: self._tell_permissions(found[1])
        if found := re.fullmatch(r"/storage/v1/b/([^/]+)", path):
            return "json.GetBucket", lambda: self._bucket(found[1])
        if found := re.fullmatch(r"(?:/download)?/storage/v1/b/([^/]+)/o/(.+)", path):
            bucket, name = found[1], unquote(found[2])
            if method == "DELETE":
                return "json.DeleteObject", lambda: self._delete(bucket, name)
            if self.query.get("alt") == "media":
                return "json.Download", lambda: self._download(bucket, name)
            return "json.GetObject", lambda: self.json(200, self._describe(bucket, name))
        if found := re.fullmatch(r"/storage/v1/b/([^/]+)/o", path):
            return "json.List", lambda: self._list(found[1])
        if found := re.fullmatch(r"(?:/resumable)?/upload/storage/v1/b/([^/]+)/o", path):
            return self._route_upload(found[1])
        return self._allowed(*_bucket_and_name(path))

    def _allowed(self, bucket: str, name: str) -> tuple[str, Any]:
        """An XML call, carried out if the account may."""
        call, action = self._route_xml(bucket, name)

        def checked() -> None:
            if (granted := self.server.permissions.get(bucket)) is not None:
                there = name in self.server.store.require_bucket(bucket)
                require_permission(granted, call, bucket, name, replaces=there)
            action()

        return call, checked

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
            composes = "compose" in self.query
            actions = {
                "PUT": ("ComposeObject", lambda: self._compose(bucket, name))
                if composes
                else ("PutObject", lambda: self._xml_put(bucket, name)),
                "GET": ("GetObject", lambda: self._download(bucket, name)),
                "HEAD": ("HeadObject", lambda: self._look(bucket, name)),
                "DELETE": ("DeleteObject", lambda: self._delete(bucket, name)),
            }
        if method not in actions:
            raise StandInError(405, "MethodNotAllowed", f"{method} {self.path}")
        call, action = actions[method]
        return f"xml.{call}", action

    # -- identity ----------------------------------------------------------------------------------------------------

    def _authorize(self) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.server.tokens:
            raise StandInError(401, "AuthenticationRequired", "Invalid Credentials")

    # -- control -----------------------------------------------------------------------------------------------------

    def _control(self, path: str) -> None:
        if path == "/_local/retention":
            self.server.store.retention = json.loads(self.body())
            self.json(200, self.server.store.retention)
            return
        common = self.control(path)
        if common is not None:
            self.json(200, common)
            return
        match path.removeprefix("/_local/"):
            case "events":
                response: Any = self.server.store.events
            case "tokens":
                response = {"federated": self.server.federated, "impersonated": self.server.impersonated}
            case request if request.startswith("objects/"):
                bucket, prefix = request.removeprefix("objects/"), self.query.get("prefix", "")
                if self.command == "DELETE":
                    self.server.store.forget(bucket, prefix)
                response = [blob.name for blob in self.server.store.listing(bucket, prefix)]
            case request if request.startswith("uploads/"):
                response = [blob.name for _, blob in self.server.store.open_uploads(request.removeprefix("uploads/"))]
            case request if request.startswith("content/"):
                self._download(*_bucket_and_name(request.removeprefix("content/")))
                return
            case _:
                self.server.store.create_bucket(path.removeprefix("/_local/buckets/"))
                response = None
        self.json(200, response)

    # -- errors ------------------------------------------------------------------------------------------------------

    def fail(self, error: StandInError) -> None:
        """As the API that was asked words it."""
        if self.route_token(self.path.partition("?")[0]):
            self.fail_token(error)
            return
        if "/storage/v1/" in self.path:
            reason = {"reason": error.code, "message": str(error)}
            self.json(error.status, {"error": {"code": error.status, "message": str(error), "errors": [reason]}})
        else:
            # The message only words the code; the reason is in the details.
            self.xml(
                f"<?xml version='1.0'?><Error><Code>{error.code}</Code><Message>{error.code}.</Message>"
                f"<Details>{escape(str(error))}</Details></Error>",
                error.status,
            )


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
    parser = options(__doc__)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--discard", action="store_true")
    arguments = parser.parse_args()
    store = ObjectStore(arguments.directory, discard=arguments.discard)
    network = Network(arguments.rtt, arguments.rate)
    serve(GcsServer((arguments.host, arguments.port), store, Handler, network, arguments.tls))


if __name__ == "__main__":
    main()
