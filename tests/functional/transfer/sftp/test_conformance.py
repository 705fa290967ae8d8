"""One suite for all SFTP servers (R1.2, R6.4-R6.8): the same situations on each.

Of every delivery it is asserted that the bytes are right, that nothing partial could be seen under a final name at any
moment, that no temporary file is left, and that an older file of the same name survives a failure. What differs from
server to server is how it was done: that is compared with the table in docs/developers/sftp-servers.md.
"""

from __future__ import annotations

import pytest

from client_delivery.transfer.contract import Job, NotRepeatable, TransferError
from client_delivery.transfer.delivering.batch import deliver_all
from local.sftp_servers.families import FAMILIES
from tests.functional.transfer.conftest import MIB, Journal

OLDER = b"the recipient's older file"
ODD_NAMES = (
    "two words.csv",
    "café 東京.csv",
    "😀.csv",
    "-rf",
    'quote\'s "double".csv',
    "100% *?[a].csv",
    "tilde~ $HOME `id`;&|.csv",
    "trailing dot.",
    " leading space",
    "#hash=1&b=2.csv",
    ".hidden",
    "x" * 200 + ".csv",
    "no_ending",
)

REPLACED = {
    ("appeared",): "at once",
    ("appeared", "gone"): "at once, and taken",
    ("gone", "appeared"): "the server removes the older file first",
    ("written",): "the older file is emptied first",
    ("written", "gone"): "the older file is emptied first",
}
"""What could be seen of the name."""


def how(outcome):
    return f"verified by {outcome.receipt.verified_by}"


def test_small(place, came_to, servers):
    there = place()
    expected, outcomes = {}, []
    with there.open() as destination:
        for size in (0, 1, 1000):
            source, crc32c = servers.declare(size)
            outcomes.append(there.deliver(source, attempts=1, through=destination))
            assert outcomes[-1].receipt.checksum == f"crc32c:{crc32c}"
            expected[source.key] = crc32c
    there.require(expected)
    came_to(", ".join(sorted({how(outcome) for outcome in outcomes})))


def test_large(place, came_to, servers):
    there = place()
    source, crc32c = servers.declare(9 * MIB)
    outcome = there.deliver(source, attempts=1)
    assert outcome.receipt.checksum == f"crc32c:{crc32c}"
    there.require({source.key: crc32c})
    came_to(f"{outcome.writers} at once, {how(outcome)}")


@pytest.mark.parametrize("size", [1000, 5 * MIB])
def test_overwritten(place, came_to, servers, size):
    source, crc32c = servers.declare(size)
    there = place(older={source.key: OLDER})
    there.deliver(source, attempts=1)
    names = [event.how for event in there.events if event.path == source.key]
    aside = any(event.how == "appeared" for event in there.events if event.hidden)
    there.require({source.key: crc32c})
    came_to("the older file is moved aside first" if aside else REPLACED[tuple(names)])


class Stopped(Exception):
    pass


def test_resumed(place, came_to, servers):
    there = place()
    source, crc32c = servers.declare(12 * MIB)

    class Half(Journal):
        def progress(self, moved):
            super().progress(moved)
            if self.moved > 8 * MIB:
                raise Stopped

    journal = Half()
    with pytest.raises(Stopped), there.open() as destination:
        destination.deliver(Job(source.key, source, token=1), journal)
    before = servers.s3_facts()["sent"]
    outcome = there.deliver(source, attempts=1, first=2, resume=journal.states[-1])
    again = servers.s3_facts()["sent"] - before
    if there.direct:
        with pytest.raises(TransferError, match="is not known"):
            assert outcome.receipt
        assert len(there.arrived()) <= 1
        came_to("what was closed is taken: a person is asked")
        return
    assert outcome.receipt.checksum == f"crc32c:{crc32c}"
    there.require({source.key: crc32c})
    came_to("gone on with" if again < 6 * MIB else "begun anew")


@pytest.mark.parametrize("size", [1000, 5 * MIB])
def test_rename_refused(place, came_to, servers, server, size):
    if server in FAMILIES and not FAMILIES[server].can_refuse_rename:
        pytest.skip("this server cannot be told to refuse renaming")
    source, crc32c = servers.declare(size)
    there = place(tight=True, older={source.key: OLDER})
    outcome = there.deliver(source, attempts=2)
    if there.direct:
        there.require({source.key: crc32c})
        came_to("delivered, nothing is renamed")
        return
    with pytest.raises(TransferError, match="renam"):
        assert outcome.receipt
    there.require({})
    came_to("failed, the older file is kept")


def test_directory_in_its_place(place, came_to, servers):
    source, _ = servers.declare(1000)
    there = place(older={f"{source.key}/content.csv": OLDER})
    outcome = there.deliver(source, attempts=2)
    with pytest.raises(TransferError):
        assert outcome.receipt
    there.require({})
    came_to("failed, the directory is kept")


def test_disk_full(place, came_to, servers):
    source, _ = servers.declare(9 * MIB)
    there = place(tight=True, older={source.key: OLDER})
    outcome = there.deliver(source, attempts=2)
    if there.direct:
        with pytest.raises(NotRepeatable, match="no longer there"):
            assert outcome.receipt
        assert len(there.arrived()) == 1
        came_to("a part is taken: a person is asked")
        return
    with pytest.raises(TransferError):
        assert outcome.receipt
    there.require({})
    came_to("failed, the older file is kept")


def test_many_small(place, came_to, servers):
    there = place()
    declared = [servers.declare(20_000 + number) for number in range(40)]
    outcomes = {}
    with there.open() as destination:
        deliver_all(
            [source for source, _ in declared],
            lambda source: (Job(source.key, source, token=1), Journal()),
            destination,
            lambda source, result: outcomes.update({source.key: result}),
        )
    assert [result for result in outcomes.values() if isinstance(result, Exception)] == []
    there.require({source.key: crc32c for source, crc32c in declared})
    came_to("all")


def test_odd_names(place, came_to, servers):
    there = place()
    expected, refused = {}, []
    with there.open() as destination:
        for name in ODD_NAMES:
            source, crc32c = servers.declare(10, name)
            outcome = there.deliver(source, attempts=1, through=destination)
            if isinstance(outcome.result, TransferError):
                refused.append(name)
            else:
                assert outcome.receipt
                expected[name] = crc32c
    there.require(expected)
    came_to("all" if not refused else f"all but {', '.join(refused)}")


def test_directories(place, came_to, servers):
    there, expected = place(older={"there/older.csv": OLDER}), {}
    with there.open() as destination:
        for name in ("there/new.csv", "made/for it/a.csv", "made/for it/b.csv"):
            source, crc32c = servers.declare(1000, name)
            assert there.deliver(source, attempts=1, through=destination).receipt
            expected[name] = crc32c
    there.require(expected)
    came_to("made where they are missing")
