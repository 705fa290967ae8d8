"""R8.2: the run sets its files inactive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from client_delivery.operators.base import DeliveryOperator
from client_delivery.run.closing import WoundUp, deactivate

if TYPE_CHECKING:
    from airflow.sdk import Context


class DeactivateOperator(DeliveryOperator):
    """Sets all of the client's entries inactive (R8.2): what is sent is closed, what failed is held (R5.4)."""

    winds_up = True

    def execute(self, context: Context) -> WoundUp:
        """Returns what :class:`~client_delivery.operators.report.ReportOperator` goes by."""
        return deactivate(self.run_of(context))
