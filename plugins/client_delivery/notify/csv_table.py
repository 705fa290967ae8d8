"""The attached table of all files (R7.4)."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from client_delivery.notify.untrusted import spreadsheet_cell

MAX_BYTES = 4_000_000
"""Of one table. Amazon SES takes 10 MB after base64, which makes four bytes of three; that leaves room for the text."""

Cell = str | int | None


def csv_table(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> tuple[bytes, int]:
    """The table, and how many of ``rows`` are in it: the first ones that fit into :data:`MAX_BYTES`.

    UTF-8 with a byte order mark, without which spreadsheets garble names. A table that is cut says so in its last row.
    """
    table = bytearray(_line(header).encode("utf-8-sig"))
    for index, row in enumerate(rows):
        line = _line(row).encode()
        if len(table) + len(line) > MAX_BYTES:
            table += _line([f"and {len(rows) - index:,} more files, not listed to keep the e-mail small"]).encode()
            return bytes(table), index
        table += line
    return bytes(table), len(rows)


def _line(cells: Sequence[Cell]) -> str:
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_MINIMAL).writerow(
        [spreadsheet_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    )
    return line.getvalue()
