"""Files that are expected by a time, and the window in which sending may begin: whole runs on a clock of the test's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from client_delivery.ledger.board import Board
from client_delivery.ledger.expectations import Expectations
from client_delivery.ledger.months import Months
from client_delivery.run import detection, expected, unsent
from client_delivery.web.access import Dag
from client_delivery.web.standing import State, row_of
from local.stand_ins import LEDGER_TABLE
from tests.support.runs import Runs


class Clock:
    """What the runs take for now. It begins at the real time: what is dropped into the pick-up is dropped then."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self, zone: object = None) -> datetime:
        return datetime.now(UTC) + self.ahead

    def go_to(self, moment: datetime) -> None:
        self.ahead = moment - datetime.now(UTC)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()

    class Shifted(datetime):
        @classmethod
        def now(cls, tz=None):
            return clock.now()

    for module in (detection, expected):
        monkeypatch.setattr(module, "datetime", Shifted)
    return clock


def due_at(moment: datetime) -> str:
    """A rule that is due once a year, at that minute."""
    return f"{moment.minute} {moment.hour} {moment.day} {moment.month} *"


def subjects(client) -> list[str]:
    return [mail.subject.partition("] ")[2] for mail in client.mails()]


def test_late_files_are_told_once_then_daily_and_when_they_have_come(scenario, clock, events):
    due = (datetime.now(UTC) + timedelta(hours=2)).replace(second=0, microsecond=0)
    client = scenario("s3", expected=[{"files": "elig_*.csv", "by": due_at(due)}])
    assert client.run().state == "success"
    clock.go_to(due + timedelta(minutes=5))
    assert client.run().executed == ["register_files"]
    assert client.run().state == "success"
    words = f"1 file like elig_*.csv by {due_at(due)} (UTC)"
    assert subjects(client) == [f"Files are late: {words}"]
    assert "0 of 1" in client.mails()[0].text
    assert [line["expected"] for line in events("files_late")] == [words]
    clock.go_to(due + timedelta(hours=24, minutes=10))
    client.run()
    client.run()
    assert subjects(client)[1:] == [f"Files are still late: {words}"]
    # It comes: in the run's own clock that is later than when the object says it did, so the clock goes back for it.
    client.drop("elig_march.csv", "rows")
    run = client.run()
    assert run.state == "success"
    assert f"Late files have come: {words}" in subjects(client)
    assert "elig_march.csv" in client.mails()[-1].text
    told = len(client.mails())
    client.run()
    assert len(client.mails()) == told


def test_what_came_in_time_is_not_late_and_an_idle_run_pays_one_read(scenario, clock, events):
    due = (datetime.now(UTC) + timedelta(hours=2)).replace(second=0, microsecond=0)
    client = scenario("s3", expected=[{"files": "elig_*.csv", "by": due_at(due)}])
    client.run()
    client.drop("elig_march.csv", "rows")
    client.run()
    clock.go_to(due + timedelta(minutes=5))
    client.run()
    client.run()
    assert events("files_late") == []
    assert subjects(client) == ["Job started: 1 file", "Job finished: 1 delivered"]


def test_late_files_raise_the_alarm_of_their_client(scenario, clock):
    from structlog.testing import capture_logs

    due = (datetime.now(UTC) + timedelta(hours=2)).replace(second=0, microsecond=0)
    client = scenario("s3", expected=[{"files": "*", "by": due_at(due)}], send_notifications=False)
    client.run()
    clock.go_to(due + timedelta(minutes=1))
    with capture_logs() as lines:
        client.run()
    (alarm,) = [line for line in lines if line["event"] == "alarm"]
    assert (alarm["alarm"], alarm["client"]) == ("files_overdue", client.config.delivery_key)
    assert client.mails() == [], "send_notifications is off: the alarm alone tells"


def test_late_files_that_a_person_acknowledges_are_not_reminded_of(scenario, clock, events):
    due = (datetime.now(UTC) + timedelta(hours=2)).replace(second=0, microsecond=0)
    client = scenario("s3", expected=[{"files": "*", "by": due_at(due)}])
    client.run()
    clock.go_to(due + timedelta(minutes=5))
    client.run()
    client.run(acknowledge_late="the payer closed for the week")
    (line,) = events("late_files_acknowledged")
    assert line["reason"] == "the payer closed for the week"
    clock.go_to(due + timedelta(hours=30))
    client.run()
    assert len(subjects(client)) == 1
    standing = Board(client.stack.client("dynamodb"), LEDGER_TABLE).of(client.config.name)
    row = row_of(Dag(client.config.name), standing, clock.now())
    words = f"1 file like * by {due_at(due)} (UTC)"
    assert (row.state, row.sentence) == (State.CALM, f"Late, acknowledged: {words}.")


def test_months_count_the_due_times_and_say_when_the_next_one_is(scenario, clock):
    due = (datetime.now(UTC) + timedelta(hours=2)).replace(second=0, microsecond=0)
    by = due_at(due).rsplit(" ", 3)[0] + " * * *"
    client = scenario("s3", expected=[{"files": "elig_*.csv", "by": by}], expected_every_days=1)
    dynamodb, key = client.stack.client("dynamodb"), client.config.delivery_key
    client.run()
    client.drop("elig_1.csv", "one")
    client.run()
    for days in range(3):
        clock.go_to(due + timedelta(days=days, minutes=5))
        client.run()
        client.run()
    found = Months(dynamodb, LEDGER_TABLE).of(key, "2020")
    assert sum(month.on_time for month in found) == 1, "the day on which the file came, once"
    assert sum(month.late for month in found) == 2
    assert sum(month.runs for month in found) == 1
    assert list(Expectations(dynamodb, LEDGER_TABLE, key).known().upcoming.values()) == [due + timedelta(days=3)]


def test_the_board_says_what_is_late_until_it_has_come_or_nobody_expects_it(scenario, clock):
    due = (datetime.now(UTC) + timedelta(hours=2)).replace(second=0, microsecond=0)
    client = scenario("s3", expected=[{"files": "elig_*.csv", "by": due_at(due)}])
    board = Board(client.stack.client("dynamodb"), LEDGER_TABLE)

    def late() -> tuple[str, ...]:
        return board.of(client.config.name).late

    client.run()
    assert late() == ()
    clock.go_to(due + timedelta(minutes=5))
    client.run()
    assert late() == (f"1 file like elig_*.csv by {due_at(due)} (UTC)",)
    row = row_of(Dag(client.config.name), board.of(client.config.name), clock.now())
    assert (row.state, row.sentence) == (State.OVERDUE, f"Late: {late()[0]}.")
    client.drop("elig_march.csv", "rows")
    client.run()
    assert late() == ()
    client.withdraw("elig_march.csv")
    clock.go_to(due + timedelta(days=366))
    client.edit(expected=[{"files": "elig_*.csv", "by": "daily, 00:00"}])
    client.run()
    clock.go_to(due + timedelta(days=367))
    client.run()
    assert late() == ("1 file like elig_*.csv by daily, 00:00 (UTC)",)
    client.edit(expected=[])
    client.run()
    assert late() == (), "nobody expects it any more"


def test_a_failing_mail_service_is_said_and_fails_nothing(scenario, clock, events, monkeypatch):
    monkeypatch.setattr(unsent, "FIRST_RETRY", timedelta(0))
    due = (datetime.now(UTC) + timedelta(hours=2)).replace(second=0, microsecond=0)
    client = scenario("s3", expected=[{"files": "*", "by": due_at(due)}])
    client.run()
    clock.go_to(due + timedelta(minutes=5))
    client.aws_faults({"call": r"ses\.SendRawEmail", "status": 400, "code": "MessageRejected", "times": 0})
    assert client.run().state == "success"
    client.aws_faults()
    assert {line["kind"] for line in events("mail_not_sent")} == {"late"}
    client.run()
    client.run()
    assert len(subjects(client)) == 1, "a later run tells it, once"


def test_what_a_run_with_e_mails_switched_off_finds_late_is_told_by_the_next(scenario, clock, monkeypatch):
    """It is told once, and the run that was to be silent is."""
    monkeypatch.setattr(unsent, "FIRST_RETRY", timedelta(0))
    due = (datetime.now(UTC) + timedelta(hours=2)).replace(second=0, microsecond=0)
    client = scenario("s3", expected=[{"files": "elig_*.csv", "by": due_at(due)}])
    client.run()
    clock.go_to(due + timedelta(minutes=5))
    for _ in range(2):
        client.run(send_notifications=False)
    assert client.mails() == []
    client.run()
    client.run()
    assert subjects(client) == [f"Files are late: 1 file like elig_*.csv by {due_at(due)} (UTC)"]


def test_a_new_name_of_a_hostile_file_reaches_no_header(scenario, clock):
    due = (datetime.now(UTC) + timedelta(hours=2)).replace(second=0, microsecond=0)
    client = scenario("s3", expected=[{"files": "*", "by": due_at(due), "at_least": 2}])
    client.run()
    client.drop("<b>x</b> \u202eevil.csv", "rows")
    client.run()
    clock.go_to(due + timedelta(minutes=5))
    client.run()
    mail = client.mails()[-1]
    assert "Files are late" in mail.subject
    assert "1 of 2" in mail.text
    assert "\u202e" not in mail.text


def test_outside_the_window_files_wait_and_the_run_says_until_when(scenario, clock, events):
    client = scenario("s3", timezone="America/Chicago", window={"from": "06:00", "to": "22:00"})
    client.drop("a.csv", "a")
    clock.go_to(datetime(2027, 3, 1, 5, tzinfo=UTC))  # 23:00 there
    assert client.run().executed == ["register_files"]
    (line,) = events("nothing_to_do")
    assert (line["waiting_for_window"], line["opens"]) == (1, "2027-03-01 06:00:00-06:00")
    assert client.delivered() == {}
    refused = client.run(file_pattern="a.csv")
    assert "closed until 2027-03-01 06:00" in str(refused.errors["register_files"])
    clock.go_to(datetime(2027, 3, 1, 12, 1, tzinfo=UTC))
    assert client.run().state == "success"
    assert client.delivered() == {"a.csv": b"a"}


def test_a_person_may_send_outside_the_window(scenario, clock):
    client = scenario("s3", window={"from": "06:00", "to": "22:00", "days": "business days"}, holidays="US")
    client.drop("a.csv", "a")
    clock.go_to(datetime(2026, 12, 25, 12, tzinfo=UTC))
    client.run()
    assert client.delivered() == {}
    assert client.run(ignore_window=True).state == "success"
    assert client.delivered() == {"a.csv": b"a"}


def test_a_run_goes_by_the_clients_clock():
    from client_delivery.config.timing import timing_of

    assert timing_of({"schedule": "0 6 * * *", "timezone": "America/Chicago"}).timezone == "America/Chicago"
    assert timing_of({"schedule": "0 6 * * *", "timezone": "Chicago"}) is None


def test_the_schedule_is_in_the_clients_time_zone(new_client):
    dag = Runs(new_client("s3", schedule="30 2 * * *", timezone="America/Chicago")).dag
    assert (
        str(dag.timetable.timezone if hasattr(dag.timetable, "timezone") else dag.schedule.timezone)
        == "America/Chicago"
    )
