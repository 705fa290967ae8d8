"""The deliveries that wait for an acknowledgement, and those that have one at the destination by now."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from client_delivery.ledger.acknowledgements import Acknowledged
from client_delivery.ledger.entry import timestamp
from client_delivery.run.destination import listing_of
from client_delivery.transfer.contract import TransferError
from client_delivery.transfer.crew import side_by_side

if TYPE_CHECKING:
    from client_delivery.config.acknowledgement import Acknowledgement, Awaited
    from client_delivery.ledger.record import Recorded
    from client_delivery.run.context import Run
    from client_delivery.transfer.listing import Listing, There

SKEW = timedelta(minutes=5)
"""By the destination's clock, an acknowledgement may look this much older than the delivery."""
PATIENCE = 60.0
"""Seconds for all listing together."""
MOST_AWAITED = 20_000
"""The most deliveries in one look, the latest first."""
MOST_READ = 100_000
"""The most deliveries of the record that one look reads."""
_MOST_CANDIDATES, _MOST_LOGGED = 20, 100


@dataclass(slots=True)
class Delivery:
    """A delivery that needs an acknowledgement."""

    position: str
    at: datetime
    file_name: str
    delivered: str
    awaited: Awaited
    candidates: list[Acknowledged] = field(default_factory=list)
    """A file of that name that is not older."""
    found: Acknowledged | None = None


@dataclass(slots=True)
class Look:
    """The result of one look."""

    deliveries: list[Delivery] = field(default_factory=list)
    trouble: str | None = None
    more: bool = False
    """Whether there are more deliveries than one look takes on: then nothing is known about the oldest."""

    def left(self) -> list[Delivery]:
        """Those without one."""
        return [one for one in self.deliveries if one.found is None]


def awaited(run: Run, section: Acknowledgement, begin: str) -> Look:
    """The deliveries that need an acknowledgement and have none in the record; the latest of each name.

    :param begin: of the deliveries from that moment on.
    """
    look, there = Look(), set(islice(run.acknowledgements.since(begin), MOST_READ))
    seen: set[str] = set()
    for number, one in enumerate(_deliveries(run, begin)):
        if number == MOST_READ or len(look.deliveries) == MOST_AWAITED:
            look.more = True
            break
        delivered = one.delivered_name or one.file_name
        if delivered in seen:
            continue  # the one that replaced it needs one
        seen.add(delivered)
        if one.position in there:
            continue
        name = section.awaited(
            client=run.config.client_h_number,
            feed=run.config.feed or "",
            delivered=delivered,
            plain=delivered.removesuffix(run.config.suffixes),
        )
        at = datetime.fromisoformat(one.at)
        look.deliveries.append(Delivery(one.position, at, one.file_name, delivered, name))
    return look


def _deliveries(run: Run, begin: str) -> Iterator[Recorded]:
    """Newest first."""
    after = None
    while True:
        page = run.history.of_client(run.config.delivery_key, status="success", since=begin, after=after, limit=200)
        yield from page.found
        if (after := page.next) is None:
            return


def search(run: Run, section: Acknowledgement, look: Look) -> None:
    """Search the destination, and note in the ledger what is there."""
    try:
        with listing_of(run.config, section.place, run.settings, run.secret_of, seconds=PATIENCE) as listing:
            _match(run, look, listing)
    except TransferError as error:
        look.trouble = str(error)
    except Exception as error:
        # Not its text: it may contain a credential.
        look.trouble = f"unexpected {type(error).__name__}; see the log"
        logging.getLogger(__name__).exception("Unexpected error while acknowledgements were looked for")
    _choose(run, look)
    if look.more and look.trouble is None:
        look.trouble = (
            f"More than {len(look.deliveries):,} deliveries have no acknowledgement, and only those of the latest "
            "were looked for. Ask the recipient, or check acknowledgement.pattern."
        )
    if look.trouble:
        run.log_event("acknowledgements_not_looked_for", level=logging.WARNING, error=look.trouble)
    found = [one.found for one in look.deliveries if one.found]
    days = run.settings.record_days
    side_by_side(lambda one: run.acknowledgements.note(one, days), found, 16)
    for one in found[:_MOST_LOGGED]:
        run.log_event("file_acknowledged", file=one.file_name, found=one.found, modified=one.modified)
    if len(found) > _MOST_LOGGED:
        run.log_event("files_acknowledged", files=len(found))


def _match(run: Run, look: Look, listing: Listing) -> None:
    folders: dict[str, list[Delivery]] = defaultdict(list)
    for one in look.deliveries:
        folders[one.awaited.directory].append(one)
    for directory, deliveries in folders.items():
        by_begin: dict[str, list[Delivery]] = defaultdict(list)
        for one in deliveries:
            by_begin[one.awaited.begins].append(one)
        lengths = sorted({len(begins) for begins in by_begin}, reverse=True)
        for there in listing.files(directory, _common(by_begin)):
            # The most specific pattern: 'claims2.ack' is not the acknowledgement of 'claims' by 'claims*.ack'.
            begins = (there.name[:length] for length in lengths if length <= len(there.name))
            fits = (one for head in begins for one in by_begin.get(head, ()) if one.awaited.is_called(there.name))
            if (delivery := next(fits, None)) is not None:
                _take(run, delivery, directory, there)


def _take(run: Run, delivery: Delivery, directory: str, there: There) -> None:
    """It may belong to this delivery, unless it is older."""
    if there.modified is not None and there.modified < delivery.at - SKEW:
        return
    # A name that is not text cannot be stored as it is, and no delivered file has one.
    name = (directory + there.name).encode(errors="surrogateescape").decode(errors="replace")
    modified, at = None if there.modified is None else timestamp(there.modified), timestamp(datetime.now(UTC))
    if len(delivery.candidates) < _MOST_CANDIDATES:
        delivery.candidates.append(
            Acknowledged(delivery.position, at, delivery.file_name, name, modified, there.size, str(run.owner))
        )


def _choose(run: Run, look: Look) -> None:
    """The first that came and is not another delivery's: a file that was sent again needs a new acknowledgement."""
    candidates = [one for delivery in look.deliveries for one in delivery.candidates]
    used = run.acknowledgements.used((one.found, one.modified) for one in candidates) if candidates else set()
    for delivery in look.deliveries:
        free = [one for one in delivery.candidates if (one.found, one.modified) not in used]
        delivery.found = min(free, key=lambda one: one.modified or "", default=None)


def _common(begins: Iterable[str]) -> str:
    """The common beginning of all of them."""
    first, last = min(begins), max(begins)
    return first[: next((at for at, char in enumerate(first) if char != last[at : at + 1]), len(first))]
