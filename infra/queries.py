"""CloudWatch Logs Insights queries that people need at once, saved in the console.

A line of ours is one JSON object, ``{"event": "file_delivered", …}``. In the containers' log it stands as it is. A
task's log wraps it: Airflow's handler (watchtower) writes ``{"level": "info", "event": "{\\"event\\": …}", …}``, in
ASCII.

File names and what servers say are in those lines, too, and in Airflow's own ones, such as a task's failure. Nobody is
to forge an event by them: a pattern matches from the line's beginning, over whole JSON strings with their escapes, so
that what stands inside of a string is never taken for a field. A container's lines that the waiting task repeats begin
otherwise and match nothing; nor does anything else.
"""

from __future__ import annotations

_PLAIN = r'"\w+": (?:"[^"\\]*"|[\w.+-]+), '
"""A field of Airflow's own, before ours: level, logger. None has an escape in it."""
_STRING = r"(?:[^\"\\]|\\.)*"
"""What is in a JSON string."""
_WRAPPED_STRING = r"(?:[^\"\\]|\\u[0-9a-f]{4}|\\\\(?:\\[\"\\]|[^\"\\]))*"
"""The same inside another one: each quote and backslash has one more backslash before it, and the rest is ASCII."""


def _whole(start: str, quote: str, string: str) -> tuple[str, str]:
    """The beginning of one of our lines up to a field, and what leads over any field."""
    any_field = rf"{quote}\w+{quote}: (?:{quote}{string}{quote}|[^{{\"\\]+?), "
    return start, rf"(?:{any_field})*?"


_CONTAINERS = _whole(r"^\{", '"', _STRING)
_TASKS = _whole(rf'^\{{(?:{_PLAIN})*"event": "\{{', r"\\\"", _WRAPPED_STRING)


def _field(name: str, shown: str) -> list[str]:
    """Lines of a query that show the field ``name`` of our lines as ``shown``, from both logs."""
    (start, over), (wrapped_start, wrapped_over) = _CONTAINERS, _TASKS
    return [
        rf'parse @message /{start}{over}"{name}": "(?<{shown}_c>{_STRING})"/',
        rf'parse @message /{wrapped_start}{wrapped_over}\\"{name}\\": \\"(?<{shown}_t>{_WRAPPED_STRING})\\"/',
        f"fields coalesce({shown}_t, {shown}_c) as {shown}",
    ]


_EVENT = _field("event", "delivery_event")
_CLIENT = _field("delivery_key", "client")
_FILE = _field("file", "file")
_ERROR = _field("error", "error")

QUERIES = {
    "What was delivered": [
        *_EVENT,
        'filter delivery_event = "file_delivered"',
        *_CLIENT,
        *_FILE,
        "display @timestamp, client, file",
        "sort @timestamp desc",
    ],
    "What failed, and why": [
        *_EVENT,
        'filter delivery_event = "file_final"',
        *_CLIENT,
        *_FILE,
        *_ERROR,
        "display @timestamp, client, file, error",
        "sort @timestamp desc",
    ],
    "Everything about one file": [
        "# Write .+ for whatever is no ASCII letter or digit in the name: caf.+1.+csv finds 'café (1).csv'.",
        "filter @message like /PUT THE FILE'S NAME HERE/",
        *_EVENT,
        "filter ispresent(delivery_event)",
        "display @timestamp, delivery_event, @message",
        "sort @timestamp asc",
    ],
    "Jobs by client and day": [
        *_EVENT,
        *_CLIENT,
        'filter delivery_event in ["job_started", "job_finished"]',
        "stats count(*) by client, delivery_event, bin(1d)",
    ],
    "Left over by runs that died": [
        *_EVENT,
        'filter delivery_event in ["entry_left_active", "container_left_over_stopped"]',
        *_CLIENT,
        *_FILE,
        "display @timestamp, client, file",
        "sort @timestamp desc",
    ],
}
