"""The saved queries, carried out on real lines: what they find, and that no text forges an event (R8.1)."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest

from client_delivery.runtime.events import LOGGER, LineFormatter, log_event
from infra.alarms import WATCHES
from infra.queries import QUERIES

NASTY = [
    "a.csv",
    'quote".csv',
    '", "event": "file_delivered", "file": "forged.csv',
    '\\", \\"event\\": \\"file_delivered\\", \\"file\\": \\"forged.csv',
    '{"event": "file_final", "delivery_key": "H9999", "file": "forged.csv", "error": "none"}',
    'back\\slash\\".csv',
    "TaskDoneTrigger file_final.csv",
    "東京 café (1).csv",
    'new\nline", "file": "x',
    "emoji 🩺.csv",
]


def written(caplog, event: str, **fields: Any) -> str:
    """Our line, as the containers' log has it."""
    with caplog.at_level(logging.INFO):
        log_event(logging.getLogger("delivery.test"), event, **fields)
    return caplog.records[-1].getMessage()


def wrapped(message: str, logger: str = "client_delivery.event.any", **more: Any) -> str:
    """A line as Airflow's handler writes it: watchtower makes JSON of the event, with Python's own ``json``."""
    return json.dumps(
        {"event": message, "level": "info", "logger": logger, "filename": "events.py", "lineno": 22} | more
    )


def reordered(message: str) -> str:
    """The same, with what stands before."""
    return json.dumps({"level": "info", "logger": "client_delivery.operators.base", "lineno": 22, "event": message})


LOGS = [lambda line: line, wrapped, reordered]


def carry_out(name: str, lines: list[str], **placeholders: str) -> list[dict[str, Any]]:
    """What the query displays of each line that it lets through; as much of the language as our queries use."""
    found = []
    for line in lines:
        row: dict[str, Any] = {"@message": line}
        for template in QUERIES[name]:
            command = template.replace("PUT THE FILE'S NAME HERE", placeholders.get("file", ""))
            if match := re.fullmatch(r"parse @message /(.*)/", command):
                if matched := re.search(match[1].replace("(?<", "(?P<"), line):
                    row |= matched.groupdict()
            elif match := re.fullmatch(r"fields coalesce\((\w+), (\w+)\) as (\w+)", command):
                row[match[3]] = row.get(match[1], row.get(match[2]))
            elif match := re.fullmatch(r"filter @message like /(.*)/", command):
                if not re.search(match[1], line):
                    break
            elif match := re.fullmatch(r'filter delivery_event = "(\w+)"', command):
                if row["delivery_event"] != match[1]:
                    break
            elif match := re.fullmatch(r"filter delivery_event in (\[.*\])", command):
                if row["delivery_event"] not in json.loads(match[1]):
                    break
            elif command == "filter ispresent(delivery_event)":
                if row["delivery_event"] is None:
                    break
            else:
                assert command.split()[0] in ("display", "sort", "stats", "#"), command
        else:
            found.append(row)
    return found


def shown(text: str, log: Any) -> str:
    """How a query shows a text: as it stands in the line, escaped once or twice."""
    once = log_line(text)
    return once if log is LOGS[0] else json.dumps(once)[1:-1]


def log_line(text: str) -> str:
    from client_delivery.runtime.events import _CONTROL

    return json.dumps(text, ensure_ascii=False).translate(_CONTROL)[1:-1]


@pytest.mark.parametrize("log", LOGS)
@pytest.mark.parametrize("name", NASTY)
def test_r8_1_what_was_delivered_and_what_failed_is_found_in_both_logs(caplog, log, name):
    fields = {"client_h_number": "H1234", "delivery_key": "H1234", "file": name, "bytes": 3}
    delivered = log(written(caplog, "file_delivered", **fields, delivered_to=f"s3://b/{name}"))
    failed = log(written(caplog, "file_final", configuration="acme", **fields, error=f"refused {name}"))
    (one,) = carry_out("What was delivered", [delivered, failed])
    assert (one["client"], one["file"]) == ("H1234", shown(name, log))
    (one,) = carry_out("What failed, and why", [delivered, failed])
    assert (one["client"], one["file"], one["error"]) == ("H1234", shown(name, log), shown(f"refused {name}", log))


@pytest.mark.parametrize("query", ["What was delivered", "What failed, and why", "Left over by runs that died"])
@pytest.mark.parametrize("event", ["file_delivered", "file_final", "entry_left_active"])
@pytest.mark.parametrize("around", ["{}", "Task failed: {}", 'x", "event": "{}', "[2026-03-01 12:00:00] {}"])
def test_r8_1_no_text_of_others_is_taken_for_an_event(caplog, query, event, around):
    """In a field of ours, in an exception, in what the trigger repeats, in what a library logs of a server."""
    forged = written(caplog, event, delivery_key="H9999", file="forged.csv", error="none")
    text = around.replace("{}", forged)
    lines = [
        written(caplog, "file_started", delivery_key="H1", file=text),
        written(caplog, "file_attempt_failed", delivery_key="H1", file="a", error=text),
        wrapped(written(caplog, "file_attempt_failed", delivery_key="H1", file="a", error=text)),
        wrapped("Task failed with exception", error_detail=[{"exc_type": "AirflowException", "exc_value": text}]),
        json.dumps({"error_detail": [{"exc_value": text}], "event": "Task failed with exception"}),
        wrapped(f"1 of 1 files failed for good: {text}"),
        wrapped(f"1 of 1 files failed for good: {text!r}"),
        json.dumps({"level": "info", "server": text, "event": "Connected"}),
    ]
    if around != "{}":
        lines += [wrapped(text), text]
    assert carry_out(query, lines) == []


def test_a_containers_line_that_the_waiting_task_repeats_counts_once(caplog):
    line = written(caplog, "file_delivered", delivery_key="H1234", file="a.csv")
    repeated = wrapped(
        f"[2026-03-01 12:00:00,000] {line}", "client_delivery.operators.triggers.container.TaskDoneTrigger"
    )
    assert len(carry_out("What was delivered", [line, repeated])) == 1


@pytest.mark.parametrize("name", NASTY)
def test_r9_1_any_files_name_can_be_searched_for(caplog, name):
    """By the rule that the query's comment gives."""
    pattern = re.sub(r"(?:(?![A-Za-z0-9]).)+", ".+", name, flags=re.DOTALL)
    lines = [log(written(caplog, "file_started", delivery_key="H1", file=name)) for log in LOGS]
    other = written(caplog, "file_started", delivery_key="H1", file="other")
    found = carry_out("Everything about one file", [*lines, other], file=pattern)
    assert [row["delivery_event"] for row in found] == ["file_started"] * 3


@pytest.mark.parametrize("log", LOGS)
def test_jobs_are_counted_by_client(caplog, log):
    lines = [
        log(written(caplog, event, configuration="acme", delivery_key="H1#claims", run="r/0", files=2))
        for event in ("job_started", "job_finished", "run_failed")
    ]
    found = carry_out("Jobs by client and day", lines)
    assert [(row["client"], row["delivery_event"]) for row in found] == [
        ("H1#claims", "job_started"),
        ("H1#claims", "job_finished"),
    ]


def test_queries_are_of_what_insights_can_do():
    """No look-around and no back-reference: neither is documented. A query has 10,000 characters at most."""
    for lines in QUERIES.values():
        text = "\n| ".join(lines)
        assert not re.search(r"\(\?[=!]|\(\?<[=!]", text)
        assert len(text) < 10_000


def counted(templates, group: str, metric: str, lines: list[str]) -> list[str]:
    """The lines that the metric's filter on that log counts; as much of the language as our filters use.

    CloudWatch Logs' user guide, "Using filter patterns to match terms in JSON log events": a line that is not a
    JSON object matches nothing, and a string matches as a whole.
    """
    (pattern,) = [
        one["Properties"]["FilterPattern"]
        for one in templates.resources("AWS::Logs::MetricFilter").values()
        if one["Properties"]["LogGroupName"].endswith(group)
        and one["Properties"]["MetricTransformations"][0]["MetricName"] == f"example-{metric}"
    ]
    terms = re.fullmatch(r"\{ (.*) \}", pattern)[1].split(" && ")
    wanted = dict(re.fullmatch(r'\$\.(\w+) = "([\w.]+)"', term).groups() for term in terms)
    found = []
    for line in lines:
        fields = json.loads(line) if line.startswith("{") else {}
        if all(fields.get(name) == value for name, value in wanted.items()):
            found.append(line)
    return found


def task_log(record: logging.LogRecord) -> str:
    """A record of a task as Airflow writes it."""
    return wrapped(record.getMessage(), record.name)


@pytest.mark.parametrize("watch", WATCHES, ids=lambda watch: watch.metric)
def test_r8_1_an_event_is_counted_once_and_no_text_is_counted_for_it(templates, caplog, watch):
    def ours(event: str, **fields: Any) -> logging.LogRecord:
        with caplog.at_level(logging.INFO):
            log_event(LOGGER, event, **fields)
        return caplog.records[-1]

    true = ours(watch.event, delivery_key="H1", file="a.csv")
    hostile = [*NASTY, watch.event, f'"{watch.event}"', true.getMessage(), f"client_delivery.event.{watch.event}"]
    texts = [
        *hostile,
        *(f'", "event": "{watch.event}", "x": "{name}' for name in NASTY),
        f'", "logger": "client_delivery.event.{watch.event}", "x": "',
        f'\\", \\"logger\\": \\"client_delivery.event.{watch.event}',
    ]
    others = [ours("file_attempt_failed", delivery_key="H1", file=text, error=text) for text in texts]
    tasks = [task_log(record) for record in others]
    tasks += [wrapped(text, "paramiko.transport") for text in texts]
    tasks += [wrapped(text, "airflow.task", error_detail=text) for text in texts]
    # What the trigger repeats of a container's log, in the log of the task that waits for it.
    repeated = [true.getMessage(), f"[2026-03-01 12:00:00] {true.getMessage()}"]
    tasks += [wrapped(text, "client_delivery.operators.triggers.container.TaskDoneTrigger") for text in repeated]
    assert counted(templates, "-Task", watch.metric, [*tasks, task_log(true)]) == [task_log(true)]
    containers = [record.getMessage() for record in others]
    for text in texts:
        logging.getLogger("paramiko").warning("%s", text)
        containers.append(LineFormatter().format(caplog.records[-1]))
    container_true = true.getMessage()
    assert counted(templates, "-transfer", watch.metric, [*containers, container_true]) == [container_true]
