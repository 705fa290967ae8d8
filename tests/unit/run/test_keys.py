"""Keys that expire or grow too old: told 30, 7 and 1 days before and on the day, once each, whatever goes wrong."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import asyncssh
import pysequoia
import pytest

from client_delivery.config.notify import Audience
from client_delivery.ledger.watched_keys import KeyState, Known
from client_delivery.notify import bodies, brief, expiring
from client_delivery.notify.expected import About
from client_delivery.notify.expiring import Expiring, KeyKind
from client_delivery.run import keys
from client_delivery.run.keys import Key, judge
from client_delivery.run.told import OfKeys
from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.secret import Secret
from tests.support.openpgp import key as openpgp

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
YEAR = timedelta(days=365)


def told_on(expires: datetime | None, max_age: timedelta | None, days: int, skipped: range = range(0)) -> list[int]:
    """The days on which a key is told of, where each day somebody looks but on those that are skipped."""
    states: dict[str, KeyState] = {}
    told = []
    for day in range(days):
        if day in skipped:
            continue
        now = START + timedelta(days=day)
        states, news = judge([(KeyKind.SSH, Key("SHA256:one", expires))], states, now, max_age)
        told += [day for _ in news]
    return told


@pytest.mark.parametrize(
    ("expires", "max_age", "told"),
    [
        (START + timedelta(days=100), None, [70, 93, 99, 100]),
        (None, timedelta(days=100), [70, 93, 99, 100]),
        (START + timedelta(days=100), timedelta(days=50), [20, 43, 49, 50]),
        (START + timedelta(days=50), timedelta(days=100), [20, 43, 49, 50]),
        (START + timedelta(days=20), None, [0, 13, 19, 20]),
        (START - timedelta(days=3), None, [0]),
        (None, None, []),
    ],
)
def test_a_key_is_told_30_7_and_1_days_before_and_on_the_day(expires, max_age, told):
    assert told_on(expires, max_age, 130) == told


@pytest.mark.parametrize("hour", [0, 11, 12, 23])
def test_whole_days_count_whatever_the_hour(hour):
    end = (START + timedelta(days=40)).replace(hour=hour)
    assert told_on(end, None, 60) == [10, 33, 39, 40]


def test_a_day_on_which_nobody_looked_delays_what_is_told_and_loses_nothing():
    end = START + timedelta(days=100)
    assert told_on(end, None, 130, skipped=range(70, 72)) == [72, 93, 99, 100]
    assert told_on(end, None, 130, skipped=range(60, 95)) == [95, 99, 100], "one message, not the one that it missed"
    assert told_on(end, None, 130, skipped=range(60, 120)) == [120]


def test_a_changed_key_begins_anew_and_the_one_before_is_forgotten():
    one, other = (KeyKind.SSH, Key("SHA256:one")), (KeyKind.SSH, Key("SHA256:other"))
    states, _ = judge([one], {}, START, YEAR)
    states, news = judge([one], states, START + timedelta(days=360), YEAR)
    assert [key.days for key in news] == [5]
    changed = START + timedelta(days=361)
    states, news = judge([other], states, changed, YEAR)
    assert news == []
    assert [(name, state.since) for name, state in states.items()] == [("our SSH key|SHA256:other", changed)]


def test_a_key_whose_expiry_was_prolonged_is_told_of_its_new_end():
    def at(expires: datetime, now: datetime, states: dict[str, KeyState]) -> tuple[dict[str, KeyState], list[int]]:
        states, news = judge([(KeyKind.RECIPIENT, Key("AB", expires))], states, now, None)
        return states, [key.days for key in news]

    first, second = START + timedelta(days=20), START + timedelta(days=200)
    states, told = at(first, START, {})
    assert told == [20]
    states, told = at(second, START + timedelta(days=1), states)
    assert told == []
    assert at(second, START + timedelta(days=180), states)[1] == [20]


def test_a_key_that_is_listed_twice_is_told_once():
    twice = [(KeyKind.RECIPIENT, Key("AB", START))] * 2
    assert len(judge(twice, {}, START, None)[1]) == 1


class Kept:
    """The item, in memory."""

    def __init__(self) -> None:
        self.now = Known()
        self.writes = 0
        self.lost = False

    def known(self) -> Known:
        return self.now

    def keep(self, before: Known, now: datetime, states: dict[str, KeyState]) -> bool:
        self.writes += 1
        if self.lost:
            return False
        self.now = Known(now, dict(states))
        return True


class FakeRun:
    """What a look asks of a run."""

    silenced = False
    owner = None

    def __init__(self, config: Any, secret: Secret | None = None, max_age: int = 365) -> None:
        self.config, self.secret = config, secret
        self.settings = SimpleNamespace(key_max_age_days=max_age)
        self.watched_keys = Kept()
        self.events: list[dict[str, Any]] = []
        self.asked = 0

    def secret_of(self, connection_id: str) -> Secret:
        self.asked += 1
        if self.secret is None:
            raise DestinationUnavailable("There is no very-secret secret.")
        return self.secret

    def log_event(self, event: str, *, level: int = logging.INFO, **fields: Any) -> None:
        self.events.append({"event": event, **fields})

    def named(self, event: str) -> list[dict[str, Any]]:
        return [one for one in self.events if one["event"] == event]


@pytest.fixture
def clock(monkeypatch):
    class Clock(datetime):
        at = START

        @classmethod
        def now(cls, tz=None):
            return cls.at

    monkeypatch.setattr(keys, "datetime", Clock)
    return Clock


@pytest.fixture
def told(monkeypatch) -> list[OfKeys]:
    found: list[OfKeys] = []
    monkeypatch.setattr(keys, "about_of", lambda run, post, owner: None)
    monkeypatch.setattr(keys, "tell_of_keys", lambda run, post, told: found.append(told))
    return found


def look(run: Any) -> bool:
    return keys.look(run, lambda: None)  # type: ignore[arg-type, return-value]


def sftp(host_keys: tuple[str, ...] = (), encrypt: Any = None) -> Any:
    destination = SimpleNamespace(type="sftp", connection_id="acme", host_keys=host_keys)
    return SimpleNamespace(encrypt=encrypt, destination=destination)


def ssh() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519")


def secret(key: asyncssh.SSHKey) -> Secret:
    return Secret("acme", extra={"private_key": key.export_private_key().decode()})


def host(key: asyncssh.SSHKey) -> str:
    return " ".join(key.export_public_key().decode().split()[:2])


def test_age_counts_from_the_first_look_by_the_fingerprints_that_ssh_keygen_shows(clock, told):
    own, server = ssh(), ssh()
    run = FakeRun(sftp((host(server),)), secret(own))
    assert look(run) is False
    assert set(run.watched_keys.now.states) == {
        f"the server's host key|{server.get_fingerprint()}",
        f"our SSH key|{own.get_fingerprint()}",
    }
    clock.at = START + timedelta(days=335)
    assert look(run) is True
    ((one, other),) = [found.keys for found in told]
    assert {one.id, other.id} == {server.get_fingerprint(), own.get_fingerprint()}
    assert one.by_age
    assert other.words == f"our SSH key {own.get_fingerprint()}: reaches the accepted age on 2027-01-01, in 30 days"
    kept = repr(run.watched_keys.now) + repr(run.events)
    for line in own.export_private_key().decode().splitlines()[1:-1]:
        assert line not in kept


def test_one_look_a_day_reads_each_credential_once(clock, told):
    run = FakeRun(sftp(), secret(ssh()))
    for hour in range(0, 12):
        clock.at = START + timedelta(hours=hour)
        look(run)
    assert (run.asked, run.watched_keys.writes) == (1, 1)
    clock.at = START + timedelta(hours=12)
    look(run)
    assert (run.asked, run.watched_keys.writes) == (2, 2)


def test_a_credential_that_cannot_be_read_is_one_line_a_day_and_its_age_goes_on(clock, told):
    own, server = ssh(), ssh()
    run = FakeRun(sftp((host(server),)), secret(own))
    look(run)
    run.secret, clock.at = None, START + timedelta(days=300)
    assert look(run) is False
    look(run)
    assert run.named("key_not_read") == [
        {"event": "key_not_read", "kind": "our SSH key", "error": "DestinationUnavailable"}
    ]
    run.secret, clock.at = secret(own), START + timedelta(days=335)
    assert look(run) is True
    assert own.get_fingerprint() in {one.id for one in told[0].keys}


def test_who_loses_the_write_tells_nobody(clock, told):
    run = FakeRun(sftp((host(ssh()),)), secret(ssh()), max_age=10)
    run.watched_keys.lost = True
    assert look(run) is False
    assert told == []
    assert run.named("key_expires") == []


def test_a_run_that_may_tell_nobody_leaves_the_look_to_the_next(clock, told):
    run = FakeRun(sftp((host(ssh()),)), secret(ssh()), max_age=10)
    run.silenced = True
    assert look(run) is False
    assert run.watched_keys.writes == 0
    run.silenced = False
    assert look(run) is True


def test_whatever_goes_wrong_is_a_line_and_no_error(clock, told):
    run = FakeRun(sftp((host(ssh()),)), secret(ssh()))

    def broken() -> Known:
        raise ConnectionError("very-secret")

    run.watched_keys.known = broken  # type: ignore[method-assign]
    assert look(run) is False
    assert run.events == [{"event": "keys_not_watched", "error": "ConnectionError"}]


@pytest.mark.parametrize(
    ("config", "max_age"),
    [
        (sftp(("no key is read",)), 0),
        (SimpleNamespace(encrypt=None, destination=SimpleNamespace(type="s3")), 365),
    ],
)
def test_a_client_without_keys_to_be_watched_pays_nothing(clock, told, config, max_age):
    run = FakeRun(config, max_age=max_age)
    run.watched_keys = None  # type: ignore[assignment]
    assert look(run) is False
    assert run.events == []
    assert run.asked == 0


def test_a_password_is_no_key(clock, told):
    run = FakeRun(sftp(), Secret("acme", "acme", "very-secret"))
    assert look(run) is False
    assert run.watched_keys.now == Known(START, {})
    assert run.events == []


def test_openpgp_keys_are_watched_without_any_setting_the_expired_and_the_useless_ones_too(clock, told):
    tsk = pysequoia.Tsk.generate("soon@example.org", validity_seconds=int(timedelta(days=20).total_seconds()))
    soon = tsk.extract_certificate()
    assert soon.expiration is not None
    clock.at = soon.expiration - timedelta(days=7)
    recipients = (str(soon), openpgp("good"), openpgp("expired"), openpgp("revoked"))
    encrypt = SimpleNamespace(recipients=recipients, sign_with="ours")
    run = FakeRun(sftp(encrypt=encrypt), Secret("ours", extra={"private_key": openpgp("ours.private")}), max_age=0)
    assert look(run) is True
    ((one, gone),) = [found.keys for found in told]
    assert (one.id, one.days, one.by_age) == (soon.fingerprint.upper(), 7, False)
    assert gone.words.startswith("OpenPGP key of a recipient ")
    assert "expired on 2025-01-31" in gone.words
    assert [line["kind"] for line in run.named("key_not_read")] == ["OpenPGP key of a recipient"]
    assert sum(name.startswith("our OpenPGP signing key|") for name in run.watched_keys.now.states) == 1


SOON = [
    Expiring(KeyKind.SSH, "SHA256:abc", START + timedelta(days=7), 7, by_age=True),
    Expiring(KeyKind.RECIPIENT, "ABCD", START, 0, by_age=False),
]
ABOUT = About("H1234", "acme", "s3://pickup/acme/", "run-1", "https://airflow.example.org/run", "staging")


def test_the_message_says_which_key_when_and_what_to_do():
    mail = expiring.message(SOON, ABOUT, "deliveries@example.org", ["team@example.org"])
    assert mail["Subject"] == "staging: [H1234] Keys expire: 2 keys, the first now"
    for part in mail.iter_parts():
        text = part.get_content()
        assert "our SSH key SHA256:abc: reaches the accepted age on 2026-01-08, in 7 days" in text
        assert "OpenPGP key of a recipient ABCD: expires on 2026-01-01, today" in text
        assert "encrypt.recipients" in text
        assert "Have come" not in text


def test_the_client_hears_of_keys_and_of_nothing_internal():
    mail = expiring.message(SOON, ABOUT, "deliveries@example.org", ["client@payer.example"], to_client=True)
    hook = json.dumps(bodies.event(brief.of_keys("msg_1", SOON, ABOUT, Audience.CLIENT, START)))
    for text in (*(part.get_content() for part in mail.iter_parts()), hook):
        assert "SHA256:abc" in text
        for word in ("acme", "s3://", "run-1", "airflow.example.org", "encrypt.recipients", "connection"):
            assert word not in text, word


def test_programs_get_the_same_as_data():
    event = bodies.event(brief.of_keys("msg_1", SOON, ABOUT, Audience.TEAM, START))
    assert event["type"] == "delivery.expiring"
    assert event["data"]["keys"][0] == {"kind": "our SSH key", "id": "SHA256:abc", "ends": "2026-01-08"}
    page = bodies.pagerduty(brief.of_keys("msg_1", SOON, ABOUT, Audience.TEAM, START), "key")
    assert page["payload"]["severity"] == "warning"
