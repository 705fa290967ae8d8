"""R7: e-mails really handed to SES (the local stand-in), passed on by SMTP, and read in the mailbox."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config

from client_delivery.notify.messages import FileLine, JobSummary, finished, started
from client_delivery.notify.sending import NotificationError, send
from local.mailbox import Mail
from local.ports import free_port
from local.stand_ins import SENDER

_numbers = itertools.count(1)


@pytest.fixture
def ses(stack) -> Any:
    """A client that calls once: what it would repeat is another's concern."""
    return _client(stack.aws_url)


def _client(url: str) -> Any:
    return boto3.session.Session("local", "local", region_name="us-east-1").client(
        "ses", endpoint_url=url, config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=5)
    )


@pytest.fixture
def fault(stack) -> Iterator[Callable[..., None]]:
    """Makes the next call of SES fail."""

    def order(*rules: dict[str, Any]) -> None:
        httpx.post(f"{stack.aws_url}/_local/faults", json=list(rules)).raise_for_status()

    yield lambda **rule: order({"call": r"^ses\.", **rule})
    order()


@pytest.fixture
def job() -> JobSummary:
    """Of a client whose number no other test has."""
    return JobSummary(
        client_h_number=f"H88{next(_numbers):05}",
        feed=None,
        configuration="acme",
        run_id="manual__2026-03-01",
        time=datetime(2026, 3, 1, 12, tzinfo=UTC),
        source="s3://pickup/acme/",
        destination="gs://bucket/acme/",
        files=[
            FileLine("東京 <b>café</b>.csv", 2048, "success", 0, delivered_to="gs://bucket/acme/東京 <b>café</b>.csv"),
            FileLine("=1+1.csv", 5, "fail", 3, error="no space left"),
        ],
    )


@pytest.fixture
def arrived(stack, job) -> Callable[[], list[Mail]]:
    return lambda: [mail for mail in stack.mailbox.messages() if job.client_h_number in mail.subject]


def test_r7_1_both_emails_arrive_whole(ses, job, arrived):
    contacts = ["jane@example.com", "data@example.org"]
    for build in (started, finished):
        assert send(build(job, SENDER, contacts), ses)
    first, second = arrived()
    assert first.subject == f"[{job.client_h_number}] Job started: 2 files"
    assert second.subject == f"[{job.client_h_number}] Job finished: 1 delivered, 1 FAILED"
    for mail in (first, second):
        assert mail.sender == SENDER
        assert mail.recipients == tuple(contacts)
        assert f"Client H number  {job.client_h_number}" in mail.text
        assert "Time             2026-03-01 12:00:00 UTC" in mail.text
        assert "  東京 <b>café</b>.csv" in mail.text
        assert "東京 &lt;b&gt;café&lt;/b&gt;.csv" in mail.html
        assert list(mail.attachments) == [f"{job.client_h_number}-files.csv"]
    rows = list(
        csv.DictReader(second.attachments[f"{job.client_h_number}-files.csv"].removeprefix("\ufeff").splitlines())
    )
    assert [(row["file"], row["outcome"], row["last error"]) for row in rows] == [
        ("'=1+1.csv", "failed", "no space left"),
        ("東京 <b>café</b>.csv", "delivered", ""),
    ]


@pytest.mark.parametrize("count", [50, 60])
def test_r7_1_many_contacts_each_get_one(ses, job, arrived, count):
    contacts = [f"contact{number}@example.com" for number in range(count)]
    send(finished(job, SENDER, contacts), ses)
    mails = arrived()
    assert [address for mail in mails for address in mail.recipients] == contacts
    assert max(len(mail.recipients) for mail in mails) <= 50


def test_r7_4_an_email_about_ten_thousand_files_arrives_whole(ses, job, arrived):
    files = [FileLine(f"claims/part-{number:05}.csv", 1000, "success", 0) for number in range(10_000)]
    numbered = JobSummary(**{name: getattr(job, name) for name in JobSummary.__dataclass_fields__} | {"files": files})
    send(finished(numbered, SENDER, ["jane@example.com"]), ses)
    (mail,) = arrived()
    (table,) = mail.attachments.values()
    assert len(table.splitlines()) == 10_001


def test_r7_3_a_sender_that_is_not_verified(ses, job, arrived):
    with pytest.raises(NotificationError, match=r"verify the sender stranger@example\.net in SES") as caught:
        send(finished(job, "stranger@example.net", ["jane@example.com"]), ses)
    assert (caught.value.has, caught.value.unknown, caught.value.final) == ((), (), False)
    assert arrived() == []


def test_r7_3_throttled(ses, job, arrived, fault):
    message = finished(job, SENDER, ["jane@example.com"])
    fault(status=400, code="Throttling")
    with pytest.raises(NotificationError, match="sending quota is used up") as caught:
        send(message, ses)
    assert (caught.value.has, caught.value.unknown, caught.value.final) == ((), (), False)
    send(message, ses)
    assert len(arrived()) == 1


def test_r7_2_an_answer_that_is_lost_after_the_email_went_out(ses, job, arrived, fault):
    fault(reset="after")
    with pytest.raises(NotificationError, match="not known whether the e-mail was sent") as caught:
        send(finished(job, SENDER, ["jane@example.com"]), ses)
    assert caught.value.unknown == ("jane@example.com",)
    assert len(arrived()) == 1


def test_r7_3_no_way_to_ses(job):
    with pytest.raises(NotificationError, match="SES cannot be called") as caught:
        send(finished(job, SENDER, ["jane@example.com"]), _client(f"http://127.0.0.1:{free_port()}"))
    assert (caught.value.has, caught.value.unknown, caught.value.final) == ((), (), False)
