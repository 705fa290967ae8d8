"""E-mails as programs show them: wide and narrow, light and dark; nothing runs off the side, and axe finds nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from client_delivery.calendar.expectation import News
from client_delivery.config.notify import Occasion
from client_delivery.notify import brief, expected, messages, to_client
from client_delivery.notify.messages import FileLine, JobSummary
from tests.browser.test_deliveries import violations

pytestmark = pytest.mark.slow

WHOLE = [
    FileLine(f"claims/2026/claims_part_{number:05d}_of_the_month.csv.gz", 7, "success", 0) for number in range(9_998)
]
WORST = [
    FileLine("x" * 240 + ".csv", 10**12, "fail", 3, "SFTP refuses to write: permission denied. " * 8),
    FileLine("<b>Ärzte</b> \u202egnp.csv", 0, "processing", 1),
]
LINK = "https://airflow.example.org/dags/acme"


def job(*files: FileLine, **more) -> JobSummary:
    when = datetime(2026, 7, 9, 12, tzinfo=UTC)
    places = (
        "s3://example-pickup/a-rather-long-prefix/acme/",
        "sftp://sftp.example.org:22/incoming/claims/of/the/month",
    )
    run = "scheduled__2026-07-09T12:00:00+00:00"
    return JobSummary(
        "H1234",
        "claims",
        "acme",
        run,
        when,
        *places,
        files,
        zone="America/Chicago",
        run_url=LINK,
        deliveries_url=LINK,
        **more,
    )


def made() -> dict[str, object]:
    people = ("d@example.org", ["a@example.org"])
    held = [FileLine("claims.csv", 5, "fail", 3, "no room")]
    due = datetime(2026, 7, 8, 23, tzinfo=UTC)
    words = "2 files like elig_*.csv by monthly, business day 5, 18:00 (America/Chicago)"
    late = expected.Late(News.LATE, words, due, "America/Chicago", 2, ["elig_a.csv"])
    about = expected.About("H1234", "acme", "s3://example-pickup/acme/", "run-1", LINK, "staging", LINK)
    return {
        "team": messages.finished(job(*WORST, held=held, duplicates=WORST[1:]), *people, advice=brief.FOLLOW),
        "ten-thousand": messages.finished(job(*WHOLE, *WORST), *people),
        "client": to_client.message(job(*WHOLE, *WORST), Occasion.FINISHED, *people),
        "client-started": to_client.message(job(*WORST), Occasion.STARTED, *people),
        "late": expected.message(late, about, *people),
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [600, 360])
def test_an_email_fits_and_reads_well(page, tmp_path, width, scheme):
    page.shown_as(width, scheme)
    for name, message in made().items():
        file = tmp_path / f"{name}.html"
        file.write_text(message.get_body(("html",)).get_content())
        page.open(file.as_uri())
        assert page.width() <= width, f"{name}: wider than the screen"
        assert violations(page) == [], f"{name} at {width}, {scheme}"
    light = {"light": True, "dark": False}[scheme]
    assert (page.colour("body", "background-color") == "rgba(242, 244, 247, 1)") is light


@pytest.fixture(autouse=True)
def as_it_was(page):
    """Other tests see the page as they know it."""
    yield
    page.shown_as(1500, "light")
