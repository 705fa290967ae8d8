"""A client under test: drop files, run, and look at what became of them."""

from __future__ import annotations

import base64
import gzip
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from awscrt import checksums
from pydantic import TypeAdapter

from client_delivery.config.model import ClientConfig
from client_delivery.ledger.life import RunRef
from client_delivery.ledger.table import Ledger
from local.ledger_item import LedgerItem
from local.mailbox import Mail
from local.sshd import SftpServer
from local.stack import Stack
from local.stand_ins import LEDGER_TABLE
from local.wait import wait_until
from tests.support.runs import RunResult, Runs
from tests.support.visible import Visible

MIB = 1024**2


class Scenario:
    """One client on the stand-ins."""

    def __init__(self, stack: Stack, config: ClientConfig, sftp: SftpServer | None = None) -> None:
        self.stack = stack
        self.config = config
        self.sftp = sftp or stack.sftp
        """The recipient's server, where it is an SFTP destination."""
        self._record: Visible | None = None
        self.s3 = stack.client("s3")
        self.ledger = Ledger(stack.client("dynamodb"), LEDGER_TABLE, config.delivery_key)
        self._runs = Runs(config)
        self._dropped: dict[str, int] = {}
        self._sums: dict[tuple[int, int], tuple[int, int]] = {}
        """Size and CRC32C of what arrives of a treated file, to those of the file, where they are known before."""

    def drop(self, name: str, content: bytes | str = b"content") -> None:
        """Put a file into the pick-up.

        S3's LastModified has whole seconds: the same content again is seen as put again from the next second on.
        """
        wait_until(lambda: int(time.time()) > self._dropped.get(name, 0), "the next second", seconds=5, interval=0.02)
        body = content.encode() if isinstance(content, str) else content
        self.s3.put_object(Bucket=self.config.pickup.bucket, Key=self.config.pickup.prefix + name, Body=body)
        self._dropped[name] = int(time.time())
        if self.config.compress and not self.config.encrypt:
            done = as_compressed(self.config, name, body)
            self._sums[len(done), checksums.crc32c(done)] = len(body), checksums.crc32c(body)

    def drop_done(self, content: bytes = b"") -> None:
        """Put the done file into the pick-up."""
        self.s3.put_object(Bucket=self.config.pickup.bucket, Key=self.config.done_file_key, Body=content)

    def withdraw(self, name: str) -> None:
        """Remove a file from the pick-up."""
        self.s3.delete_object(Bucket=self.config.pickup.bucket, Key=self.config.pickup.prefix + name)

    def waiting(self) -> list[str]:
        """What is in the pick-up, the done file included."""
        prefix = self.config.pickup.prefix
        page = self.s3.list_objects_v2(Bucket=self.config.pickup.bucket, Prefix=prefix)
        return [item["Key"][len(prefix) :] for item in page.get("Contents", ())]

    def edit(self, **fields: Any) -> None:
        """Change the client's YAML, from the next run on."""
        self.config = TypeAdapter(ClientConfig).validate_python(self.config.model_dump() | fields)
        self._runs = Runs(self.config)

    def breaks(self) -> None:
        """Someone makes a slip in the client's YAML, whatever is under way."""
        self._runs.breaks()

    def file_removed(self) -> None:
        """Someone removes the client's YAML, whatever is under way."""
        self._runs.removed()

    def edit_under_way(self, **fields: Any) -> None:
        """Change the client's YAML while a run is under way."""
        self._runs.edited(TypeAdapter(ClientConfig).validate_python(self.config.model_dump() | fields))

    def execute(self, task_id: str, run: RunResult) -> RunResult:
        """One task of the client's DAG as it is now, in a run."""
        self._runs._task(run, task_id, {})
        return run

    def task(self, task_id: str) -> Any:
        """A task of the client's DAG, as the last run left it."""
        return self._runs.dag.get_task(task_id)

    def says_under_way(self, other: RunRef) -> None:
        """Airflow says of this run of another DAG, or another of this one, that it is not over."""
        self._runs.under_way.add((other.dag_id, other.run_id))

    def run(self, **params: Any) -> RunResult:
        """One run of the client's DAG."""
        return self._runs.run(**params)

    def clear(self, run: RunResult, **params: Any) -> RunResult:
        """The run, cleared as a whole."""
        return self._runs.run(of=run, **params)

    def clear_transfers(self, run: RunResult) -> RunResult:
        """Only its transfer tasks cleared, with what is downstream."""
        return self._runs.clear_transfers(run)

    def clear_failed(self, run: RunResult) -> RunResult:
        """Only its failed tasks cleared."""
        return self._runs.clear_failed(run)

    def clear_task(self, run: RunResult, name: str) -> RunResult:
        """Only this task cleared."""
        return self._runs.clear_task(run, name)

    def entries(self) -> dict[str, LedgerItem]:
        """All ledger entries of the client, by file name."""
        return self.stack.ledger_entries(self.config.delivery_key)

    def opened(self) -> dict[str, bytes]:
        """What the recipient has by the names in the pick-up, decrypted and decompressed by them; what is no such file
        as it came."""
        suffixes = self.config.suffixes
        return {
            name.removesuffix(suffixes) if suffixes else name: as_opened(self.config, content)
            if suffixes and name.endswith(suffixes)
            else content
            for name, content in self.delivered().items()
        }

    def delivered(self) -> dict[str, bytes]:
        """What the recipient has, by name."""
        match self.config.destination.type:
            case "s3":
                bucket, prefix = self.config.destination.bucket, self.config.destination.prefix
                pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
                return {
                    item["Key"][len(prefix) :]: self.s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
                    for page in pages
                    for item in page.get("Contents", ())
                }
            case "gcs":
                prefix = self.config.destination.prefix
                return {
                    name[len(prefix) :]: content
                    for name, content in self.stack.gcs_contents(self.config.destination.bucket, prefix).items()
                }
            case _:
                root = self.sftp.root / self.config.destination.directory
                return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    def elsewhere(self) -> set[str]:
        """Whatever is at the destination outside of the place that the configuration names."""
        destination = self.config.destination
        match destination.type:
            case "s3":
                pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=destination.bucket)
                names = {item["Key"] for page in pages for item in page.get("Contents", ())}
            case "gcs":
                names = set(self.stack.gcs(f"objects/{destination.bucket}"))
            case _:
                root = self.sftp.root
                names = {str(path.relative_to(root)) for path in root.rglob("*")} - {destination.directory}
                return {name for name in names if not name.startswith(destination.directory + "/")}
        return {name for name in names if not name.startswith(destination.prefix)}

    def watch(self) -> None:
        """Keep a record of what can be seen at an SFTP destination from now on; the others keep one themselves."""
        if self.config.destination.type == "sftp":
            opened = self._as_opened if self.config.treated else None
            self._record = Visible(self.sftp.root / self.config.destination.directory, opened)

    def stop_watching(self) -> None:
        """The record ends."""
        if self._record is not None:
            self._record.stop()
            self._record = None

    def became_visible(self) -> Iterator[tuple[str, int, int]]:
        """Name, size and CRC32C of each content that the recipient could ever see.

        On an SFTP server a file that is written under its final name becomes visible with no bytes at all.
        """
        destination = self.config.destination
        match destination.type:
            case "s3":
                for version in self._versions():
                    body = self.s3.get_object(
                        Bucket=destination.bucket, Key=version["Key"], VersionId=version["VersionId"]
                    )["Body"].read()
                    name = version["Key"].removeprefix(destination.prefix)
                    if self.config.treated and name.endswith(self.config.suffixes):
                        name, body = name.removesuffix(self.config.suffixes), as_opened(self.config, body)
                    yield name, len(body), checksums.crc32c(body)
            case "gcs":
                for event in self.stack.gcs("events"):
                    if event["event"] == "visible" and event["name"].startswith(destination.prefix):
                        crc32c = int.from_bytes(base64.b64decode(event["crc32c"]), "big")
                        name = event["name"].removeprefix(destination.prefix)
                        yield self._as_dropped(name, event["size"], crc32c)
            case _:
                assert self._record is not None, "nobody watches"
                for event in self._record.events():
                    if not event.hidden and event.how != "gone":
                        yield event.path.removesuffix(self.config.suffixes), event.size or 0, event.crc32c or 0

    def _as_opened(self, name: str, content: bytes) -> bytes:
        """What is inside of what arrived."""
        return as_opened(self.config, content) if name.endswith(self.config.suffixes) else content

    def _as_dropped(self, name: str, size: int, crc32c: int) -> tuple[str, int, int]:
        """What arrived, as the file that was dropped for it; of another one as it is."""
        if not self.config.treated or (size, crc32c) not in self._sums:
            return name, size, crc32c
        return name.removesuffix(self.config.suffixes), *self._sums[size, crc32c]

    def _versions(self) -> list[dict[str, Any]]:
        destination = self.config.destination
        pages = self.s3.get_paginator("list_object_versions").paginate(
            Bucket=destination.bucket, Prefix=destination.prefix
        )
        return [version for page in pages for version in page.get("Versions", ())]

    def forget(self) -> None:
        """Empty the destination: a campaign of thousands of deliveries fits into no memory and on no disk."""
        destination = self.config.destination
        match destination.type:
            case "s3":
                for version in self._versions():
                    self.s3.delete_object(Bucket=destination.bucket, Key=version["Key"], VersionId=version["VersionId"])
            case "gcs":
                place = f"objects/{destination.bucket}?prefix={quote(destination.prefix)}"
                httpx.delete(f"{self.stack.gcs_url}/_local/{place}", timeout=30).raise_for_status()
            case _:
                self.stop_watching()
                shutil.rmtree(self.sftp.root / destination.directory)

    def mails(self) -> list[Mail]:
        """The e-mails about this client."""
        return [mail for mail in self.stack.mailbox.messages() if self.config.client_h_number in mail.subject]

    def aws_faults(self, *rules: dict[str, Any]) -> list[str]:
        """Order faults of the AWS stand-in; none ends them. Returns the calls that those before befell."""
        return order_faults(self.stack.aws_url, rules)

    def gcs_faults(self, *rules: dict[str, Any]) -> list[str]:
        """Order faults of the GCS stand-in; none ends them. Returns the calls that those before befell."""
        return order_faults(self.stack.gcs_url, rules)


def as_compressed(config: ClientConfig, name: str, content: bytes) -> bytes:
    """What is delivered of a file that is compressed and not encrypted."""
    from client_delivery.transfer.treatment.compression import compressor

    step = compressor(config.compress, member=name.rpartition("/")[2], size=len(content))
    return b"".join([*(step.feed(content[at : at + MIB]) for at in range(0, len(content), MIB)), step.finish()])


def as_opened(config: ClientConfig, content: bytes) -> bytes:
    """As the recipient reads it: by another way than GnuPG, for thousands of deliveries. A half raises."""
    if config.encrypt:
        import pysequoia

        from tests.support.openpgp import key

        decryptor = pysequoia.Tsk.from_bytes(key("good.private").encode()).decryptor()
        content = bytes(pysequoia.decrypt(decryptor=decryptor, bytes=content).bytes or b"")
    return gzip.decompress(content) if config.compress == "gzip" else content


def order_faults(url: str, rules: Sequence[dict[str, Any]] = ()) -> list[str]:
    """Order faults of the stand-in at ``url``; none ends them. Returns the calls that those before befell."""
    answer = httpx.post(f"{url}/_local/faults", json=list(rules)).raise_for_status()
    hit: list[str] = answer.json()
    return hit


@pytest.fixture
def scenario(stack, new_client, bench) -> Any:
    """``scenario("gcs", trigger_on_done_file=True)`` makes a client to try things on.

    ``scenario("sftp", server="rclone")`` delivers to that server of the bench.
    """
    made: list[Scenario] = []

    def make(destination: str = "s3", *, server: str | None = None, **changes: Any) -> Scenario:
        sftp = None if server is None else bench.server(server).server
        made.append(Scenario(stack, new_client(destination, sftp=sftp, **changes), sftp))
        return made[-1]

    yield make
    for one in made:
        one.aws_faults()
        one.gcs_faults()
        one.stop_watching()


MakeScenario = Callable[..., Scenario]
