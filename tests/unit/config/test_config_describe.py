"""The documentation page of a client's DAG (R2.6): what happens, nothing secret, nothing that the page would run."""

from __future__ import annotations

import re

import pytest

from client_delivery.config.describe import describe, describe_error, describe_settings_error
from client_delivery.config.problem import ConfigError, Problem


def test_a_delivery_is_described(text, load):
    page = describe(
        load(
            text(
                "sftp",
                {
                    "feed": "claims",
                    "contacts": "[jane@example.com, team@example.org]",
                    "pickup.include": "['*.csv']",
                    "pickup.exclude": "['*.tmp.csv']",
                    "trigger_on_done_file": "true",
                },
            )
        )
    )
    assert page == (
        "Delivers the files of client **H1234\\#claims**. [History](dags/acme/plugin/deliveries-of-client): every "
        "file that was delivered or failed.\n\n| | |\n|---|---|\n| Client | H1234, feed claims |\n| Pick-up | "
        "s3://example-pickup/acme/; only \\*.csv; not \\*.tmp.csv |\n| Destination | "
        "sftp://sftp.example.org/incoming as acme \\(SFTP\\) |\n| Credential | the Airflow connection acme\\_sftp "
        "|\n| Starts | by the schedule 14-59/15 \\* \\* \\* \\* (UTC; H/15 \\* \\* \\* \\*, with a minute derived from "
        "the name), if H1234.done is in the pick-up |\n| Already "
        "sent before | a file with the same content is not sent again but deleted from the pick-up |\n| E-mails | "
        "at the start and at the end, to jane@example.com, team@example.org |\n\nConfigured in `acme.yaml`; make "
        "every change there; it takes effect with the next run. To pause, write `paused: true` there: Airflow's "
        "switch freezes a run that is under way.\n"
    )


@pytest.mark.parametrize(
    ("kind", "changes", "row"),
    [
        ("gcs", {}, "| Destination | gs://example-landing/out/ \\(Google Cloud Storage\\) |"),
        ("s3", {}, "| Credential | the environment's own role |"),
        (
            "s3",
            {"destination.role_arn": "arn:aws:iam::111122223333:role/w"},
            "| Credential | the role arn:aws:iam::111122223333:role/w |",
        ),
        ("gcs", {"schedule": "null"}, "| Starts | by hand only, if there is any file |"),
        (
            "gcs",
            {"schedule": "5 * * * *", "trigger": "on_arrival"},
            "| Starts | on arrival (looks every 45 s for new files), and by the schedule 5 \\* \\* \\* \\* (UTC), if "
            "there is any file |",
        ),
        (
            "gcs",
            {"schedule": "5 * * * *", "trigger": "on_arrival", "trigger_on_done_file": "true"},
            "| Starts | on arrival (looks every 45 s for its done file), and by the schedule 5 \\* \\* \\* \\* (UTC), "
            "if H1234.done is in the pick-up |",
        ),
        (
            "gcs",
            {"trigger": "on_arrival", "paused": "true"},
            "| Starts | paused: `paused: true` is set; otherwise by the schedule",
        ),
        ("gcs", {"paused": "true"}, "| Starts | paused: `paused: true` is set; otherwise by the schedule"),
        ("gcs", {"send_notifications": "false"}, "| E-mails | none (contacts: jane@example.com) |"),
        ("gcs", {"bypass_file_checks": "true"}, "the same content is sent again (the checks are bypassed) |"),
        (
            "gcs",
            {"dedupe_by": "content_and_name"},
            "| Already sent before | a file with the same content and name is not",
        ),
        (
            "gcs",
            {"notify": "[{to: [a@example.com], on: [late]}, {via: slack, connection_id: chat, on: [failed, held]}]"},
            "| Other messages | late to a@example.com, written for the client, or for the team if an address is in the "
            "sender's own domain<br>failed, held to Slack by the connection chat, written for the team |",
        ),
        (
            "gcs",
            {"window": "{from: '06:00', to: '22:00', days: mon-fri}", "holidays": "US", "timezone": "America/Chicago"},
            "| Sending may begin | from 06:00 to 22:00, mon-fri (America/Chicago), never on holidays; until then files "
            "wait |",
        ),
        (
            "gcs",
            {"window": "{from: '22:00', to: '06:00'}"},
            "| Sending may begin | from 22:00 to 06:00 (UTC); until then files wait |",
        ),
    ],
)
def test_each_choice_has_its_words(text, load, kind, changes, row):
    assert row in describe(load(text(kind, changes)))


HOSTILE = "<img src=x onerror=alert(1)>|**b**[l](javascript:x)`c`"


def test_values_cannot_format_link_or_script_anything(text, load):
    page = describe(load(text("sftp", {"destination.username": f"'{HOSTILE}'"})))
    [row] = [line for line in page.splitlines() if line.startswith("| Destination ")]
    assert "<" not in row
    assert re.findall(r"(?<!\\)[|`*\[\]()]", row.strip("|")) == ["|"]  # between the two cells


def test_a_wrong_file_is_described_with_every_problem():
    error = ConfigError(
        [
            Problem("acme.yaml", 9, 1, "paused", f"'{HOSTILE}'", "true or false", "Write true."),
            Problem("acme.yaml", 2, 1, "client_h_number", "1", "'H' and 4 to 9 digits"),
        ]
    )
    page = describe_error("acme", error)
    assert page.startswith("**The configuration of acme is wrong, and nothing is delivered for it.** Files stay")
    first, second = [line for line in page.splitlines() if line.startswith("- ")]
    assert first == "- acme.yaml:2:1: client\\_h\\_number: found 1, expected 'H' and 4 to 9 digits."
    assert "&lt;img src=x onerror=alert\\(1\\)&gt;" in second
    assert "<" not in page
    assert page.endswith("This page then describes the delivery.\n")


def test_no_page_is_taken_for_a_file(text, load):
    """Airflow reads a documentation text that ends with ``.md`` as a path."""
    assert not describe(load(text("gcs"))).endswith(".md")


def test_the_page_leads_to_the_clients_history(text, load):
    """Without a slash before it, so that it holds behind a path prefix."""
    config = load(text("gcs"))
    assert f"[History](dags/{config.name}/plugin/deliveries-of-client)" in describe(config)


def test_the_environments_problems_are_said_as_they_are_and_format_nothing():
    page = describe_settings_error(["delivery.mail_sender: found '<b>x</b>', expected an address.", "another"])
    assert "- delivery.mail\\_sender: found '&lt;b&gt;x&lt;/b&gt;', expected an address.\n- another\n" in page
    assert "the clients' deliveries go on" in page
