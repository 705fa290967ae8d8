"""AWS on this machine: moto's server in its own process, with what deliveries rely on and moto lacks.

    python -m local.aws [--host HOST] [--port N] [--smtp HOST:PORT] [--tasks-image IMAGE]

- DynamoDB and S3 requests that write are carried out one at a time, so that a condition and its write are atomic.
- S3 has ETags under KMS, checksums, versions and conditions as AWS documents them (:mod:`local.aws_s3`).
- ECS runs a task's command as a process of this machine (:mod:`local.aws_ecs`), or with ``--tasks-image`` as a
  container of that image (:mod:`local.aws_ecs_docker`).
- SES refuses a whole message for one bad recipient, and passes each other e-mail on to an SMTP server, where ``--smtp``
  names one.
- ``/_local/requests`` counts the calls by service and operation; ``/_local/calls`` says who made which on what;
  ``/_local/faults`` makes calls fail (see :mod:`local.faults`); ``/_local/old-objects`` takes objects' checksums away;
  ``/_local/index-lag`` makes DynamoDB's indexes lag (:mod:`local.aws_dynamodb_lag`).
"""

from __future__ import annotations

import argparse
import atexit
import email
import io
import json
import re
import signal
import smtplib
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from email.utils import getaddresses, parseaddr
from typing import Any
from urllib.parse import parse_qs, unquote

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.ses.exceptions import InvalidParameterValue, MessageRejectedError
from moto.ses.models import SESBackend
from werkzeug.serving import WSGIRequestHandler, make_server

from local import aws_cloudformation, aws_dynamodb, aws_ecs, aws_s3
from local.aws_dynamodb_lag import IndexLag
from local.faults import Faults, spoiled
from local.process import announce_ready

_LARGEST_MAIL = 10 * 1024**2
"""Bytes, by the reference of SendRawEmail."""
UNVERIFIED = "@unverified.example"
"""How an address ends that SES's sandbox does not know."""
SUPPRESSED = "suppressionlist@simulator.amazonses.com"
"""SES accepts it, and sends nothing (SES's mailbox simulator)."""
_WRITES = re.compile(r"Put|Delete|Update|Transact|Complete|Copy|Upload|Create")


class LocalAws:
    """A WSGI layer in front of moto."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._counts: Counter[str] = Counter()
        self._calls: set[tuple[str, str, str]] = set()
        self._write_lock = threading.Lock()
        self.faults = Faults()
        self.index_lag = IndexLag()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request."""
        path = environ["PATH_INFO"]
        if path.startswith("/_local/"):
            return self._control(path, environ, start_response)
        call = operation(environ)
        self._counts[call] += 1
        self._calls.add((access_key(environ), call, target(environ, call)))
        with self.faults.around(call, path, environ, start_response) as response:
            if response is not None:
                return response
            if _WRITES.search(call):
                with self._write_lock:
                    return spoiled(environ, list(self._moto(environ, start_response)))
            return spoiled(environ, self._moto(environ, start_response))

    def _control(self, path: str, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        response: Any = {}
        if path == "/_local/requests":
            response = dict(self._counts)
            if environ["REQUEST_METHOD"] == "DELETE":
                self._counts.clear()
        elif path == "/_local/calls":
            response = sorted(self._calls)
            if environ["REQUEST_METHOD"] == "DELETE":
                self._calls.clear()
        elif path == "/_local/faults":
            response = self.faults.replace(json.loads(body or b"[]"))
        elif path == "/_local/index-lag":
            self.index_lag.order(**json.loads(body))
        elif path == "/_local/old-objects":
            for item in json.loads(body):
                aws_s3.make_old(item["bucket"], item["key"])
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(response).encode()]


def operation(environ: dict[str, Any]) -> str:
    """``service.Operation`` of a request, as IAM would name it."""
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    scope = environ.get("HTTP_AUTHORIZATION", "") or unquote(query.get("X-Amz-Credential", [""])[0])
    found = re.search(r"/\d{8}/[\w-]+/([\w-]+)/aws4_request", scope)
    service = found[1] if found else "unsigned"
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return f"{service}.{target.rpartition('.')[2]}"
    if service != "s3":
        return f"{service}.{_action(environ)}"
    method, key = environ["REQUEST_METHOD"], environ["PATH_INFO"].strip("/").count("/") > 0
    if "uploadId" in query:
        copies = "HTTP_X_AMZ_COPY_SOURCE" in environ
        put = "UploadPartCopy" if copies else "UploadPart"
        names = {"PUT": put, "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload", "GET": "ListParts"}
        return f"s3.{names[method]}"
    if "uploads" in query:
        return "s3.CreateMultipartUpload" if method == "POST" else "s3.ListMultipartUploads"
    if method == "PUT" and "HTTP_X_AMZ_COPY_SOURCE" in environ:
        return "s3.CopyObject"
    if method == "GET" and not key:
        return "s3.ListBucketVersions" if "versions" in query else "s3.ListObjectsV2"
    if method == "DELETE" and "versionId" in query:
        return "s3.DeleteObjectVersion"
    if method in ("GET", "HEAD") and key and "versionId" in query:
        # What IAM asks for where a version is named (https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html,
        # versionId): s3:GetObject is then neither needed nor enough.
        return "s3.GetObjectVersion"
    verb = {"GET": "Get", "HEAD": "Head", "PUT": "Put", "DELETE": "Delete", "POST": "Post"}.get(method, method)
    return f"s3.{verb}{'Object' if key else 'Bucket'}"


def access_key(environ: dict[str, Any]) -> str:
    """Whose credentials signed a request."""
    query = parse_qs(environ.get("QUERY_STRING", ""))
    scope = environ.get("HTTP_AUTHORIZATION", "") or unquote(query.get("X-Amz-Credential", [""])[0])
    found = re.search(r"(?:Credential=|^)([^/\s]+)/\d{8}/", scope)
    return found[1] if found else "unsigned"


def target(environ: dict[str, Any], call: str) -> str:
    """What a request is about, as far as permissions know it: path, table and index, secret, role, cluster, group."""
    service = call.partition(".")[0]
    if service == "s3":
        copied = environ.get("HTTP_X_AMZ_COPY_SOURCE")
        version = "versionId=" in environ.get("QUERY_STRING", "")
        return str(environ["PATH_INFO"]) + (f" from {unquote(copied)}" if copied else "") + " of a version" * version
    if environ.get("HTTP_X_AMZ_TARGET"):
        fields = json.loads(_body(environ) or b"{}")
        if "TransactItems" in fields:
            return ", ".join(
                sorted({f"{verb} {item['TableName']}" for one in fields["TransactItems"] for verb, item in one.items()})
            )
        if "RequestItems" in fields:
            return ", ".join(fields["RequestItems"])
        names = ("TableName", "IndexName", "SecretId", "cluster", "taskDefinition", "logGroupName")
        return " ".join(str(fields[name]) for name in names if name in fields)
    found = re.search(rb"(?:^|&)(?:RoleArn|Source)=([^&]+)", _body(environ))
    return unquote(found[1].decode()) if found else ""


def _body(environ: dict[str, Any]) -> bytes:
    """A short request's body, which stays readable."""
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _action(environ: dict[str, Any]) -> str:
    """The ``Action`` of a query-protocol request (SES, STS), which stands in its body."""
    found = re.search(rb"(?:^|&)Action=(\w+)", _body(environ))
    return found[1].decode() if found else environ["REQUEST_METHOD"]


def refuse_mail() -> None:
    """Make moto's SES refuse what SES refuses: a whole message for one recipient, and what is too large."""
    original = SESBackend.send_raw_email

    def send_raw_email(self: SESBackend, source: str, destinations: list[str], raw_data: str) -> Any:
        to = [address for _, address in getaddresses([email.message_from_string(raw_data).get("To", "")])]
        if len(raw_data) > _LARGEST_MAIL:
            raise InvalidParameterValue(f"Message length is more than {_LARGEST_MAIL} bytes long: '{len(raw_data)}'.")
        if any(not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", address) for address in to):
            raise InvalidParameterValue("Domain contains illegal character")  # SES does not say in which address
        if unverified := [address for address in to if address.endswith(UNVERIFIED)]:
            raise MessageRejectedError(
                "Email address is not verified. The following identities failed the check in region US-EAST-1: "
                + ", ".join(unverified)
            )
        return original(self, source, destinations, raw_data)

    SESBackend.send_raw_email = send_raw_email  # type: ignore[method-assign]


def relay_mail(host: str, port: int) -> None:
    """Make moto's SES hand every raw e-mail on by SMTP, but to nobody on the suppression list."""
    original = SESBackend.send_raw_email

    def send_raw_email(self: SESBackend, source: str, destinations: list[str], raw_data: str) -> Any:
        message = original(self, source, destinations, raw_data)
        if to := [one for one in dict.fromkeys(message.destinations) if parseaddr(one)[1] != SUPPRESSED]:
            with smtplib.SMTP(host, port, timeout=10) as smtp:
                smtp.sendmail(message.source, to, raw_data.encode())
        return message

    SESBackend.send_raw_email = send_raw_email  # type: ignore[method-assign]


class _QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing: the requests are counted."""


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--smtp", metavar="HOST:PORT")
    parser.add_argument("--tasks-image", metavar="IMAGE", help="run ECS tasks as containers of this image")
    arguments = parser.parse_args()
    aws_cloudformation.install()
    aws = LocalAws()
    aws_dynamodb.install(aws.index_lag)
    aws_s3.install()
    if arguments.tasks_image:
        from local.aws_ecs_docker import DockerTasks

        tasks = DockerTasks(arguments.tasks_image)
        atexit.register(tasks.remove_all)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that what is registered happens
        aws_ecs.install(tasks.start)
    else:
        aws_ecs.install()
    if arguments.smtp:
        host, _, port = arguments.smtp.rpartition(":")
        relay_mail(host, int(port))
    refuse_mail()
    server = make_server(arguments.host, arguments.port, aws, threaded=True, request_handler=_QuietHandler)
    announce_ready(port=server.server_port)
    server.serve_forever()


if __name__ == "__main__":
    main()
