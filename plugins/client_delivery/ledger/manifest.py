"""The files that one run has taken on, written by the run itself: a list of sort keys for each batch.

The index ``open`` lags behind its table by a moment (Amazon DynamoDB developer guide, *Global secondary indexes*:
reads of one are eventually consistent, always). So a run that only asked the index could overlook what it registered a
second before, and leave it out of an e-mail or of the wind-up. So it also reads its manifest, consistently.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE

if TYPE_CHECKING:
    from client_delivery.ledger.reads import Reader
    from client_delivery.ledger.writes import ConditionalWriter

PREFIX = "run#"
HELD = "held"
"""The part with the files that failed before, and wait (R5.4)."""
_KEPT_SECONDS = 100 * 86_400
"""A run may be cleared long after it ended; after this time the index alone is asked."""
_CHUNK_BYTES = 200_000
"""An item may have 400 KB."""


class Manifest:
    """The lists of one client's runs, in its partition of the ledger table. An entry in one may belong to a later run
    by now."""

    def __init__(self, reader: Reader, writer: ConditionalWriter, table: str, delivery_key: str) -> None:
        self._reader = reader
        self._writer = writer
        self._table = table
        self._delivery_key = delivery_key

    def note(self, run_id: str, parts: Mapping[int | str, Iterable[str]]) -> None:
        """Add sort keys by the part of the run: a batch's number, or the name of another part.

        Before anything is done with them, so that nothing done is missing.
        """
        items = [
            {
                PARTITION_KEY: self._delivery_key,
                SORT_KEY: f"{_prefix(run_id, part)}{uuid.uuid4().hex}",
                "entries": chunk,
                TTL_ATTRIBUTE: int(time.time()) + _KEPT_SECONDS,
            }
            for part, etags in parts.items()
            for chunk in _chunks(sorted(set(etags)))
        ]
        self._writer.put_all(self._table, items)

    def parts(self, run_id: str) -> dict[str, list[str]]:
        """All sort keys by the part of the run."""
        found: dict[str, dict[str, None]] = {}
        for item in self._reader.partition(self._delivery_key, _prefix(run_id, None)):
            part = item[SORT_KEY].removeprefix(_prefix(run_id, None)).partition("#")[0]
            found.setdefault(part, {}).update(dict.fromkeys(item["entries"]))
        return {part: list(etags) for part, etags in found.items()}

    def etags(self, run_id: str, part: int | str | None = None) -> list[str]:
        """The sort keys in one part of the run, or in all of them."""
        found: dict[str, None] = {}
        for item in self._reader.partition(self._delivery_key, _prefix(run_id, part)):
            found.update(dict.fromkeys(item["entries"]))
        return list(found)


def _prefix(run_id: str, part: int | str | None) -> str:
    return f"{PREFIX}{run_id}#" if part is None else f"{PREFIX}{run_id}#{part}#"


def _chunks(etags: Sequence[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    room = _CHUNK_BYTES
    for etag in etags:
        if len(etag) > room and chunk:
            yield chunk
            chunk, room = [], _CHUNK_BYTES
        chunk.append(etag)
        room -= len(etag) + 3
    if chunk:
        yield chunk
