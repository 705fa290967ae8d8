"""What channels are sent: bodies as the services document them, and nothing untrusted where it could do anything."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime

import boto3
import pytest
from botocore.stub import ANY, Stubber

from client_delivery.calendar.expectation import News
from client_delivery.config.notify import Audience, NotifyRule, Occasion
from client_delivery.notify import bodies, brief, to_client
from client_delivery.notify.expected import About, Late
from client_delivery.notify.messages import FileLine, JobSummary
from client_delivery.notify.sending import NotificationError
from client_delivery.operators import channels
from client_delivery.runtime import backoff

AT = datetime(2026, 7, 9, 12, tzinfo=UTC)
HOSTILE = "<!channel> <http://evil|click> *b* _i_ [x](http://evil) `c`\r\nBcc: a\u202e.csv"


def summary(*files: FileLine, **changes) -> JobSummary:
    return JobSummary(
        "H1234",
        None,
        "acme",
        "run-1",
        AT,
        "s3://pickup/acme/",
        "s3://landing/out/",
        files,
        **{"run_url": "https://airflow.example.org/run?a=1&b=2", "zone": "America/Chicago", **changes},
    )


def failed(name: str = "a.csv", reason: str = "S3 refuses it") -> FileLine:
    return FileLine(name, 1024, "fail", 3, reason)


def of_job(occasion: Occasion = Occasion.FAILED, audience: Audience = Audience.TEAM, **changes) -> brief.Brief:
    files = changes.pop("files", [failed(HOSTILE, HOSTILE)])
    return brief.of_job("msg_1", occasion, summary(*files, **changes), audience)


def late(news: News = News.LATE, audience: Audience = Audience.TEAM) -> brief.Brief:
    what = Late(news, "2 files like elig_*.csv by daily, 08:00 (UTC)", AT, "America/Chicago", 2, [HOSTILE])
    about = About("H1234", "acme", "s3://pickup/acme/", "run-1", "https://airflow.example.org/run", "staging")
    return brief.of_late("msg_2", what, about, audience, AT)


@pytest.mark.parametrize("made", [of_job(), late(), of_job(audience=Audience.CLIENT)])
def test_slack_gets_untrusted_text_only_where_it_formats_nothing(made):
    body = bodies.slack(made)
    for block in body["blocks"]:
        if block["text"]["type"] == "mrkdwn":
            assert block["text"]["text"].count("<") == len(made.links)
            assert "evil" not in block["text"]["text"]
    assert "<" not in body["text"]
    text = json.dumps(body, ensure_ascii=False)
    assert "evil" in text
    assert "\u202e" not in text
    assert "Bcc" not in text or "\\\\r\\\\nBcc" in text
    assert len(body["blocks"][0]["text"]["text"]) <= 150
    assert "a=1&amp;b=2" in text or not any("b=2" in url for _, url in made.links)


def test_teams_gets_text_runs_and_less_than_the_service_takes():
    files = [failed("ü" * 400 + f"{number}.csv", "ß" * 900) for number in range(40)]
    body = bodies.teams(of_job(files=files))
    (card,) = (one["content"] for one in body["attachments"])
    assert {one["type"] for one in card["body"]} == {"RichTextBlock"}
    assert card["body"][-2]["inlines"][0]["text"] == "and 30 more"
    # Microsoft's connector refuses messages of more than some 28 KB.
    assert len(bodies.as_bytes(body)) < 28_000
    assert [one["url"] for one in card["actions"]] == ["https://airflow.example.org/run?a=1&b=2"]


def test_pagerduty_has_one_incident_from_failure_to_recovery():
    begins = bodies.pagerduty(of_job(), "key")
    still = bodies.pagerduty(of_job(Occasion.HELD, files=[], held=[failed()]), "key")
    half = bodies.pagerduty(of_job(Occasion.RECOVERED, files=[FileLine("b", 1, "success", 0)], held=[failed()]), "key")
    ends = bodies.pagerduty(of_job(Occasion.RECOVERED, files=[FileLine("b", 1, "success", 0)]), "key")
    assert len({one["dedup_key"] for one in (begins, still, half, ends)}) == 1
    assert [one["event_action"] for one in (begins, still, half, ends)] == ["trigger", "trigger", "trigger", "resolve"]
    assert [one["payload"]["severity"] for one in (begins, still)] == ["error", "warning"]
    waits, comes = bodies.pagerduty(late(), "key"), bodies.pagerduty(late(News.CAME_LATE), "key")
    assert waits["dedup_key"] == comes["dedup_key"] != begins["dedup_key"]
    assert (waits["event_action"], comes["event_action"]) == ("trigger", "resolve")


def test_what_programs_get_is_the_documented_form():
    event = bodies.event(of_job(held=[failed("h.csv")], more_held=2, files=[failed(), FileLine("b", 5, "success", 0)]))
    assert (event["type"], event["timestamp"]) == ("delivery.failed", "2026-07-09T12:00:00+00:00")
    data = event["data"]
    assert data["counts"] == {"failed": 1, "held": 3, "delivered": 1}
    assert data["files"][0] == {"name": "a.csv", "bytes": 1024, "outcome": "failed", "reason": "S3 refuses it"}
    assert [one["outcome"] for one in data["files"]] == ["failed", "held"]
    assert {"configuration", "run", "run_url"} <= data.keys()
    theirs = bodies.event(of_job(audience=Audience.CLIENT, files=[failed()]))["data"]
    assert not {"configuration", "run", "run_url"} & theirs.keys()
    assert "reason" not in theirs["files"][0]
    waits = bodies.event(late())["data"]
    assert (waits["due"], waits["at_least"], waits["came"], waits["environment"]) == (AT.isoformat(), 2, 1, "staging")


def test_the_signature_is_that_of_the_specification():
    """The published vector of Standard Webhooks, which its libraries are tested with."""
    at = datetime.fromtimestamp(1614265330, UTC)
    key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = bodies.signed(b'{"test": 2432232314}', "msg_p5jXN8AQM9LWM0D4loKWxJek", at, key)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "key", ["", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_%%%", base64.b64encode(b"k" * 32).decode()]
)
def test_a_key_that_is_none_is_refused_and_not_quoted(key):
    with pytest.raises(bodies.SigningKeyError) as refused:
        bodies.signed(b"{}", "msg_1", AT, key)
    assert not key or key.removeprefix("whsec_") not in str(refused.value) or len(key) < 7


def test_the_client_is_told_by_its_own_clock_and_in_its_own_words():
    mail = to_client.message(
        summary(failed(HOSTILE, "s3://internal"), FileLine("b", 5, "processing", 1, "SFTP")),
        Occasion.FAILED,
        "deliveries@example.org",
        ["a@payer.example"],
    )
    assert mail["Subject"] == "[H1234] Delivery incomplete: 1 under way, 1 not delivered yet"
    text = mail.get_body(("plain",)).get_content()
    assert "2026-07-09 07:00 CDT (America/Chicago)" in text
    assert "retried automatically" in text
    page = mail.get_body(("html",)).get_content()
    for words in (text, page):
        assert not [bad for bad in ("s3://", "internal", "SFTP", "acme", "run-1", "airflow") if bad in words]
    assert "<!channel>" not in page


def test_a_client_of_ten_thousand_files_gets_a_list_of_all_and_a_mail_of_some():
    files = [FileLine(f"claims_{number:05d}.csv", 1, "success", 0) for number in range(10_000)]
    mail = to_client.message(summary(*files), Occasion.FINISHED, "d@example.org", ["a@payer.example"])
    (table,) = mail.iter_attachments()
    assert table.get_content().count("\n") == 10_001
    page = mail.get_body(("html",)).get_content()
    assert page.count("claims_") == 100
    assert "and 9,900 more" in page
    assert len(mail.as_bytes()) < 2_000_000


# -- AWS ---------------------------------------------------------------------------------------------------------------


def aws(monkeypatch, service: str) -> Stubber:
    client = boto3.client(service, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    stub = Stubber(client)
    stub.activate()
    monkeypatch.setattr("client_delivery.access.aws.messaging_client", lambda *asked: client)
    monkeypatch.setattr(backoff, "sleep", lambda seconds: None)
    return stub


TOPIC = "arn:aws:sns:us-east-1:111122223333:deliveries"
BY_SNS = NotifyRule.model_validate({"via": "sns", "topic_arn": TOPIC, "on": ["failed"]})
BY_BUS = NotifyRule.model_validate({"via": "eventbridge", "event_bus": "deliveries", "on": ["failed"]})


def test_a_topic_gets_the_message_with_its_type(monkeypatch):
    stub = aws(monkeypatch, "sns")
    made = replace(of_job(), title="[H1234] Jöb\nfinished")
    asked = {
        "TopicArn": TOPIC,
        "Subject": "[H1234] J?b?finished",
        "Message": bodies.as_bytes(bodies.event(made)).decode(),
        "MessageAttributes": {"type": {"DataType": "String", "StringValue": "delivery.failed"}},
    }
    stub.add_response("publish", {"MessageId": "1"}, asked)
    channels.send(BY_SNS, made, 5)
    stub.assert_no_pending_responses()


def test_a_bus_that_refuses_the_entry_is_asked_again_only_where_it_may_help(monkeypatch):
    stub = aws(monkeypatch, "events")
    busy = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]}
    stub.add_response("put_events", busy, {"Entries": ANY})
    stub.add_response("put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}, {"Entries": ANY})
    channels.send(BY_BUS, of_job(), 10)
    stub.add_response(
        "put_events", {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "NotAuthorizedForSource"}]}, {"Entries": ANY}
    )
    with pytest.raises(NotificationError, match=r"EventBridge refuses it \[NotAuthorizedForSource\]"):
        channels.send(BY_BUS, of_job(), 10)
    stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "status", "calls", "unknown"),
    [
        ("Throttling", 400, 3, ()),
        ("ServiceUnavailable", 503, 3, ()),
        ("AuthorizationError", 403, 1, ()),
        ("InternalError", 500, 1, (f"sns:{TOPIC}",)),
    ],
)
def test_what_aws_says_decides_whether_the_message_may_be_sent_again(monkeypatch, code, status, calls, unknown):
    stub = aws(monkeypatch, "sns")
    for _ in range(calls):
        stub.add_client_error("publish", code, "no", status)
    with pytest.raises(NotificationError) as refused:
        channels.send(BY_SNS, of_job(), 30)
    assert refused.value.unknown == unknown
    stub.assert_no_pending_responses()
