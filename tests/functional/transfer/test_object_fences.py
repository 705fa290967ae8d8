"""Nobody's object is overwritten unseen, nothing is sent twice, and what became of a delivery is said (R3.5, R6.10).

The fakes honour the conditions that the services document, and Google's refuses them where it documents that there
are none.
"""

from __future__ import annotations

from types import SimpleNamespace

import httpx
import pytest

from client_delivery.transfer.contract import IntegrityError, Job, TransferError
from client_delivery.transfer.gcs.api import GcsApi, _stored
from client_delivery.transfer.integrity import OwnChecksum
from client_delivery.transfer.objects.api import Stored
from client_delivery.transfer.reading.carried import NOTHING
from client_delivery.transfer.s3.api import S3Api
from tests.functional.transfer.conftest import MIB, Journal, deliver

LARGE = 9 * MIB
KINDS = {"gcs": {}, "gcs composed": {"publish": "compose"}, "s3": {"max_bytes_per_second": 10**12}}


def kind_of(how: str) -> str:
    return how.split(maxsplit=1)[0]


def opened(servers, how: str):
    return servers.open(kind_of(how), **KINDS[how])


def events(servers, key: str) -> list[str]:
    """What happened in the bucket under that key."""
    return [e["event"] for e in httpx.get(f"{servers.gcs_url}/_local/events").json() if e["name"] == key]


def rival_delivers(servers, how: str, key: str, size: int, token: int = 1) -> str:
    """Another attempt, of another version of the file, from its start to its end; returns its CRC32C."""
    other, crc32c = servers.declare(size, f"{key}.version-{size}")
    with opened(servers, how) as destination:
        destination.deliver(Job(key, other, token=token), Journal())
    return crc32c


@pytest.mark.parametrize("how", KINDS)
def test_r3_5_an_old_attempt_that_wakes_after_a_newer_version_changes_nothing(servers, how):
    """It sleeps right before its last look, while another version of the same name is delivered whole."""
    source, _ = servers.declare(LARGE)
    newer: list[str] = []

    def sleep() -> None:
        if not newer:
            newer.append(rival_delivers(servers, how, source.key, LARGE + 7))

    with pytest.raises(TransferError, match="written by someone else") as raised:
        deliver(opened(servers, how), source, Journal(sleep))
    assert "Nothing was overwritten" in str(raised.value)
    assert servers.visible(kind_of(how))[source.key] == (LARGE + 7, newer[0])


@pytest.mark.parametrize("how", KINDS)
def test_r3_5_an_old_attempt_that_wakes_within_its_last_request_changes_nothing(servers, how, monkeypatch):
    """It sleeps after its last look. The newer one has aborted its upload, or the service's condition refuses it."""
    source, _ = servers.declare(LARGE)
    newer: list[str] = []
    api = S3Api if how == "s3" else GcsApi
    last = {"gcs": "complete", "gcs composed": "compose", "s3": "complete"}[how]
    real = getattr(api, last)

    def asleep(self, *arguments):
        if not newer:
            newer.append("")
            newer[0] = rival_delivers(servers, how, source.key, LARGE + 7)
        return real(self, *arguments)

    monkeypatch.setattr(api, last, asleep)
    with pytest.raises(TransferError, match="written by someone else"):
        deliver(opened(servers, how), source)
    assert servers.visible(kind_of(how))[source.key] == (LARGE + 7, newer[0])


def test_r3_5_google_takes_no_precondition_in_a_multipart_upload_and_none_is_sent(servers):
    """The fake answers 400 to one, as Google documents; and it overwrites, as Google does."""
    source, crc32c = servers.declare(LARGE)
    rival_delivers(servers, "gcs", source.key, LARGE + 7)
    assert deliver(servers.open("gcs"), source).checksum == f"crc32c:{crc32c}"
    assert servers.visible("gcs")[source.key] == (LARGE, crc32c)


def test_what_others_left_open_under_the_same_name_is_aborted_before_completing(servers):
    source, _ = servers.declare(LARGE)
    with servers.open("gcs") as destination:
        left = destination._api.begin(source.key, NOTHING)
        assert left
        destination.deliver(Job(source.key, source, token=1), Journal())
    assert servers.open_uploads(source.key) == 0


@pytest.mark.parametrize("how", KINDS)
def test_r6_9_an_upload_that_was_completed_by_an_attempt_that_died_is_found_and_not_sent_again(servers, how):
    source, crc32c = servers.declare(LARGE)
    api = S3Api if how == "s3" else GcsApi
    real = api.complete

    class Died(Exception):
        pass

    def dies(self, *arguments):
        real(self, *arguments)
        raise Died

    journal = Journal()
    with pytest.MonkeyPatch.context() as death:
        death.setattr(api, "complete", dies)
        with pytest.raises(Died):
            deliver(opened(servers, how), source, journal)
    before = servers.s3_facts()["sent"]
    receipt = deliver(opened(servers, how), source, token=2, resume=journal.states[-1])
    assert (receipt.checksum, receipt.verified_by) == (f"crc32c:{crc32c}", "checksum")
    assert servers.s3_facts()["sent"] == before, "not a byte is read again"
    assert servers.visible(kind_of(how))[source.key] == (LARGE, crc32c)
    if how != "s3":
        assert events(servers, source.key) == ["visible"], "the recipient is notified once"


def test_a_composed_file_leaves_nothing_behind(servers):
    source, crc32c = servers.declare(LARGE)
    receipt = deliver(servers.open("gcs", prefix="in/", publish="compose"), source)
    assert (receipt.uri, receipt.size) == (f"gs://target/in/{source.key}", LARGE)
    assert (receipt.checksum, receipt.verified_by) == (f"crc32c:{crc32c}", "checksum")
    listed = httpx.get(f"{servers.gcs_url}/_local/objects/target", params={"prefix": "in/"}).json()
    assert f"in/{source.key}" in listed
    assert not [name for name in listed if ".delivery-" in name]
    assert servers.open_uploads(source.key) == 0


def test_a_composed_file_that_fails_for_good_leaves_nothing_behind(servers):
    source, _ = servers.declare(LARGE)
    servers.gcs_faults({"call": "ComposeObject", "status": 403, "code": "AccessDenied", "times": 0})
    journal = Journal()
    with servers.open("gcs", prefix="gone/", publish="compose") as destination:
        with pytest.raises(TransferError, match="refuses to compose"):
            destination.deliver(Job(source.key, source, token=1), journal)
        listed = httpx.get(f"{servers.gcs_url}/_local/objects/target", params={"prefix": "gone/"}).json()
        assert len(listed) == 1
        destination.discard(source.key, journal.states[-1])
    assert httpx.get(f"{servers.gcs_url}/_local/objects/target", params={"prefix": "gone/"}).json() == []


# -- a recipient that takes objects away, and others that write -------------------------------------------------------


@pytest.mark.parametrize("size", [1000, LARGE])
@pytest.mark.parametrize("how", ["gcs", "s3", "s3 copied"])
def test_what_the_recipient_takes_away_at_once_is_delivered(servers, how, size, monkeypatch):
    source, crc32c = servers.declare(size)
    kind = kind_of(how)
    api = S3Api if kind == "s3" else GcsApi
    taken = []

    def then_taken(real):
        def call(self, *arguments):
            stored = real(self, *arguments)
            self.withdraw(source.key, stored)
            taken.append(source.key)
            return stored

        return call

    for verb in ("put", "complete", "complete_as", "copy"):
        if hasattr(api, verb):
            monkeypatch.setattr(api, verb, then_taken(getattr(api, verb)))
    receipt = deliver(servers.open(kind, **({} if how != "s3" else KINDS["s3"])), source)
    assert taken
    assert (receipt.checksum, receipt.verified_by, receipt.remark) == (f"crc32c:{crc32c}", "checksum", None)


def test_what_somebody_else_overwrites_right_after_is_said_as_that(servers, monkeypatch):
    source, crc32c = servers.declare(LARGE)
    real = GcsApi.complete
    others: list[str] = []

    def overwritten(self, *arguments):
        stored = real(self, *arguments)
        if not others:
            others.append("")
            others[0] = rival_delivers(servers, "gcs", source.key, 4321)
        return stored

    monkeypatch.setattr(GcsApi, "complete", overwritten)
    receipt = deliver(servers.open("gcs"), source)
    assert receipt.checksum == f"crc32c:{crc32c}"
    assert "Somebody else has overwritten" in str(receipt.remark)
    assert servers.visible("gcs")[source.key] == (4321, others[0]), "theirs is left alone"


def test_what_the_response_has_proven_does_not_fail_for_a_look_in_trouble(servers, monkeypatch):
    source, crc32c = servers.declare(LARGE)
    real = GcsApi.complete

    def then_trouble(self, *arguments):
        stored = real(self, *arguments)
        servers.gcs_faults({"call": "HeadObject", "status": 503, "code": "SlowDown", "times": 0})
        return stored

    monkeypatch.setattr(GcsApi, "complete", then_trouble)
    receipt = deliver(servers.open("gcs"), source)
    assert (receipt.checksum, receipt.verified_by) == (f"crc32c:{crc32c}", "checksum")


def test_every_look_is_one_request(servers):
    """The fake once died of every second HEAD on a connection, which the engine overcame by sending it again."""
    with servers.open("gcs") as destination:
        before = httpx.get(f"{servers.gcs_url}/_local/requests").json().get("xml.HeadObject", 0)
        assert [destination._api.look(f"nothing-{number}") for number in range(5)] == [None] * 5
        after = httpx.get(f"{servers.gcs_url}/_local/requests").json()["xml.HeadObject"]
    assert after - before == 5


@pytest.mark.parametrize("told", [Stored(""), Stored("", checksum=None, size=3)])
def test_where_the_response_says_too_little_the_object_is_looked_at(servers, monkeypatch, told):
    source, crc32c = servers.declare(LARGE)
    real = GcsApi.complete

    def terse(self, *arguments):
        real(self, *arguments)
        return told

    monkeypatch.setattr(GcsApi, "complete", terse)
    receipt = deliver(servers.open("gcs"), source)
    assert (receipt.checksum, receipt.verified_by, receipt.remark) == (f"crc32c:{crc32c}", "checksum", None)


def test_what_is_not_known_to_be_ours_is_not_removed(servers, monkeypatch):
    """The response did not say which object it made, and what is there has another checksum."""
    source, _ = servers.declare(LARGE)
    real = GcsApi.complete
    others: list[str] = []

    def terse(self, *arguments):
        stored = real(self, *arguments)
        if others:
            return stored
        others.append("")
        others[0] = rival_delivers(servers, "gcs", source.key, 4321)
        return Stored("")

    monkeypatch.setattr(GcsApi, "complete", terse)
    with pytest.raises(IntegrityError, match="a different crc32c checksum"):
        deliver(servers.open("gcs"), source)
    assert servers.visible("gcs")[source.key] == (4321, others[0])


def test_a_size_in_a_response_that_is_no_objects_size_means_nothing(servers):
    """Google's responses to uploads have headers about the object; only a look's size is relied on."""
    _, crc32c = servers.declare(1000)
    headers = {"x-goog-hash": f"crc32c={crc32c}", "x-goog-generation": "7", "x-goog-stored-content-length": "0"}
    answer = SimpleNamespace(headers=headers)
    assert _stored(answer) == Stored("7", None, OwnChecksum("crc32c", crc32c))


# -- sizes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "largest"), [("gcs", 5 * 1024**4), ("s3", 10_000 * 5 * 1024**3)])
def test_a_file_that_no_object_can_hold_is_refused_before_its_first_byte(servers, kind, largest):
    source, _ = servers.declare(largest + 1)
    before = servers.s3_facts()["sent"]
    with pytest.raises(TransferError, match=f"can have at most {largest}") as raised:
        deliver(servers.open(kind), source)
    assert not raised.value.retry_helps
    assert servers.s3_facts()["sent"] == before
    assert servers.open_uploads(source.key) == 0
