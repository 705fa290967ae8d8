"""Files that are not the YAML of a configuration: each is refused quickly, in words, at the right place (R2.6)."""

from __future__ import annotations

import time

import pytest

EMPTY = "acme.yaml:1:1: found an empty file, expected a configuration. Make one with `make new-client NAME=…`."
ANCHOR = (
    "found a YAML anchor or alias ('&…' or '*…'), expected the value itself. Write it out; put a value that begins with"
    " '&' or '*' in quotes."
)
TAG = "found a YAML tag ('!…'), expected a plain value. Put the value in quotes if it begins with '!'."
NEIGHBOUR = "Check this line and the one before: a missing ':' or a wrong indentation."
NO_MAPPING = "expected a mapping at the top level. Write lines such as `name: acme`, without '-'."
DEEP = "found more than 10 levels of nesting, expected at most 3. Check brackets and indentation."
COLON = (
    "found a ':' where no field can begin, expected one `field: value` per line. Put a value that contains ': ' in"
    " quotes, and check the indentation of this line and the one before."
)

REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", EMPTY),
    "only spaces": (b" \n\n", EMPTY),
    "only comments": (b"# name: acme\n", EMPTY),
    "only a document mark": (b"---\n", EMPTY),
    "binary": (
        b"PK\x03\x04\x00\x00",
        "acme.yaml:1:1: found a binary file, expected a text file in UTF-8. Is this really a configuration?",
    ),
    "UTF-16": (
        "name: acme\n".encode("utf-16"),
        "acme.yaml:1:1: found a file in UTF-16, expected a text file in UTF-8. Save it as UTF-8.",
    ),
    "Latin-1": (
        "name: acme\nfeed: ärzte".encode("latin-1"),
        "acme.yaml:2:7: found bytes that are not UTF-8, expected a text file in UTF-8. Save the file as UTF-8.",
    ),
    "control character": (
        b"name: acme\nfeed: a\x1bb\n",
        "acme.yaml:2:8: found the control character U+001B, expected a text file in UTF-8. Remove it.",
    ),
    "byte order mark in the middle": (
        "name: acme\n\ufefffeed: a\n".encode(),
        "acme.yaml:2:1: found the control character U+FEFF, expected a text file in UTF-8. Remove it.",
    ),
    "tab in the indentation": (
        b"pickup:\n\tbucket: x\n",
        "acme.yaml:2:1: found a tab in the indentation, expected spaces. Replace each tab with two spaces.",
    ),
    "tab after spaces": (
        b"pickup:\n  \tbucket: x\n",
        "acme.yaml:2:3: found a tab in the indentation, expected spaces. Replace each tab with two spaces.",
    ),
    "list at the top": (
        b"- name: acme\n",
        f"acme.yaml:1:1: found a list, {NO_MAPPING}",
    ),
    "text at the top": (
        b"acme",
        f"acme.yaml:1:1: found text, {NO_MAPPING}",
    ),
    "two documents": (
        b"name: acme\n---\nname: other\n",
        "acme.yaml:2:1: found a second document after '---', expected one configuration per file."
        " Give each its own file.",
    ),
    "two colons": (b"name: acme: b\n", f"acme.yaml:1:11: {COLON}"),
    "indented too far": (b"name: acme\n  feed: a\n", f"acme.yaml:2:7: {COLON}"),
    "no colon": (
        b"name: acme\nfeed\npaused: true\n",
        f"acme.yaml:3:1: found a line without ':', expected `field: value`. {NEIGHBOUR}",
    ),
    "bracket not closed": (
        b"name: acme\ncontacts: [a@example.com\npaused: true\n",
        "acme.yaml:3:7: found a list whose '[' is not closed, expected ',' or ']'. It was opened on line 2.",
    ),
    "brace not closed": (
        b"pickup: {bucket: a\n",
        "acme.yaml:2:1: found a mapping whose '{' is not closed, expected ',' or '}'. It was opened on line 1.",
    ),
    "quote not closed": (
        b"name: acme\nfeed: 'a\npaused: true\n",
        "acme.yaml:4:1: found the end of the file inside quotation marks, expected the closing mark."
        " It was opened on line 2.",
    ),
    "text after a quote": (
        b"name: 'acme' corp\n",
        "acme.yaml:1:14: found a line that does not fit the ones before, expected `field: value`, indented like its"
        " neighbours. Check the indentation, and quotation marks inside a value.",
    ),
    "field in a list": (
        b"contacts:\n- a@example.com\npaused true\n",
        f"acme.yaml:4:1: found a line without ':', expected `field: value`. {NEIGHBOUR}",
    ),
    "list behind a field": (
        b"contacts: - a@example.com\n",
        "acme.yaml:1:11: found a '-' where no list can begin, expected each `- item` on a separate line below the"
        " field.",
    ),
    "pattern without quotes": (
        b"pickup:\n  include: [*.csv]\n",
        "acme.yaml:2:13: found a value that begins with '*', expected a value in quotes."
        " Put it in quotes: YAML gives '*' a special meaning.",
    ),
    "schedule without quotes": (
        b"schedule: */15 * * * *\n",
        "acme.yaml:1:11: found a value that begins with '*', expected a value in quotes."
        " Put it in quotes: YAML gives '*' a special meaning.",
    ),
    "preset without quotes": (
        b"schedule: @daily\n",
        "acme.yaml:1:11: found a value that begins with '@', expected a value in quotes."
        " Put it in quotes: YAML gives '@' a special meaning.",
    ),
    "mapping as a field's name": (
        b"name: {{ acme }}\n",
        "acme.yaml:1:8: found a list, mapping or alias before ':', expected a field's name."
        " Put a value that begins with '{' or '[' in quotes.",
    ),
    "deep": (b"a: " + b"[" * 100 + b"]" * 100, f"acme.yaml:1:13: {DEEP}"),
    "unknown directive": (
        b"%YAML 9.9\n---\nname: acme\n",
        "acme.yaml:1:1: found text that is not YAML, expected `field: value` lines. Check the line before as well.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_explained(complaints, case):
    content, message = REFUSED[case]
    assert complaints(content) == [message]


def test_a_field_that_is_there_twice_is_an_error(text, complaints):
    """R2.6: at the second place, naming the first."""
    twice = text("gcs").replace("  prefix: acme/\n", "  prefix: acme/\n  prefix: other/\n")
    assert complaints(twice + "name: other\n") == [
        "acme.yaml:8:3: pickup.prefix: found a field that is already there, expected each field once."
        " The first is on line 7; remove one of them.",
        "acme.yaml:16:1: name: found a field that is already there, expected each field once."
        " The first is on line 1; remove one of them.",
    ]


@pytest.mark.parametrize(
    "value", ["!!python/object/apply:os.system [touch /tmp/x]", "!secret x", "!!str acme", "! acme"]
)
def test_tags_are_refused_and_nothing_is_constructed(text, complaints, value):
    """R2.6; the tag itself is not repeated, since it may be a password that begins with '!' (R2.5)."""
    assert complaints(text("gcs", {"feed": value})) == [f"acme.yaml:15:1: feed: {TAG}"]


def test_anchors_and_aliases_are_refused(text, complaints):
    assert complaints(text("gcs", {"pickup.prefix": "&p acme/", "destination.prefix": "*p"})) == [
        f"acme.yaml:7:3: pickup.prefix: {ANCHOR}"
    ]


def test_a_yaml_bomb_is_refused_at_once(complaints):
    """R2.6: nine aliases of nine aliases of … would be 10^9 texts."""
    lines = ['a0: &a0 ["lol", "lol", "lol"]']
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    start = time.process_time()
    said = complaints("\n".join(lines))
    assert f"acme.yaml:1:1: a0: {ANCHOR}" in said
    assert time.process_time() - start < 1


def test_an_anchor_that_contains_itself_is_refused_at_once(text, complaints):
    start = time.process_time()
    assert complaints(text("gcs", {"contacts": "&a [*a]"})) == [f"acme.yaml:3:1: contacts: {ANCHOR}"]
    assert time.process_time() - start < 1


def test_merge_keys_are_not_known(text, complaints):
    said = complaints(text("gcs") + "<<: {paused: true}\n")
    assert len(said) == 1
    assert said[0].startswith("acme.yaml:15:1: '<<': found an unknown field, expected one of name, ")


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 60_000,
        b"a: " + b"{a: " * 15_000,
        b"? " * 30_000,
        b"- " * 30_000,
        b"".join(b" " * n + b"a:\n" for n in range(300)),
    ],
)
def test_nesting_without_end_is_refused_at_once(complaints, content):
    """R2.6: no recursion error, and the rest is not even read."""
    start = time.process_time()
    assert "found more than 10 levels" in complaints(content)[0] or "found a list" in complaints(content)[0]
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    "content",
    ["a" * 65_000, "a: b\n" * 13_000, "x: [" + "1, " * 20_000 + "]", "\n".join(f"f{n}: 1" for n in range(7_000))],
)
def test_a_large_file_of_nonsense_is_told_in_fifty_lines(complaints, content):
    """R2.6: whoever reads the message still can."""
    start = time.process_time()
    assert len(complaints(content)) <= 51
    assert time.process_time() - start < 2


def test_what_is_left_out_of_a_long_message_is_counted(complaints):
    said = complaints("\n".join(f"f{n}: 1" for n in range(100)))
    assert len(said) == 51
    assert said[-1] == "acme.yaml: and 58 more problems, not shown. Fix these first."


def test_a_byte_order_mark_and_windows_line_ends_are_fine(text, load):
    assert load(b"\xef\xbb\xbf" + text("sftp").replace("\n", "\r\n").encode()).name == "acme"


def test_numbers_and_words_are_read_as_editors_read_them(text, load, complaints):
    """YAML 1.2: 'on' is text and a leading zero is not octal; a message shows what is written."""
    assert load(text("gcs", {"feed": "on"})).feed == "on"
    assert complaints(text("sftp", {"destination.port": "0999999"})) == [
        "acme.yaml:15:3: destination.port: found 0999999, expected a number from 1 to 65535."
    ]


def test_every_problem_of_a_file_is_told_at_once_in_its_order(text, complaints):
    """R2.6."""
    said = complaints(
        text(
            "sftp",
            {
                "client_h_number": "1234",
                "contacts": "[a@example.com, nobody]",
                "pickup.prefix": "acme",
                "destination.host_keys": None,
                "destination.port": "0",
                "paused": "maybe",
            },
        )
    )
    assert [line.split(": ")[:2] for line in said] == [
        ["acme.yaml:2:1", "client_h_number"],
        ["acme.yaml:3:27", "contacts[1]"],
        ["acme.yaml:7:3", "pickup.prefix"],
        ["acme.yaml:8:1", "destination.host_keys"],
        ["acme.yaml:14:3", "destination.port"],
        ["acme.yaml:17:1", "paused"],
    ]


def test_the_example_of_the_brief(text, complaints):
    """R2.6: file, line, column, field, found, accepted, what to do."""
    assert complaints(text("gcs", {"pickup.prefix": "in/acme"})) == [
        "acme.yaml:7:3: pickup.prefix: found 'in/acme', expected a prefix that ends with '/'. Write 'in/acme/'."
    ]
