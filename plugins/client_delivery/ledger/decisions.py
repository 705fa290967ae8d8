"""What people decide about files that no run has in hand: to send one again when it comes, or to dismiss it (R5.9)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from boto3.dynamodb.conditions import Attr, ConditionBase

from client_delivery.ledger.entry import Entry, Status, Wish
from client_delivery.ledger.life import RunRef
from client_delivery.ledger.partition import Partition, attribute_of
from client_delivery.ledger.record import DISMISSED, Recorded
from client_delivery.ledger.writes import Write


class Decisions(Partition):
    """Who decided what, and when, goes into the entry."""

    def want(self, entries: Iterable[Entry], owner: RunRef) -> list[str]:
        """Note that these are to be sent as soon as somebody drops them again, because their bytes are gone.

        Returns the sort keys for which that is noted now: not those that a run has in hand meanwhile.
        """
        wish = self._wish(owner)
        assign = {"wanted": attribute_of(wish), "timestamp": wish.at}
        done = Attr("status").is_in([Status.SUCCESS, Status.FAIL])
        return self._writer.write_all({entry.identity: self._decided(entry, assign, done) for entry in entries})

    def dismiss(self, entries: Iterable[Entry], owner: RunRef) -> list[str]:
        """Note, in the record too, that these are not to be sent: files that failed are no longer held (R5.9).

        A wish for a file whose bytes are gone is deleted. Returns the sort keys for which that is noted now.
        """
        wish, groups = self._wish(owner), {}
        for entry in entries:
            assign = {"wanted": None, "openKey": None, "dismissed": attribute_of(wish), "timestamp": wish.at}
            after = replace(entry, timestamp=wish.at, asked_by=wish.by, asked_why=wish.why, owned_by=owner)
            recorded = Recorded.of(after, attempts=entry.send_attempts, status=DISMISSED)
            groups[entry.identity] = [
                # So that the condition fails once the write has taken effect: this is how a lost response is detected.
                self._decided(
                    entry,
                    assign,
                    (Attr("status").eq(Status.FAIL) & Attr("dismissed").not_exists()) | Attr("wanted").exists(),
                ),
                *recorded.writes(self._table, self._request.record_days),
            ]
        return self._writer.write_groups(groups)

    def _wish(self, owner: RunRef) -> Wish:
        return Wish(self._clock(), str(owner), self._request.by, self._request.why)

    def _decided(self, entry: Entry, assign: Mapping[str, Any], condition: ConditionBase) -> Write:
        """A change of an entry that no run has in hand, and that is unchanged since it was read."""
        unchanged = Attr("status").eq(entry.status) & Attr("fencingToken").eq(entry.fencing_token)
        return self._update(entry.identity, assign, Attr("active").eq(False) & unchanged & condition)
