"""What was probably meant, for a field or a value that is nearly right (R2.6)."""

from __future__ import annotations

import pytest

TOP = (
    "name, client_h_number, feed, contacts, send_notifications, pickup, destination, bypass_file_checks,"
    " trigger_on_done_file, schedule, trigger, paused, dedupe_by, after_delivery, formerly,"
    " offload_threshold, expected_every_days, timezone, holidays, window, expected, guards, name_pattern, deliver_as,"
    " completion_file, sidecar, order, notify, compress, encrypt, acknowledgement"
)
OF_ITS_OWN = "expected fields of its own, indented below it."
A_TYPE = "expected one of gcs, sftp, s3."
PICKUP = "bucket, prefix, region, role_arn, external_id, include, exclude"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("trigger_on_done", "trigger_on_done_file"),
        ("trigger_on_donefile", "trigger_on_done_file"),
        ("send_notification", "send_notifications"),
        ("sendNotifications", "send_notifications"),
        ("send-notifications", "send_notifications"),
        ("Send Notifications", "send_notifications"),
        ("h_number", "client_h_number"),
        ("clientHNumber", "client_h_number"),
        ("emails", "contacts"),
        ("contact", "contacts"),
        ("bypass", "bypass_file_checks"),
        ("cron", "schedule"),
        ("pick_up", "pickup"),
        ("PAUSED", "paused"),
    ],
)
def test_an_unknown_field_is_told_what_it_may_be(text, complaints, written, meant):
    shown = f"'{written}'" if " " in written else written
    assert complaints(text("gcs", {written: "x"})) == [
        f"acme.yaml:15:1: {shown}: found an unknown field, expected one of {TOP}. Did you mean `{meant}`?"
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("folder", "prefix"),
        ("bucket_name", "bucket"),
        ("role", "role_arn"),
        ("pattern", "include"),
        ("exlude", "exclude"),
    ],
)
def test_in_a_section_its_own_fields_are_suggested(text, complaints, written, meant):
    assert complaints(text("gcs", {f"pickup.{written}": "x"})) == [
        f"acme.yaml:8:3: pickup.{written}: found an unknown field, expected one of {PICKUP}. Did you mean `{meant}`?"
    ]


@pytest.mark.parametrize(
    ("path", "home"),
    [
        ("include", "under `pickup`"),
        ("pickup.schedule", "at the top level"),
        ("host_keys", "under a `destination` of type sftp"),
        ("destination.host", "under a `destination` of type sftp"),
        ("kms_key", "under a `destination` of type gcs or under a `destination` of type s3"),
    ],
)
def test_a_field_in_the_wrong_section_is_sent_home(text, complaints, path, home):
    [said] = complaints(text("gcs", {path: "x"}))
    assert said.endswith(f". This field belongs {home}.")


def test_an_unknown_field_like_no_other_gets_no_guess(text, complaints):
    assert complaints(text("gcs", {"zzz": "x"})) == [
        f"acme.yaml:15:1: zzz: found an unknown field, expected one of {TOP}."
    ]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("pickup", "", f"5:1: pickup: found nothing, {OF_ITS_OWN} Where the files wait."),
        ("pickup", "acme/", f"5:1: pickup: found 'acme/', {OF_ITS_OWN}"),
        ("pickup", "[acme/]", f"5:1: pickup: found a list, {OF_ITS_OWN}"),
        ("destination", "", f"6:1: destination: found nothing, {OF_ITS_OWN} Where the files go."),
        ("destination", "s3", f"6:1: destination: found 's3', {OF_ITS_OWN}"),
        ("destination", "{}", f"6:1: destination: found no `type`, {A_TYPE} Add a line such as `type: gcs` to it."),
        ("destination", "{type: [s3]}", f"6:15: destination.type: found a list, {A_TYPE}"),
    ],
)
def test_a_section_that_is_none_is_explained(complaints, field, value, message):
    other = {"pickup": "{bucket: example-pickup, prefix: acme/}", "destination": "{type: s3, bucket: landing}"}
    sections = other | {field: value}
    text = (
        "name: acme\nclient_h_number: H1234\ncontacts: [jane@example.com]\nsend_notifications: true\n"
        f"pickup: {sections['pickup']}\ndestination: {sections['destination']}\n"
        "bypass_file_checks: false\ntrigger_on_done_file: false\n"
    )
    assert complaints(text) == [f"acme.yaml:{message}"]


def test_a_section_that_is_missing_is_explained(text, complaints):
    said = complaints("name: acme\n")
    assert (
        "acme.yaml:1:1: pickup: found nothing, expected fields of its own, indented below it. Where the files wait."
        in said
    )
    assert len(said) == 7


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pickup.include": "['elig_*.csv', 'claims/*']"}, "takes only 'elig_*.csv', 'claims/*'."),
        ({"pickup.exclude": "['members_*.csv']"}, "`exclude` leaves 'members_*.csv' out."),
        ({"schedule": "null"}, "With `schedule: null` there are no runs by the clock"),
    ],
)
def test_what_is_expected_and_can_never_come_is_refused(text, complaints, changes, said):
    """It would be told as late every day, or never at all."""
    expected = {"expected": "[{files: 'members_*.csv', by: '08:00'}]"}
    [complaint] = complaints(text("gcs", changes | expected))
    assert said in complaint


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schedule": "null"}, "trigger: found 'on_arrival', expected a `schedule` with it. With `schedule: null`"),
        (
            {"guards": "{checksum_files: sha256}"},
            "guards.checksum_files: found 'sha256', expected `stable_for` with it, or a done file.",
        ),
    ],
)
def test_an_arrival_that_would_be_missed_or_held_for_nothing_is_refused(text, complaints, load, changes, said):
    """Nobody would take up what a run left; or each file would be held, for its checksum file is on its way."""
    [complaint] = complaints(text("gcs", changes | {"trigger": "on_arrival"}))
    assert said in complaint
    waits = {"guards": "{checksum_files: sha256, stable_for: 5 min}"}
    by_done_file = {"guards": "{checksum_files: sha256}", "trigger_on_done_file": "true"}
    for right in (waits, by_done_file):
        assert load(text("gcs", right | {"trigger": "on_arrival"})).watched


def test_a_set_that_can_never_be_complete_is_refused(text, complaints):
    changes = {
        "guards": "{expected_files: [{pattern: 'acme/members_*.csv'}]}",
        "trigger_on_done_file": "true",
    }
    [complaint] = complaints(text("gcs", changes))
    assert "guards.expected_files[0].pattern: found 'acme/members_*.csv'" in complaint
    assert "Write 'members_*.csv'." in complaint


@pytest.mark.parametrize(
    "changes",
    [
        {"pickup.include": "['in/*.csv', '*.csv']"},
        {"pickup.include": "['*.csv']", "expected": "[{files: 'elig_*.txt', by: '08:00'}]"},
    ],
)
def test_of_a_pickup_that_is_wrong_no_more_is_said_than_that(text, complaints, changes):
    """Whether a pattern repeats the prefix, or takes what is expected, cannot be known then."""
    [complaint] = complaints(text("gcs", {"pickup.prefix": "/in/", **changes}))
    assert complaint.split(": ")[1] == "pickup.prefix"
    assert len(complaints(text("gcs", {"pickup.prefix": "in/", **changes}))) == 1, "with a right one it is"
