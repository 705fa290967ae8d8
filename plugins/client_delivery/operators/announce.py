"""Other DAGs are told that files have arrived (R7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from client_delivery.operators.assets import delivered_alias, delivered_asset, pickup_asset
from client_delivery.operators.base import DeliveryOperator
from client_delivery.run.announcing import arrived
from client_delivery.run.closing import settle

if TYPE_CHECKING:
    from airflow.sdk import Context


class AnnounceOperator(DeliveryOperator):
    """Adds one event to the client's asset, if files arrived. Only where the setting ``asset_events`` asks for it.

    A task of its own, and none that decides the run's colour: Airflow refuses to run a task one of whose assets another
    DAG has claimed under another name (``AirflowInactiveAssetInInletOrOutletException``), and no delivery may depend on
    that. It is never skipped, for what follows it would be.
    """

    winds_up = True

    def __init__(self, **kwargs: Any) -> None:
        config = kwargs.get("config")
        if config is not None:
            kwargs |= {"inlets": [pickup_asset(config)], "outlets": [delivered_alias(config.name)]}
        super().__init__(**kwargs)

    def execute(self, context: Context) -> dict[str, int]:
        """Returns how many files were delivered, and their bytes."""
        run = self.run_of(context)
        settle(run)  # it goes beside the e-mail's task, which does the same: whoever is first
        files, size = arrived(run)
        if files:
            extra: dict[str, Any] = {
                "client_h_number": run.config.client_h_number,
                "delivery_key": run.config.delivery_key,
                "run": str(run.owner),
                "files": files,
                "bytes": size,
            }
            outlet = context["outlet_events"][delivered_alias(run.config.name)]
            outlet.add(delivered_asset(run.config), extra=extra)
        return {"files": files, "bytes": size}
