"""What becomes of files about which S3 refuses to say anything, or to return them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from client_delivery.ledger.file import Kept
from client_delivery.ledger.identity import Fingerprint
from client_delivery.pickup import reading
from client_delivery.pickup.pickup import DoneFile, PickupError
from client_delivery.runtime.backoff import Backoff
from tests.support.factories import MODIFIED, a_file
from tests.unit.pickup.s3_refusing import S3, pickup_over

DENIED, LOCKED, GONE, BUSY = (403, "AccessDenied"), (400, "InvalidRequest"), (404, "NoSuchKey"), (503, "SlowDown")
SHA = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="


@pytest.fixture
def s3() -> S3:
    return S3()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(reading, "CONFLICT", Backoff(first=0, longest=0))


def content(file: Any) -> tuple[str, ...]:
    return file.content.checksums


class TestWhatS3Knows:
    """HeadObject, for files that the ledger does not know."""

    def test_what_s3_says_comes_with_the_file(self, s3):
        s3.put("in/a.csv", ChecksumSHA256=SHA, VersionId="v1")
        (found,) = pickup_over(s3).identify([a_file()])
        assert (found.size, found.version_id, content(found)) == (4, "v1", (f"sha256:{SHA}:4",))

    def test_a_file_that_is_gone_by_now_is_left_out(self, s3):
        s3.put("in/b.csv")
        assert [file.name for file in pickup_over(s3).identify([a_file(), a_file("b.csv")])] == ["b.csv"]

    @pytest.mark.parametrize("refusal", [DENIED, LOCKED], ids=["denied", "the sender's own key"])
    def test_a_file_of_which_s3_says_nothing_comes_as_it_was_listed(self, s3, refusal):
        """One file that may not be read stops no other; the attempt to send it tells why."""
        s3.put("in/a.csv", ChecksumSHA256=SHA)
        s3.refuse("HeadObject", "in/a.csv", refusal)
        assert [content(file) for file in pickup_over(s3).identify([a_file()])] == [()]

    def test_trouble_of_s3_is_no_answer(self, s3):
        """Else a file that was sent would be taken for a new one."""
        s3.put("in/a.csv")
        s3.refuse("HeadObject", "in/a.csv", BUSY)
        with pytest.raises(PickupError, match=r"Cannot read s3://pickup/in/a\.csv in the pick-up of acme"):
            pickup_over(s3).identify([a_file()])

    def test_a_done_file_that_may_not_be_looked_at_is_not_taken_for_none(self, s3):
        s3.refuse("HeadObject", "in/acme.done", DENIED)
        with pytest.raises(PickupError, match="access denied"):
            pickup_over(s3).done_file()


class TestReading:
    """GetObject, for the checksum of a content that S3 does not know well enough."""

    def test_a_refusal_that_passes_is_waited_for(self, s3):
        s3.put("in/a.csv")
        s3.refuse("GetObject", "in/a.csv", DENIED, DENIED, None)
        (found,) = pickup_over(s3).read([a_file(size=4)])
        assert found.content.certain

    def test_a_file_that_may_not_be_read_comes_as_it_was(self, s3):
        s3.put("in/a.csv")
        s3.put("in/b.csv")
        s3.refuse("GetObject", "in/a.csv", DENIED)
        denied, other = pickup_over(s3).read([a_file(size=4), a_file("b.csv", size=4)])
        assert (content(denied), other.content.certain) == ((), True)
        assert s3.counted["GetObject"] == 3 + 1, "it is asked for more than once, and not for ever"

    @pytest.mark.parametrize(
        "code", ["InvalidRequest", "KMS.DisabledException", "KMS.KMSInvalidStateException", "KMS.NotFoundException"]
    )
    def test_a_file_under_a_key_that_nobody_here_can_use_stops_no_other(self, s3, code):
        """The sender's own key (SSE-C), or one of KMS that is disabled or deleted: S3 responds with 400."""
        s3.put("in/a.csv")
        s3.put("in/b.csv")
        s3.refuse("GetObject", "in/a.csv", (400, code))
        locked, other = pickup_over(s3).read([a_file(size=4), a_file("b.csv", size=4)])
        assert (content(locked), other.content.certain) == ((), True)

    @pytest.mark.parametrize("trouble", [BUSY, (400, "RequestTimeout"), (400, "KMS.ThrottlingException")], ids=str)
    def test_trouble_of_s3_is_no_answer(self, s3, trouble):
        s3.put("in/a.csv")
        s3.refuse("GetObject", "in/a.csv", trouble)
        with pytest.raises(PickupError, match="Cannot read"):
            pickup_over(s3).read([a_file(size=4)])


class TestLocating:
    """Where the bytes of a file still are that has been dealt with."""

    def test_the_very_object_is_found_in_the_pickup(self, s3):
        s3.put("in/a.csv")
        (found,) = pickup_over(s3).locate([Kept(a_file(), None)])
        assert found == a_file()
        assert found.origin is None

    def test_another_upload_of_the_content_is_the_file(self, s3):
        s3.put("in/a.csv", ETag='"etag-of-another-upload"', ChecksumSHA256=SHA)
        known = replace(a_file(), content=Fingerprint((f"sha256:{SHA}:4",)))
        (found,) = pickup_over(s3).locate([Kept(known, None)])
        assert (found.etag, found.origin) == ("etag-of-another-upload", None)

    def test_another_content_under_the_name_is_not_the_file(self, s3):
        s3.put("in/a.csv", ETag='"etag-b"', ChecksumSHA256=SHA)
        known = replace(a_file(), content=Fingerprint((f"sha256:{SHA.swapcase()}:4",)))
        assert pickup_over(s3).locate([Kept(known, None)]) == [None]

    @pytest.mark.parametrize("refusal", [DENIED, LOCKED], ids=["denied", "the sender's own key"])
    def test_a_place_that_is_refused_is_passed_over_for_the_next(self, s3, refusal):
        s3.put("in/a.csv", version="v1")
        s3.put("sent/a.csv")
        s3.refuse("HeadObject", "in/a.csv", refusal)
        s3.refuse("HeadObject", "sent/a.csv", refusal, None)
        places = pickup_over(s3)
        assert places.locate([Kept(a_file(size=4), "s3://pickup/sent/a.csv")]) == [None]
        (found,) = places.locate([Kept(a_file(size=4), "s3://pickup/sent/a.csv")])
        assert found.origin.key == "sent/a.csv"

    def test_of_the_versions_the_one_with_the_files_bytes_is_read(self, s3):
        s3.put("in/a.csv", b"newer", ETag='"etag-b"')
        s3.put("in/a.csv", version="v1")
        s3.put("in/a.csv", b"newer", ETag='"etag-b"', version="v2")
        (found,) = pickup_over(s3).locate([Kept(a_file(), None)])
        assert found.origin.version_id == "v1"

    def test_a_version_that_was_replaced_since_is_not_read(self, s3):
        """``null`` is what each upload replaces while a bucket keeps no versions."""
        s3.put("in/a.csv", b"newer", ETag='"etag-b"', version="null")
        gone = replace(a_file(), version_id="null")
        assert pickup_over(s3).locate([Kept(gone, None)]) == [None]

    def test_where_versions_may_not_be_listed_there_are_none(self, s3):
        s3.put("in/a.csv", version="v1")
        s3.refuse("ListObjectVersions", "in/a.csv", DENIED)
        assert pickup_over(s3).locate([Kept(a_file(), None)]) == [None]

    @pytest.mark.parametrize("verb", ["HeadObject", "ListObjectVersions"])
    def test_trouble_of_s3_does_not_say_that_the_bytes_are_gone(self, s3, verb):
        s3.refuse(verb, "in/a.csv", BUSY)
        with pytest.raises(PickupError, match="Cannot read"):
            pickup_over(s3).locate([Kept(a_file(), None)])


SEEN = DoneFile("in/acme.done", "etag-a", MODIFIED, None, by_kms=True)


class TestDoneFile:
    """What stands in it, and its removal."""

    def test_its_first_bytes_are_read(self, s3):
        s3.put("in/acme.done", b"claims.csv=4\n")
        assert pickup_over(s3).done_file_begins(SEEN, 6) == b"claims"

    @pytest.mark.parametrize("refusal", [GONE, (412, "PreconditionFailed")], ids=["deleted", "replaced"])
    def test_one_that_changes_while_it_is_read_sends_nothing(self, s3, refusal):
        s3.refuse("GetObject", "in/acme.done", refusal)
        with pytest.raises(PickupError, match=r"was replaced or deleted while it was being read\. Nothing was sent"):
            pickup_over(s3).done_file_begins(SEEN, 10)

    def test_one_that_may_not_be_read_is_not_called_replaced(self, s3):
        s3.refuse("GetObject", "in/acme.done", DENIED)
        with pytest.raises(PickupError, match="access denied to the environment's execution role"):
            pickup_over(s3).done_file_begins(SEEN, 10)

    def test_trouble_behind_its_removal_is_said(self, s3):
        """Whether the delete has covered a newer one is then not known."""
        s3.put("in/acme.done", VersionId="v1")
        s3.refuse("ListObjectVersions", "in/acme.done", BUSY)
        with pytest.raises(PickupError, match=r"Cannot delete s3://pickup/in/acme\.done"):
            pickup_over(s3).remove_done_file(replace(SEEN, by_kms=False, version_id="v1"))


def test_a_file_that_may_not_be_removed_is_not_taken_for_a_changed_one(s3):
    """Else it would stay without a word, and be looked at again by every run."""
    s3.refuse("DeleteObject", "in/a.csv", DENIED)
    with pytest.raises(PickupError, match=r"Cannot delete s3://pickup/in/a\.csv .* access denied"):
        pickup_over(s3).remove([("in/a.csv", "etag-a")])


@pytest.mark.parametrize("refusal", [(412, "PreconditionFailed"), (409, "ConditionalRequestConflict")], ids=str)
def test_a_file_that_has_changed_is_kept(s3, refusal):
    s3.refuse("DeleteObject", "in/a.csv", refusal)
    assert pickup_over(s3).remove([("in/a.csv", "etag-a"), ("in/b.csv", "etag-b")]) == ["in/a.csv"]
