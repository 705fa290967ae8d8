"""Tells other systems that a delivery has ended (R7): at most one event for each life of a run.

The event decides nothing about files, and the delivery waits for it at most some seconds: if an event cannot be put,
the log says so, and the run continues.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from client_delivery.access.refusals import Refusal, refusal_of, refused_entry
from client_delivery.ledger.entry import Entry, Status
from client_delivery.runtime.backoff import Backoff

if TYPE_CHECKING:
    from client_delivery.notify.delivery_event import DeliveryEvent, FileOfEvent
    from client_delivery.run.context import Run

_KIND = "event"
"""The mark in the ledger, beside those of the e-mails."""
_TRIES = 3
_BACKOFF = Backoff(first=1.0, longest=4.0)
_FIRST = {"failed": 0, "held": 1, "replaced": 2, "delivered": 3}


class NotPut(Exception):
    """The bus has certainly not accepted the event.

    :param helps: whether a retry may help.
    """

    def __init__(self, why: str, *, helps: bool) -> None:
        super().__init__(why)
        self.helps = helps


def put_event(run: Run, events: Callable[[], Any], *, run_url: str | None) -> bool:
    """Put the event about the files that this run winds up, if there is a bus; once, and before they are set inactive.

    Returns False if an event was due and, as far as is known, did not get through. Raises nothing: the files are where
    they belong, and no retry may change that.

    :param events: EventBridge. It must make each call only once: a call whose response was lost may have put the event.
    """
    if not run.settings.event_bus:
        return True
    try:
        entries = _with_outcome(run)
        return not entries or _put_due(run, entries, events, run_url)
    except Exception as error:
        run.log_event("event_not_put", level=logging.ERROR, error=f"{type(error).__name__}: {error}")
        return False


def arrived(run: Run) -> tuple[int, int]:
    """How many files this run winds up that were delivered, and their bytes."""
    sizes = [entry.size for entry in delivered_of(run.to_wind_up(run.ledger.open_now(run.owner)))]
    return len(sizes), sum(sizes)


def delivered_of(entries: Iterable[Entry]) -> list[Entry]:
    """The delivered files to announce."""
    return [entry for entry in entries if entry.status is Status.SUCCESS and not entry.reopened]


def _with_outcome(run: Run) -> list[Entry]:
    found = run.to_wind_up(run.ledger.open_now(run.owner))
    return [entry for entry in found if entry.status is not Status.PROCESSING and not entry.reopened]


def _put_due(run: Run, entries: Sequence[Entry], events: Callable[[], Any], run_url: str | None) -> bool:
    """Whether every event that is due got through."""
    from client_delivery.notify.delivery_event import as_json

    client = events()  # before the claim: after it, only the put itself may remain to be done
    lives = {entry.owned_by for entry in entries}
    claimed = run.mail_marks.claim_each(_KIND, lives)
    about = [entry for entry in entries if entry.owned_by in claimed]
    if not about:
        run.log_event("event_not_due")
        return True
    event = event_of(run, about, run_url)
    try:
        put(client, run.settings.event_bus, as_json(event))
    except NotPut as error:
        for life in claimed:
            run.mail_marks.release(_KIND, life)
        run.log_event("event_not_put", level=logging.ERROR, error=str(error))
        return False
    except Exception as error:
        # Its claim stays: a retry might put the event twice.
        why = f"{type(error).__name__}; it is not known whether it was put"
        run.log_event("event_not_put", level=logging.ERROR, error=why)
        return False
    run.log_event("event_put", bus=run.settings.event_bus, files=len(about), id=event.id)
    return True


def event_of(run: Run, entries: Sequence[Entry], run_url: str | None) -> DeliveryEvent:
    """The event about these entries."""
    from client_delivery.notify.delivery_event import DeliveryEvent, RunOfEvent

    files = sorted((_file(run, entry) for entry in entries), key=lambda one: (_FIRST[one.status], one.name))
    delivered = [one for one in files if one.status == "delivered"]
    failed = [one for one in files if one.status in ("failed", "held")]
    owner, config = run.owner, run.config
    return DeliveryEvent(
        id=str(owner),
        time=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        environment=run.settings.environment or "production",
        configuration=config.name,
        client_h_number=config.client_h_number,
        feed=config.feed,
        run=RunOfEvent(dag_id=owner.dag_id or config.name, run_id=owner.run_id, url=run_url),
        outcome="failed" if failed and not delivered else "partly" if failed else "delivered",
        source=f"s3://{config.pickup.bucket}/{config.pickup.prefix}",
        destination=config.destination.uri,
        files_delivered=len(delivered),
        bytes_delivered=sum(one.size for one in delivered),
        files_failed=len(failed),
        files=files,
        files_left_out=0,
    )


def _file(run: Run, entry: Entry) -> FileOfEvent:
    from client_delivery.notify.delivery_event import FileOfEvent, short

    delivered = entry.status is Status.SUCCESS
    return FileOfEvent(
        name=_text(entry.file_name),
        arrives_as=_text(entry.arrives_as),
        size=entry.size,
        status="delivered" if delivered else "held" if entry.guarded else "failed" if run.failed(entry) else "replaced",
        at=entry.timestamp,
        delivered_to=_text(entry.delivered_to) if delivered and entry.delivered_to else None,
        checksum=entry.checksum if delivered else None,
        reason=None if delivered else short(_text(entry.last_error or "")) or None,
    )


def _text(untrusted: str) -> str:
    """JSON in UTF-8 has no lone surrogates."""
    return untrusted.encode("utf-8", "backslashreplace").decode()


def put(client: Any, bus: str, document: str) -> None:
    """Put one event on a bus. Raises :class:`NotPut`; any other exception means that it may have been put."""
    tries = 0
    while True:
        tries += 1
        try:
            return _put_once(client, bus, document)
        except NotPut as error:
            if tries == _TRIES or not error.helps:
                raise
        _BACKOFF.wait(tries)


def _put_once(client: Any, bus: str, document: str) -> None:
    from client_delivery.notify.delivery_event import DETAIL_TYPE, SOURCE

    entry: dict[str, Any] = {"Source": SOURCE, "DetailType": DETAIL_TYPE, "Detail": document, "EventBusName": bus}
    try:
        response = client.put_events(Entries=[entry])
    except Exception as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        raise NotPut(_why(refusal, bus), helps=refusal.passes) from error
    if refusal := refused_entry(response):
        why = f"EventBridge did not accept it: {refusal.said} [{refusal.code}]"
        raise NotPut(why, helps=refusal.passes)


def _why(refusal: Refusal, bus: str) -> str:
    if refusal.asked:
        advice = "" if refusal.passes else f". It needs events:PutEvents on the bus {bus!r}, which must exist"
        return f"EventBridge refuses: {refusal.said} [{refusal.code}]{advice}"
    if refusal.passes:
        return f"EventBridge cannot be reached ({refusal.code})"
    return f"EventBridge was not asked: {refusal.said}"
