"""A plan for people: a table for a log, and CSV for a spreadsheet."""

from __future__ import annotations

import shutil
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from client_delivery.notify.csv_table import csv_table
from client_delivery.notify.sizes import human_size
from client_delivery.notify.untrusted import elided, printable
from client_delivery.run.plan import Fate, Planned

SHOWN = 200
"""The most files in a log; all are counted."""
_MOST_CSV = 1000
"""Files in the CSV of a task: it is kept in Airflow's database."""
_ORDER = {fate: number for number, fate in enumerate(Fate)}
_NAME = 60


@dataclass(slots=True)
class PlanReport:
    """The result of a plan. Of many files, only the first are kept: those to be sent, then the others."""

    counts: Counter[Fate] = field(default_factory=Counter)
    size: int = 0
    """Bytes that would be sent."""
    first: list[Planned] = field(default_factory=list)

    @classmethod
    def of(cls, planned: Iterable[Planned]) -> PlanReport:
        """Count all of it, and keep what is shown."""
        report, kept = cls(), {fate: list[Planned]() for fate in Fate}
        for one in planned:
            report.counts[one.fate] += 1
            if one.fate is Fate.SEND:
                report.size += one.size or 0
            if len(kept[one.fate]) < _MOST_CSV:
                kept[one.fate].append(one)
        report.first = [one for fate in Fate for one in sorted(kept[fate], key=lambda one: one.name)][:_MOST_CSV]
        return report

    @property
    def summary(self) -> str:
        """In one sentence."""
        total = self.counts.total()
        if not total:
            return "No file waits: nothing would happen."
        told = [f"{self.counts[fate]:,} {fate.value}" for fate in Fate if self.counts[fate]]
        waits = "1 file waits" if total == 1 else f"{total:,} files wait"
        return f"{waits}: {', '.join(told)}. {human_size(self.size)} would be sent. Nothing was changed."

    def lines(self) -> Iterator[str]:
        """The table."""
        yield self.summary
        width = max((min(len(printable(one.name)), _NAME) for one in self.first[:SHOWN]), default=0)
        room = max(40, shutil.get_terminal_size((160, 24)).columns - width - 24)
        for one in self.first[:SHOWN]:
            size = "" if one.size is None else human_size(one.size)
            name = elided(printable(one.name), _NAME)
            why = f"as {one.arrives_as}; {one.why}" if one.arrives_as else one.why
            first, *rest = textwrap.wrap(printable(why), room, break_on_hyphens=False) or [""]
            yield f"  {one.fate.value:<8}{name:<{width}}  {size:>10}  {first}"
            yield from (f"{'':{width + 24}}{more}" for more in rest)
        if (more := self.counts.total() - min(len(self.first), SHOWN)) > 0:
            yield f"  and {more:,} more"

    def csv(self) -> str:
        """The same for a spreadsheet, as cells that are never computed."""
        rows = [(one.fate.value, one.name, one.size, one.why, one.arrives_as) for one in self.first]
        table, _ = csv_table(("What happens", "File", "Bytes", "Why", "Arrives as"), rows)
        return table.decode("utf-8-sig")
