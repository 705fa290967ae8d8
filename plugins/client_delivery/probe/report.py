"""A test's result for people: a table, what to ask the partner for, and suggested lines of YAML."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator

from client_delivery.config.outline import as_yaml
from client_delivery.probe.trial import Report
from client_delivery.runtime.events import one_line
from client_delivery.transfer.finding import Finding, Outcome

SIGNS = {Outcome.YES: "✓", Outcome.NO: "✗", Outcome.UNKNOWN: "–"}  # noqa: RUF001 - people read it
_WIDTH = 110
"""Columns where the output is no terminal: a log, a file."""
_NAMES = 18


def as_text(report: Report) -> str:
    """The whole report."""
    return "\n".join(_lines(report)) + "\n"


def verdict(report: Report) -> str:
    """The result in one sentence, or two."""
    found = report.found
    wrong = [one for one in found.findings if one.outcome is Outcome.NO]
    needed = [one for one in wrong if one.needed]
    if needed:
        return f"Nothing can be delivered like this: {', '.join(dict.fromkeys(one.what for one in needed))}."
    if not report.written:
        return "Connecting and logging in work. No file was written."
    if not found.delivered:
        return "Connecting and logging in work. Writing a file was not tried; see below."
    if wrong:
        return f"Files can be delivered. Not everything works: {', '.join(dict.fromkeys(one.what for one in wrong))}."
    return "Files can be delivered."


def _lines(report: Report) -> Iterator[str]:
    yield f"Test of {report.configuration}: {report.destination}, {report.at:%Y-%m-%d %H:%M:%S} UTC"
    for one in report.found.findings:
        yield from _wrapped(f"  {SIGNS[one.outcome]} {one.what:<{_NAMES}}", one.told)
    yield ""
    yield verdict(report)
    yield from _asks(report.found.findings)
    yield from _fits(report)
    if report.found.left:
        yield ""
        yield "STILL AT THE DESTINATION, because it could not be removed:"
        for left in report.found.left:
            yield from _wrapped("  ", left)


def _asks(findings: list[Finding]) -> Iterator[str]:
    for here, title in ((False, "Ask the partner:"), (True, "To be done on our side:")):
        wrong = [one for one in findings if one.outcome is Outcome.NO and one.here is here]
        if wrong:
            yield ""
            yield title
        for what, ask in dict.fromkeys((one.what, one.ask) for one in wrong):
            yield from _wrapped(f"  {what}: ", ask, indent=4)


def _fits(report: Report) -> Iterator[str]:
    if report.found.fits:
        yield ""
        yield f"Suggested lines for {report.configuration}.yaml:"
        yield "  destination:"
    for fit in report.found.fits:
        yield from _wrapped("    # ", fit.why, prefix="    # ")
        if isinstance(fit.value, list):
            yield f"    {fit.field}:"
            yield from (f"      - {as_yaml(value)}" for value in fit.value)
        else:
            yield f"    {fit.field}: {as_yaml(fit.value)}"


def _wrapped(head: str, text: str, indent: int | None = None, prefix: str = "") -> list[str]:
    """A server's words are untrusted: its control characters are shown as escapes."""
    return textwrap.wrap(
        one_line(text),
        max(60, shutil.get_terminal_size((_WIDTH, 24)).columns),
        initial_indent=head,
        subsequent_indent=prefix or " " * (len(head) if indent is None else indent),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [head]
