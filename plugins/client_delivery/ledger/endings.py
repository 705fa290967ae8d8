"""The end of a run: what becomes of its entries when no attempt works on them any longer (R4.2, R8.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from boto3.dynamodb.conditions import Attr

from client_delivery.ledger.entry import HELD, Entry, Status, work_ref
from client_delivery.ledger.life import RunRef
from client_delivery.ledger.partition import Partition, owned_by_life_of


class Endings(Partition):
    """How a run parts with its entries."""

    def removed(self, entries: Iterable[Entry], archived_to: Callable[[Entry], str | None]) -> None:
        """R5.2, R5.8: note that the sources are gone from the pick-up, and where they are kept, to be sent again."""
        timestamp = self._clock()
        self._writer.write_all(
            {
                entry.identity: self._update(
                    entry.identity,
                    {"removedAt": timestamp, **({"archivedTo": uri} if (uri := archived_to(entry)) else {})},
                    Attr("fencingToken").eq(entry.fencing_token),
                )
                for entry in entries
            }
        )

    def give_up(self, entries: Sequence[Entry], owner: RunRef, error: str) -> list[str]:
        """Entries still ``processing`` when the last try is over end in ``fail``: no attempt left an outcome."""
        timestamp = self._clock()
        assign = {
            "status": Status.FAIL,
            "timestamp": timestamp,
            "finishedAt": timestamp,
        }
        condition = self._sending() & owned_by_life_of(owner)
        groups = {}
        for entry in entries:
            after = replace(
                entry,
                status=Status.FAIL,
                timestamp=timestamp,
                fencing_token=entry.fencing_token + 1,
                last_error=entry.last_error or error,
            )
            update = self._update(
                entry.identity, {**assign, "lastError": after.last_error}, condition, add={"fencingToken": 1}
            )
            groups[entry.identity] = [update, *self._record(after, entry.send_attempts)]
        return self._writer.write_groups(groups)

    def deactivate(self, entries: Sequence[Entry]) -> list[str]:
        """R4.2: set inactive, and lock out any attempt that still runs. The entries stay open: nothing is lost."""
        return self._writer.write_all(
            {
                entry.identity: self._update(
                    entry.identity,
                    {"active": False, "timestamp": self._clock()},
                    Attr("active").eq(True) & Attr("ownedBy").eq(str(entry.owned_by)),
                    add={"fencingToken": 1},
                )
                for entry in entries
            }
        )

    def close(self, entries: Sequence[Entry], owner: RunRef) -> list[str]:
        """R8.2: close entries with an outcome: inactive, and out of the index unless they failed (held)."""
        timestamp = self._clock()
        writes = {}
        for entry in entries:
            failed = entry.status is Status.FAIL
            assign = {
                "active": False,
                "timestamp": timestamp,
                "openKey": HELD + self.delivery_key if failed else None,
                # The run that closes a failure left by a dead run reports it, and is red (R8.3).
                "ownedBy": str(owner),
                "workRef": work_ref(owner.run_id, entry.batch),
            }
            condition = Attr("status").eq(entry.status) & Attr("fencingToken").eq(entry.fencing_token)
            writes[entry.identity] = self._update(entry.identity, assign, condition)
        return self._writer.write_all(writes)
