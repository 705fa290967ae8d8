"""R7.4: names and errors are shown, never obeyed: by HTML, headers, plain text, or a spreadsheet."""

from __future__ import annotations

import re
from email import policy
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_delivery.notify.messages import finished, started
from client_delivery.notify.untrusted import elided, printable, spreadsheet_cell

NAMES = [
    "<script>alert(1)</script>.csv",
    "<img src=x onerror=alert(1)>.csv",
    "\"'><b>.csv",
    "&amp;&lt;.csv",
    "{{ 7 * 7 }}{% raw %}.csv",
    "a\r\nBcc: evil@example.com\r\n\r\nbody.csv",
    "\x00\x1b[31mred\x07.csv",
    "invoice\u202egpj.exe",
    "zero\u200bwidth.csv",
    "\ud800lone.csv",
    "東京 café Ω.csv",
    "x" * 1024,
]


class Tags(HTMLParser):
    """The elements and attributes of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, frozenset[str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, frozenset(name for name, _ in attrs)))


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_r7_4_a_name_changes_nothing_of_the_page_around_it(read, line, name):
    def page(text: str) -> list[tuple[str, frozenset[str]]]:
        files = [line(text, "fail", attempts=1, error=text, note=text)]
        return Tags(read(files, held=files, duplicates=files).html).found

    assert page(name) == page("plain.csv")


@pytest.mark.parametrize("name", [name for name in NAMES if name.isprintable() and len(name) < 100], ids=ascii)
def test_r7_4_a_printable_name_is_shown_as_it_is(read, line, name):
    mail = read([line(name, "fail", error=f"cannot send {name}")])
    assert f"  {name}\n" in mail.text
    assert f"cannot send {name}\n" in mail.text
    assert name in mail.html_words
    assert mail.rows[0]["file"] == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\r\nBcc: evil@example.com", "a\\r\\nBcc: evil@example.com"),
        ("invoice\u202egpj.exe", "invoice\\u202egpj.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\ud800lone", "\\ud800lone"),
        ("two\u2028lines", "two\\u2028lines"),
    ],
    ids=ascii,
)
def test_r7_4_characters_that_act_are_spelled_out(read, line, name, shown):
    mail = read([line(name)])
    assert f"  {shown}\n" in mail.text
    assert shown in mail.html_words
    assert mail.rows[0]["file"] == shown


def test_r7_4_an_error_of_many_lines_is_one_paragraph(read, line):
    mail = read([line(status="fail", error="first\n  second\n\nthird")])
    assert "first second third\n" in mail.text
    assert "first second third" in mail.html_words


def test_r7_4_long_names_and_errors_are_shortened_in_the_body_only(read, line):
    name, error = "start" + "x" * 1_000 + ".csv", "begin" + "y" * 5_000 + "end"
    mail = read([line(name, "fail", error=error)])
    shown = "start" + "x" * 101 + "…" + "x" * 49 + ".csv"
    for words in (mail.text_words, mail.html_words):
        assert f" {shown} " in f" {words} "
        assert "y" * 600 not in words
        assert "yend" in words
    assert (mail.rows[0]["file"], mail.rows[0]["last error"]) == (name, error)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_r7_4_headers_do_not_depend_on_the_files(job, line, name):
    """No name, error or note reaches a header, so none can begin another one."""
    for build in (started, finished):
        headers = [
            build(
                job([line(text, "fail", error=text, note=text)]), "delivery@example.com", ["jane@example.com"]
            ).items()
            for text in (name, "plain.csv")
        ]
        assert _without_boundary(headers[0]) == _without_boundary(headers[1])


def _without_boundary(pairs) -> list[tuple[str, str]]:
    return [(key, re.sub(r'boundary="[^"]*"', "", str(value))) for key, value in pairs]


@pytest.mark.parametrize("field", ["client_h_number", "feed", "environment", "configuration", "source", "destination"])
def test_r7_4_no_field_of_the_job_can_add_a_header_or_a_line(read, field):
    mail = read(**{field: "x\r\nBcc: evil@example.com"})
    assert mail.message["Bcc"] is None
    assert mail.message.defects == []
    assert not [text for text in mail.text.splitlines() if text.startswith("Bcc")]
    assert mail.attachment.get_filename().endswith("files.csv")


def test_r7_4_an_address_with_a_line_break_is_refused(job):
    with pytest.raises(ValueError, match="linefeed or carriage return"):
        finished(job(), "delivery@example.com", ["jane@example.com\r\nBcc: evil@example.com"])


@given(st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=5))
def test_r7_4_any_names_make_a_message_that_every_mail_server_takes(job, line, names):
    """Seven bits, lines of at most 998 characters, no line break but CRLF."""
    files = [line(name, "fail", error=name) for name in names]
    raw = finished(job(files), "delivery@example.com", ["jane@example.com"]).as_bytes(policy=policy.SMTP)
    assert raw.isascii()
    assert max(len(text) for text in raw.split(b"\r\n")) <= 998
    assert not re.search(rb"[^\r]\n|\r[^\n]", raw)


@given(st.text())
def test_printable_is_one_line_of_printable_characters(text):
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [("abcdef", 6, "abcdef"), ("abcdefg", 6, "abc…fg"), ("", 6, ""), ("abcdefghij.csv", 12, "abcdefg….csv")],
)
def test_elided_keeps_both_ends(text, limit, shown):
    assert elided(text, limit) == shown
    assert len(shown) <= limit


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|'/c calc'!A1", "'=cmd|'/c calc'!A1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (" =1", "' =1"),
        ("\uff1d1", "'\uff1d1"),
        ("a;=1", "a;'=1"),
        ("\t=1", "\\t=1"),
        ("\r\n=1", "\\r\\n=1"),
        ("a=1-2+3@4.csv", "a=1-2+3@4.csv"),
        ("a, b; c.csv", "a, b; c.csv"),
        ("", ""),
    ],
)
def test_r7_4_a_spreadsheet_takes_no_name_for_a_formula(text, cell):
    assert spreadsheet_cell(text) == cell
