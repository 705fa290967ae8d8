"""This project's engine as a contender: what a worker or the container runs, without Airflow and ledger."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from benchmarks.transfer.meter import measuring
from client_delivery.access.aws import s3_access
from client_delivery.config.model import DestinationSection
from client_delivery.runtime.heap import heap_at_rest
from client_delivery.transfer.contract import Job, Receipt, SourceObject
from client_delivery.transfer.delivering.batch import deliver_all
from client_delivery.transfer.delivering.destinations import open_destination
from client_delivery.transfer.secret import Secret

if TYPE_CHECKING:
    from client_delivery.transfer.contract import Destination
    from client_delivery.transfer.s3_wire.access import S3Access


class NoJournal:
    """Keeps nothing: how the ledger is kept is measured elsewhere."""

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """As the ledger would, it is made JSON."""
        json.dumps(state)

    def confirm(self) -> None:
        """Nobody else is here."""

    def resumed(self, there: int) -> None:
        """Nobody looks."""

    def progress(self, moved: int) -> None:
        """Nobody looks."""


def main() -> None:
    """Deliver the files of the order, which stands on standard input."""
    order = json.load(sys.stdin)
    config: Any = TypeAdapter(DestinationSection).validate_python(order["destination"])
    secret = Secret("bench", extra=order["secret"]) if order["secret"] else None
    failures: list[Exception] = []

    def start(file: Mapping[str, Any]) -> tuple[Job, NoJournal]:
        source = SourceObject(file["bucket"], file["key"], file["etag"], file["size"])
        return Job(file["key"] + order.get("suffixes", ""), source, token=1), NoJournal()

    def finish(file: Mapping[str, Any], result: Receipt | Exception) -> None:
        if isinstance(result, Exception):
            failures.append(result)

    access = s3_access()
    destination = open_destination(
        config,
        secret=secret,
        source_s3=access,
        destination_s3=access,
        gcs_endpoint=order["gcs_endpoint"],
    )
    if treatment := order.get("treatment"):
        destination = treated(destination, treatment, access)
    with measuring(), heap_at_rest(), destination:
        deliver_all(order["files"], start, destination, finish)
    if failures:
        raise failures[0]


def treated(inner: Destination, treatment: Mapping[str, Any], access: S3Access) -> Destination:
    """As runs do it for a client with ``compress`` and ``encrypt``."""
    from client_delivery.transfer.treatment.area import PreparedArea
    from client_delivery.transfer.treatment.destination import TreatedDestination, Treatment
    from client_delivery.transfer.treatment.encryption import Encryption, recipients_of

    recipients = [treatment["recipient"]] if "recipient" in treatment else []
    encryption = Encryption(recipients_of(recipients), None, False) if recipients else None
    how = Treatment(treatment.get("compress"), encryption, treatment["suffixes"], False)
    return TreatedDestination(inner, lambda: how, PreparedArea(treatment["area"], access), access)


if __name__ == "__main__":
    main()
