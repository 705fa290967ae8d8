"""A web service that responds as it is told to, for what no fake does by itself: S3's and Google's rarer responses."""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import boto3.session

from client_delivery.config.destinations import GcsSection, S3Section
from client_delivery.transfer.gcs.access import GcsAccess
from client_delivery.transfer.s3_wire.access import S3Access
from client_delivery.transfer.secret import Secret
from local.gcs import service_account_key

NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


@dataclass(frozen=True)
class Reply:
    """One response."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    """Without the length of the body, which is added unless it is here."""


def error(status: int, code: str, message: str = "told so", **headers: str) -> Reply:
    """An error as S3 and Google word it in XML."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    return Reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class ScriptedService:
    """Gives the replies in their order; a request beyond them is an error of the test, and told as one."""

    def __init__(self) -> None:
        self.replies: deque[Reply] = deque()
        self.asked: list[Asked] = []
        """Requests for tokens are left out."""
        granted = {"access_token": "t", "expires_in": 3600, "token_type": "Bearer"}
        self.token = Reply(200, json.dumps(granted).encode(), {"content-type": "application/json"})
        """What comes of every request for a token."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"service": self}))
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """No more responses."""
        self._server.shutdown()
        self._server.server_close()

    def says(self, *replies: Reply) -> None:
        """What comes next."""
        self.replies.extend(replies)

    def s3(self, region: str = "us-east-1") -> S3Access:
        """This service as S3."""
        return s3_at(self.url, region)

    def gcs_secret(self, **changes: Any) -> Secret:
        """A credential whose tokens come from this service."""
        return Secret("acme", extra={**service_account_key(self.url), **changes})

    def gcs(self, **config: Any) -> GcsAccess:
        """This service as Google Cloud Storage."""
        return GcsAccess(gcs_config(**config), self.gcs_secret(), self.url)


def s3_at(url: str, region: str = "us-east-1") -> S3Access:
    """S3 at this address."""
    session = boto3.session.Session("AKIAEXAMPLE", "secret", region_name=region)
    return S3Access(session.client("s3", endpoint_url=url), session.get_credentials())


def s3_config(**changes: Any) -> S3Section:
    """A destination in S3."""
    return S3Section.model_validate({"type": "s3", "bucket": "bucket", "prefix": "in/", **changes})


def gcs_config(**changes: Any) -> GcsSection:
    """A destination in Google Cloud Storage."""
    return GcsSection.model_validate(
        {"type": "gcs", "bucket": "bucket", "prefix": "in/", "connection_id": "acme", **changes}
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: ClassVar[ScriptedService]

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path == "/token":
            self._reply(self.service.token)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.service.asked.append(Asked(self.command, self.path, headers, body))
        try:
            reply = self.service.replies.popleft()
        except IndexError:
            reply = error(418, "NothingPlanned", f"{self.command} {self.path}")
        self._reply(reply)

    def _reply(self, reply: Reply) -> None:
        self.send_response_only(reply.status)
        for name, value in {"content-length": str(len(reply.body)), "date": formatdate(), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _respond

    def log_message(self, *args: object) -> None:
        """Nothing to standard error."""
