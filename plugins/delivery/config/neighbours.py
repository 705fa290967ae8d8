"""What two configurations may not have in common (R2.7): nothing may be sent twice, mixed up, or sent on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

from delivery.config.document import Document
from delivery.config.model import ClientConfig, S3Destination
from delivery.config.problem import ConfigError, quoted

_NAMED = 3
"""A message names this many other files; the rest are counted."""


def conflicts(loaded: Mapping[Path, tuple[ClientConfig, Document]]) -> dict[Path, ConfigError]:
    """An error for each file that is at odds with others. It names them."""
    configs = {path: config for path, (config, _) in loaded.items()}
    keys: defaultdict[str, list[Path]] = defaultdict(list)
    for path, config in configs.items():
        keys[config.delivery_key].append(path)
    pickups = _Pickups(configs)

    for path, (config, document) in loaded.items():
        if others := _names(keys[config.delivery_key], path, {}):
            document.report(
                ("feed",) if config.feed else ("client_h_number",),
                f"the delivery key {quoted(config.delivery_key)}, which is also that of {others}",
                "a key that no other file has",
                "Give this client's configurations a `feed` each, by another name, or remove one of them.",
            )
        if others := pickups.names(config.pickup.bucket, config.pickup.prefix, path):
            document.report(
                ("pickup", "prefix"),
                f"{quoted(config.pickup.prefix)}, which overlaps with the pick-up of {others}",
                "a prefix of its own",
                "One would delete what the other has not sent yet. Give each its own prefix.",
            )
        destination = config.destination
        if isinstance(destination, S3Destination) and (
            others := pickups.names(destination.bucket, destination.prefix, path)
        ):
            document.report(
                ("destination", "prefix"),
                f"{quoted(destination.prefix)}, which overlaps with the pick-up of {others}",
                "a destination outside every pick-up",
                "Files delivered there would be sent on to that client, and deleted.",
            )
    return {path: ConfigError(d.problems, d.omitted) for path, (_, d) in loaded.items() if d.problems}


class _Pickups:
    """All pick-ups, to be asked which of them overlap with a place in a bucket. Prefixes end with ``/``."""

    def __init__(self, configs: Mapping[Path, ClientConfig]) -> None:
        self._at: defaultdict[tuple[str, str], list[Path]] = defaultdict(list)
        self._below: defaultdict[tuple[str, str], list[Path]] = defaultdict(list)
        self._prefixes = {path: f" ({quoted(config.pickup.prefix)})" for path, config in configs.items()}
        for path, config in configs.items():
            bucket, prefix = config.pickup.bucket, config.pickup.prefix
            self._at[bucket, prefix].append(path)
            for around in (*_ancestors(prefix), prefix):
                self._below[bucket, around].append(path)

    def names(self, bucket: str, prefix: str, own: Path) -> str:
        """The files, but ``own``, whose pick-up contains ``prefix``, is it, or lies in it; each with its prefix."""
        containing = [path for around in _ancestors(prefix) for path in self._at.get((bucket, around), ())]
        return _names(containing + self._below.get((bucket, prefix), []), own, self._prefixes)


def _ancestors(prefix: str) -> Iterable[str]:
    """The prefixes around ``prefix``, the bucket's top included: ``a/b/`` gives ``''`` and ``a/``."""
    parts = prefix.split("/")[:-1]
    return ("".join(part + "/" for part in parts[:length]) for length in range(len(parts)))


def _names(paths: Sequence[Path], own: Path, remarks: Mapping[Path, str]) -> str:
    """The files but ``own``, of which the first few by name; nothing if there is no other."""
    named = [f"{path.name}{remarks.get(path, '')}" for path in islice((p for p in paths if p != own), _NAMED)]
    uncounted = len(paths) - (own in paths) - len(named)
    return ", ".join(named) + (f" and {uncounted} more" if uncounted else "")
