"""*Only test the destination: deliver nothing* (R9.1): what a person's `make check-destination` does, from here."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from client_delivery.operators.base import DeliveryOperator
from client_delivery.run.questions import TEST_DESTINATION, answering_tasks

if TYPE_CHECKING:
    from airflow.sdk import Context

TABLE = logging.getLogger("deliveries.table")
"""One line of the log for each line of a table."""


class DestinationNotGood(AirflowFailException):
    """The test of a destination found something. No delivery has failed, so no alarm is raised."""


class DestinationTestOperator(DeliveryOperator):
    """Tests the destination from the worker's own address, with the worker's own credential.

    The table is in this task's log and under *XCom*; what came of it is on the Deliveries page as well.
    """

    as_begun = False

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns what the test came to. Raises :class:`DestinationNotGood` if files cannot be delivered."""
        if TEST_DESTINATION not in answering_tasks(context["params"]):
            raise AirflowSkipException("No test was asked for.")
        # Imported here: what tries servers is of use to this task alone, and Airflow parses the DAG for every one.
        from client_delivery.probe.for_run import in_lines, tested_destination
        from client_delivery.probe.report import verdict

        report = tested_destination(self.run_of(context))
        lines = in_lines(report)
        for line in lines:
            TABLE.info("%s", line)
        context["ti"].xcom_push(key="table", value="\n".join(lines))
        if not report.good:
            raise DestinationNotGood(
                f"{verdict(report)} The table above says what was tried, and what to ask the partner for. Nothing was "
                "delivered, registered or mailed."
            )
        return {"good": report.good, "verdict": verdict(report)}
