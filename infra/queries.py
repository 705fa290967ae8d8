"""CloudWatch Logs Insights queries that people need at once, saved in the console.

Airflow's task log wraps each of our lines into a JSON object of its own, so that quotes are escaped there and not in
the containers' log; the patterns take both.
"""

from __future__ import annotations

_EVENT = r"""parse @message /\\?"event\\?": \\?"(?<delivery_event>\w+)\\?"/"""
_CLIENT = r"""parse @message /\\?"client_h_number\\?": \\?"(?<client>[^"\\]+)/"""
_FILE = r"""parse @message /\\?"file\\?": \\?"(?<file>.*?)\\?", \\?"/"""
_ERROR = r"""parse @message /\\?"error\\?": \\?"(?<error>.*?)\\?"\}/"""
_ONCE = "filter @message not like /TaskDoneTrigger/"
"""A container's lines are in its own log, and again in the log of the task that waits for it."""

QUERIES = {
    "What was delivered": [
        _ONCE,
        _EVENT,
        _CLIENT,
        _FILE,
        'filter delivery_event = "file_delivered"',
        "display @timestamp, client, file",
        "sort @timestamp desc",
    ],
    "What failed, and why": [
        _ONCE,
        _EVENT,
        _CLIENT,
        _FILE,
        _ERROR,
        'filter delivery_event = "file_final"',
        "display @timestamp, client, file, error",
        "sort @timestamp desc",
    ],
    "Everything about one file": [
        "filter @message like /PUT THE FILE'S NAME HERE/",
        _ONCE,
        _EVENT,
        "display @timestamp, delivery_event, @message",
        "sort @timestamp asc",
    ],
    "Jobs by client and day": [
        _EVENT,
        _CLIENT,
        'filter delivery_event in ["job_started", "job_finished"]',
        "stats count(*) by client, delivery_event, bin(1d)",
    ],
    "Left over by runs that died": [
        _ONCE,
        _EVENT,
        _CLIENT,
        _FILE,
        'filter delivery_event in ["entry_left_active", "container_left_over_stopped"]',
        "display @timestamp, client, file",
        "sort @timestamp desc",
    ],
}
