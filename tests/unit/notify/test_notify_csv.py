"""R7.4: the attached table of all files."""

from __future__ import annotations

import csv
import io
from email import policy

import pytest

from client_delivery.notify.csv_table import MAX_BYTES, csv_table
from client_delivery.notify.messages import finished


def test_r7_4_the_csv_has_everything_about_every_file(read, line):
    stamp = "2026-03-01T12:00:00.000Z"
    mail = read(
        [
            line("a.csv", size=7, delivered_to="gs://bucket/acme/a.csv", timestamp=stamp),
            line('b, "b".csv', "fail", attempts=3, error="no space left"),
        ],
        held=[line("old.csv", "fail", attempts=3)],
        duplicates=[line("twin.csv", note="same content as a.csv")],
    )
    assert [list(row.values()) for row in mail.rows] == [
        ['b, "b".csv', "10", "failed", "fail", "3", "", "", "no space left", "", "", ""],
        ["old.csv", "10", "held", "fail", "3", "", "", "", "", "", ""],
        ["twin.csv", "10", "not sent", "success", "0", "", "", "", "same content as a.csv", "", ""],
        ["a.csv", "7", "delivered", "success", "0", stamp, "gs://bucket/acme/a.csv", "", "", "", ""],
    ]
    assert list(mail.rows[0]) == [
        *("file", "bytes", "outcome", "status", "failed attempts"),
        *("last change", "delivered to", "last error", "note", "arrives as", "checksum"),
    ]


@pytest.mark.parametrize(("feed", "name"), [(None, "H1234-files.csv"), ("claims", "H1234-claims-files.csv")])
def test_the_attachment_is_named_after_the_client(read, feed, name):
    attachment = read(feed=feed).attachment
    assert attachment.get_filename() == name
    assert attachment.get_content_type() == "text/csv"
    assert attachment.get_content_charset() == "utf-8"


def test_spreadsheets_recognise_the_encoding(read, line):
    content = read([line("東京 café.csv")]).attachment.get_payload(decode=True)
    assert content.startswith(b"\xef\xbb\xbffile,")
    assert "東京 café.csv" in content.decode("utf-8-sig")


def test_r7_4_every_column_is_neutralised(read, line):
    bad = "=cmd()"
    row = read([line(bad, "fail", error=bad, note=bad, delivered_to=bad, timestamp=bad)]).rows[0]
    for column in ("file", "last error", "note", "delivered to", "last change"):
        assert row[column] == "'=cmd()", column


def test_r7_4_a_table_that_is_too_large_is_cut_and_says_so():
    rows = [[f"{number:05}" + "x" * 995] for number in range(5_000)]
    table, listed = csv_table(["file"], rows)
    content = list(csv.reader(io.StringIO(table.decode("utf-8-sig"))))
    assert 3_900 < listed < 4_000
    assert len(table) <= MAX_BYTES + 100
    assert content[1:-1] == rows[:listed]
    assert content[-1] == [f"and {5_000 - listed:,} more files, not listed to keep the e-mail small"]


def test_r7_4_a_table_that_fits_is_whole():
    table, listed = csv_table(["file"], [["a"], ["b"]])
    assert (table.decode("utf-8-sig"), listed) == ("file\r\na\r\nb\r\n", 2)


def test_r7_4_the_largest_job_makes_a_message_that_ses_takes(job, read, line):
    """SES refuses 10 MB. Names, errors and addresses here are as long as they get and as costly to encode."""
    wide = "語" * 341
    files = [
        line(f"{number:05}{wide}", "fail", attempts=3, error="é" * 2_000, note=wide, delivered_to=wide)
        for number in range(10_000)
    ]
    summary = job(files, held=files, duplicates=files)
    raw = finished(summary, "delivery@example.com", ["a@example.com"]).as_bytes(policy=policy.SMTP)
    assert len(raw) < 8_000_000
    mail = read(files)
    listed = len(mail.rows) - 1
    assert 0 < listed < 10_000
    told = f"The attached CSV lists {listed:,} of 10,000 files, beginning with those that need attention"
    for words in (mail.text_words, mail.html_words):
        assert told in words


def test_r7_4_ten_thousand_ordinary_files_are_all_in_the_csv(read, line):
    files = [
        line(
            f"claims/2026/02/claims-part-{number:05}.csv",
            delivered_to=f"gs://recipient-bucket/incoming/claims/2026/02/claims-part-{number:05}.csv",
            timestamp="2026-03-01T12:00:00.000Z",
        )
        for number in range(10_000)
    ]
    mail = read(files)
    assert len(mail.rows) == 10_000
    assert len(mail.message.as_bytes()) < 3_000_000
