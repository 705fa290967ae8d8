"""Which e-mails have been sent: at most one of each kind for each life of a run (R7.2)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr

from client_delivery.ledger.entry import now
from client_delivery.ledger.life import RunRef
from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE
from client_delivery.ledger.writes import ConditionalWriter, Write

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEPT_SECONDS = 400 * 86_400


class MailMarks:
    """One client's marks, in its partition of the ledger table; DynamoDB removes them when they are old."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, delivery_key: str) -> None:
        self._writer = ConditionalWriter(dynamodb)
        self._table = table
        self._delivery_key = delivery_key
        self._claims: dict[tuple[str, RunRef], str] = {}

    def claim(self, kind: str, ref: RunRef, contacts: Sequence[str] = ()) -> bool:
        """Claim the right to send the ``kind`` (``started``, ``finished``) of e-mail; False if it has been claimed.

        ``contacts``: the recipients, for people who ask later.
        """
        # Differs from any other claim, however simultaneous, so that a claim whose response was lost is recognized.
        claim = self._claims[kind, ref] = f"{now()} {uuid.uuid4()}"
        assign: dict[str, Any] = {kind: claim, TTL_ATTRIBUTE: int(time.time()) + _KEPT_SECONDS}
        if contacts:
            assign[f"{kind}To"] = list(contacts)
        write = Write.update(self._table, self._key(ref), assign, Attr(kind).not_exists())
        return self._writer.change(write) is not None

    def claim_each(self, kind: str, refs: Iterable[RunRef], contacts: Sequence[str] = ()) -> set[RunRef]:
        """Claim it for several lives of runs; those that had not been claimed before.

        If that fails for one of them, none is claimed here, so that another try can: then nothing was sent.
        """
        wanted = list(refs)
        try:
            return {ref for ref in wanted if self.claim(kind, ref, contacts)}
        except Exception:
            for ref in wanted:
                with suppress(Exception):  # what could not be claimed says why
                    self.release(kind, ref)
            raise

    def release(self, kind: str, ref: RunRef) -> None:
        """Give back what was claimed here, even if it is unknown whether the claim succeeded; another's stays.

        For an e-mail that was certainly not sent.
        """
        if claim := self._claims.pop((kind, ref), None):
            self._writer.change(Write.update(self._table, self._key(ref), {kind: None}, Attr(kind).eq(claim)))

    def _key(self, ref: RunRef) -> dict[str, str]:
        return key_of_mark(self._delivery_key, str(ref))


def key_of_mark(delivery_key: str, life: str) -> dict[str, str]:
    """The key of the marks of one life of a run: ``started`` and ``finished``, each a time and what tells claims apart,
    and ``startedTo`` and ``finishedTo``."""
    return {PARTITION_KEY: delivery_key, SORT_KEY: f"mail#{life}"}
