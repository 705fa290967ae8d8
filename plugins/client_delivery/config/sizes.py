"""Sizes and rates in bytes, as people write them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from client_delivery.config.refusal import refusal

_UNITS = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_SIZE = rf"([0-9]{{1,15}}(?:\.[0-9]{{1,3}})?) ?({'|'.join(_UNITS)})"
_MAX_BYTES = 2**63 - 1
MIN_RATE = 64 * 1024
"""Bytes per second. A lower limit is a slip of the unit: an hour would not move 250 MB."""


def _parse_size(value: Any) -> Any:
    """Bytes, from a whole number or from text such as ``10 GiB``."""
    if isinstance(value, str):
        match = re.fullmatch(_SIZE, value)
        if not match:
            raise refusal("a number of bytes, or a size such as 10 GiB", f"The units are {', '.join(_UNITS)}.")
        value = round(float(match[1]) * _UNITS[match[2]])
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_BYTES:
        raise refusal("a number of bytes, or a size such as 10 GiB")
    return value


def _check_rate(value: int) -> int:
    if value < MIN_RATE:
        raise refusal("at least 64 KiB a second", "Write a unit, as in '20 MiB', or leave the line out for no limit.")
    return value


_SIZE_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "integer", "minimum": 0, "maximum": _MAX_BYTES}, {"type": "string", "pattern": f"^{_SIZE}$"}]
}

ByteSize = Annotated[int, BeforeValidator(_parse_size), WithJsonSchema(_SIZE_SCHEMA)]
"""Bytes."""
ByteRate = Annotated[int, BeforeValidator(_parse_size), AfterValidator(_check_rate), WithJsonSchema(_SIZE_SCHEMA)]
"""Bytes per second."""
