"""Which of the files that wait are known: what the ledger says, and what S3 says of them a moment later."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from client_delivery.ledger.aliases import Alias, by_content, by_etag
from client_delivery.ledger.entry import Entry
from client_delivery.ledger.identity import Fingerprint, identity
from client_delivery.pickup.recognition import Recognition, Rules
from tests.support.factories import a_file, an_entry
from tests.unit.pickup.s3_refusing import S3, pickup_over

SHA = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
BY_NAME = Rules(by_name=True)


class Ledger:
    """The part of a ledger that a recognition uses, in memory."""

    def __init__(self, *entries: Entry, aliases: tuple[Alias, ...] = ()) -> None:
        self.entries = {entry.identity: entry for entry in entries}
        self._aliases = {alias.key: alias for alias in aliases}
        self.aliases = self

    def find(self, keys: Any) -> dict[str, Any]:
        """Both kinds, for their keys differ."""
        return {key: found for key in keys if (found := self.entries.get(key) or self._aliases.get(key))}

    def adopt(self, entries: list[Entry], origin: object) -> list[str]:
        for entry in entries:
            self.entries.setdefault(entry.identity, entry)
        return []


def recognition(ledger: Ledger, rules: Rules, earlier: Ledger | None = None) -> Recognition:
    here: Any = ledger
    before: Any = [earlier] if earlier is not None else []
    return Recognition(here, rules, before, "s3://pickup/in/")


def test_a_file_that_goes_while_s3_is_asked_about_it_is_left_out():
    s3 = S3()
    s3.put("in/stays.csv")
    known = recognition(Ledger(), Rules())
    seen = known.by_etag([a_file("gone.csv", "etag-gone"), a_file("stays.csv")])
    assert [one.file.name for one in known.by_content(seen, pickup_over(s3))] == ["stays.csv"]


def test_a_name_with_an_entry_of_its_own_goes_by_that_entry():
    """The client told files apart by name for a while; both entries are of one content."""
    first = an_entry(a_file("a.csv"))
    own = an_entry(a_file("b.csv"), identity=identity("etag-a", "b.csv", by_name=True))
    (seen,) = recognition(Ledger(first, own), Rules()).by_etag([a_file("b.csv")])
    assert seen.entry == own


def test_a_content_sent_under_a_name_counts_for_another_name_only_where_names_do_not():
    """The key of the name holds an entry that goes by another name by now: it was sent again under that."""
    renamed = an_entry(a_file("new.csv"), identity=identity("etag-a", "old.csv", by_name=True))
    (seen,) = recognition(Ledger(renamed), Rules()).by_etag([a_file("old.csv")])
    assert seen.entry == renamed
    (seen,) = recognition(Ledger(an_entry(a_file("a.csv"))), BY_NAME).by_etag([a_file("b.csv")])
    assert seen.entry is None


def test_a_note_made_while_names_did_not_count_hides_no_name():
    noted = Alias(by_etag("etag-b", "b.csv"), "etag-a")
    ledger = Ledger(an_entry(a_file("a.csv")), aliases=(noted,))
    (seen,) = recognition(ledger, BY_NAME).by_etag([a_file("b.csv", "etag-b")])
    assert seen.entry is None
    (seen,) = recognition(ledger, Rules()).by_etag([a_file("b.csv", "etag-b")])
    assert seen.entry is not None


class TestUnderAnEarlierKey:
    """A client that got another delivery key, on the same pick-up (R3.7)."""

    def test_what_is_known_there_by_its_content_is_taken_over(self):
        before, new = self._uploaded_again()
        s3 = S3()
        s3.put("in/a.csv", ETag=f'"{new.etag}"', ChecksumSHA256=SHA)
        ledger = Ledger()
        known = recognition(ledger, Rules(), before)
        (seen,) = known.by_content(known.by_etag([new]), pickup_over(s3))
        assert seen.entry is not None
        assert list(ledger.entries) == ["etag-a"]

    def test_by_its_etag_alone_another_upload_is_another_file(self):
        before, new = self._uploaded_again()
        s3 = S3()
        s3.put("in/a.csv", ETag=f'"{new.etag}"', ChecksumSHA256=SHA)
        ledger = Ledger()
        known = recognition(ledger, Rules(by_content=False), before)
        (seen,) = known.by_content(known.by_etag([new]), pickup_over(s3))
        assert seen.entry is None
        assert ledger.entries == {}

    def test_what_came_from_elsewhere_stays_there(self):
        elsewhere = replace(a_file(), key="other/a.csv")
        ledger = Ledger()
        known = recognition(ledger, Rules(), Ledger(an_entry(elsewhere)))
        s3 = S3()
        s3.put("in/a.csv")
        (seen,) = known.by_content(known.by_etag([a_file()]), pickup_over(s3))
        assert seen.entry is None
        assert ledger.entries == {}

    @staticmethod
    def _uploaded_again() -> tuple[Ledger, Any]:
        checksum = f"sha256:{SHA}:4"
        before = Ledger(an_entry(a_file()), aliases=(Alias(by_content(checksum), "etag-a"),))
        return before, replace(a_file(etag="etag-of-another-upload", size=4), content=Fingerprint((checksum,)))
