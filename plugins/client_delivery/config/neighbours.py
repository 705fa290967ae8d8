"""What two configurations may not have in common (R2.7): nothing may be sent twice, mixed up, or sent on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path

from client_delivery.config.document import Document
from client_delivery.config.model import ClientConfig, S3Section
from client_delivery.config.problem import ConfigError, quoted

_NAMED = 3
"""A message names this many other files; the rest are counted."""


class Claim(StrEnum):
    """What a configuration has for itself."""

    KEY = "key"
    PICKUP = "pickup"
    DESTINATION = "destination"
    ARCHIVE = "archive"


Since = Callable[[ClientConfig, Claim], "str | None"]
"""When a configuration last delivered with what it claims: a time that sorts; None if it never did."""


def _unknown(config: ClientConfig, claim: Claim) -> None:
    """For a check of files before they are deployed: nobody is established."""


def conflicts(loaded: Mapping[Path, tuple[ClientConfig, Document]], since: Since = _unknown) -> dict[Path, ConfigError]:
    """An error for each file that is at odds with others. It names them.

    A file that ``since`` knows, and the others not, is established: it goes on delivering, and only the newcomers are
    wrong. Where it knows several, the one that delivered last is the established one (a file that was renamed, and
    came back).
    """
    configs = {path: config for path, (config, _) in loaded.items()}
    neighbours = _Neighbours(configs)
    for path, (config, document) in loaded.items():
        for clash in neighbours.clashes(path):
            mine = since(config, clash.claim)
            stronger = []
            for other in clash.others:
                theirs = since(configs[other], clash.their_claim)
                if (theirs or "") >= (mine or "") if clash.mutual else theirs is not None and theirs > (mine or ""):
                    stronger.append(other)
            if stronger:
                found = clash.found + _names(stronger, clash.remarks)
                document.report(clash.field, found, clash.expected, clash.hint)
    return {path: ConfigError(d.problems, d.omitted) for path, (_, d) in loaded.items() if d.problems}


def at_odds(one: ClientConfig, other: ClientConfig) -> bool:
    """Whether the two cannot be there together."""
    both = {Path("one"): one, Path("other"): other}
    neighbours = _Neighbours(both)
    return any(True for path in both for _ in neighbours.clashes(path))


@dataclass(frozen=True, slots=True)
class _Clash:
    """One file is at odds with others, over what it claims and what they claim."""

    claim: Claim
    their_claim: Claim
    others: Sequence[Path]
    field: tuple[str, ...]
    found: str
    """What stands before the names of the others."""
    expected: str
    hint: str
    remarks: Mapping[Path, str]
    """What to add after the name of each of the others."""
    mutual: bool = True
    """Whether this file is wrong where nobody is established; else the others are."""


class _Neighbours:
    """All configurations, to be asked what one of them clashes with."""

    def __init__(self, configs: Mapping[Path, ClientConfig]) -> None:
        self._configs = configs
        self._keys: defaultdict[str, list[Path]] = defaultdict(list)
        for path, config in configs.items():
            self._keys[config.delivery_key].append(path)
        self._pickups = _Places({path: (c.pickup.bucket, c.pickup.prefix) for path, c in configs.items()})
        self._destinations = _Places(
            {
                path: (config.destination.bucket, config.destination.prefix)
                for path, config in configs.items()
                if isinstance(config.destination, S3Section)
            }
        )

        self._archives = _Places(
            {path: (c.pickup.bucket, c.archive_prefix) for path, c in configs.items() if c.archive_prefix}
        )

    def clashes(self, path: Path) -> Iterator[_Clash]:
        """What the file at ``path`` has in common with others."""
        config = self._configs[path]
        if others := [other for other in self._keys[config.delivery_key] if other != path]:
            yield _Clash(
                Claim.KEY,
                Claim.KEY,
                others,
                ("feed",) if config.feed else ("client_h_number",),
                f"the delivery key {quoted(config.delivery_key)}, which is also that of ",
                "a key that no other file has",
                "Give each of this client's configurations a different `feed`, or remove one of them.",
                {},
            )
        pickup = config.pickup
        if others := self._pickups.overlapping(pickup.bucket, pickup.prefix, path):
            yield _Clash(
                Claim.PICKUP,
                Claim.PICKUP,
                others,
                ("pickup", "prefix"),
                f"{quoted(pickup.prefix)}, which overlaps with the pick-up of ",
                "a prefix of its own",
                "One would delete files that the other has not sent yet. Give each its own prefix.",
                self._pickups.remarks,
            )
        if others := self._destinations.overlapping(pickup.bucket, pickup.prefix, path):
            yield _Clash(
                Claim.PICKUP,
                Claim.DESTINATION,
                others,
                ("pickup", "prefix"),
                f"{quoted(pickup.prefix)}, which overlaps with the destination of ",
                "a pick-up outside every destination",
                "This configuration would send the files that were delivered there, and delete them.",
                self._destinations.remarks,
                mutual=False,
            )
        if others := self._archives.overlapping(pickup.bucket, pickup.prefix, path):
            yield _Clash(
                Claim.PICKUP,
                Claim.ARCHIVE,
                others,
                ("pickup", "prefix"),
                f"{quoted(pickup.prefix)}, which overlaps with the archive of ",
                "a pick-up outside every archive",
                "This configuration would send the files that are kept there, and delete them.",
                self._archives.remarks,
                mutual=False,
            )
        destination = config.destination
        if isinstance(destination, S3Section) and (
            others := self._pickups.overlapping(destination.bucket, destination.prefix, path)
        ):
            yield _Clash(
                Claim.DESTINATION,
                Claim.PICKUP,
                others,
                ("destination", "prefix"),
                f"{quoted(destination.prefix)}, which overlaps with the pick-up of ",
                "a destination outside every pick-up",
                "Files delivered there would be sent on to that client, and deleted.",
                self._pickups.remarks,
            )
        if config.archive_prefix and (others := self._pickups.overlapping(pickup.bucket, config.archive_prefix, path)):
            yield _Clash(
                Claim.ARCHIVE,
                Claim.PICKUP,
                others,
                ("after_delivery", "archive"),
                f"{quoted(config.archive_prefix)}, which overlaps with the pick-up of ",
                "a prefix outside every pick-up",
                "Archived files would be sent on to that client, and deleted.",
                self._pickups.remarks,
            )


class _Places:
    """Places in buckets, to be asked which of them overlap with another one. Prefixes end with ``/``."""

    def __init__(self, places: Mapping[Path, tuple[str, str]]) -> None:
        self._at: defaultdict[tuple[str, str], list[Path]] = defaultdict(list)
        self._below: defaultdict[tuple[str, str], list[Path]] = defaultdict(list)
        self.remarks = {path: f" ({quoted(prefix)})" for path, (_, prefix) in places.items()}
        for path, (bucket, prefix) in places.items():
            self._at[bucket, prefix].append(path)
            for around in (*_ancestors(prefix), prefix):
                self._below[bucket, around].append(path)

    def overlapping(self, bucket: str, prefix: str, own: Path) -> list[Path]:
        """The files, but ``own``, whose place contains ``prefix``, is it, or lies in it."""
        containing = [path for around in _ancestors(prefix) for path in self._at.get((bucket, around), ())]
        return [path for path in containing + self._below.get((bucket, prefix), []) if path != own]


def _ancestors(prefix: str) -> Iterable[str]:
    """The prefixes around ``prefix``, the bucket's top included: ``a/b/`` gives ``''`` and ``a/``."""
    parts = prefix.split("/")[:-1]
    return ("".join(part + "/" for part in parts[:length]) for length in range(len(parts)))


def _names(paths: Sequence[Path], remarks: Mapping[Path, str]) -> str:
    """The files, of which the first few by name."""
    named = [f"{path.name}{remarks.get(path, '')}" for path in islice(paths, _NAMED)]
    uncounted = len(paths) - len(named)
    return ", ".join(named) + (f" and {uncounted} more" if uncounted else "")
