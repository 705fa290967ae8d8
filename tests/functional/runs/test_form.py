"""What the trigger form asks for is checked, done, and said (R9.1)."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("pattern", ["/claims_*.csv", "CLAIMS_*.csv", '"claims_*.csv"', "claims_*.csv, x.csv"])
def test_r9_1_a_run_that_was_asked_for_files_and_found_none_is_red_and_says_why(scenario, pattern):
    client = scenario("s3")
    client.drop("claims_1.csv")
    run = client.run(file_pattern=pattern)
    assert run.state == "failed"
    assert run.tries["register_files"] == 1
    assert str(run.errors["register_files"]).startswith("Only files like: ")
    assert client.waiting() == ["claims_1.csv"]
    assert client.run(file_pattern="claims_*.csv").state == "success"


def test_r9_1_what_was_asked_is_in_the_xcom_and_in_the_email(scenario):
    client = scenario("s3")
    client.drop("claims_1.csv", "1")
    client.drop("other.csv", "2")
    run = client.run(file_pattern="claims_*.csv", resend_failed=True)
    assert run.pushed["trigger_form"] == {
        "asked": 'only files like "claims_*.csv"; failed files again',
        "sent": 1,
        "sent_again": 0,
        "already_sent_and_removed": 0,
        "held": 0,
        "others_left_alone": True,
    }
    assert all('Asked for        only files like "claims_*.csv"' in mail.text for mail in client.mails())
    assert "trigger_form" not in client.run().pushed


def test_r9_1_files_that_are_held_are_named_with_what_to_tick(scenario):
    client = scenario("gcs")
    client.drop("a.csv")
    client.gcs_faults({"call": "PutObject", "status": 400, "code": "InvalidArgument", "times": 0})
    client.run()
    client.gcs_faults()
    run = client.run(file_pattern="a.csv")
    assert "Tick 'Resend failed files' to send them." in str(run.errors["register_files"])
    assert client.run(file_pattern="a.csv", resend_failed=True).state == "success"


def test_r9_1_a_cleared_run_by_name_is_not_red_for_what_it_has_sent(scenario):
    client = scenario("s3", bypass_file_checks=True)
    client.drop("a.csv")
    run = client.run(file_pattern="a.csv")
    assert run.state == "success"
    assert client.clear(run, file_pattern="a.csv").state == "success"
