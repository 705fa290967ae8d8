"""The end of the tries: every file of the run has an outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

from client_delivery.operators.base import DeliveryOperator
from client_delivery.run.closing import settle

if TYPE_CHECKING:
    from airflow.sdk import Context


class SettleOperator(DeliveryOperator):
    """When the transfers' tries are over, what is still ``processing`` ends in ``fail`` (R6.2, R7.2)."""

    winds_up = True

    def execute(self, context: Context) -> dict[str, int]:
        """Returns the counts by final status."""
        return settle(self.run_of(context))
