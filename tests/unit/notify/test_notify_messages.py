"""R7.1: what the e-mails tell, in the subject, the text and the HTML."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from client_delivery.notify.messages import LISTED, LISTED_BESIDES, finished


@pytest.mark.parametrize(
    ("count", "subject"),
    [(1, "1 file"), (12, "12 files"), (0, "0 files"), (5_000, "5,000 files")],
)
def test_r7_1_subject_of_the_start(read, count, subject):
    assert read(count, start=True).subject == f"[H1234] Job started: {subject}"


@pytest.mark.parametrize(
    ("delivered", "failed", "unfinished", "held", "subject"),
    [
        (12, 0, 0, 0, "12 delivered"),
        (10, 2, 0, 0, "10 delivered, 2 FAILED"),
        (0, 1, 0, 0, "1 FAILED"),
        (0, 0, 0, 0, "0 delivered"),
        (1, 0, 0, 3, "1 delivered, 3 held"),
        (0, 0, 0, 3, "0 delivered, 3 held"),
        (1, 1, 1, 1, "1 delivered, 1 FAILED, 1 in progress, 1 held"),
        (4_900, 1_100, 0, 0, "4,900 delivered, 1,100 FAILED"),
    ],
)
def test_r7_1_subject_of_the_finish(read, line, delivered, failed, unfinished, held, subject):
    files = [line()] * delivered + [line(status="fail")] * failed + [line(status="processing")] * unfinished
    mail = read(files, held=[line(status="fail")] * held)
    assert mail.subject == f"[H1234] Job finished: {subject}"
    assert mail.text.startswith(f"Job finished: {subject}\n")
    assert f"Job finished: {subject} " in mail.html_words


def test_r7_1_subject_names_feed_and_environment(read):
    mail = read(feed="claims", environment="staging")
    assert mail.subject == "staging: [H1234 claims] Job finished: 1 delivered"
    for words in (mail.text_words, mail.html_words):
        assert "Client H number H1234 claims" in words
        assert "staging" in words


def test_r7_1_headers(read):
    message = read().message
    assert message["From"] == "delivery@example.com"
    assert [address.addr_spec for address in message["To"].addresses] == ["jane@example.com", "data@example.org"]
    assert message["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize("start", [True, False])
def test_r7_1_text_and_html_tell_the_same(read, line, start):
    files = [
        line("ok.csv", size=1024),
        line("bad.csv", "fail", size=2048, attempts=3, error="no space left"),
        line("now.csv", "processing", attempts=1, error="timed out"),
    ]
    held = [line("old.csv", "fail", attempts=3, error="refused")]
    twins = [line("twin.csv", note="same content as ok.csv")]
    mail = read(files, start=start, held=held, duplicates=twins)
    facts = [
        "Client H number H1234",
        "Time 2026-03-01 12:00:05 UTC",
        "From s3://pickup/acme/",
        "To gs://bucket/acme/",
        "Configuration acme",
        "Run scheduled__2026-03-01T12:00:00+00:00",
        "1 delivered 1.0 KiB",
        "1 failed 2.0 KiB",
        "1 in progress 10 bytes",
        "1 held 10 bytes",
        "1 not sent 10 bytes",
        "Files: 3",
        "3 failed attempts: no space left",
        "1 failed attempt: timed out",
        "Held: failed earlier, not sent again: 1",
        "clear the run that failed in Airflow, or trigger the DAG with “Resend failed files”",
        "3 failed attempts: refused",
        "Not sent: same content as another file: 1",
        "same content as ok.csv",
        "The attached CSV lists every file.",
    ]
    for words in (mail.text_words, mail.html_words):
        assert [fact for fact in facts if fact not in words] == []
    shown = [("✓", "delivered", "1.0 KiB", "ok.csv"), ("✗", "failed", "2.0 KiB", "bad.csv")]
    shown += [("…", "in progress", "10 bytes", "now.csv"), ("!", "held", "10 bytes", "old.csv")]
    shown += [("\u2013", "not sent", "10 bytes", "twin.csv")]
    for mark, word, size, name in shown:
        assert f"{word} {size} {name}" in mail.text_words
        assert f"{name} {size} {mark} {word}" in mail.html_words


def test_r5_4_r5_7_sections_are_there_only_when_they_have_files(read):
    for words in (read().text_words, read().html_words):
        assert "Held" not in words
        assert "Not sent" not in words
        assert "failed attempt" not in words


def test_a_success_does_not_show_the_failures_on_its_way(read, line):
    mail = read([line(attempts=2, error="timed out")])
    for words in (mail.text_words, mail.html_words):
        assert "timed out" not in words
        assert "failed" not in words
    assert (mail.rows[0]["failed attempts"], mail.rows[0]["last error"]) == ("2", "timed out")


def test_time_is_shown_in_utc_whatever_its_zone(read):
    east = datetime(2026, 3, 1, 1, 0, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert "Time 2026-02-28 19:30:00 UTC" in read(time=east).text_words


def test_a_time_without_zone_is_refused(job):
    naive = datetime(2026, 3, 1, 12, 0, tzinfo=UTC).replace(tzinfo=None)
    with pytest.raises(ValueError, match="needs its time zone; 2026-03-01T12:00:00 has none"):
        finished(job(time=naive), "delivery@example.com", ["jane@example.com"])


def test_the_run_is_a_link_where_the_ui_has_an_address(read):
    url = "https://airflow.example.com/dags/acme/runs/scheduled__2026-03-01T12%3A00%3A00%2B00%3A00"
    mail = read(run_url=url)
    assert f'<a href="{url}"' in mail.html
    assert f"Run {url}" in mail.text_words
    assert "<a " not in read().html


def test_r7_4_failed_files_come_first_then_by_name(read, line):
    mail = read([line("c"), line("a"), line("d", "fail"), line("e", "processing"), line("b", "fail")])
    listed = mail.text.partition("Files: 5\n\n")[2].partition("\n\n")[0]
    names = [text.split()[-1] for text in listed.splitlines()]
    assert names == ["b", "d", "e", "a", "c"]


@pytest.mark.parametrize(("count", "more"), [(LISTED, None), (LISTED + 1, "1"), (5_000, f"{5_000 - LISTED:,}")])
def test_r7_4_the_list_is_capped_and_says_so(read, line, count, more):
    mail = read([line(f"{number:05}.csv") for number in range(count)])
    assert len(mail.rows) == count
    for words in (mail.text_words, mail.html_words):
        assert words.count(".csv ") == LISTED
        assert f"Files: {count:,}" in words
        assert ("more: see the attached CSV" in words) == (more is not None)
        assert more is None or f"and {more} more: see the attached CSV" in words


def test_r7_4_what_failed_is_listed_before_the_cap_takes_the_rest(read, line):
    failed = [line(f"z-failed-{number}.csv", "fail", error="timed out") for number in range(30)]
    mail = read([*(line(f"{number:05}.csv") for number in range(5_000)), *failed])
    for words in (mail.text_words, mail.html_words):
        assert words.count("z-failed-") == 30


def test_r7_4_held_and_duplicates_are_capped_too(read, line):
    many = [line(f"{number:05}.csv", "fail") for number in range(1_000)]
    mail = read(0, held=many, duplicates=many)
    for words in (mail.text_words, mail.html_words):
        assert words.count("and 980 more: see the attached CSV") == 2
        assert words.count(".csv ") == 2 * LISTED_BESIDES
    assert len(mail.rows) == 2_000


def test_r7_4_a_mail_program_shows_the_html_of_thousands_whole(read, line):
    """Gmail cuts a message off at 102 KB."""
    files = [
        line(
            f"claims/2026/february/claims-part-{number:05}.csv", "fail", attempts=3, error="The server refused it. " * 5
        )
        for number in range(10_000)
    ]
    assert len(read(files, held=files, duplicates=files).html.encode()) < 102_000
