"""One attempt at one file: it starts, stores what it needs to resume, and leaves an outcome (R6).

Every write is conditional on the attempt's fencing token (R3.5): one that has been overtaken changes nothing.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from boto3.dynamodb.conditions import Attr

from client_delivery.ledger.aliases import aliases_of
from client_delivery.ledger.entry import MAX_ATTEMPTS, Entry, Status
from client_delivery.ledger.identity import Fingerprint
from client_delivery.ledger.life import RunRef
from client_delivery.ledger.partition import ERROR_LENGTH, Partition, superseded
from client_delivery.runtime.events import as_json
from client_delivery.transfer.arrived import arrived
from client_delivery.transfer.contract import Receipt, Superseded

_TRIED_LENGTH = 300
"""Characters of the reasons of earlier attempts."""
_DELIVERED_PATIENCE = 180.0
"""Seconds."""


class Attempts(Partition):
    """What an attempt writes about its file."""

    def begin(self, entry: Entry, owner: RunRef) -> Entry:
        """Start an attempt: the fencing token grows, so every earlier attempt is locked out from here on (R3.5).

        Raises :class:`Superseded` if the entry is not this run's to send, or another attempt has begun meanwhile.
        """
        return self._change(
            entry,
            {
                "attemptId": uuid.uuid4().hex,
                "attemptStartedAt": self._clock(),
                "timestamp": self._clock(),
                "attemptBeganWith": arrived(entry.resume) or None,
            },
            self._held_by(entry) & Attr("ownedBy").is_in(owner.spellings),
            add={"fencingToken": 1},
        )

    def renamed(self, entry: Entry, name: str, suffixes: str) -> Entry:
        """The content is now treated differently than when the file was named: the name changes, nothing is resumed.

        Raises :class:`Superseded`.
        """
        assign = {
            "deliveredName": name,
            "suffixes": suffixes or None,
            "resumeState": None,
            "timestamp": self._clock(),
        }
        return self._change(entry, assign, self._held_by(entry))

    def checkpoint(self, entry: Entry, state: Mapping[str, Any]) -> None:
        """Store what a later attempt needs to resume (R6.7). Raises :class:`Superseded`."""
        self._change(entry, {"resumeState": json.dumps(state), "timestamp": self._clock()}, self._held_by(entry))

    def confirm(self, entry: Entry) -> None:
        """Make sure that this attempt still owns the file. Raises :class:`Superseded` if not (R3.5)."""
        current = self.find([entry.identity]).get(entry.identity)
        if (
            current is None
            or (current.fencing_token, current.status) != (entry.fencing_token, Status.PROCESSING)
            or not current.active
        ):
            raise Superseded(f"Attempt {entry.fencing_token} of {as_json(entry.file_name)} no longer owns the file.")

    def delivered(self, entry: Entry, receipt: Receipt, *, remove_source: bool = False) -> Entry:
        """R6.2, R3.8: the verified delivery, in the record as well; ``remove_source`` notes that the source is removed
        next (R5.6).

        The recipient has the file by now, so the first refusal is not final: giving up would make another attempt send
        it again. Raises :class:`Superseded`.
        """
        content = self._learned(entry, receipt)
        timestamp = self._clock()
        assign: dict[str, Any] = {
            "status": Status.SUCCESS,
            "contentChecksums": list(content.checksums) or None,
            "timestamp": timestamp,
            "finishedAt": timestamp,
            "deliveredTo": receipt.uri,
            "checksum": receipt.checksum,
            "digests": dict(receipt.digests) or None,
            "verifiedBy": receipt.verified_by,
            "removeSource": remove_source or None,
            "lastError": None,
            "resumeState": None,
        }
        treated: dict[str, Any] = {}
        if prepared := receipt.prepared:
            treated = {"source_checksum": prepared.source_checksum, "delivered_size": prepared.size}
            assign |= {"sourceChecksum": prepared.source_checksum, "deliveredBytes": prepared.size}
        after = replace(
            entry,
            status=Status.SUCCESS,
            timestamp=timestamp,
            content=content,
            delivered_to=receipt.uri,
            checksum=receipt.checksum,
            digests=receipt.digests,
            verified_by=receipt.verified_by,
            remove_source=remove_source,
            last_error=None,
            resume=None,
            **treated,
        )
        return self._conclude(after, assign, entry.send_attempts + 1, patience=_DELIVERED_PATIENCE)

    def sidecar_delivered(self, entry: Entry) -> None:
        """The checksum file of a delivered file has arrived. Does nothing if the file was armed again meanwhile."""
        assign = {"sidecarAt": self._clock()}
        condition = Attr("status").eq(Status.SUCCESS) & Attr("fencingToken").eq(entry.fencing_token)
        self._writer.change(self._update(entry.identity, assign, condition))

    def failed(self, entry: Entry, error: str, *, permanent: bool = False, name_refused: bool = False) -> Entry:
        """R6.2: one more failed attempt; the last one, or one that no retry can fix, ends in ``fail``.

        ``name_refused``: the destination cannot have a file of this name. Raises :class:`Superseded`.
        """
        timestamp, attempts = self._clock(), entry.send_attempts + 1
        this = {"began": entry.attempt_started_at, "at": timestamp, "error": error[:_TRIED_LENGTH]}
        tries = [*entry.tries, {name: value for name, value in this.items() if value is not None}][-MAX_ATTEMPTS:]
        assign: dict[str, Any] = {
            "timestamp": timestamp,
            "sendAttempts": attempts,
            "lastError": error[:ERROR_LENGTH],
            "tries": tries,
        }
        if not permanent and attempts < MAX_ATTEMPTS:
            return self._change(entry, assign, self._held_by(entry))
        assign |= {"status": Status.FAIL, "finishedAt": timestamp, "nameRefused": name_refused or None}
        after = replace(
            entry,
            status=Status.FAIL,
            timestamp=timestamp,
            send_attempts=attempts,
            last_error=assign["lastError"],
            name_refused=name_refused,
            tries=tuple(tries),
        )
        return self._conclude(after, assign, attempts)

    def replaced(self, entry: Entry, error: str) -> Entry:
        """Another object has replaced the registered one: this is no failed attempt.

        Raises :class:`Superseded`.
        """
        timestamp, why = self._clock(), error[:ERROR_LENGTH]
        after = replace(entry, status=Status.FAIL, timestamp=timestamp, last_error=why, replaced=True)
        assign = {
            "status": Status.FAIL,
            "timestamp": timestamp,
            "finishedAt": timestamp,
            "lastError": why,
            "replaced": True,
        }
        return self._conclude(after, assign, entry.send_attempts + 1)

    def hindered(self, entry: Entry, error: str) -> Entry:
        """Note what prevents an attempt from starting or continuing, without counting an attempt (R8.3).

        Raises :class:`Superseded`.
        """
        return self._change(
            entry, {"timestamp": self._clock(), "lastError": error[:ERROR_LENGTH]}, self._held_by(entry)
        )

    def _conclude(self, after: Entry, assign: Mapping[str, Any], attempts: int, *, patience: float = 0) -> Entry:
        """An attempt's outcome and its record, both or neither. Raises :class:`Superseded`."""
        writes = [
            self._update(after.identity, assign, self._held_by(after)),
            *self._record(after, attempts),
        ]
        if not self._writer.change_together(writes, patience=patience):
            raise superseded(after)
        return after

    def _learned(self, entry: Entry, receipt: Receipt) -> Fingerprint:
        """What is known of the content by now: another upload of it may come with a checksum that S3 lacks here."""
        if receipt.crc64nvme is None:
            return entry.content
        # Of the file as picked up: the delivered bytes of a treated file say nothing about one that comes again.
        computed = Fingerprint.of({"crc64nvme": receipt.crc64nvme}, entry.size)
        if set(computed.checksums) <= set(entry.content.checksums):
            return entry.content
        file = replace(entry.source, content=computed)
        self.aliases.note(aliases_of(entry.identity, file, by_name="#" in entry.identity))
        return Fingerprint((*entry.content.checksums, *computed.checksums))
