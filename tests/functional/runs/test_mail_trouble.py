"""E-mails that SES does not take, whole or in part: who gets what, and when (R7.1 to R7.3)."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from client_delivery.run.mails import FinishedMail
from local.aws import SUPPRESSED

REFUSED = {"call": "ses.SendRawEmail", "status": 400, "code": "AccountSendingPausedException", "times": 0}
LOST = {"call": "ses.SendRawEmail", "reset": "after", "times": 0}
GOOD = ["jane@example.com", "data@example.org"]
BAD = "left@unverified.example"


def finished(client):
    """The recipients of each finish e-mail."""
    return [mail.recipients for mail in client.mails() if "Job finished" in mail.subject]


def fails(client, *rules, contacts=GOOD):
    """A run of two files whose e-mails SES does not take; SES is well again afterwards."""
    client.edit(contacts=contacts)
    client.drop("a.csv", "a")
    client.drop("b.csv", "b")
    client.aws_faults(*rules)
    run = client.run()
    client.aws_faults()
    assert run.state == "success", "never the delivery's failure"
    return run


def test_r7_1_clearing_the_red_task_sends_the_email_with_every_file(scenario):
    client = scenario("s3")
    run = fails(client, REFUSED)
    assert (run.states["notify_finished"], client.mails()) == ("failed", [])
    again = client.clear_task(run, "notify_finished")
    assert again.states["notify_finished"] == "success"
    (mail,) = client.mails()
    assert mail.subject.endswith("Job finished: 2 delivered")
    assert "a.csv" in mail.text
    assert "b.csv" in mail.text
    assert client.clear_task(again, "notify_finished").states["notify_finished"] == "success"
    assert len(client.mails()) == 1, "and not a second time"


def test_r7_1_clearing_the_whole_run_sends_both_and_no_file_again(scenario):
    client = scenario("s3")
    run = fails(client, REFUSED)
    again = client.clear(run)
    assert again.state == "success"
    assert [mail.subject.split("] ")[1] for mail in client.mails()] == [
        "Job started: 2 files",
        "Job finished: 2 delivered",
    ]
    assert client.clear(again).executed == ["register_files"], "then there is nothing left to do"


def test_r7_1_another_try_of_the_same_task_sends_it_once(scenario):
    client = scenario("s3")
    run = fails(client, {**REFUSED, "times": 2})
    assert run.states["notify_started"] == "success"
    assert run.tries["notify_started"] == 3
    assert len(finished(client)) == 1


def test_r7_1_failed_and_cleared_goes_out_as_one_email(scenario):
    """What failed is sent again by the clear, and the e-mail that nobody got is told with it."""
    client = scenario("gcs", contacts=GOOD)
    client.drop("a.csv")
    client.drop("b.csv", "b")
    client.gcs_faults({"call": "PutObject", "path": "a.csv", "status": 400, "code": "InvalidArgument", "times": 0})
    client.aws_faults(REFUSED)
    run = client.run()
    client.aws_faults()
    client.gcs_faults()
    assert run.state == "failed"
    assert client.clear(run).state == "success"
    (mail,) = [mail for mail in client.mails() if "Job finished" in mail.subject]
    assert mail.subject.endswith("Job finished: 2 delivered")


def test_r7_1_one_contact_that_ses_refuses_costs_only_itself_and_is_named(scenario):
    client = scenario("s3")
    run = fails(client, contacts=[GOOD[0], BAD, GOOD[1]])
    for task in ("notify_started", "notify_finished"):
        assert run.states[task] == "failed", "people are to see it"
        assert run.tries[task] == 1, "another try would do no more"
        assert f"SES refuses the e-mail for {BAD}: Email address is not verified." in str(run.errors[task])
        assert "The other 2 have it." in str(run.errors[task])
    assert finished(client) == [tuple(GOOD)]


def test_r7_1_a_contact_that_was_corrected_gets_it_by_a_clear_and_nobody_else(scenario):
    client = scenario("s3")
    run = fails(client, contacts=[*GOOD, BAD])
    client.edit(contacts=[*GOOD, "right@example.com"])
    again = client.clear_task(run, "notify_finished")
    assert again.states["notify_finished"] == "success"
    assert finished(client) == [tuple(GOOD), ("right@example.com",)]


def test_r7_2_what_nobody_knows_is_not_sent_again_and_says_why(scenario):
    client = scenario("s3")
    run = fails(client, LOST)
    assert len(finished(client)) == 1
    for again in (client.clear_task(run, "notify_finished"), client.clear(run)):
        assert again.states["notify_finished"] == "failed"
        assert "It is not known whether the 'finished' e-mail of this run reached jane@example.com, data@" in str(
            again.errors["notify_finished"]
        )
    assert len(finished(client)) == 1


def test_r7_3_a_missing_aws_connection_loses_no_email(scenario, monkeypatch):
    client = scenario("s3")
    with monkeypatch.context() as patch:
        patch.setattr("client_delivery.operators.post.ses_of", Mock(side_effect=LookupError("aws_mail")))
        run = fails(client)
    assert run.states["notify_finished"] == "failed"
    assert client.clear_task(run, "notify_finished").states["notify_finished"] == "success"
    assert finished(client) == [tuple(GOOD)]


@pytest.mark.parametrize(("times", "tries"), [(4, 1), (6, 3)])
def test_r7_1_what_the_ledger_heard_nothing_of_is_sent_by_the_report(scenario, monkeypatch, times, tries):
    """The e-mail's own task failed in all its tries before anything was noted; closed files would never lead to it."""
    client = scenario("s3")
    real = FinishedMail.subjects
    trouble = iter(range(times))

    def subjects(mail):
        if next(trouble, None) is not None:
            raise ConnectionError("the ledger does not respond")
        return real(mail)

    monkeypatch.setattr(FinishedMail, "subjects", subjects)
    run = fails(client)
    assert run.states["notify_finished"] == "failed"
    assert run.tries["report"] == tries
    assert finished(client) == [tuple(GOOD)]


def test_r7_3_a_report_that_cannot_send_it_in_any_try_ends_the_run_all_the_same(scenario, monkeypatch):
    client = scenario("s3")
    monkeypatch.setattr(FinishedMail, "send_due", Mock(side_effect=ConnectionError("no response")))
    run = fails(client)
    assert (run.tries["report"], finished(client)) == (4, [])
    assert not client.ledger.open_entries()


def test_r7_1_more_contacts_than_ses_takes_at_once_all_get_it(scenario):
    contacts = [f"contact{number}@example.com" for number in range(60)]
    client = scenario("s3", contacts=contacts)
    client.drop("a.csv")
    assert client.run().errors == {}
    assert finished(client) == [tuple(contacts[:50]), tuple(contacts[50:])]


def test_an_address_on_the_suppression_list_is_accepted_and_goes_nowhere(scenario):
    """What SES does: only a bounce event tells (docs/operators/runbook.md)."""
    client = scenario("s3")
    run = fails(client, contacts=[*GOOD, SUPPRESSED])
    assert run.states["notify_finished"] == "success"
    assert [set(GOOD) <= set(recipients) for recipients in finished(client)] == [True]


@pytest.mark.parametrize("files", [7_000])
def test_r7_1_an_email_about_thousands_of_files_is_noted_whole(scenario, files):
    from client_delivery.ledger.life import RunRef
    from client_delivery.ledger.unsent_mail import Unsent, UnsentMail
    from local.stand_ins import LEDGER_TABLE

    client = scenario("s3")
    notes = UnsentMail(client.stack.client("dynamodb"), LEDGER_TABLE, client.config.delivery_key)
    owner = RunRef("manual__2026-03-01T12:00:00+00:00", 1)
    etags = [f"{number:032x}-{number % 97}#{number:032x}" for number in range(files)]
    unsent = Unsent("finished", owner, etags, ["has@example.com"], [], "why")
    notes.note(unsent)
    assert notes.of_run(RunRef(owner.run_id, 3), ["started", "finished"]) == [unsent]
    assert notes.of_run(RunRef(owner.run_id, 0), ["finished"]) == [], "an earlier life knows nothing of a later one"
    assert notes.of_run(owner, ["started"]) == []
