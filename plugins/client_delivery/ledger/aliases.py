"""Other keys of an entry: the checksums of its content, the ETags of other uploads of it, names that it covers.

An alias is a small item in the client's partition, beside the entries, that holds the sort key of an entry. It states a
fact about content, whatever state the entry is in; so it may be written before the entry, and one without an entry
says nothing. Like an entry it is found by its key, never by a Scan (R3.4).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from client_delivery.ledger.identity import Fingerprint, name_digest
from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE

if TYPE_CHECKING:
    from client_delivery.ledger.entry import Entry
    from client_delivery.ledger.file import PickupFile
    from client_delivery.ledger.reads import Reader
    from client_delivery.ledger.writes import ConditionalWriter

PREFIX = "known#"
_NAMES_KEPT = 400 * 86_400
"""Seconds for which a name that was not sent is remembered. Afterwards it is reported again, but never sent."""


@dataclass(frozen=True, slots=True)
class Alias:
    """States that the content known by ``key`` is that of the entry with the sort key ``entry``."""

    key: str
    entry: str
    seen: datetime | None = None
    """For a name that the entry covers: LastModified of the object that had it. A later one is a new wish (R5.9)."""
    sent: bool = True
    """False for a name under which the content is not sent, because it goes under another (R5.7)."""


def by_etag(etag: str, name: str | None = None) -> str:
    """The key for another upload of the content; with a name, for the content under this name."""
    return _key(f"etag:{etag}", name)


def by_content(checksum: str, name: str | None = None) -> str:
    """The key for a checksum of the content; with a name, for the content under this name."""
    return _key(checksum, name)


def content_keys(fingerprint: Fingerprint, name: str) -> list[str]:
    """The keys to look for, the most specific first: under the same name, then under any."""
    named = [by_content(checksum, name) for checksum in (*fingerprint.strong, *fingerprint.weak)]
    return named + [by_content(checksum) for checksum in fingerprint.strong]


def hint_keys(fingerprint: Fingerprint, size: int) -> list[str]:
    """The keys that only suggest that the content is known: reading it decides."""
    return [by_content(checksum) for checksum in fingerprint.weak] + (
        [] if fingerprint.whole else [f"{PREFIX}size:{size}"]
    )


def aliases_of(entry: str, file: PickupFile, *, by_name: bool) -> list[Alias]:
    """All keys that find an entry when its content comes again: as another upload, or under another name."""
    etag, name, fingerprint = file.etag, file.name, file.content
    found = [Alias(by_content(checksum), entry) for checksum in fingerprint.checksums]
    found.append(Alias(f"{PREFIX}size:{file.size}", entry))
    named = fingerprint.checksums if by_name else fingerprint.weak
    found += [Alias(by_content(checksum, name), entry) for checksum in named]
    if etag != entry.partition("#")[0]:
        found.append(Alias(by_etag(etag, name if by_name else None), entry))
    return found


def earlier_name(entry: Entry) -> Alias:
    """The name under which the entry was to be sent until now: a file of that name is sent only if dropped again."""
    modified = datetime.fromisoformat(entry.source_modified)
    return Alias(by_etag(entry.source_etag, entry.file_name), entry.identity, modified)


def covered_name(entry: str, file: PickupFile) -> Alias:
    """A name under which the content is not sent, because it goes under another (R5.7)."""
    return Alias(by_etag(file.etag, file.name), entry, file.last_modified, sent=False)


def _key(fact: str, name: str | None) -> str:
    return f"{PREFIX}{fact}" if name is None else f"{PREFIX}{fact}#{name_digest(name)}"


class Aliases:
    """The aliases in one client's partition of the ledger table."""

    def __init__(self, reader: Reader, writer: ConditionalWriter, table: str, delivery_key: str) -> None:
        self._reader = reader
        self._writer = writer
        self._table = table
        self._delivery_key = delivery_key

    def find(self, keys: Iterable[str]) -> dict[str, Alias]:
        """The aliases that exist for these keys, read consistently."""
        items = self._reader.items({PARTITION_KEY: self._delivery_key, SORT_KEY: key} for key in dict.fromkeys(keys))
        return {alias.key: alias for alias in map(_from_item, items)}

    def note(self, aliases: Iterable[Alias]) -> None:
        """Write them, and replace what their keys said before."""
        self._writer.put_all(self._table, [self._item(alias) for alias in {one.key: one for one in aliases}.values()])

    def _item(self, alias: Alias) -> dict[str, Any]:
        return {
            PARTITION_KEY: self._delivery_key,
            SORT_KEY: alias.key,
            "entry": alias.entry,
            "seen": alias.seen.isoformat() if alias.seen else None,
            "notSent": None if alias.sent else True,
            TTL_ATTRIBUTE: None if alias.sent else int(time.time()) + _NAMES_KEPT,
        }


def _from_item(item: dict[str, Any]) -> Alias:
    seen = item.get("seen")
    return Alias(item[SORT_KEY], item["entry"], datetime.fromisoformat(seen) if seen else None, "notSent" not in item)
