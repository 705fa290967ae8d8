"""Messages of a run, when mail, a channel or the ledger is in trouble: who gets what, and how often (R7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from client_delivery.calendar.expectation import News
from client_delivery.config.notify import Occasion
from client_delivery.ledger.entry import Status, timestamp
from client_delivery.ledger.life import RunRef
from client_delivery.ledger.unsent_mail import Unsent
from client_delivery.notify.expected import About, Late
from client_delivery.notify.sending import NotificationError
from client_delivery.pickup.survey import Findings
from client_delivery.run import expected, held, notifying, rules, unsent
from client_delivery.run.addressees import Post, addressee_of, mark_of
from client_delivery.run.mails import FinishedMail, StartedMail
from client_delivery.run.told import OfJob, OfLate
from tests.support.factories import EARLIER, RUN, a_file, an_entry
from tests.support.offline import PagedRecord, a_config, a_record, a_run
from tests.unit.notify.test_notify_channels import failed, summary
from tests.unit.notify.test_notify_sending import Ses, recipients, refusal

CONTACTS = ["jane@example.com", "data@example.org"]


class Marks:
    """The claims in the ledger, and a ledger that takes none."""

    def __init__(self, *, broken: bool = False) -> None:
        self.claimed: set[tuple[str, RunRef]] = set()
        self.broken = broken

    def claim(self, kind: str, ref: RunRef, contacts: Sequence[str] = ()) -> bool:
        if self.broken:
            raise ConnectionError("the ledger does not respond")
        fresh = (kind, ref) not in self.claimed
        self.claimed.add((kind, ref))
        return fresh

    def claim_each(self, kind: str, refs: Iterable[RunRef], contacts: Sequence[str] = ()) -> set[RunRef]:
        return {ref for ref in refs if self.claim(kind, ref)}

    def release(self, kind: str, ref: RunRef) -> None:
        if self.broken:
            raise ConnectionError("the ledger does not respond")
        self.claimed.discard((kind, ref))


class Notes:
    """What is left of messages; ``lost``: as many notes cannot be written."""

    def __init__(self, *found: Unsent, lost: int = 0, taken: Sequence[str] = ()) -> None:
        self.found, self.lost, self.taken = list(found), lost, taken

    def of_run(self, owner: RunRef, kinds: Sequence[str]) -> list[Unsent]:
        return [one for one in self.found if one.kind in kinds]

    def for_later_runs(self) -> list[Unsent]:
        return list(self.found)

    def note(self, unsent: Unsent) -> None:
        if self.lost:
            self.lost -= 1
            raise ConnectionError("the ledger does not respond")
        self.found = [one for one in self.found if one.kind != unsent.kind] + [unsent]

    def take(self, unsent: Unsent) -> bool:
        return unsent.kind not in self.taken


class Ledger:
    """The entries of a run."""

    def __init__(self, *entries: Any) -> None:
        self.entries = {entry.identity: entry for entry in entries}
        self.manifest = SimpleNamespace(etags=lambda *_: [])

    def open_now(self, owner: RunRef) -> list[Any]:
        return list(self.entries.values())

    def find(self, keys: Iterable[str]) -> dict[str, Any]:
        return {key: self.entries[key] for key in keys if key in self.entries}

    def held_entries(self) -> list[Any]:
        return []


ACTIVE = an_entry(status=Status.PROCESSING, active=True, armed_by=RUN, owned_by=RUN, open=True)


def run_of(*entries: Any, form: dict[str, Any] | None = None, **stores: Any) -> Any:
    config = a_config(**{"contacts": CONTACTS} | stores.pop("config", {}))
    known = {"mail_marks": Marks(), "unsent_mail": Notes(), "ledger": Ledger(*entries)}
    return a_run(config, form=form, **known | stores)


def post(ses: Any = None, **how: Any) -> Post:
    return Post(lambda: ses, lambda ref: None, **how)


def to(ses: Ses) -> list[list[str]]:
    return [recipients(message) for message in ses.sent]


class TestAnEmailThatIsNotSent:
    """And a ledger that does not take what is left of it."""

    def test_one_that_nobody_has_can_be_sent_by_another_try(self):
        ses = Ses(refusal("AccountSendingPausedException"), "id")
        run = run_of(ACTIVE, unsent_mail=Notes(lost=1))
        with pytest.raises(ConnectionError, match="the ledger"):
            StartedMail(run, post(ses)).send_due()
        StartedMail(run, post(ses)).send_due()
        assert to(ses) == [CONTACTS]

    def test_one_that_somebody_may_have_is_not_sent_again(self):
        ses = Ses(refusal("InternalFailure"), "id")
        lost: Any = ses.answers[0]
        lost.response["ResponseMetadata"] = {"HTTPStatusCode": 500}
        run = run_of(ACTIVE, unsent_mail=Notes(lost=1))
        with pytest.raises(ConnectionError, match="the ledger"):
            StartedMail(run, post(ses)).send_due()
        mail = StartedMail(run, post(ses))
        mail.send_due()
        assert (to(ses), mail.accounted) == ([], True)

    def test_with_messages_switched_off_the_runs_end_sends_none(self):
        run = run_of(ACTIVE, form={"send_notifications": False})
        notifying.tell_after_all(FinishedMail(run, post(Ses())), retried=True)
        assert run.mail_marks.claimed == set()


def findings(*entries: Any, count: int | None = None) -> Findings:
    found = [(entry, entry.source) for entry in entries]
    return Findings(None, held=len(found) if count is None else count, some_held=found)


LONG_AGO = timestamp(datetime.now(UTC) - timedelta(days=2))
HELD = an_entry(status=Status.FAIL, last_error="The partner's disk is full.", timestamp=LONG_AGO)


class TestReminderOfHeldFiles:
    """R5.9: once a day."""

    def test_trouble_with_the_ledger_fails_no_task(self, events):
        run = run_of(mail_marks=Marks(broken=True))
        held.remind(FinishedMail(run, post(Ses())), findings(HELD))
        (line,) = events("mail_not_sent")
        assert line["error"] == "the ledger does not respond"

    def test_one_that_nobody_got_is_sent_by_the_next_run_of_the_day(self):
        ses = Ses(refusal("AccountSendingPausedException"), "id")
        run = run_of()
        for _ in range(3):
            held.remind(FinishedMail(run, post(ses)), findings(HELD))
        assert to(ses) == [CONTACTS]

    def test_one_that_some_have_is_not_sent_to_them_twice(self):
        run, ses = run_of(), Ses()

        def partly(*args: object) -> None:
            raise NotificationError("SES refuses it for one.", has=CONTACTS[:1])

        mail: Any = SimpleNamespace(run=run, post=post(ses), remind=lambda *a, **k: partly())
        held.remind(mail, findings(HELD))
        held.remind(FinishedMail(run, post(ses)), findings(HELD))
        assert to(ses) == []

    def test_a_red_run_says_how_many_more_are_held(self):
        said = held.why(findings(HELD, count=31), "H1234")
        assert "31 files of H1234 failed earlier and still wait" in said
        assert '  "a.csv": The partner\'s disk is full.\n  and 30 more;' in said
        assert "more" not in held.why(findings(HELD), "H1234")


CHAT = {"on": ["failed", "recovered", "finished"], "via": "slack", "connection_id": "chat"}
TEAM = {"on": ["started", "held", "finished"], "via": "email", "to": ["ops@example.com"]}


class TestRules:
    """Those of ``notify``."""

    def test_a_file_is_recovered_only_if_its_last_outcome_before_was_a_failure(self):
        """Sent before and sent again is no recovery; nor is a failure of this very run."""
        again = {"armed_at": "2026-03-02T12:00:00.000Z", "created_at": "2026-03-01T12:00:00.000Z", "owned_by": RUN}
        sent = an_entry(a_file("a.csv", "a"), **again)
        once_failed = an_entry(a_file("b.csv", "b"), **again)
        past = [
            a_record(replace(sent, owned_by=EARLIER, status=Status.FAIL)),
            a_record(replace(sent, owned_by=EARLIER)),
            a_record(replace(sent, owned_by=RUN, status=Status.FAIL)),
        ]
        failure = a_record(replace(once_failed, owned_by=EARLIER, status=Status.FAIL))
        for entries, record, occasion in (
            ([sent], PagedRecord(past), Occasion.FINISHED),
            ([sent, once_failed], PagedRecord([*past, failure]), Occasion.RECOVERED),
        ):
            told: list[Any] = []
            run = run_of(*entries, config={"notify": [CHAT]}, history=record)
            rules.tell_of_job(FinishedMail(run, post(to_channel=lambda rule, made, _, told=told: told.append(made))))
            assert [made.occasion for made in told] == [occasion]

    def test_a_message_that_cannot_be_made_is_kept_as_one_that_cannot_be_sent(self, events):
        """The ledger fails where it is asked for the sets of the files, after the claim."""
        run = run_of(an_entry(owned_by=RUN, set_id="set-1"), config={"notify": [CHAT, {**CHAT, "connection_id": "b"}]})
        told: list[Any] = []
        where = post(to_channel=lambda rule, made, seconds: told.append(rule.connection_id))
        rules.tell_of_job(FinishedMail(run, where))
        assert (told, len(run.unsent_mail.found), len(events("message_not_sent"))) == ([], 2, 2)
        vars(run)["sets"] = SimpleNamespace(find=lambda ids: {})
        noted = [replace(one, noted_at=LONG_AGO) for one in run.unsent_mail.found]
        vars(run)["unsent_mail"] = Notes(*noted)
        unsent.send_what_is_left(run, where)
        assert sorted(told) == ["b", "chat"], "a later run makes and sends it"

    def test_a_channel_that_nothing_here_can_send_by_keeps_its_message(self, events):
        run = run_of(an_entry(owned_by=RUN), config={"notify": [CHAT]}, history=PagedRecord())
        rules.tell_of_job(FinishedMail(run, post()))
        (left,) = run.unsent_mail.found
        assert left.reason == "Nothing here can send by slack."
        assert [line["kind"] for line in events("message_not_sent")] == ["finished"]

    def test_late_files_reach_a_channel_whose_message_is_kept_where_it_is_not_taken(self):
        made: list[Any] = []
        off = {"send_notifications": False}
        run = run_of(config={"notify": [{**CHAT, "on": ["late"]}], **off}, form=off)
        about = About("H1234", "acme", "s3://pickup/in/", "run-1", None, None)
        what = Late(News.LATE, "1 file like elig_*.csv by daily, 08:00 (UTC)", datetime.now(UTC), "UTC", 1, [])
        for works in (False, True):
            way = {"to_channel": lambda rule, brief, seconds: made.append(brief)} if works else {}
            rules.tell_of_late(run, post(**way), OfLate(what, about), "key")
        (sent,) = made
        assert sent.occasion is Occasion.LATE
        (left,) = run.unsent_mail.found
        assert (left.kind.partition("-")[0], left.reason) == ("@late", "Nothing here can send by slack.")
        told = expected.told_again(run, post(), (left.about or {})["late"], RUN)
        assert told.late == what, "a later run can make it again"

    @pytest.mark.parametrize(
        ("occasion", "subject"),
        [(Occasion.STARTED, "Job started: 1 file"), (Occasion.HELD, "Still held: 1 held")],
    )
    def test_the_teams_addresses_get_the_e_mail_of_the_occasion(self, occasion, subject):
        ses = Ses("id")
        run = run_of(config={"notify": [TEAM]})
        (rule,) = run.config.notify
        shown = summary(failed()) if occasion is Occasion.STARTED else summary(held=[failed()])
        addressee_of(run, post(ses), rule).send(OfJob(occasion, shown), ["ops@example.com"], "msg", 5)
        (message,) = ses.sent
        assert message["Subject"].endswith(subject)
        assert recipients(message) == ["ops@example.com"]


def left(kind: str, occasion: Occasion = Occasion.HELD, **changes: Any) -> Unsent:
    about = {"occasion": str(occasion), "since": datetime.now(UTC).isoformat()}
    known = {"etags": ["etag-a", "etag-b"], "reason": "no response", "tries": 1, "noted_at": LONG_AGO, "about": about}
    return Unsent(kind, EARLIER, **known | changes)


class TestWhatEarlierRunsCouldNotSend:
    """It is sent by a later run, or given up."""

    def test_a_reminder_names_only_what_is_still_held(self):
        sent_since = an_entry(a_file("b.csv", "etag-b"))
        run = run_of(HELD, sent_since, config={"notify": [TEAM]})
        run.unsent_mail.found.append(left(f"@held{mark_of(run.config.notify[0])}"))
        ses = Ses("id")
        unsent.send_what_is_left(run, post(ses))
        (message,) = ses.sent
        text = message.get_body(("plain",)).get_content()
        assert "a.csv" in text
        assert "b.csv" not in text

    def test_one_whose_files_cannot_be_read_is_kept_for_the_next(self):
        run = run_of(HELD, config={"notify": [TEAM]})
        run.unsent_mail.found.append(left(f"@held{mark_of(run.config.notify[0])}"))
        run.ledger.find = lambda keys: (_ for _ in ()).throw(ConnectionError("no response"))
        unsent.send_what_is_left(run, post(Ses()))
        (kept,) = run.unsent_mail.found
        assert (kept.done, kept.tries, kept.reason) == (False, 2, "no response")

    def test_one_of_a_rule_that_is_gone_goes_without_a_word(self, events):
        run = run_of(HELD, config={"notify": [TEAM]}, unsent_mail=Notes(left("@held_0123456789ab")))
        unsent.send_what_is_left(run, post(Ses()))
        assert events("message_given_up") == []

    @pytest.mark.parametrize("taken", [False, True], ids=["by this run", "by another run"])
    def test_one_is_given_up_after_three_days_once(self, events, taken):
        run = run_of(HELD, config={"notify": [TEAM]})
        kind = f"@held{mark_of(run.config.notify[0])}"
        old = {"occasion": "held", "since": (datetime.now(UTC) - timedelta(days=4)).isoformat()}
        vars(run)["unsent_mail"] = Notes(left(kind, about=old), taken=[kind] if taken else [])
        unsent.send_what_is_left(run, post(Ses()))
        assert len(events("message_given_up")) == (not taken)

    def test_a_run_with_messages_switched_off_sends_none_of_them(self):
        run = run_of(HELD, config={"notify": [TEAM]}, form={"send_notifications": False})
        run.unsent_mail.found.append(left(f"@held{mark_of(run.config.notify[0])}"))
        unsent.send_what_is_left(run, post(Ses()))
        assert len(run.unsent_mail.found) == 1
