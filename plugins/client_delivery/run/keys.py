"""Keys that expire or grow too old: once a day a run of the client checks, and tells the team 30, 7 and 1 days before
and on the day.

An idle run of a client with such keys pays half a read unit for it; once a day there is one conditional write, and one
request for each credential. No delivery depends on this, so nothing here ever fails a task.

An OpenPGP key says when it expires. SSH keys, host keys and the JSON of a service account do not: if the environment
limits their age (setting ``key_max_age_days``), it counts from the day on which a run first saw them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from client_delivery.run.expected import about_of
from client_delivery.run.rules import tell_of_keys
from client_delivery.run.told import OfKeys

if TYPE_CHECKING:
    from client_delivery.ledger.life import RunRef
    from client_delivery.ledger.watched_keys import KeyState
    from client_delivery.notify.expiring import Expiring, KeyKind
    from client_delivery.run.addressees import Post
    from client_delivery.run.context import Run

TOLD_BEFORE = (30, 7, 1, 0)
"""Days before a key's end on which it is reported; later if no run looked on that day."""
_WHENEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""A time at which no key has expired, for reading a key's expiry."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key's identifier, never the key itself."""

    id: str
    expires: datetime | None = None


Source = tuple["KeyKind", Callable[[], Key | None]]
"""The kind of its key, and how it is read; None: it has no key."""


def look(run: Run, post: Callable[[], Post]) -> bool:
    """Once a day: tell the rules about keys that end soon. Returns whether there was any news. Never raises."""
    if run.silenced:
        return False  # with e-mails switched off it could tell nobody: the next run looks
    try:
        return _look(run, post)
    except Exception as error:
        run.log_event("keys_not_watched", level=logging.ERROR, error=type(error).__name__)
        return False


def _look(run: Run, post: Callable[[], Post]) -> bool:
    sources = _sources(run)
    if not sources:
        return False
    kept = run.watched_keys
    before, now = kept.known(), datetime.now(UTC)
    if before.looked_at is not None and before.looked_at.date() >= now.date():
        return False
    found, unread = _read(run, sources)
    max_age = run.settings.key_max_age_days
    states, news = judge(found, before.states, now, timedelta(days=max_age) if max_age else None)
    # A key that could not be read is not gone: its age goes on counting.
    states = {**{id_: one for id_, one in before.states.items() if one.kind in unread}, **states}
    if not kept.keep(before, now, states):
        return False  # another run has looked at the same moment, and reports it
    for one in news:
        run.log_event("key_expires", level=logging.WARNING, key=one.id, kind=str(one.kind), says=one.words)
    if news:
        where = post()
        tell_of_keys(run, where, OfKeys(tuple(news), about_of(run, where, run.owner)))
    return bool(news)


def judge(
    found: Sequence[tuple[KeyKind, Key]], before: Mapping[str, KeyState], now: datetime, max_age: timedelta | None
) -> tuple[dict[str, KeyState], list[Expiring]]:
    """The state of each key now, and the keys to report.

    A new key starts over, and so does a key whose end has moved.
    """
    from client_delivery.ledger.watched_keys import KeyState
    from client_delivery.notify.expiring import Expiring

    states: dict[str, KeyState] = {}
    news: list[Expiring] = []
    for kind, key in found:
        name = f"{kind}|{key.id}"
        state = before.get(name) or KeyState(str(kind), now)
        old = state.since + max_age if max_age is not None else None
        ends = min((end for end in (key.expires, old) if end is not None), default=None)
        if ends != state.ends:
            state = replace(state, ends=ends, told=None)
        if ends is not None:
            days = (ends.astimezone(UTC).date() - now.date()).days
            due = min((one for one in TOLD_BEFORE if days <= one), default=None)
            if due is not None and (state.told is None or due < state.told) and name not in states:
                news.append(Expiring(kind, key.id, ends, days, by_age=ends != key.expires))
                state = replace(state, told=due)
        states.setdefault(name, state)
    return states, news


def told_again(run: Run, post: Post, keys: Sequence[Mapping[str, Any]], owner: RunRef) -> OfKeys:
    """The news that an earlier run noted because it could not send it."""
    from client_delivery.notify.expiring import Expiring, KeyKind

    read = [{**one, "kind": KeyKind(one["kind"]), "ends": datetime.fromisoformat(one["ends"])} for one in keys]
    return OfKeys(tuple(Expiring(**one) for one in read), about_of(run, post, owner))


def _read(run: Run, sources: Sequence[Source]) -> tuple[list[tuple[KeyKind, Key]], set[str]]:
    """The keys, and the kinds of keys that could not be read."""
    found: list[tuple[KeyKind, Key]] = []
    unread: set[str] = set()
    for kind, read in sources:
        try:
            key = read()
        except Exception as error:
            # Not its text: it is about a credential, and the delivery that uses the credential reports it.
            run.log_event("key_not_read", level=logging.WARNING, kind=str(kind), error=type(error).__name__)
            unread.add(str(kind))
            continue
        if key is not None:
            found.append((kind, key))
    return found, unread


def _sources(run: Run) -> list[Source]:
    """The client's keys whose end can be known. Nothing is imported or read for a client that has none."""
    encrypt, destination = run.config.encrypt, run.config.destination
    by_age = run.settings.key_max_age_days > 0 and destination.type != "s3"
    if not (encrypt or by_age):
        return []
    from client_delivery.notify.expiring import KeyKind

    found: list[Source] = []
    if encrypt:
        found += [(KeyKind.RECIPIENT, partial(_recipient, text)) for text in encrypt.recipients]
        if encrypt.sign_with:
            found.append((KeyKind.SIGNING, partial(_signing, run, encrypt.sign_with)))
    if by_age and destination.type == "sftp":
        found += [(KeyKind.HOST, partial(_ssh, key)) for key in destination.host_keys]
        found.append((KeyKind.SSH, partial(_login, run, destination.connection_id)))
    if by_age and destination.type == "gcs":
        found.append((KeyKind.ACCOUNT, partial(_account, run, destination.connection_id)))
    return found


def _recipient(text: str) -> Key:
    from client_delivery.config.openpgp import UnusableKey, read_recipient

    try:
        key = read_recipient(text)
    except UnusableKey:
        key = read_recipient(text, _WHENEVER)  # it may have expired; any other problem is raised again
    return Key(key.fingerprint, key.expires)


def _signing(run: Run, connection_id: str) -> Key:
    from client_delivery.transfer.treatment.encryption import read_signer

    signer = read_signer(run.secret_of(connection_id), _WHENEVER)
    return Key(signer.fingerprint, signer.expires)


def _ssh(public: str) -> Key:
    from client_delivery.transfer.sftp.handshake import fingerprint

    return Key(fingerprint(public))


def _login(run: Run, connection_id: str) -> Key | None:
    from client_delivery.transfer.sftp.credentials import public_key_of

    public = public_key_of(run.secret_of(connection_id))
    return None if public is None else _ssh(public)


def _account(run: Run, connection_id: str) -> Key | None:
    from client_delivery.transfer.gcs.credentials import key_id_of

    id_ = key_id_of(run.secret_of(connection_id))
    return None if id_ is None else Key(id_)
