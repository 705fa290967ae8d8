"""Other DAGs are told that files have arrived (R7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from client_delivery.operators.assets import delivered_asset, destination_assets, pickup_assets
from client_delivery.operators.base import DeliveryOperator
from client_delivery.run.announcing import arrived
from client_delivery.run.closing import settle

if TYPE_CHECKING:
    from airflow.sdk import Asset, Context

    from client_delivery.config.model import ClientConfig


class AnnounceOperator(DeliveryOperator):
    """Adds one event to the client's assets, if files arrived. Only where the setting ``asset_events`` asks for it.

    A task of its own, and none that decides the run's colour: Airflow refuses to run a task one of whose assets another
    DAG has claimed under another name (``AirflowInactiveAssetInInletOrOutletException``), and no delivery may depend on
    that. It is never skipped, for what follows it would be.
    """

    winds_up = True

    def __init__(self, **kwargs: Any) -> None:
        config = kwargs.get("config")
        if config is not None:
            kwargs |= {"inlets": pickup_assets(config), "outlets": _outlets(config)}
        super().__init__(**kwargs)

    def execute(self, context: Context) -> dict[str, int]:
        """Returns how many files were delivered, and their bytes."""
        run = self.run_of(context)
        settle(run)  # it runs beside the e-mail's task, which does the same: the first one does it
        files, size = arrived(run)
        extra: dict[str, Any] = {
            "client_h_number": run.config.client_h_number,
            "delivery_key": run.config.delivery_key,
            "run": str(run.owner),
            "files": files,
            "bytes": size,
        }
        # The DAG shows the outlets, whatever becomes of files. Events have those that the task has when it ends
        # (``_handle_current_task_success`` in airflow/sdk/execution_time/task_runner.py, 3.2.1): none if nothing
        # arrived; otherwise where this run delivered to, which an edit meanwhile does not change (R4.7). An alias
        # would need no such care, but what only an alias knows never becomes active, and starts nobody who names it.
        self.outlets = _outlets(run.config) if files else []
        for outlet in self.outlets:
            context["outlet_events"][outlet].extra = extra
        return {"files": files, "bytes": size}


def _outlets(config: ClientConfig) -> list[Asset]:
    return [delivered_asset(config.name), *destination_assets(config)]
