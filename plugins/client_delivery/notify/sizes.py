"""Bytes, for people."""

from __future__ import annotations

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def human_size(size: float) -> str:
    """``1.5 GiB``."""
    if size == 1:
        return "1 byte"
    step = 0
    while size >= 1024 and step < len(_UNITS) - 1:
        size, step = size / 1024, step + 1
    return f"{size:.0f} {_UNITS[step]}" if step == 0 else f"{size:.1f} {_UNITS[step]}"
