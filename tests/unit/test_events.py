"""R8.1: structured log lines, which no file name can forge."""

from __future__ import annotations

import json
import logging

from delivery.events import log_event


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
