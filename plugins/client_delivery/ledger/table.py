"""The ledger: every file ever handled, in DynamoDB (R3).

The operations on an entry are in four modules: a run takes files on (``assigning``), an attempt sends one
(``attempts``), a run ends (``endings``), a person decides (``decisions``). ``partition`` finds entries, and makes
conditional changes.
"""

from __future__ import annotations

from client_delivery.ledger.assigning import GUARDED_BATCH, Assigning, Assignment
from client_delivery.ledger.attempts import Attempts
from client_delivery.ledger.decisions import Decisions
from client_delivery.ledger.endings import Endings

__all__ = ["GUARDED_BATCH", "Assignment", "Ledger"]


class Ledger(Assigning, Attempts, Decisions, Endings):
    """The entries of one delivery key in the ledger table."""
