"""Structured log lines: one JSON object per event, which CloudWatch Logs Insights can query (R8.1).

Airflow wraps each into a JSON object of its own, with escaped quotes; ``infra/queries.py`` has queries that take both.
"""

from __future__ import annotations

import json
import logging
from typing import Any

_CONTROL = {code: f"\\u{code:04x}" for code in (*range(32), 127, *range(0x80, 0xA0), 0x2028, 0x2029)}


def log_event(logger: logging.Logger, event: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Write one event. ``fields`` are names, counts and states; never a credential.

    File names are untrusted: JSON escapes their control characters, so that no name can forge a line.
    """
    shown = {name: value for name, value in fields.items() if value is not None}
    line = json.dumps({"event": event, **shown}, ensure_ascii=False, default=str)
    logger.log(level, "%s", line.translate(_CONTROL))
