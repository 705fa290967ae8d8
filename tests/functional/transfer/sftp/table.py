"""What each server can do, and what happens on it: the suite compares, and the documentation shows it.

python -m tests.functional.transfer.sftp.table      writes the tables in docs/developers/sftp-servers.md
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from local.sftp_servers.families import FAMILIES, MODELLED

DOCUMENT = Path(__file__).resolve().parents[4] / "docs" / "developers" / "sftp-servers.md"

FACTS = {
    "banner": "Banner",
    "extensions": "Extensions that we use",
    "window": "Window",
    "largest packet": "Packets",
    "exclusive create": "Exclusive create",
    "size before close": "FSTAT before CLOSE",
    "opened again for writing": "Opened again for writing",
    "two handles at once": "Two handles into one file",
    "RENAME over a file": "RENAME over a file",
}
SITUATIONS = {
    "small": "Small files",
    "large": "9 MiB: writers",
    "overwritten": "An older file of that name is replaced",
    "resumed": "A large file, stopped at two thirds",
    "rename_refused": "No permission to rename",
    "directory_in_its_place": "A directory has the name",
    "disk_full": "Disk full",
    "many_small": "40 files through one destination",
    "odd_names": "Odd names",
    "directories": "Directories",
}
_KEPT = "failed, the older file is kept"
_USUAL = {
    "small": "verified by size",
    "large": "1 at once, verified by size",
    "overwritten": "at once",
    "resumed": "gone on with",
    "rename_refused": _KEPT,
    "directory_in_its_place": "failed, the directory is kept",
    "disk_full": _KEPT,
    "many_small": "all",
    "odd_names": "all",
    "directories": "made where they are missing",
}
_ASIDE = "the older file is moved aside first"

EXPECTED: Mapping[str, Mapping[str, str]] = {
    "openssh": _USUAL | {"large": "3 at once, verified by size"},
    "proftpd": _USUAL,
    "dropbear": _USUAL | {"large": "3 at once, verified by size"},
    "rclone": _USUAL
    | {
        "overwritten": "the server removes the older file first",
        "resumed": "begun anew",
        "rename_refused": "cannot be told to refuse it",
    },
    "ssh2": _USUAL | {"overwritten": _ASIDE},
    "conch": _USUAL | {"odd_names": "all but café 東京.csv, 😀.csv"},
    "paramiko": _USUAL | {"overwritten": _ASIDE},
    "asyncssh": _USUAL,
    "object-store": _USUAL | {"overwritten": _ASIDE, "resumed": "begun anew"},
    "mft-on-close": _USUAL
    | {
        "small": "verified by size, direct",
        "large": "1 at once, verified by size, direct",
        "overwritten": "the older file is emptied first",
        "resumed": "what was closed is taken: a person is asked",
        "rename_refused": "delivered, nothing is renamed",
        "disk_full": "a part is taken: a person is asked",
    },
    "mft-on-rename": _USUAL | {"overwritten": "at once, and taken"},
}
_OURS = {
    "extensions": "posix-rename, fsync, limits",
    "window": "1 MiB and more",
    "largest packet": "32 KiB",
    "exclusive create": "yes",
    "size before close": "right",
    "opened again for writing": "keeps what is there",
    "two handles at once": "one file",
    "RENAME over a file": "refused",
}
"""As OpenSSH's are."""
CAN: Mapping[str, Mapping[str, str]] = {
    "openssh": _OURS | {"banner": "OpenSSH"},
    "proftpd": _OURS | {"banner": "mod_sftp", "extensions": "posix-rename, fsync"},
    "dropbear": _OURS | {"banner": "dropbear", "window": "24 KiB"},
    "rclone": _OURS
    | {
        "banner": "rclone",
        "extensions": "posix-rename",
        "exclusive create": "**no: opens what is there**",
        "two handles at once": "**refused**",
        "RENAME over a file": "**replaces it**",
    },
    "ssh2": _OURS | {"banner": "ssh2js", "extensions": "none"},
    "conch": _OURS
    | {"banner": "Twisted", "window": "128 KiB", "extensions": "none", "RENAME over a file": "**replaces it**"},
    "paramiko": _OURS | {"banner": "paramiko", "extensions": "none"},
    "asyncssh": _OURS | {"banner": "AsyncSSH"},
    "object-store": _OURS
    | {
        "banner": "AsyncSSH",
        "extensions": "none",
        "size before close": "**refused**",
        "opened again for writing": "**0 bytes are left**",
        "two handles at once": "**refused**",
    },
}


def require(server: str, situation: str, what: str) -> None:
    """Raises AssertionError if the documentation says something else."""
    said = EXPECTED[server][situation]
    assert what == said, (
        f"{server}, {situation}: what happened is {what!r}, and the documentation says {said!r}. If this is right now, "
        "change tests/functional/transfer/sftp/table.py and run `make docs`."
    )


def with_tables(document: str) -> str:
    """The document with its tables written anew."""
    document = _replaced(document, "can do", _table(FACTS, CAN))
    return _replaced(document, "situations", _table(SITUATIONS, EXPECTED))


def _table(columns: Mapping[str, str], rows: Mapping[str, Mapping[str, str]]) -> str:
    families = {**FAMILIES, **MODELLED}
    lines = [f"| Server | {' | '.join(columns.values())} |", f"|---{'|---' * len(columns)}|"]
    for name, cells in rows.items():
        lines.append(f"| {families[name].title} | {' | '.join(cells[column] for column in columns)} |")
    return "\n".join(lines)


def _replaced(document: str, name: str, table: str) -> str:
    begin, end = f"<!-- {name}: written by `make docs` -->", f"<!-- end of {name} -->"
    before, _, rest = document.partition(begin)
    _, _, behind = rest.partition(end)
    return f"{before}{begin}\n\n{table}\n\n{end}{behind}"


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
