"""What runs in ECS for a big file (R6.1): the same engine, the same ledger, no Airflow.

    python -m client_delivery.container

Its order is in ``DELIVERY_ORDER`` (``run/order.py``; as JSON, or where in the ledger that is), its settings in the same
variables as the workers'. It asks the ledger what of the batch is left to do, does it once, and writes the outcomes
there; from here comes only the exit code. SIGTERM (Fargate gives 30 s, Spot 120 s) ends it between two pieces, with its
checkpoint kept.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping
from datetime import timedelta

from client_delivery.access.secrets_manager import read_secret
from client_delivery.ledger.orders import Orders
from client_delivery.run.attempt import Batch, BatchOutcome
from client_delivery.run.context import Run
from client_delivery.run.order import LEFT_IN_LEDGER, ORDER_VARIABLE, ExitCode, Order
from client_delivery.run.transfer import left_of
from client_delivery.runtime.events import LineFormatter, log_event
from client_delivery.runtime.settings import Settings, SettingsError
from client_delivery.transfer.plan import longest

_GRACE = timedelta(minutes=15)
"""From the end of its time, when it stops on its own, until it is ended at whatever point."""
_LOGGER = logging.getLogger("client_delivery.container")


def _order(text: str, settings: Settings) -> Order:
    """The order in ``DELIVERY_ORDER``, or that which it refers to. Raises ValueError."""
    fields = json.loads(text)
    if isinstance(fields, dict) and LEFT_IN_LEDGER in fields:
        from client_delivery.access.aws import dynamodb_client

        orders = Orders(dynamodb_client(), settings.ledger_table, str(fields.get("delivery_key")))
        text = orders.fetch(str(fields[LEFT_IN_LEDGER]))
    return Order.from_json(text)


def main(environment: Mapping[str, str] = os.environ) -> ExitCode:
    """Do what is ordered."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        settings = Settings.from_environment(environment)
        order = _order(environment.get(ORDER_VARIABLE, ""), settings)
    except (SettingsError, ValueError) as error:
        log_event(_LOGGER, "container_misused", level=logging.ERROR, error=str(error))
        return ExitCode.MISUSED
    outcome = deliver(order, settings, stop)
    if stop.is_set():
        return ExitCode.STOPPED
    if outcome.unfinished:
        return ExitCode.UNFINISHED
    return ExitCode.FAILED if outcome.failed else ExitCode.DELIVERED


def deliver(order: Order, settings: Settings, stop: threading.Event) -> BatchOutcome:
    """Try once what the ledger says is left of the batch."""
    run = Run(
        order.config,
        order.owner,
        {"bypass_file_checks": order.remove_source},
        secret_of=lambda connection_id: read_secret(connection_id, settings.connections_prefix),
    )
    entries = [
        entry
        for entry in left_of(run.ledger.of_run(run.owner, order.batch))
        if entry.owned_by.is_same_life(order.owner)
    ]
    allowed = longest(len(entries), sum(entry.size for entry in entries), run.config.destination.max_bytes_per_second)
    batch = Batch.of_run(run, _LOGGER, stop=stop, longest=allowed)
    # Nobody else ends a container: Airflow's limits are for its own tasks.
    last_resort = threading.Timer((allowed + _GRACE).total_seconds(), _end_at_once)
    last_resort.daemon = True
    last_resort.start()
    try:
        return batch.deliver(entries, run.open_destination)
    finally:
        last_resort.cancel()


def _end_at_once() -> None:
    """It was told to stop and did not: whatever it is waiting for, it waits no longer."""
    log_event(_LOGGER, "container_stuck", level=logging.ERROR, after=str(_GRACE))
    logging.shutdown()
    os._exit(ExitCode.STOPPED)


def run() -> int:
    """The process's exit code; what nobody foresaw is a line of the log like any other."""
    try:
        return main()
    except Exception:
        _LOGGER.exception("The container failed")
        return 1


if __name__ == "__main__":
    sys.exit(run())
