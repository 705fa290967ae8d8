"""What is told of acknowledgements that a recipient owes: which files, and to the client nothing internal."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from client_delivery.config.notify import Audience
from client_delivery.notify import acknowledgements, bodies, brief
from client_delivery.notify.acknowledgements import AckNews, Unacknowledged
from client_delivery.notify.expected import About

AT = datetime(2026, 7, 9, 12, tzinfo=UTC)
ABOUT = About("H1234", "acme", "s3://pickup/acme/", "run-1", "https://airflow.example.org/run", "staging")
HOSTILE = "a\r\nBcc: x\u202e.csv"
TOLD = Unacknowledged(
    AckNews.UNKNOWN,
    "acks/{name}.ok",
    "24 h",
    25,
    (HOSTILE, *(f"{n}.csv" for n in range(24))),
    "s3:ListBucket is denied",
)


def texts(told: Unacknowledged, audience: Audience) -> list[str]:
    to_client = audience is Audience.CLIENT
    mail = acknowledgements.message(told, ABOUT, "deliveries@example.org", ["a@example.org"], to_client=to_client)
    made = brief.of_acknowledgements("msg_1", told, ABOUT, audience, AT)
    return [*(part.get_content() for part in mail.iter_parts()), json.dumps(bodies.event(made)), str(mail["Subject"])]


@pytest.mark.parametrize("news", AckNews)
def test_the_client_hears_of_files_and_of_nothing_internal(news):
    for text in texts(replace(TOLD, news=news), Audience.CLIENT):
        for word in ("s3://", "run-1", "airflow.example.org", "s3:ListBucket", "Deliveries page"):
            assert word not in text, word


def test_the_team_hears_why_which_and_how_many():
    *mail, hook, subject = texts(TOLD, Audience.TEAM)
    assert subject == "staging: [H1234] Acknowledgements cannot be looked for: 25 files, acks/{name}.ok within 24 h"
    for text in mail:
        assert "s3:ListBucket is denied" in text
        assert "18.csv" in text
        assert "19.csv" not in text
        assert "5 more" in text
        assert "\u202e" not in text
    data = json.loads(hook)["data"]
    assert (data["count"], data["news"], data["acknowledgement"]) == (25, "unknown", "acks/{name}.ok")
    assert len(data["files"]) == 10


def test_one_incident_is_opened_and_solved():
    missing, came = (
        brief.of_acknowledgements("m", replace(TOLD, news=news), ABOUT, Audience.TEAM, AT)
        for news in (AckNews.MISSING, AckNews.CAME)
    )
    assert missing.incident == came.incident
    assert (missing.solved, came.solved) == (False, True)
    assert (missing.occasion, came.occasion) == ("late", "recovered")
