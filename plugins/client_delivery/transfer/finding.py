"""What came of trying a destination: each engine tries its own servers and says so in these terms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from client_delivery.transfer.contract import TransferError

DELIVERED = "Delivery"
"""What the trial is called that has a file delivered; every engine has it."""


class Outcome(StrEnum):
    """Of one trial."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    """Not tried, not told, or of no weight: nothing has to be done about it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one trial came to. No credential is in it."""

    what: str
    """What was tried, in a few words."""
    outcome: Outcome
    told: str
    """What was seen."""
    ask: str = ""
    """What to ask the partner for, or to do; only where the outcome is ``no``."""
    needed: bool = True
    """Whether nothing can be delivered without it; only where the outcome is ``no``."""
    here: bool = False
    """Whether it is for us to do, and not for the partner; only where the outcome is ``no``."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A line of the configuration that fits what was found."""

    field: str
    """Below ``destination``."""
    value: Any
    why: str


@dataclass(slots=True)
class Findings:
    """All that was found at one destination, in the order in which it was tried."""

    findings: list[Finding] = field(default_factory=list)
    fits: list[Fit] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """What of the probe is still at the destination, and why."""

    def yes(self, what: str, told: str = "") -> None:
        """It works."""
        self.findings.append(Finding(what, Outcome.YES, told))

    def no(self, what: str, told: str, ask: str, *, needed: bool = True, here: bool = False) -> None:
        """It does not work, and somebody has to do something about it: the partner, or ``here`` we ourselves."""
        self.findings.append(Finding(what, Outcome.NO, told, ask, needed, here))

    def unknown(self, what: str, told: str) -> None:
        """It was not tried or not told, or deliveries do without it."""
        self.findings.append(Finding(what, Outcome.UNKNOWN, told))

    def fit(self, field: str, value: Any, why: str) -> None:
        """The configuration's field should have this value."""
        self.fits.append(Fit(field, value, why))

    @contextmanager
    def trying(self, what: str, ask: str, *, needed: bool = True) -> Iterator[None]:
        """A trial that fails with a :class:`TransferError` is a ``no``; nothing is raised."""
        try:
            yield
        except TransferError as error:
            self.no(what, str(error), ask, needed=needed)

    @property
    def fails(self) -> bool:
        """Whether nothing could be delivered."""
        return any(one.outcome is Outcome.NO and one.needed for one in self.findings)

    @property
    def delivered(self) -> bool:
        """Whether a file has arrived."""
        return any(one.outcome is Outcome.YES and one.what == DELIVERED for one in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "findings": [asdict(one) for one in self.findings],
            "fits": [asdict(one) for one in self.fits],
            "left": list(self.left),
        }
