"""Every destination that `make check-destination` is shown on: the servers of the bench, and what goes wrong."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import asyncssh
import httpx
import yaml

from client_delivery.probe import check_destination
from local.gcs_permissions import OBJECT_CREATOR
from local.sftp_servers.families import FAMILIES, MODELLED
from local.sshd import AsyncSsh, SftpServer
from tests.functional.transfer.conftest import Servers
from tests.support.habits import Habits, HabitServer
from tests.support.sftp import Bench

ANOTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA9R3lUxvyx+XrErJyTvyowMYNkFKKQMAKjiCXjSlqAH"
_COMMON: dict[str, Any] = {
    "client_h_number": "H1001",
    "contacts": ["data-team@example.org"],
    "send_notifications": False,
    "bypass_file_checks": False,
    "trigger_on_done_file": False,
    "pickup": {"bucket": "example-pickup", "prefix": "acme/"},
}


class Printed(NamedTuple):
    """What the command did."""

    code: int
    text: str


class Ground:
    """Where the cases are tried: servers, and a directory for configurations.

    :param set_variable: puts a variable into the environment, for this case.
    """

    def __init__(
        self, directory: Path, bench: Bench, servers: Servers, set_variable: Callable[[str, str], None]
    ) -> None:
        self.directory = directory
        self.bench = bench
        self.servers = servers
        self.exit = ExitStack()
        self._set_variable = set_variable
        self.root: Path | None = None
        """The directory of the SFTP server at hand."""

    def check(self, destination: Mapping[str, Any], *arguments: str, connection: Mapping[str, Any] | None) -> Printed:
        """Run the command as a person would."""
        path = self.directory / "acme.yaml"
        path.write_text(yaml.safe_dump({"name": "acme", **_COMMON, "destination": dict(destination)}))
        if connection is not None:
            self._set_variable("AIRFLOW_CONN_ACME", json.dumps(connection))
        self._set_variable("AIRFLOW__DELIVERY__GCS_ENDPOINT", self.servers.gcs_url)
        with redirect_stdout(io.StringIO()) as out:
            code = check_destination.main(["acme", "--directory", str(self.directory), *arguments])
        return Printed(code, out.getvalue())

    def sftp(self, server: SftpServer, *arguments: str, folder: str = "in", **options: Any) -> Printed:
        """On an SFTP server; ``password`` among the options stands for the right one."""
        self.root = server.root / folder
        self.root.mkdir(exist_ok=True)
        password = options.pop("password", server.password)
        connection = {"password": password} if password else {"extra": {"private_key": server.private_key}}
        destination = {
            "type": "sftp",
            "host": server.host,
            "port": server.port,
            "username": server.username,
            "directory": folder,
            "connection_id": "acme",
            "host_keys": [server.host_key],
            **options,
        }
        return self.check(destination, *arguments, connection=connection)

    def habits(self, habits: type[Habits], **options: Any) -> HabitServer:
        """A server with these habits, until the case is over."""
        made = self.directory / f"server-{len(list(self.directory.iterdir()))}"
        return self.exit.enter_context(HabitServer(made, habits, **options))

    def gcs(self, *arguments: str, granted: tuple[str, ...] | None = None, **options: Any) -> Printed:
        """On Google's stand-in; ``key`` among the options stands for the right one."""
        permissions = {} if granted is None else {"target": list(granted)}
        httpx.put(f"{self.servers.gcs_url}/_local/permissions", json=permissions).raise_for_status()
        key = options.pop("key", self.servers.gcs_key)
        destination = {"type": "gcs", "bucket": "target", "prefix": "in/", "connection_id": "acme", **options}
        return self.check(destination, *arguments, connection={"extra": {"keyfile_dict": key}})

    def s3(self, *arguments: str, granted: tuple[str, ...] | None = None, **options: Any) -> Printed:
        """On S3's stand-in."""
        permissions = {} if granted is None else {"target": list(granted)}
        httpx.put(f"{self.servers.s3_url}/_local/permissions", json=permissions).raise_for_status()
        return self.check({"type": "s3", "bucket": "target", "prefix": "in/", **options}, *arguments, connection=None)


class _Denies(Habits):
    """Refuses by name: ``write``, ``read``, ``look``, ``remove``."""

    denied: tuple[str, ...] = ()

    def _deny(self, what: str) -> None:
        if what in self.denied:
            raise asyncssh.SFTPPermissionDenied("permission denied")

    def open(self, path: bytes, pflags: int, attrs: Any) -> Any:
        self._deny("write" if pflags & asyncssh.FXF_WRITE else "read")
        return super().open(path, pflags, attrs)

    def remove(self, path: bytes) -> Any:
        self._deny("remove")
        return super().remove(path)

    def scandir(self, path: bytes) -> Any:
        self._deny("look")
        return super().scandir(path)

    def stat(self, path: bytes) -> Any:
        self._deny("look")
        return super().stat(path)

    def lstat(self, path: bytes) -> Any:
        self._deny("look")
        return super().lstat(path)

    def fstat(self, file_obj: object) -> Any:
        self._deny("look")
        return super().fstat(file_obj)


class ReadOnly(_Denies):
    """An account that may look, and nothing else."""

    denied = ("write", "remove")


class WriteOnly(_Denies):
    """A drop box: files can be put in and renamed, and nobody sees them again."""

    denied = ("read", "look", "remove")


class OtherFileSystem(Habits):
    """``staging`` is on another file system: nothing can be moved out of it, as OpenSSH says by a plain failure."""

    def rename(self, oldpath: bytes, newpath: bytes) -> Any:
        if b"staging" in oldpath and b"staging" not in newpath:
            raise asyncssh.SFTPFailure("Failure")
        return super().rename(oldpath, newpath)

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> Any:
        if b"staging" in oldpath and b"staging" not in newpath:
            raise asyncssh.SFTPFailure("Failure")
        return super().posix_rename(oldpath, newpath)


def _staging(ground: Ground, *, there: bool) -> Printed:
    server = ground.habits(OtherFileSystem).server
    if there:
        (server.root / "staging").mkdir()
    return ground.sftp(server, appear="staging", staging_directory="staging")


def _on_bench(name: str) -> Callable[[Ground], Printed]:
    options = {"mft-on-close": {"appear": "direct"}}.get(name, {})
    return lambda ground: ground.sftp(ground.bench.server(name).server, folder=f"probe-{name}", **options)


def _full(ground: Ground) -> Printed:
    server = AsyncSsh(ground.directory / "full", full_after=0)
    ground.exit.callback(server.stop)
    return ground.sftp(server.server)


def _one_connection(ground: Ground) -> Printed:
    server = AsyncSsh(ground.directory / "few", connections=2)
    ground.exit.callback(server.stop)
    return ground.sftp(server.server)


def _single_connection(ground: Ground) -> Printed:
    server = AsyncSsh(ground.directory / "one", connections=1)
    ground.exit.callback(server.stop)
    return ground.sftp(server.server, connections=1)


def _wrong_key(ground: Ground) -> Printed:
    stranger = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    server = ground.bench.server("asyncssh").server
    destination = {
        "type": "sftp",
        "host": server.host,
        "port": server.port,
        "username": server.username,
        "directory": "in",
        "connection_id": "acme",
        "host_keys": [server.host_key],
    }
    return ground.check(destination, connection={"extra": {"private_key": stranger}})


def _revoked(ground: Ground) -> Printed:
    ground.servers.gcs_faults({"call": "token", "status": 400, "code": "invalid_grant", "times": 0})
    ground.exit.callback(ground.servers.gcs_faults)
    return ground.gcs()


_GCS_KEY = "projects/acme/locations/us/keyRings/files/cryptoKeys/landing"
_S3_KEY = "arn:aws:kms:us-east-1:111122223333:key/5d1c0f2b-7a90-4c58-9f4e-82e863aa4d47"
_MAY_WRITE = ("s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:DeleteObject", "s3:AbortMultipartUpload")
_USER = (*OBJECT_CREATOR, "storage.multipartUploads.list", "storage.objects.get", "storage.objects.delete")
"""``roles/storage.objectUser``."""


def _gcs_key_denied(ground: Ground) -> Printed:
    """Google's words for a service agent that may not use the key
    (https://cloud.google.com/storage/docs/encryption/using-customer-managed-keys)."""
    agent = "service-123456789012@gs-project-accounts.iam.gserviceaccount.com"
    rule = {
        "call": "xml.(PutObject|InitiateUpload)",
        "status": 403,
        "code": "AccessDenied",
        "message": f"Permission denied on Cloud KMS key. Please ensure that your Cloud Storage service account {agent} "
        f"has been authorized to use this key ({_GCS_KEY}).",
        "times": 0,
    }
    ground.servers.gcs_faults(rule)
    ground.exit.callback(ground.servers.gcs_faults)
    return ground.gcs(kms_key=_GCS_KEY)


def _s3_key_denied(ground: Ground) -> Printed:
    """S3's words for a role that may not use the key
    (https://repost.aws/knowledge-center/s3-troubleshoot-403 names the action in the same way)."""
    rule = {
        "call": "s3.(PutObject|CreateMultipartUpload)",
        "status": 403,
        "code": "AccessDenied",
        "message": "User: arn:aws:sts::111122223333:assumed-role/deliveries/client-file-delivery is not authorized to "
        f"perform: kms:GenerateDataKey on resource: {_S3_KEY} because no resource-based policy allows the "
        "kms:GenerateDataKey action",
        "times": 0,
    }
    ground.servers.s3_faults(rule)
    ground.exit.callback(ground.servers.s3_faults)
    return ground.s3(kms_key=_S3_KEY)


def _no_s3_bucket(ground: Ground) -> Printed:
    ground.servers.s3_faults({"call": "s3.HeadBucket", "status": 404, "code": "404", "times": 0})
    ground.exit.callback(ground.servers.s3_faults)
    return ground.s3(bucket="nobody-has-this")


def _in_locked_bucket(ground: Ground, *arguments: str, **options: Any) -> Printed:
    locks = f"{ground.servers.s3_url}/_local/locks"
    httpx.put(locks, json={"target": 30}).raise_for_status()
    ground.exit.callback(lambda: httpx.put(locks, json={}))
    return ground.s3(*arguments, **options)


def _in_keeping_bucket(ground: Ground, *arguments: str, **options: Any) -> Printed:
    retention = f"{ground.servers.gcs_url}/_local/retention"
    httpx.put(retention, json={"target": 30 * 86_400}).raise_for_status()
    ground.exit.callback(lambda: httpx.put(retention, json={}))
    return ground.gcs(*arguments, **options)


def _asyncssh(ground: Ground) -> SftpServer:
    return ground.bench.server("asyncssh").server


class Case(NamedTuple):
    """One print."""

    title: str
    run: Callable[[Ground], Printed]


CASES: Mapping[str, Case] = {
    **{name: Case(family.title, _on_bench(name)) for name, family in {**FAMILIES, **MODELLED}.items()},
    "taken-on-close": Case(
        "MFT, takes what is closed, with the usual `appear: rename`",
        lambda ground: ground.sftp(ground.bench.server("mft-on-close").server, folder="probe-rename"),
    ),
    "connect-only": Case(
        "Without a file (`CONNECT_ONLY=1`)", lambda ground: ground.sftp(_asyncssh(ground), "--connect-only")
    ),
    "host-key": Case(
        "A host key that the YAML does not list", lambda ground: ground.sftp(_asyncssh(ground), host_keys=[ANOTHER_KEY])
    ),
    "password": Case("A wrong password", lambda ground: ground.sftp(_asyncssh(ground), password="wrong")),
    "key": Case("A key that the server does not know", _wrong_key),
    "no-directory": Case(
        "A directory that is missing", lambda ground: ground.sftp(_asyncssh(ground), directory="no/such/directory")
    ),
    "no-staging": Case("`appear: staging`, and its directory is missing", lambda ground: _staging(ground, there=False)),
    "other-file-system": Case("`appear: staging` on another file system", lambda ground: _staging(ground, there=True)),
    "read-only": Case("An account that may only read", lambda ground: ground.sftp(ground.habits(ReadOnly).server)),
    "write-only": Case("A drop box: write-only", lambda ground: ground.sftp(ground.habits(WriteOnly).server)),
    "write-only-left": Case(
        "A drop box, and the partner agrees that a test file stays (`LEAVE=1`)",
        lambda ground: ground.sftp(ground.habits(WriteOnly).server, "--leave"),
    ),
    "full-disk": Case("A full disk", _full),
    "two-connections": Case("Fewer connections than configured", _one_connection),
    "one-connection": Case("One connection, as configured", _single_connection),
    "gcs": Case("Google Cloud Storage", lambda ground: ground.gcs()),
    "gcs-create": Case(
        "Google Cloud Storage, `roles/storage.objectCreator`", lambda ground: ground.gcs(granted=OBJECT_CREATOR)
    ),
    "gcs-create-left": Case("The same with `LEAVE=1`", lambda ground: ground.gcs("--leave", granted=OBJECT_CREATOR)),
    "gcs-read": Case("Google Cloud Storage, read-only", lambda ground: ground.gcs(granted=("storage.objects.get",))),
    "gcs-key": Case("Google Cloud Storage, a key that was revoked", _revoked),
    "gcs-no-bucket": Case("Google Cloud Storage, no such bucket", lambda ground: ground.gcs(bucket="nobody-has-this")),
    "gcs-kms": Case("Google Cloud Storage, a key of the partner's", lambda ground: ground.gcs(kms_key=_GCS_KEY)),
    "gcs-kms-denied": Case("The same, and Google may not use the key", _gcs_key_denied),
    "gcs-retention": Case("Google Cloud Storage, a bucket with a retention policy", _in_keeping_bucket),
    "gcs-retention-unknown": Case(
        "The same, and the account may not look at the bucket (`roles/storage.objectUser`)",
        lambda ground: _in_keeping_bucket(ground, granted=_USER),
    ),
    "s3": Case("S3", lambda ground: ground.s3()),
    "s3-put": Case("S3, `s3:PutObject` only", lambda ground: ground.s3(granted=("s3:PutObject",))),
    "s3-put-left": Case("The same with `LEAVE=1`", lambda ground: ground.s3("--leave", granted=("s3:PutObject",))),
    "s3-no-bucket": Case("S3, no such bucket", _no_s3_bucket),
    "s3-kms": Case("S3, a KMS key of the partner's", lambda ground: ground.s3(kms_key=_S3_KEY)),
    "s3-kms-denied": Case("The same, and the role may not use the key", _s3_key_denied),
    "s3-lock": Case("S3, a bucket with object lock", _in_locked_bucket),
    "s3-lock-left": Case("The same with `LEAVE=1`", lambda ground: _in_locked_bucket(ground, "--leave")),
    "s3-lock-unknown": Case(
        "The same, and the role may not ask about the lock",
        lambda ground: _in_locked_bucket(ground, granted=_MAY_WRITE),
    ),
}


def clear_environment(set_variable: Callable[[str, str], None]) -> None:
    """No AWS but the stand-in, and a terminal that breaks no line."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "COLUMNS": "10000",
    }.items():
        set_variable(name, value)
    os.environ.pop("AIRFLOW_CONN_ACME", None)
