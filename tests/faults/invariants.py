"""What must hold whatever happened: nothing lost, nothing sent half, nothing sent twice, nothing left behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import httpx

from delivery.ledger.entry import Status
from tests.support.scenario import Scenario


def check(client: Scenario, dropped: Mapping[str, bytes], *, mail_may_be_lost: bool = False) -> None:
    """Raises AssertionError with what does not hold. To be asked when the next runs find nothing to do."""
    found = client.delivered()
    missing = dropped.keys() - found.keys()
    assert not missing, f"lost: {sorted(missing)}; ledger: {states(client)}"
    extra = found.keys() - dropped.keys()
    assert not extra, f"at the destination, but never dropped (temporary files?): {sorted(extra)}"
    wrong = [name for name, content in dropped.items() if found[name] != content]
    assert not wrong, f"not the bytes that were dropped: {wrong}"
    assert not client.waiting(), f"still in the pick-up: {client.waiting()}"
    entries = client.entries()
    unfinished = {name: entry.status.value for name, entry in entries.items() if entry.status is not Status.SUCCESS}
    assert not unfinished, f"ledger: {unfinished}"
    assert not [name for name, entry in entries.items() if entry.active], "entries stay active"
    assert not client.ledger.open_entries(), "entries stay open"
    assert leftovers(client) == [], "uploads stay open at the destination"
    check_mails(client, dropped, may_be_lost=mail_may_be_lost)


def check_mails(client: Scenario, dropped: Mapping[str, bytes], *, may_be_lost: bool) -> None:
    """Each file is announced at most once, and reported once; R7.2."""
    for kind in ("started", "finished"):
        mails = [mail for mail in client.mails() if f"Job {kind}" in mail.subject]
        for name in dropped:
            times = sum(name in mail.text for mail in mails)
            assert times <= 1, f"{name} is in {times} 'Job {kind}' e-mails"
            assert times == 1 or may_be_lost, f"{name} is in no 'Job {kind}' e-mail"


def leftovers(client: Scenario) -> list[str]:
    """Multipart uploads that nobody will complete."""
    destination = client.config.destination
    if destination.type == "gcs":
        names = httpx.get(f"{client.stack.gcs_url}/_local/uploads/{destination.bucket}", timeout=30).json()
        return [name for name in names if name.startswith(destination.prefix)]
    if destination.type == "s3":
        uploads = client.s3.list_multipart_uploads(Bucket=destination.bucket).get("Uploads", [])
        return [upload["Key"] for upload in uploads if upload["Key"].startswith(destination.prefix)]
    return []


def repeats(client: Scenario) -> Counter[str]:
    """How often each file became visible at a GCS destination more than once."""
    destination = client.config.destination
    if destination.type != "gcs":
        return Counter()
    visible = Counter(
        event["name"]
        for event in client.stack.gcs("events")
        if event["event"] == "visible" and event["name"].startswith(destination.prefix)
    )
    return Counter({name: times - 1 for name, times in visible.items() if times > 1})


def states(client: Scenario) -> dict[str, str]:
    """The ledger in short."""
    return {
        name: f"{entry.status.value} {entry.send_attempts} {entry.last_error or ''}"
        for name, entry in client.entries().items()
    }
