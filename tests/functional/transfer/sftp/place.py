"""An empty directory on one of the servers, and what is asserted of every delivery there."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from awscrt import checksums

from client_delivery.transfer.contract import Destination, Job, NotRepeatable, Receipt, SourceObject
from client_delivery.transfer.integrity import encode
from local.sftp_servers.family import Running
from tests.functional.transfer.conftest import Journal, Servers
from tests.support.visible import Seen, Visible

_numbers = itertools.count(1)
_RCLONE = ".partial"
"""What rclone calls what it copies itself, where it cannot rename."""


@dataclass
class Outcome:
    """What became of one file, after one attempt or several."""

    result: Receipt | Exception
    journals: list[Journal] = field(default_factory=list)

    @property
    def receipt(self) -> Receipt:
        """Of a delivery. Raises what it failed with."""
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    @property
    def writers(self) -> int:
        """How many wrote the file at once."""
        states = [state for journal in self.journals for state in journal.states]
        return max((len(state["lanes"]) for state in states if "lanes" in state), default=1)


class Place:
    """One client's directory on a server.

    :param older: what the recipient has there already.
    :param options: of the destination, beside where it is.
    """

    def __init__(
        self,
        servers: Servers,
        running: Running,
        options: Mapping[str, Any],
        older: Mapping[str, bytes] | None = None,
    ) -> None:
        self.servers = servers
        self.server = running.server
        self.options = options
        self.folder = f"place-{next(_numbers)}"
        self.root = self.server.root / self.folder
        self.root.mkdir()
        self._taken = self.server.root.parent / "taken"
        self._older = dict(older or {})
        for name, content in self._older.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_bytes(content)
        self._record = Visible(self.root)

    # -- what is done ------------------------------------------------------------------------------------------------

    def open(self, **options: Any) -> Destination:
        """The destination."""
        return self.servers.open("sftp", self.server, directory=self.folder, **{**self.options, **options})

    def deliver(
        self,
        source: SourceObject,
        *,
        attempts: int = 3,
        first: int = 1,
        resume: Any = None,
        through: Destination | None = None,
    ) -> Outcome:
        """As the ledger would: attempts, each with the next token and the last checkpoint, until one succeeds.

        :param through: a destination that is open already.
        """
        outcome = Outcome(RuntimeError("never tried"))
        for token in range(first, first + attempts):
            outcome.journals.append(journal := Journal())
            try:
                with nullcontext(through) if through else self.open() as destination:
                    outcome.result = destination.deliver(Job(source.key, source, token, resume), journal)
                break
            except NotRepeatable as error:
                outcome.result = error
                break
            except Exception as error:
                outcome.result = error
            resume = journal.states[-1] if journal.states else resume
        else:
            if attempts > 1:  # the ledger gives it up
                with self.open() as destination:
                    destination.discard(source.key, resume or {})
        return outcome

    # -- what is seen ------------------------------------------------------------------------------------------------

    @property
    def events(self) -> list[Seen]:
        """All that happened in the directory since the beginning."""
        return self._record.events()

    def arrived(self) -> list[tuple[str, str]]:
        """What the recipient has, or has taken: names and CRC32C."""
        files = [path for path in self.root.rglob("*") if path.is_file()]
        there = [(str(path.relative_to(self.root)), _crc(path.read_bytes())) for path in files]
        taken = [
            (str(path.relative_to(place)), _crc(path.read_bytes()))
            for place in self._taken.glob(f"*/{self.folder}")
            for path in place.rglob("*")
            if path.is_file()
        ]
        return sorted(there + taken)

    @property
    def direct(self) -> bool:
        """Whether files are written under their final names here."""
        return self.options.get("appear") == "direct"

    def require(self, expected: Mapping[str, str]) -> None:
        """The recipient has exactly these files (CRC32C by name), each once, and has never seen anything else.

        Raises AssertionError: something partial under a final name, a temporary file left, an older file lost.
        """
        older = {name: _crc(content) for name, content in self._older.items()}
        arrived, wanted = self.arrived(), sorted({**older, **expected}.items())
        assert arrived == wanted, f"there is {arrived}, and should be {wanted}"
        for event in self.events:
            if event.hidden or event.path.endswith(_RCLONE):
                continue
            if event.how == "found" and self.direct:
                continue  # it may be half written
            if event.how in ("appeared", "found") and event.size is not None:
                known = {older.get(event.path), expected.get(event.path)}
                assert encode(event.crc32c or 0) in known, f"{event.path} could be seen with other bytes"
            if event.how in ("created", "written"):
                assert self.direct, f"{event.path} could be seen while it was written"

    def close(self) -> None:
        """No more is recorded."""
        self._record.stop()


def _crc(content: bytes) -> str:
    return encode(checksums.crc32c(content))
