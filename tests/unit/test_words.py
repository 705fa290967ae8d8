"""R8.1: beside each event that concerns people there is a sentence, which no name can forge. And words of the house."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest

from client_delivery.runtime.events import EventLine, log_event
from client_delivery.runtime.words import in_words


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"event": "files_detected", "new": 1200, "unfinished": 0, "again": 0, "already_sent": 3, "held": 1},
            "Found in the pick-up: 1,200 new, 3 sent before, 1 held, waiting for somebody.",
        ),
        ({"event": "files_detected", "new": 0}, "Found in the pick-up: nothing to send."),
        (
            {"event": "files_detected", "new": 2, "done_file": True},
            "Found in the pick-up: 2 new. The done file is there.",
        ),
        ({"event": "nothing_to_do"}, "Nothing to do."),
        (
            {"event": "nothing_to_do", "waiting_for_done_file": 312},
            "Nothing is sent yet: 312 files wait for the done file.",
        ),
        (
            {"event": "nothing_to_do", "waiting_for_done_file": 1},
            "Nothing is sent yet: 1 file waits for the done file.",
        ),
        (
            {"event": "nothing_to_do", "waiting_for_done_file": 1000, "and_more": True},
            "Nothing is sent yet: more than 1,000 files wait for the done file.",
        ),
        (
            {"event": "nothing_to_do", "waiting_for_done_file": 0},
            "Nothing to do: no file and no done file is there.",
        ),
        ({"event": "batch_started", "files": 1, "bytes": 1024}, "Sending 1 file, 1.0 KiB."),
        (
            {"event": "batch_finished", "delivered": 5, "failed": 1, "unfinished": 0, "seconds": 2.5},
            "5 delivered, 1 failed, in 2.5 s.",
        ),
        (
            {"event": "file_delivered", "file": "a.csv", "bytes": 2048, "delivered_to": "gs://b/a.csv"},
            'Delivered "a.csv" to gs://b/a.csv (2.0 KiB), verified.',
        ),
        ({"event": "file_failed", "file": "a.csv", "error": "refused"}, 'Could not deliver "a.csv": refused'),
        ({"event": "source_removed", "file": "a.csv"}, None),
    ],
)
def test_an_event_in_words(fields, sentence):
    assert in_words(fields) == sentence


@pytest.mark.parametrize("event", ["file_delivered", "file_failed", "file_interrupted", "file_held"])
def test_r6_8_a_name_or_a_servers_words_cannot_forge_a_line(event):
    hostile = 'x\n{"event": "forged"}\r\u2028\x1b[31m'
    sentence = in_words({"event": event, "file": hostile, "error": hostile, "delivered_to": hostile})
    assert len(sentence.splitlines()) == 1
    assert "\x1b" not in sentence


def test_the_sentence_comes_before_its_event_and_takes_its_level(caplog):
    from client_delivery.operators.task_log import Sentences

    project, handler = logging.getLogger("client_delivery"), Sentences()
    project.addHandler(handler)
    try:
        with caplog.at_level(logging.INFO):
            log_event(logging.getLogger("client_delivery.x"), "file_failed", level=logging.ERROR, file="a", error="no")
            log_event(logging.getLogger("client_delivery.x"), "source_removed", file="a")
            logging.getLogger("client_delivery.x").info("%s", EventLine("{no json"))
    finally:
        project.removeHandler(handler)
    words, event, *rest = caplog.records
    assert (words.levelname, words.getMessage()) == ("ERROR", 'Could not deliver "a": no')
    assert json.loads(event.getMessage())["event"] == "file_failed"
    assert len(rest) == 2, "no sentence for the others, and nothing breaks"


def raised(error: BaseException, module: str):
    """The error, as if code of that module had raised it."""
    space = {"__name__": module, "error": error}
    try:
        exec("raise error", space)
    except BaseException as caught:
        return caught


def test_a_message_for_people_stands_without_traceback_and_others_keep_theirs():
    from airflow.exceptions import AirflowException
    from airflow.sdk.exceptions import AirflowFailException

    from client_delivery.operators.task_log import without_traceback

    def logged(error):
        return without_traceback(None, "error", {"event": "Task failed with exception", "exc_info": error})

    ours = "client_delivery.operators.report"
    assert logged(raised(AirflowFailException("1 file failed: a.csv"), ours)) == {
        "event": "Failed: 1 file failed: a.csv"
    }
    assert logged(raised(AirflowException("2 unfinished"), ours)) == {"event": "Failed: 2 unfinished"}
    caused = raised(AirflowFailException("x"), ours)
    caused.__cause__ = ValueError("why")
    for kept in (caused, raised(ValueError("a fault"), ours), raised(AirflowException("x"), "airflow.models")):
        assert logged(kept) == {"event": "Task failed with exception", "exc_info": kept}
    assert without_traceback(None, "info", {"event": "x"}) == {"event": "x"}


ROOT = Path(__file__).resolve().parents[2]
READ_BY_PEOPLE = sorted(
    path
    for pattern in (
        "README.md",
        "docs/operators/*.md",
        "docs/dextr/*.md",
        "infra/alarms.py",
        "dags/*.py",
        "plugins/**/*.py",
        "plugins/**/*.html",
        "plugins/**/*.txt",
    )
    for path in ROOT.glob(pattern)
)
REPLACED = {
    r"whoever": "say who: anyone who, the run that, the client",
    r"anew": "again; starts over",
    r"once more": "again; one more time",
    r"in its place": "instead; has replaced it",
    r"all the same": "still; nevertheless",
    r"(try|tries|tried) (it |them )?again": "retry, retries, retried",
    r"(mend|mends|mended|mending)": "fix",
    r"(tell|tells|told) of": "report, announce; the message about",
    r"answer(s|ed)? (with|by|within)": "respond",
}
"""Words that a native reader stumbles over, and what to write instead."""


@pytest.mark.parametrize("word", REPLACED)
def test_words_that_were_replaced_do_not_come_back(word):
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in READ_BY_PEOPLE
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(rf"\b{word}\b", line, re.IGNORECASE)
    ]
    assert found == [], f"write instead: {REPLACED[word]}"
