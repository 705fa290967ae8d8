"""The example clients as the demo runs them: YAML with the stand-ins' addresses, secrets, and files to deliver."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from client_delivery.config.loader import load_directory
from client_delivery.config.model import ClientConfig
from client_delivery.config.treatment import KEYS
from local.demo_payer import KEY_FILE, Payer, reads
from local.process import ROOT
from local.sample_files import SampleFile, sample_files
from local.sshd import SftpServer
from local.stand_ins import StandIns

EXAMPLES = ROOT / "include" / "client_configs"
_EVERY_MINUTE = "* * * * *"

_FILES: Mapping[str, list[SampleFile]] = {
    "aurora_health": sample_files("aurora_health", small=400, large=(96,), awkward=True),
    "aurora_health_eligibility": sample_files("aurora_health_eligibility", small=60),
    "cedar_care": sample_files("cedar_care", small=500, large=(48,), awkward=True),
    "harbor_benefits": sample_files("harbor_benefits", small=300),
    "juniper_health": sample_files("juniper_health", small=40, large=(24,)),
    "meadow_dental": sample_files("meadow_dental", small=150),
    "pinnacle_plan": sample_files("pinnacle_plan", small=600, large=(40,)),
    "summit_mutual": sample_files("summit_mutual", large=(150, 60), awkward=True),
}


@dataclass(frozen=True)
class DemoClient:
    """One example client and what it is to get."""

    config: ClientConfig
    files: list[SampleFile]
    read: Callable[[bytes], bytes] = lambda arrived: arrived
    """How the recipient comes from what arrived to what was dropped: may raise
    :class:`local.demo_payer.Unreadable`."""

    def drop(self, stand_ins: StandIns, files: list[SampleFile]) -> None:
        """Put files into the pick-up, the done file last."""
        s3, pickup = stand_ins.client("s3"), self.config.pickup

        def put(file: SampleFile) -> None:
            s3.put_object(Bucket=pickup.bucket, Key=pickup.prefix + file.name, Body=file.content())

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(put, files))
        if self.config.trigger_on_done_file:
            s3.put_object(Bucket=pickup.bucket, Key=self.config.done_file_key, Body=b"")

    def waiting(self, stand_ins: StandIns) -> list[str]:
        """What is in the pick-up now."""
        pickup = self.config.pickup
        pages = (
            stand_ins.client("s3").get_paginator("list_objects_v2").paginate(Bucket=pickup.bucket, Prefix=pickup.prefix)
        )
        return [item["Key"] for page in pages for item in page.get("Contents", ())]


def prepare_clients(
    stand_ins: StandIns,
    directory: Path,
    *,
    schedules: Mapping[str, str] | None = None,
    otherwise: str | None = _EVERY_MINUTE,
    edits: Mapping[str, Mapping[str, Any]] | None = None,
    payer: Payer | None = None,
) -> list[DemoClient]:
    """Write the clients' YAML into ``directory`` and store their secrets. Their files are dropped later.

    ``edits``: fields by client that differ from the examples. ``payer``: whose key is among the clients', and who reads
    what is encrypted.
    """
    directory.mkdir(parents=True)
    if payer:
        (directory / KEYS).mkdir()
        (directory / KEYS / KEY_FILE).write_text(payer.public_key)
    servers: dict[str, SftpServer] = {}
    for path in sorted(EXAMPLES.glob("*.yaml")):
        fields = yaml.safe_load(path.read_text())
        fields["schedule"] = (schedules or {}).get(path.stem, otherwise)
        fields |= (edits or {}).get(path.stem, {})
        destination = fields["destination"]
        if destination["type"] == "sftp":
            servers[path.stem] = stand_ins.sftp if "verify" in destination else stand_ins.sftp_password
            point_to(servers[path.stem], destination, destination["directory"])
        (directory / path.name).write_text(yaml.safe_dump(fields, sort_keys=False, allow_unicode=True))
    clients = []
    for loaded in load_directory(directory):
        if loaded.config is None:
            raise RuntimeError(f"An example is wrong:\n{loaded.error}")
        store_secret(loaded.config, stand_ins, servers.get(loaded.config.name))
        client = DemoClient(loaded.config, _FILES[loaded.config.name])
        clients.append(replace(client, read=reads(payer, loaded.config)) if payer else client)
    return clients


def point_to(server: SftpServer, destination: dict[str, Any], directory: str) -> None:
    """Let an SFTP destination of a configuration's YAML be this server, and make its directory there."""
    destination |= {
        "host": server.host,
        "port": server.port,
        "username": server.username,
        "directory": directory,
        "host_keys": [server.host_key],
    }
    (server.root / directory).mkdir(parents=True, exist_ok=True)


def store_secret(config: ClientConfig, stand_ins: StandIns, server: SftpServer | None = None) -> None:
    """Store what the configuration's connection id names: a key for GCS, a key or a password for the SFTP server."""
    destination = config.destination
    if destination.type == "gcs":
        extra = {"keyfile_dict": stand_ins.gcs_key}
        stand_ins.store_connection(destination.connection_id, {"conn_type": "google_cloud_platform", "extra": extra})
    elif destination.type == "sftp" and server:
        by_key = server is stand_ins.sftp
        secret = {"extra": {"private_key": server.private_key}} if by_key else {"password": server.password}
        stand_ins.store_connection(destination.connection_id, {"conn_type": "sftp", **secret})


def recipient_files(stand_ins: StandIns, config: ClientConfig) -> dict[str, tuple[bytes, str]]:
    """What the recipient has: content, and a mark that changes whenever the file is delivered again.

    May be asked while files arrive.
    """
    destination = config.destination
    if destination.type == "gcs":
        contents = stand_ins.gcs_contents(destination.bucket, destination.prefix)
        # Asked after the contents: what is there has been made visible by now.
        marks = recipient_marks(stand_ins, config)
        names = {name[len(destination.prefix) :]: content for name, content in contents.items()}
        return {name: (content, marks[name]) for name, content in names.items()}
    if destination.type == "s3":
        s3, marks = stand_ins.client("s3"), recipient_marks(stand_ins, config)
        return {
            name: (s3.get_object(Bucket=destination.bucket, Key=destination.prefix + name)["Body"].read(), mark)
            for name, mark in marks.items()
        }
    found = {}
    root = sftp_root(stand_ins, config)
    for name, mark in recipient_marks(stand_ins, config).items():
        with contextlib.suppress(FileNotFoundError):  # a temporary file may have got its name meanwhile
            found[name] = ((root / name).read_bytes(), mark)
    return found


def recipient_marks(stand_ins: StandIns, config: ClientConfig) -> dict[str, str]:
    """The names that the recipient has, each with a mark that changes whenever the file is delivered again."""
    destination = config.destination
    if destination.type == "gcs":
        prefix = destination.prefix
        visible = [event for event in stand_ins.gcs("events") if event["event"] == "visible"]
        return {
            event["name"][len(prefix) :]: str(event["generation"])
            for event in visible
            if event["name"].startswith(prefix)
        }
    if destination.type == "s3":
        pages = stand_ins.client("s3").get_paginator("list_objects_v2")
        return {
            item["Key"][len(destination.prefix) :]: item["LastModified"].isoformat()
            for page in pages.paginate(Bucket=destination.bucket, Prefix=destination.prefix)
            for item in page.get("Contents", ())
        }
    root = sftp_root(stand_ins, config)
    marks = {}
    for path in root.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                status = path.stat()
                marks[str(path.relative_to(root))] = f"{status.st_ino}/{status.st_mtime_ns}"
    return marks


def sftp_root(stand_ins: StandIns, config: ClientConfig) -> Path:
    """Where the SFTP server of a configuration keeps its files."""
    destination = config.destination
    assert destination.type == "sftp"
    by_key = (destination.host, destination.port) == (stand_ins.sftp.host, stand_ins.sftp.port)
    server = stand_ins.sftp if by_key else stand_ins.sftp_password
    return server.root / destination.directory
