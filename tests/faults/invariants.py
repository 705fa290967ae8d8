"""What must hold whatever happened: nothing lost, nothing sent half, nothing sent twice, nothing left behind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import httpx
from awscrt import checksums

from client_delivery.ledger.entry import Status
from local.mailbox import Mail
from tests.support.scenario import Scenario


@dataclass(frozen=True)
class Expected:
    """How a delivery looks at the destination, where it is not as it was dropped."""

    names: Mapping[str, str] = field(default_factory=dict)
    """What each file is called there."""
    sums: Mapping[str, bytes] = field(default_factory=dict)
    """The checksum files."""
    completion: Mapping[str, bytes] = field(default_factory=dict)
    """The completion file, which is there only after all the others."""

    def there(self, dropped: Mapping[str, bytes]) -> dict[str, bytes]:
        """All that is there in the end."""
        return {**{self.names.get(n, n): c for n, c in dropped.items()}, **self.sums, **self.completion}


AS_DROPPED = Expected()


def check(client: Scenario, dropped: Mapping[str, bytes], held: Mapping[str, bytes]) -> None:
    """How things are when the next runs find nothing to do. Raises AssertionError with what does not hold.

    :param held: what guards hold.
    """
    found = client.opened()
    missing = dropped.keys() - found.keys()
    assert not missing, f"lost: {sorted(missing)}; ledger: {states(client)}"
    extra = found.keys() - dropped.keys()
    assert not extra, f"at the destination, but never dropped (temporary files?): {sorted(extra)}"
    wrong = [name for name, content in dropped.items() if found[name] != content]
    assert not wrong, f"not the bytes that were dropped: {wrong}"
    assert sorted(client.waiting()) == sorted(held), f"still in the pick-up: {client.waiting()}"
    assert {entry.file_name for entry in client.ledger.held_entries()} == held.keys(), "what is held is said to be"
    entries = client.entries()
    assert all(entries[name].guarded and not entries[name].send_attempts for name in held), "held before any byte goes"
    unfinished = {
        name: entry.status.value
        for name, entry in entries.items()
        if entry.status is not Status.SUCCESS and name not in held
    }
    assert not unfinished, f"ledger: {unfinished}"
    assert not [name for name, entry in entries.items() if entry.active], "entries stay active"
    assert not client.ledger.open_entries(), "entries stay open"
    assert leftovers(client) == [], "uploads stay open at the destination"


def failed_otherwise(client: Scenario) -> list[str]:
    """What has failed, and not because a guard holds it."""
    entries = client.entries().values()
    return [entry.file_name for entry in entries if entry.status is Status.FAIL and not entry.guarded]


def check_at_any_moment(
    client: Scenario, dropped: Mapping[str, bytes], held: Mapping[str, bytes], expected: Expected = AS_DROPPED
) -> None:
    """What must hold even with processes dead and nothing resumed: nobody sees a half, nothing is taken away too early.

    What was is asked before what is: a container may still be at work.
    """
    sent = {name for name, entry in client.entries().items() if entry.status is Status.SUCCESS}
    waiting = set(client.waiting())
    found = client.opened()
    there, named = expected.there(dropped), {name: expected.names.get(name, name) for name in dropped}
    half = [name for name in found.keys() & there.keys() if found[name] != there[name]]
    assert not held.keys() - waiting, "a guard holds it, and it is not in the pick-up any more"
    assert not half, f"to be seen by the recipient, but not whole: {half}"
    strange = [name for name in found.keys() - there.keys() if not _is_temporary(client, name)]
    assert not strange, f"to be seen by the recipient, but never dropped: {strange}"
    lost = [name for name, called in named.items() if name not in waiting and called not in found]
    assert not lost, f"neither in the pick-up nor at the destination: {lost}"
    unsent = [name for name in sent & dropped.keys() if named[name] not in found]
    assert not unsent, f"counted as sent, but not at the destination: {unsent}"
    early = found.keys() & expected.completion.keys() and there.keys() - found.keys()
    assert not early, f"a completion file, before these: {early}"


def _is_temporary(client: Scenario, name: str) -> bool:
    return client.config.destination.type == "sftp" and bool(re.fullmatch(r"(.*/)?\.[^/]+\.\d+\.part", name))


def check_mails(mails: Iterable[Mail], announced: Iterable[str], *, most: int, may_be_lost: bool) -> None:
    """Each file is announced at most once for each delivery, and reported once; R7.2."""
    mails = list(mails)
    for kind in ("started", "finished"):
        texts = [mail.text for mail in mails if f"Job {kind}" in mail.subject]
        for name in announced:
            times = sum(name in text for text in texts)
            assert times <= most, f"{name} is in {times} 'Job {kind}' e-mails"
            assert times or may_be_lost, f"{name} is in no 'Job {kind}' e-mail"


def check_duplicates_are_reported(mails: Iterable[Mail], names: Iterable[str], *, may_be_lost: bool) -> None:
    """R5.7: what was not sent since its content had been is said by name, once."""
    texts = [mail.text for mail in mails if "Job finished" in mail.subject]
    for name in names:
        times = sum(name in text for text in texts)
        assert times == 1 or (may_be_lost and not times), f"{name} is reported as a duplicate {times} times"


def leftovers(client: Scenario, prefix: str | None = None) -> list[str]:
    """Multipart uploads that nobody will complete, below the destination's prefix or another."""
    destination = client.config.destination
    if destination.type == "gcs":
        names = httpx.get(f"{client.stack.gcs_url}/_local/uploads/{destination.bucket}", timeout=30).json()
        return [name for name in names if name.startswith(destination.prefix if prefix is None else prefix)]
    if destination.type == "s3":
        uploads = client.s3.list_multipart_uploads(Bucket=destination.bucket).get("Uploads", [])
        return [upload["Key"] for upload in uploads if upload["Key"].startswith(destination.prefix)]
    return []


def check_what_became_visible(client: Scenario, dropped: Mapping[str, bytes], *, most: int | None) -> None:
    """Whatever the recipient could ever see under a name was the whole file, ``most`` times at most.

    The GCS stand-in keeps such a record, and so does a versioned bucket; at an SFTP server the kernel tells. A second
    time is unavoidable where an attempt died, or its answer was lost, after the file had become visible: then it is
    overwritten with the same bytes.
    """
    times: Counter[str] = Counter()
    for name, size, crc32c in client.became_visible():
        assert name in dropped, f"{name} was to be seen, but never dropped"
        content = dropped[name]
        assert (size, crc32c) == (len(content), checksums.crc32c(content)), f"{name} was to be seen with other bytes"
        times[name] += 1
    assert most is None or all(count <= most for count in times.values()), (
        f"became visible more than {most} times: {times}"
    )


def states(client: Scenario) -> dict[str, str]:
    """The ledger in short."""
    return {
        name: f"{entry.status.value} {entry.send_attempts} {entry.last_error or ''}"
        for name, entry in client.entries().items()
    }
