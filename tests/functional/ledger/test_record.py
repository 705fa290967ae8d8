"""R3.8: the record of deliveries over a real DynamoDB API: with the outcome or not at all, found by every question."""

from __future__ import annotations

import base64
import itertools
from dataclasses import replace
from datetime import datetime

import pytest

from client_delivery.ledger.entry import Entry, Status
from client_delivery.ledger.history import History, spellings
from client_delivery.ledger.identity import Fingerprint, name_digest
from client_delivery.ledger.record import Request, names
from client_delivery.ledger.table import Assignment, Ledger
from client_delivery.transfer.contract import Receipt, Superseded
from tests.support.factories import RUN, a_file
from tests.support.scenario import order_faults

RECEIPT = Receipt("gs://bucket/a.csv", 10, "crc32c:yZRlqg==", "checksum")
SHA256 = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def history(dynamodb, ledger_table) -> History:
    return History(dynamodb, ledger_table)


def begun(ledger: Ledger, name: str = "a.csv", etag: str = "etag-a", **file) -> Entry:
    ledger.add([Assignment(replace(a_file(name, etag), **file), etag, 0)], RUN, "acme")
    return ledger.begin(ledger.find([etag])[etag], RUN)


def with_clock(ledger_table, dynamodb, key, times, **options) -> Ledger:
    return Ledger(dynamodb, ledger_table, key, clock=lambda: next(times), **options)


def days(year: int = 2026):
    return (f"{year}-{1 + n // 28:02d}-{1 + n % 28:02d}T12:00:00.000Z" for n in itertools.count())


def test_r3_8_a_delivery_is_recorded_with_everything_that_is_asked_later(ledger, history, dynamodb, ledger_table):
    asking = Ledger(dynamodb, ledger_table, ledger.delivery_key, request=Request("kim", "the partner lost it", 30))
    content = Fingerprint((f"sha256:{SHA256}:10",))
    entry = asking.delivered(begun(asking, version_id="v7", content=content), RECEIPT)
    (one,) = history.of_client(ledger.delivery_key).found
    assert (one.status, one.file_name, one.size, one.file_path) == ("success", "a.csv", 10, entry.file_path)
    assert (one.delivered_to, one.checksum, one.verified_by) == (RECEIPT.uri, RECEIPT.checksum, "checksum")
    assert (one.version_id, one.content, one.source_etag) == ("v7", content.checksums, "etag-a")
    assert (one.run, one.configuration, one.attempts, one.at) == (str(RUN), "acme", 1, entry.timestamp)
    assert (one.asked_by, one.asked_why) == ("kim", "the partner lost it")
    assert one.modified == entry.source_modified
    assert (one.registered_at, one.armed_at) == (entry.created_at, entry.created_at)
    assert one.registered_at <= one.began_at <= one.at


def test_r3_8_what_is_returned_is_what_the_table_has(ledger):
    entry = begun(ledger)
    assert ledger.delivered(entry, RECEIPT) == ledger.find(["etag-a"])["etag-a"]
    entry = begun(ledger, "b.csv", "etag-b")
    assert ledger.failed(entry, "no route", permanent=True, name_refused=True) == ledger.find(["etag-b"])["etag-b"]


def test_r3_8_an_attempt_that_is_tried_again_is_no_final_failure(ledger, history):
    ledger.failed(begun(ledger), "no route")
    assert history.of_client(ledger.delivery_key).found == []


def test_r3_8_final_failures_are_recorded_however_they_end(ledger, history):
    ledger.failed(begun(ledger), "no such directory", permanent=True)
    dead = begun(ledger, "b.csv", "etag-b")
    ledger.give_up([dead], RUN, "nobody came back")
    found = {one.file_name: one for one in history.of_client(ledger.delivery_key, status="fail").found}
    assert {name: one.error for name, one in found.items()} == {
        "a.csv": "no such directory",
        "b.csv": "nobody came back",
    }
    assert (found["a.csv"].attempts, found["b.csv"].attempts) == (1, 0)
    assert history.of_client(ledger.delivery_key, status="success").found == []


def test_r3_8_what_is_armed_again_is_not_forgotten(ledger, history):
    ledger.close([ledger.delivered(begun(ledger), RECEIPT)], RUN)
    assert ledger.rearm([Assignment(a_file(), "etag-a", 0)], RUN, "acme", [Status.SUCCESS]) == ["etag-a"]
    assert ledger.find(["etag-a"])["etag-a"].delivered_to is None
    ledger.delivered(ledger.begin(ledger.find(["etag-a"])["etag-a"], RUN), replace(RECEIPT, uri="gs://bucket/b"))
    assert [one.delivered_to for one in history.of_file(ledger.delivery_key, "a.csv").found] == [
        RECEIPT.uri,
        "gs://bucket/b",
    ]


def test_r3_8_an_outcome_that_is_not_written_is_not_recorded(ledger, history):
    old = begun(ledger)
    ledger.begin(old, RUN)
    with pytest.raises(Superseded):
        ledger.delivered(old, RECEIPT)
    with pytest.raises(Superseded):
        ledger.failed(old, "no route", permanent=True)
    assert history.of_client(ledger.delivery_key).found == []
    assert history.of_name(ledger.delivery_key, "").found == []


@pytest.mark.parametrize("conclude", ["delivered", "failed", "give_up"])
def test_r3_8_an_outcome_whose_answer_is_lost_is_recorded_once(ledger, history, lost_answer, conclude):
    entry = begun(ledger)
    doing = {
        "delivered": lambda: ledger.delivered(entry, RECEIPT),
        "failed": lambda: ledger.failed(entry, "no route", permanent=True),
        "give_up": lambda: ledger.give_up([entry], RUN, "nobody came back"),
    }
    assert lost_answer(doing[conclude]) == ["dynamodb.TransactWriteItems"]
    assert len(history.of_client(ledger.delivery_key).found) == 1


def test_r3_8_giving_up_more_than_a_transaction_holds_records_each(ledger, history):
    assignments = [Assignment(a_file(f"{n}.csv", f"etag-{n}"), f"etag-{n}", 0) for n in range(45)]
    ledger.add(assignments, RUN, "acme")
    entries = list(ledger.find(one.identity for one in assignments).values())
    ledger.delivered(ledger.begin(entries[7], RUN), RECEIPT)
    assert len(ledger.give_up(entries, RUN, "nobody came back")) == 44, "one has an outcome by now"
    assert len(history.of_client(ledger.delivery_key, status="fail", limit=100).found) == 44


def test_a_client_by_time_and_status_page_by_page(ledger, history, dynamodb, ledger_table):
    ledger = with_clock(ledger_table, dynamodb, ledger.delivery_key, days())
    for n in range(10):
        entry = begun(ledger, f"{n}.csv", f"etag-{n}")
        if n % 3:
            ledger.delivered(entry, RECEIPT)
        else:
            ledger.failed(entry, "no route", permanent=True)
    key = ledger.delivery_key
    every = [one.file_name for one in history.of_client(key).found]
    assert every == [f"{n}.csv" for n in reversed(range(10))]
    pages, after = [], None
    while True:
        page = history.of_client(key, limit=4, after=after)
        pages.append([one.file_name for one in page.found])
        if (after := page.next) is None:
            break
    assert pages == [every[:4], every[4:8], every[8:]]
    assert [one.file_name for one in history.of_client(key, status="fail").found] == [
        "9.csv",
        "6.csv",
        "3.csv",
        "0.csv",
    ]
    times = {one.file_name: one.at for one in history.of_client(key).found}
    between = history.of_client(key, since=times["3.csv"], until=times["6.csv"]).found
    assert [one.file_name for one in between] == ["5.csv", "4.csv", "3.csv"]


def test_names_are_found_by_what_they_begin_with_and_exactly(ledger, history):
    for name in ("claims_1.csv", "claims_1.csv#2", "claims_2.csv", "other.csv", "ä" * 510 + "x", "ä" * 510 + "y"):
        ledger.delivered(begun(ledger, name, name_digest(name)), RECEIPT)
    key = ledger.delivery_key
    assert len(history.of_name(key, "claims_").found) == 3
    assert [one.file_name for one in history.of_file(key, "claims_1.csv").found] == ["claims_1.csv"]
    assert [one.file_name for one in history.of_file(key, "ä" * 510 + "y").found] == ["ä" * 510 + "y"]
    first = history.of_name(key, "claims_", limit=2)
    assert [one.file_name for one in history.of_name(key, "claims_", limit=2, after=first.next).found] == [
        "claims_2.csv"
    ]


def test_a_name_or_a_checksum_is_found_over_all_clients(new_ledger, history):
    one, other = new_ledger("H777001"), new_ledger("H777002#claims")
    digest = bytes(range(1, 33))
    sha256 = base64.b64encode(digest).decode()
    content = Fingerprint((f"sha256:{sha256}:10",))
    one.delivered(begun(one, "in/Unique-Name.CSV", content=content), replace(RECEIPT, checksum="crc32c:unique=="))
    other.failed(begun(other, "unique-name.csv", "etag-b"), "no route", permanent=True)
    assert [found.delivery_key for found in history.anywhere("unique-name.csv")] == ["H777002#claims", "H777001"]
    assert [found.delivery_key for found in history.anywhere("in/unique-name.csv")] == ["H777001"]
    for words in (sha256, digest.hex(), f"sha256:{digest.hex().upper()}", "crc32c:unique=="):
        assert [found.delivery_key for found in history.anywhere(words)] == ["H777001"], words


def test_checksums_are_understood_as_tools_print_them():
    assert spellings("C994 65aa") == ["C994 65aa"]
    assert spellings("C99465AA") == ["C99465AA", "yZRlqg==", "c99465aa"]
    assert spellings("crc32c:yZRlqg==") == ["yZRlqg=="]
    assert spellings("crc32c:yZRlqg==:10") == ["yZRlqg=="]
    assert spellings("") == []


def test_readers_of_entries_never_meet_the_record(ledger, dynamodb, ledger_table):
    """Nor do those of older releases: the record has partitions of its own, and no attribute of the index."""
    ledger.close([ledger.delivered(begun(ledger), RECEIPT)], RUN)
    every = dynamodb.get_paginator("scan").paginate(TableName=ledger_table).search("Items")  # the table is shared
    ours = [item for item in every if ledger.delivery_key in item["clientHNumber"]["S"]]
    record = [item for item in ours if item["clientHNumber"]["S"] != ledger.delivery_key]
    assert {item["clientHNumber"]["S"] for item in record} == {
        f"record#success#{ledger.delivery_key}",
        names(ledger.delivery_key),
    }
    assert all("openKey" not in item and "workRef" not in item for item in record)
    assert all("expiresAt" in item for item in record)
    own = [item for item in ours if item["clientHNumber"]["S"] == ledger.delivery_key]
    assert [item["etag"]["S"] for item in own if not item["etag"]["S"].startswith("known#")] == ["etag-a"]
    assert "expiresAt" not in own[0], "an entry never expires (R3.3)"


def test_the_record_is_kept_as_long_as_is_set(ledger, dynamodb, ledger_table):
    short = Ledger(dynamodb, ledger_table, ledger.delivery_key, request=Request(record_days=30))
    entry = short.delivered(begun(short), RECEIPT)
    (item,) = dynamodb.query(
        TableName=ledger_table,
        KeyConditionExpression="clientHNumber = :key",
        ExpressionAttributeValues={":key": {"S": f"record#success#{ledger.delivery_key}"}},
    )["Items"]
    at = datetime.fromisoformat(entry.timestamp).timestamp()
    assert int(item["expiresAt"]["N"]) == int(at) + 30 * 86_400


def test_an_entry_of_an_older_release_is_recorded_with_what_is_known(ledger, history, dynamodb, ledger_table):
    entry = begun(ledger)
    dynamodb.update_item(
        TableName=ledger_table,
        Key={"clientHNumber": {"S": ledger.delivery_key}, "etag": {"S": "etag-a"}},
        UpdateExpression="REMOVE armedAt, recordDays, askedBy, attemptStartedAt",
    )
    old = ledger.find(["etag-a"])["etag-a"]
    assert (old.armed_at, old.record_days, old.attempt_started_at) == (None, None, None)
    ledger.delivered(old, RECEIPT)
    (one,) = history.of_client(ledger.delivery_key).found
    assert (one.file_name, one.armed_at, one.registered_at) == ("a.csv", None, entry.created_at)


def test_a_conflict_with_another_writer_is_no_refusal(ledger, history, stack):
    """DynamoDB cancels a transaction that meets another on the same item (API reference, TransactWriteItems)."""
    entry = begun(ledger)
    cancelled = {
        "call": r"dynamodb\.TransactWriteItems",
        "status": 400,
        "code": "TransactionCanceledException",
        "message": "Transaction cancelled, please refer cancellation reasons ... [TransactionConflict, None]",
        "times": 2,
    }
    order_faults(stack.aws_url, [cancelled])
    assert ledger.delivered(entry, RECEIPT).status is Status.SUCCESS
    assert order_faults(stack.aws_url) == ["dynamodb.TransactWriteItems"] * 2
    assert len(history.of_client(ledger.delivery_key).found) == 1
