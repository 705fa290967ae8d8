"""The ledger: every file ever handled, in DynamoDB (R3).

What can be done with an entry is in four wings: a run takes files on (``assigning``), an attempt sends one
(``attempts``), a run ends (``endings``), a person decides (``decisions``). How entries are found, and how a conditional
change of one is made, is in ``partition``.
"""

from __future__ import annotations

from client_delivery.ledger.assigning import GUARDED_BATCH, Assigning, Assignment
from client_delivery.ledger.attempts import Attempts
from client_delivery.ledger.decisions import Decisions
from client_delivery.ledger.endings import Endings

__all__ = ["GUARDED_BATCH", "Assignment", "Ledger"]


class Ledger(Assigning, Attempts, Decisions, Endings):
    """The entries of one delivery key in the ledger table."""
