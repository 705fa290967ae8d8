"""What became of the files that were dropped: compared byte by byte, and shown."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from client_delivery.notify.sizes import human_size
from local.demo_clients import DemoClient, recipient_files
from local.demo_payer import Unreadable
from local.stand_ins import StandIns

_ROWS_PER_CLIENT = 6


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    client: str
    file: str
    size: int
    source: str
    destination: str
    status: str
    attempts: int

    @property
    def right(self) -> bool:
        """Delivered, and the recipient's bytes are those that were dropped."""
        return self.source == self.destination and self.status == "success"


def compare(stand_ins: StandIns, client: DemoClient, doing: Callable[[str], None] = lambda _: None) -> list[Row]:
    """What was dropped against what the recipient has; ``doing`` hears how far it is."""
    name, total = client.config.name, len(client.files)
    doing(f"comparing {name}: reading what {total:,} files have become at the destination")
    there = recipient_files(stand_ins, client.config)
    entries = stand_ins.ledger_entries(client.config.delivery_key)
    rows = []
    known = set[str]()
    for number, file in enumerate(client.files):
        doing(f"comparing {name}: {number:,} of {total:,} checksums")
        entry = entries.get(file.name)
        arrives = str(entry.item.get("deliveredName") or file.name) if entry else file.name
        content = there.get(arrives)
        known.add(arrives)
        arrived = _read(client, content[0]) if content else "missing"
        status, attempts = (entry.status.value, entry.send_attempts + 1) if entry else ("no entry", 0)
        rows.append(Row(client.config.name, file.name, file.size, file.sha256(), arrived, status, attempts))
    rows += _beside(client, there, known)
    return rows


def _read(client: DemoClient, arrived: bytes) -> str:
    """The digest of what the recipient makes of it: decrypted and decompressed, where it is."""
    try:
        return hashlib.sha256(client.read(arrived)).hexdigest()
    except Unreadable as error:
        return f"unreadable: {error}"


def _beside(client: DemoClient, there: Mapping[str, tuple[bytes, str]], known: set[str]) -> list[Row]:
    """What is at the destination beside the files: right if it says of them what is so."""
    name, rows = client.config.name, list[Row]()
    sums = {file: hashlib.sha256(there[file][0]).hexdigest() for file in known if file in there}
    for beside in sorted(there.keys() - known):
        content = there[beside][0]
        if client.config.sidecar == "sha256" and beside.removesuffix(".sha256") in sums:
            said, found = content.split()[0].decode(), sums[beside.removesuffix(".sha256")]
        elif client.config.completion_file and beside.endswith(".manifest.json"):
            listed = {row["name"]: row["sha256"] for row in json.loads(content)["files"]}
            said, found = (_digest(one) for one in (listed, sums))
        else:
            said, found = "never dropped", "?"
        rows.append(Row(name, beside, len(content), said, found, "success" if said == found else "?", 1))
    return rows


def _digest(sums: Mapping[str, str]) -> str:
    return hashlib.sha256(repr(sorted(sums.items())).encode()).hexdigest()


def write_report(rows: list[Row], path: Path) -> None:
    """Every file, for a spreadsheet."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["client", "file", "bytes", "sha256 at source", "sha256 at destination", "ledger", "attempts"])
        writer.writerows([r.client, r.file, r.size, r.source, r.destination, r.status, r.attempts] for r in rows)


def table(rows: list[Row]) -> str:
    """A few files of each client, everything that is wrong, and the rest in one line."""
    heading = (
        f"{'client':<26} {'file':<26} {'size':>10}  {'sha256 source':<13} {'destination':<13} {'ledger':<10} attempts"
    )
    lines = ["", heading, "-" * len(heading)]
    for name in dict.fromkeys(row.client for row in rows):
        own = sorted((row for row in rows if row.client == name), key=lambda row: (row.right, "claims/" in row.file))
        wrong = [row for row in own if not row.right]
        shown = own[: max(_ROWS_PER_CLIENT, min(len(wrong), 50))]
        for row in shown:
            mark = "" if row.right else "  <-- WRONG"
            lines.append(
                f"{row.client:<26} {row.file[:26]:<26} {human_size(row.size):>10}  {row.source[:12]:<13} "
                f"{row.destination[:12]:<13} {row.status:<10} {row.attempts}{mark}"
            )
        rest = own[len(shown) :]
        if rest:
            right = sum(row.right for row in rest)
            size = human_size(sum(row.size for row in rest))
            more = f"and {len(rest):,} more"
            lines.append(f"{name:<26} {more:<26} {size:>10}  {right:,} of {len(rest):,} equal, success")
    return "\n".join(lines) + "\n"


def mails_sent(stand_ins: StandIns, since: int = 0) -> str:
    """The e-mails that were sent, a line each."""
    mails = [f"  {mail.subject:<70} to {', '.join(mail.recipients)}" for mail in stand_ins.mailbox.messages()[since:]]
    return "\n".join(["E-mails", *mails]) + "\n"
