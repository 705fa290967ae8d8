"""The ledger's state machine over a real DynamoDB API: every edge, every forbidden edge, and races."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from client_delivery.ledger.entry import MAX_ATTEMPTS, Entry, Status
from client_delivery.ledger.history import History
from client_delivery.ledger.life import RunRef
from client_delivery.ledger.table import Assignment, Ledger
from client_delivery.transfer.contract import Receipt, Superseded
from tests.support.factories import EARLIER, RUN, a_file

RECEIPT = Receipt("gs://bucket/a.csv", 10, "crc32c:AAAAAA==", "checksum")
BOTH = [Status.SUCCESS, Status.FAIL]


def assignment(name: str = "a.csv", etag: str = "etag-a", batch: int = 0) -> Assignment:
    return Assignment(a_file(name, etag), etag, batch)


def the(ledger: Ledger, etag: str = "etag-a") -> Entry:
    return ledger.find([etag])[etag]


def added(ledger: Ledger, owner: RunRef = RUN) -> Entry:
    assert ledger.add([assignment()], owner, "acme") == ["etag-a"]
    return the(ledger)


def in_state(ledger: Ledger, state: str) -> Entry:
    """Bring an entry into one of the states of the diagram in client_delivery.ledger.entry."""
    if state == "guarded/active":
        assert ledger.hold([assignment()], {"etag-a": "too small"}, RUN, "acme") == ["etag-a"]
        return the(ledger)
    entry = added(ledger)
    if state == "processing/active":
        return entry
    if state == "processing":
        ledger.deactivate([entry])
        return the(ledger)
    begun = ledger.begin(entry, RUN)
    terminal = (
        ledger.delivered(begun, RECEIPT)
        if state.startswith("success")
        else ledger.failed(begun, "no route", permanent=True)
    )
    if not state.endswith("/active"):
        ledger.close([terminal], RUN)
    return the(ledger)


STATES = ["processing/active", "processing", "success/active", "success", "fail/active", "fail", "guarded/active"]
OTHER = RunRef("scheduled__2026-03-01T12:15:00+00:00", 0, "acme")

EDGES = {
    "hold": lambda ledger, entry: bool(ledger.hold([assignment()], {"etag-a": "too large"}, OTHER, "acme")),
    "add": lambda ledger, entry: bool(ledger.add([assignment()], OTHER, "acme")),
    "resume": lambda ledger, entry: bool(ledger.resume([assignment()], OTHER, "acme")),
    "rearm": lambda ledger, entry: bool(ledger.rearm([assignment()], OTHER, "acme", BOTH)),
    "rearm failed": lambda ledger, entry: bool(ledger.rearm([assignment()], OTHER, "acme", [Status.FAIL])),
    "begin": lambda ledger, entry: not superseded(lambda: ledger.begin(entry, RUN)),
    "begin by another run": lambda ledger, entry: not superseded(lambda: ledger.begin(entry, OTHER)),
    "checkpoint": lambda ledger, entry: not superseded(lambda: ledger.checkpoint(entry, {"part": 1})),
    "confirm": lambda ledger, entry: not superseded(lambda: ledger.confirm(entry)),
    "delivered": lambda ledger, entry: not superseded(lambda: ledger.delivered(entry, RECEIPT)),
    "failed": lambda ledger, entry: not superseded(lambda: ledger.failed(entry, "no route")),
    "give up": lambda ledger, entry: bool(ledger.give_up([entry], RUN, "nobody came back")),
    "deactivate": lambda ledger, entry: bool(ledger.deactivate([entry])),
    "want": lambda ledger, entry: bool(ledger.want([entry], OTHER)),
    "dismiss": lambda ledger, entry: bool(ledger.dismiss([entry], OTHER)),
}
ALLOWED = {
    "processing/active": {"begin", "checkpoint", "confirm", "delivered", "failed", "give up", "deactivate"},
    "processing": {"resume"},
    "success/active": {"deactivate"},
    "success": {"rearm", "want"},
    "fail/active": {"deactivate"},
    "fail": {"rearm", "rearm failed", "want", "dismiss"},
    "guarded/active": {"deactivate"},
}


def superseded(action) -> bool:
    try:
        action()
    except Superseded:
        return True
    return False


@pytest.mark.parametrize(("state", "edge"), list(itertools.product(STATES, EDGES)))
def test_r3_5_exactly_the_edges_of_the_diagram_are_open(ledger, state, edge):
    entry = in_state(ledger, state)
    before = the(ledger)
    assert EDGES[edge](ledger, entry) is (edge in ALLOWED[state])
    if edge not in ALLOWED[state]:
        assert the(ledger) == before


@pytest.mark.parametrize(("state", "edge"), [(state, edge) for state in STATES for edge in sorted(ALLOWED[state])])
def test_r3_5_a_write_whose_answer_is_lost_is_known_to_have_been_made(ledger, lost_answer, state, edge):
    """The client library asks again, and finds what it wrote itself."""
    entry = in_state(ledger, state)
    befallen = lost_answer(lambda: EDGES[edge](ledger, entry))
    assert befallen or edge == "confirm"  # which only reads


def test_r3_5_a_transaction_whose_answer_is_lost_is_known_to_have_been_made(ledger, lost_answer):
    many = [assignment(f"{number}", f"etag-{number}") for number in range(20)]
    assert lost_answer(lambda: len(ledger.add(many, RUN, "acme")) == 20) == ["dynamodb.TransactWriteItems"]
    lost_answer(lambda: ledger.deactivate(list(ledger.find(item.identity for item in many).values())))
    assert lost_answer(lambda: len(ledger.resume(many, OTHER, "acme")) == 20) == ["dynamodb.TransactWriteItems"]


def test_r6_2_the_outcome_of_what_has_arrived_is_written_although_it_is_refused_at_first(ledger, refused):
    begun = ledger.begin(added(ledger), RUN)
    befallen = refused(lambda: ledger.delivered(begun, RECEIPT), times=3)
    assert befallen == ["dynamodb.TransactWriteItems"] * 3
    assert the(ledger).status is Status.SUCCESS


def test_r3_5_a_later_life_of_the_run_takes_over_what_an_earlier_one_has_active_and_never_the_other_way(ledger):
    later, entry = replace(RUN, generation=1), added(ledger)
    assert ledger.resume([assignment()], later, "acme") == ["etag-a"]
    assert superseded(lambda: ledger.begin(entry, RUN))
    assert ledger.resume([assignment()], RUN, "acme") == []
    assert ledger.give_up([the(ledger)], RUN, "nobody came back") == []
    assert ledger.give_up([the(ledger)], replace(RUN, generation=2), "nobody came back") == ["etag-a"]


def test_r3_5_of_two_attempts_of_one_run_only_the_first_begins(ledger):
    entry = added(ledger)
    ledger.begin(entry, RUN)
    assert superseded(lambda: ledger.begin(entry, RUN))


def test_r3_2_attributes_are_spelled_as_required(ledger, dynamodb, ledger_table):
    added(ledger)
    item = dynamodb.get_item(
        TableName=ledger_table, Key={"clientHNumber": {"S": ledger.delivery_key}, "etag": {"S": "etag-a"}}
    )["Item"]
    assert {"timestamp", "status", "filePath", "sendAttempts", "active", "fileName"} <= item.keys()
    assert item["status"] == {"S": "processing"}
    assert item["active"] == {"BOOL": True}
    assert item["sendAttempts"] == {"N": "0"}
    assert item["filePath"] == {"S": "s3://pickup/in/a.csv"}


def test_r6_2_success(ledger):
    entry = ledger.delivered(ledger.begin(added(ledger), RUN), RECEIPT)
    assert (entry.status, entry.active, entry.delivered_to) == (Status.SUCCESS, True, RECEIPT.uri)
    assert entry.checksum == RECEIPT.checksum


def test_r6_2_three_failures_end_in_fail_and_nothing_follows(ledger):
    entry = added(ledger)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        entry = ledger.failed(ledger.begin(entry, RUN), f"failure {attempt}")
        assert entry.send_attempts == attempt
        assert entry.last_error == f"failure {attempt}"
        assert entry.status is (Status.FAIL if attempt == MAX_ATTEMPTS else Status.PROCESSING)
    with pytest.raises(Superseded):
        ledger.begin(entry, RUN)


def test_r6_2_what_no_retry_can_mend_fails_at_once(ledger):
    entry = ledger.failed(ledger.begin(added(ledger), RUN), "the object is gone", permanent=True)
    assert (entry.status, entry.send_attempts) == (Status.FAIL, 1)


def test_r5_5_resuming_keeps_attempts_and_resume_state(ledger):
    begun = ledger.begin(added(ledger, EARLIER), EARLIER)
    ledger.checkpoint(begun, {"upload_id": "u", "part_size": 5})
    ledger.failed(begun, "cut")
    ledger.deactivate([the(ledger)])
    assert ledger.resume([assignment(batch=3)], RUN, "acme") == ["etag-a"]
    entry = the(ledger)
    assert (entry.send_attempts, entry.resume) == (1, {"upload_id": "u", "part_size": 5})
    assert (entry.owned_by, entry.armed_by, entry.batch) == (RUN, EARLIER, 3)


def test_r5_3_rearming_starts_afresh_with_the_new_name(ledger):
    in_state(ledger, "fail")
    renamed = Assignment(a_file("new.csv", "etag-a"), "etag-a", 0)
    assert ledger.rearm([renamed], OTHER, "acme", BOTH) == ["etag-a"]
    entry = the(ledger)
    assert (entry.status, entry.active, entry.send_attempts) == (Status.PROCESSING, True, 0)
    assert (entry.file_name, entry.file_path) == ("new.csv", "s3://pickup/in/new.csv")
    assert (entry.last_error, entry.armed_by) == (None, OTHER)


def test_r5_4_a_cleared_run_may_rearm_what_an_earlier_life_of_it_still_holds(ledger):
    in_state(ledger, "fail/active")
    assert ledger.rearm([assignment()], RUN, "acme", [Status.FAIL]) == []
    assert ledger.rearm([assignment()], replace(RUN, generation=1), "acme", [Status.FAIL]) == ["etag-a"]


def test_r3_5_a_newer_attempt_locks_the_older_one_out(ledger):
    old = ledger.begin(added(ledger), RUN)
    new = ledger.begin(the(ledger), RUN)
    assert new.fencing_token > old.fencing_token
    for write in (
        lambda: ledger.checkpoint(old, {}),
        lambda: ledger.confirm(old),
        lambda: ledger.delivered(old, RECEIPT),
        lambda: ledger.failed(old, "late"),
    ):
        with pytest.raises(Superseded, match="no longer owns the file"):
            write()
    ledger.confirm(new)
    assert ledger.delivered(new, RECEIPT).status is Status.SUCCESS


@pytest.mark.parametrize("step", ["deactivate", "resume", "give_up"])
def test_r3_5_a_run_that_takes_over_locks_a_zombie_out(ledger, step):
    zombie = ledger.begin(added(ledger), RUN)
    if step == "give_up":
        ledger.give_up([zombie], RUN, "silence")
    else:
        ledger.deactivate([zombie])
    if step == "resume":
        ledger.resume([assignment()], OTHER, "acme")
    with pytest.raises(Superseded):
        ledger.delivered(zombie, RECEIPT)


def test_r3_5_of_two_racing_writers_exactly_one_wins(new_ledger):
    for round_number in range(10):
        etag = f"etag-{round_number}"
        barrier = threading.Barrier(2)

        def race(owner: RunRef, etag: str = etag, barrier: threading.Barrier = barrier) -> list[str]:
            ledger = new_ledger()
            barrier.wait()
            return ledger.add([assignment(etag=etag)], owner, "acme")

        with ThreadPoolExecutor(2) as pool:
            won = list(pool.map(race, [RUN, OTHER]))
        assert sorted(won) == [[], [etag]]


def test_r3_5_of_two_racing_outcomes_exactly_one_is_kept(new_ledger):
    for round_number in range(10):
        etag = f"etag-{round_number}"
        first = new_ledger()
        first.add([assignment(etag=etag)], RUN, "acme")
        begun = first.begin(the(first, etag), RUN)
        barrier = threading.Barrier(2)

        def deliver(barrier: threading.Barrier = barrier, begun: Entry = begun) -> bool:
            barrier.wait()
            return not superseded(lambda: new_ledger().delivered(begun, RECEIPT))

        def fail(barrier: threading.Barrier = barrier, begun: Entry = begun) -> bool:
            barrier.wait()
            return not superseded(lambda: new_ledger().failed(begun, "late", permanent=True))

        with ThreadPoolExecutor(2) as pool:
            outcomes = [pool.submit(deliver), pool.submit(fail)]
            kept = [outcome.result() for outcome in outcomes]
        assert sorted(kept) == [False, True]
        assert the(first, etag).status is (Status.SUCCESS if kept[0] else Status.FAIL)


def test_r3_4_the_index_holds_what_is_open_and_what_is_held_and_nothing_else(ledger):
    for state in STATES:
        etag = f"etag-{state}"
        ledger.add([assignment(state, etag)], RUN, "acme")
    entries = {entry.file_name: entry for entry in ledger.open_entries()}
    ledger.deactivate([entries["processing"]])
    for state in ("success", "success/active"):
        entries[state] = ledger.delivered(ledger.begin(entries[state], RUN), RECEIPT)
    for state in ("fail", "fail/active"):
        entries[state] = ledger.failed(ledger.begin(entries[state], RUN), "x", permanent=True)
    ledger.close([entries["success"], entries["fail"]], RUN)
    assert {entry.file_name for entry in ledger.open_entries()} == {
        "processing/active",
        "processing",
        "success/active",
        "fail/active",
        "guarded/active",
    }
    assert [entry.file_name for entry in ledger.held_entries()] == ["fail"]


def test_the_index_finds_one_run_and_one_batch_of_it(ledger):
    ledger.add([assignment("a", "a", 0), assignment("b", "b", 1), assignment("c", "c", 11)], RUN, "acme")
    ledger.add([assignment("d", "d", 1)], OTHER, "acme")
    assert {entry.file_name for entry in ledger.open_entries(RUN)} == {"a", "b", "c"}
    assert {entry.file_name for entry in ledger.open_entries(RUN, 1)} == {"b"}


def test_bulk_writes_of_more_than_one_transaction(ledger):
    many = [assignment(f"{number}", f"etag-{number}") for number in range(250)]
    assert len(ledger.add(many, RUN, "acme")) == 250
    assert len(ledger.find(item.identity for item in many)) == 250


def test_a_bulk_write_skips_only_what_was_taken_by_another(ledger):
    ledger.add([assignment("7", "etag-7")], OTHER, "acme")
    many = [assignment(f"{number}", f"etag-{number}") for number in range(20)]
    assert sorted(ledger.add(many, RUN, "acme")) == sorted({item.identity for item in many} - {"etag-7"})
    assert the(ledger, "etag-7").owned_by == OTHER


def test_r5_7_duplicates_are_noted_once_and_reopen_the_entry(ledger):
    entry = in_state(ledger, "success")
    assert ledger.note_duplicates(entry, ["b.csv"], OTHER)
    reopened = the(ledger)
    assert (reopened.duplicate_names, reopened.reopened) == ({"b.csv"}, True)
    assert [e.identity for e in ledger.open_entries()] == ["etag-a"]
    assert ledger.note_duplicates(reopened, ["c.csv"], OTHER)
    assert (the(ledger).duplicate_names, the(ledger).reopened) == ({"b.csv", "c.csv"}, True)
    ledger.close([the(ledger)], OTHER)
    assert ledger.note_duplicates(the(ledger), ["d.csv"], OTHER)
    assert the(ledger).duplicate_names == {"d.csv"}, "names of past runs do not come back"


def test_r5_7_thousands_of_equal_files_fit_into_one_entry(ledger):
    names = frozenset(f"{number:05d}{'x' * 200}.csv" for number in range(5000))
    assert ledger.add([Assignment(a_file("a.csv", "etag-a"), "etag-a", 0, names)], RUN, "acme") == ["etag-a"]
    delivered = ledger.delivered(ledger.begin(the(ledger), RUN), RECEIPT)
    assert 50 < len(delivered.duplicate_names) <= 100
    ledger.close([delivered], RUN)
    for _ in range(20):
        assert ledger.note_duplicates(the(ledger), names, OTHER)
        assert sum(map(len, the(ledger).duplicate_names)) <= 16_000
    ledger.close([the(ledger)], OTHER)
    assert ledger.rearm([Assignment(a_file("a.csv", "etag-a"), "etag-a", 0, names)], OTHER, "acme", BOTH) == ["etag-a"]
    assert 50 < len(the(ledger).duplicate_names) <= 100


def test_r5_7_a_hundred_entries_with_the_longest_names_fit_into_one_transaction(ledger):
    """DynamoDB takes 4 MB in a transaction, and 400 KB in an item."""
    names = frozenset(f"{number:03d}{'é' * 500}.csv" for number in range(300))
    many = [Assignment(a_file(f"{n}", f"etag-{n}"), f"etag-{n}", 0, names) for n in range(100)]
    assert len(ledger.add(many, RUN, "acme")) == 100
    sizes = [len(str(item)) for item in ledger.raw(item.identity for item in many)]
    assert sum(sizes) < 4_000_000


def test_r8_3_a_failure_left_by_a_dead_run_belongs_to_the_run_that_closes_it(ledger):
    entry = in_state(ledger, "fail/active")
    ledger.deactivate([entry])
    ledger.close([the(ledger)], OTHER)
    assert [held.identity for held in ledger.held_entries(OTHER)] == ["etag-a"]


def test_r2_7_feeds_of_one_client_do_not_see_each_other(new_ledger):
    claims, members = new_ledger("H1234#claims"), new_ledger("H1234#members")
    claims.add([assignment()], RUN, "acme")
    assert members.find(["etag-a"]) == {}
    assert members.open_entries() == []


def test_a_run_reference_names_its_dag_and_reads_those_of_an_older_release():
    reference = RunRef("scheduled__2026-03-01T12:00:00+00:00", 2, "acme")
    assert str(reference) == "acme/scheduled__2026-03-01T12:00:00+00:00/2"
    assert RunRef.parse(str(reference)) == reference
    old = RunRef.parse("scheduled__2026-03-01T12:00:00+00:00/2")
    assert (old.dag_id, old.run_id, old.generation) == ("", reference.run_id, 2)
    assert old.is_same_life(reference)
    assert replace(old, generation=1).is_earlier_life_of(reference)
    assert not replace(reference, dag_id="renamed").is_same_run(reference)


def test_r3_5_an_attempt_goes_on_where_an_older_release_registered_the_file(ledger):
    old = RunRef(RUN.run_id, 0)
    ledger.add([assignment()], old, "acme")
    begun = ledger.begin(the(ledger), RUN)
    assert begun.fencing_token == 1
    with pytest.raises(Superseded):
        ledger.begin(begun, replace(RUN, run_id="another"))


def test_a_run_of_another_dag_with_the_same_id_owns_nothing_of_this_one(ledger):
    ledger.add([assignment()], RUN, "acme")
    renamed = replace(RUN, dag_id="renamed")
    assert ledger.open_entries(renamed) == []
    with pytest.raises(Superseded):
        ledger.begin(the(ledger), renamed)
    assert ledger.give_up([the(ledger)], renamed, "not mine") == []


def test_r5_10_what_a_guard_holds_was_never_to_be_sent_and_is_in_the_record(
    ledger, lost_answer, dynamodb, ledger_table
):
    assert lost_answer(lambda: ledger.hold([assignment()], {"etag-a": "too small"}, RUN, "acme"))
    entry = the(ledger)
    assert (entry.status, entry.active, entry.open, entry.guarded) == (Status.FAIL, True, True, True)
    assert (entry.send_attempts, entry.fencing_token, entry.last_error) == (0, 0, "too small")
    (recorded,) = History(dynamodb, ledger_table).of_client(ledger.delivery_key).found
    assert (recorded.status, recorded.error, recorded.attempts) == ("fail", "too small", 0)
    ledger.close([entry], RUN)
    assert ledger.rearm([assignment()], OTHER, "acme", [Status.FAIL]) == ["etag-a"]
    assert the(ledger).guarded is False
