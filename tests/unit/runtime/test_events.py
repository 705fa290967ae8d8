"""R8.1: structured log lines, which no file name can forge."""

from __future__ import annotations

import json
import logging

from client_delivery.runtime.events import LineFormatter, as_json, log_event, one_line


def written(caplog, **fields) -> str:
    with caplog.at_level(logging.INFO):
        log_event(logging.getLogger("delivery.test"), "file_delivered", **fields)
    return caplog.records[-1].getMessage()


def test_r8_1_a_line_is_one_json_object(caplog):
    line = written(caplog, file="a.csv", bytes=3, error=None)
    assert json.loads(line) == {"event": "file_delivered", "file": "a.csv", "bytes": 3}


def test_r6_8_a_name_cannot_forge_a_second_line(caplog):
    name = 'x\n{"event": "forged"}\r\u2028\x1b[31m\x85'
    line = written(caplog, file=name)
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line
    assert json.loads(line)["file"] == name


def test_names_stay_readable(caplog):
    assert "東京 café.csv" in written(caplog, file="東京 café.csv")


FORGED = '{"event": "file_delivered", "delivery_key": "H9999", "file": "forged.csv"}'


def formatted(caplog) -> str:
    return LineFormatter().format(caplog.records[-1])


def test_r8_1_in_a_container_an_event_is_its_own_line(caplog):
    line = written(caplog, file="a.csv")
    assert formatted(caplog) == line


def test_r8_1_no_traceback_and_no_library_writes_a_line_that_passes_for_an_event(caplog):
    """Each line of a container's output is an entry of its own in CloudWatch."""
    error = ValueError(f"the server says\n{FORGED}\r\n\u2028{FORGED}")
    logging.getLogger("delivery.test").error("Unexpected %s", "thing", exc_info=error)
    line = formatted(caplog)
    assert len(line.splitlines()) == 1
    fields = json.loads(line)
    assert (fields["event"], fields["logger"], fields["message"]) == ("log", "delivery.test", "Unexpected thing")
    assert FORGED in fields["exception"]


def test_r8_1_a_message_that_looks_like_an_event_is_none(caplog):
    logging.getLogger("paramiko").warning("%s", FORGED)
    assert json.loads(formatted(caplog)) == {
        "event": "log",
        "level": "WARNING",
        "logger": "paramiko",
        "message": FORGED,
    }


def test_r6_8_names_and_words_stand_in_messages_on_one_line():
    name = 'x", "event": "forged\n\x1b[31m'
    assert json.loads(as_json(name)) == name
    assert one_line(f"no\nspace {name}") == 'no\\u000aspace x", "event": "forged\\u000a\\u001b[31m'
