"""Checks configuration files before they are deployed (R2.8), with the same messages as the DAGs' pages.

``python -m client_delivery.config.check [path …]`` takes files and directories. A file is checked together with its
neighbours, so that a second file for the same client is found as well. Exit code: 0 if all is well, 1 if a file is
wrong, 2 if there was nothing to check.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from client_delivery.config.acknowledgement import in_words
from client_delivery.config.delivered import example
from client_delivery.config.loader import LoadedConfig, Rule, load_directory
from client_delivery.config.model import ClientConfig
from client_delivery.config.problem import quoted
from client_delivery.config.treatment_checks import key_lines, refuse_unusable_keys

DEFAULT_DIRECTORY = Path("include/client_configs")


def main(arguments: Sequence[str] | None = None, rules: Sequence[Rule] = ()) -> int:
    """Print every problem and a summary; return the exit code. ``rules`` are those of an environment, if any."""
    parser = argparse.ArgumentParser(prog="check-config", description="Checks clients' configuration files.")
    parser.add_argument(
        "paths", nargs="*", type=Path, default=[DEFAULT_DIRECTORY], metavar="path", help="a .yaml file or a directory"
    )
    paths: list[Path] = parser.parse_args(arguments).paths
    try:
        results = _load(paths, (*rules, refuse_unusable_keys))
    except FileNotFoundError as error:
        sys.stderr.write(f"check-config: {error}\n")
        return 2
    wrong = [result for result in results if result.error]
    for result in wrong:
        sys.stdout.write(f"{result.error}\n")
    for result in results:
        if result.config is not None:
            lines = [
                *starts(result.config),
                *next_due(result.config),
                *who_hears(result.config),
                *names(result.config),
                *acknowledged(result.config),
                *key_lines(result.config),
            ]
            sys.stdout.writelines(f"{line}\n" for line in lines)
    files = "1 file" if len(results) == 1 else f"{len(results)} files"
    sys.stdout.write(f"{files} checked, {len(wrong) or 'none'} wrong\n")
    return 1 if wrong else 0


def starts(config: ClientConfig) -> list[str]:
    """At which minutes the client's runs begin, where the name decides it or what comes."""
    lines = []
    if config.cron != config.schedule:
        lines.append(f"{config.name}: starts by {config.cron} ({config.schedule}, with a minute derived from the name)")
    if config.watched:
        what = "its done file" if config.trigger_on_done_file else "a new file"
        lines.append(f"{config.name}: starts within a minute of the arrival of {what}")
    return lines


def next_due(config: ClientConfig) -> list[str]:
    """What the client is expected to send, and the next times by which, so that people see how it was understood."""
    zone, lines = ZoneInfo(config.timezone), []
    for one in config.expectations:
        times = [f"{due.astimezone(zone):%a %Y-%m-%d %H:%M}" for due in one.due.next(datetime.now(UTC), 3)]
        lines.append(f"{config.name}: expects {one.words}; next {', '.join(times)}")
    return lines


def who_hears(config: ClientConfig) -> list[str]:
    """The rules of ``notify``, in words."""
    return [f"{config.name}: sends {rule.words}" for rule in config.notify]


def names(config: ClientConfig) -> list[str]:
    """What a file would be called at the destination, so that people see how their template was understood."""
    shown = example(config)
    return [f"{config.name}: delivers {quoted(shown[0])} as {quoted(shown[1])}"] if shown else []


def acknowledged(config: ClientConfig) -> list[str]:
    """By what a file would be acknowledged, so that people see how their pattern was understood."""
    section = config.acknowledgement
    if section is None:
        return []
    source, delivered = example(config) or ("example.csv", "example.csv")
    awaited = section.awaited(
        client=config.client_h_number,
        feed=config.feed or "",
        delivered=delivered,
        plain=delivered.removesuffix(config.suffixes),
    )
    where = f" in {section.place}" if section.place else ""
    return [
        f"{config.name}: awaits {quoted(awaited.words)}{where} for {quoted(source)}, within {in_words(section.within)}"
    ]


def _load(paths: Iterable[Path], rules: Sequence[Rule]) -> list[LoadedConfig]:
    """The result for each configuration in or at ``paths``, once. Raises :class:`FileNotFoundError`."""
    results: dict[Path, LoadedConfig] = {}
    for path in paths:
        is_directory = path.is_dir()
        directory = path if is_directory else path.parent
        found = load_directory(directory, rules) if directory.is_dir() else []
        chosen = [result for result in found if is_directory or result.path == path]
        if not chosen:
            what = "has no configuration files (*.yaml)" if is_directory else "is not a configuration file (*.yaml)"
            raise FileNotFoundError(f"{path} {what if path.exists() else 'does not exist'}")
        results |= {result.path.absolute(): result for result in chosen}
    return list(results.values())


if __name__ == "__main__":
    sys.exit(main())
