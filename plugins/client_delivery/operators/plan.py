"""*Only say what would happen* (R9.1): each waiting file with its fate, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from client_delivery.operators.base import DeliveryOperator
from client_delivery.operators.destination_test import TABLE
from client_delivery.operators.failing import failing_as_airflow_does
from client_delivery.run.questions import SAY_PLAN, answering_tasks

if TYPE_CHECKING:
    from airflow.sdk import Context


class PlanOperator(DeliveryOperator):
    """Says what the run would have done with each file, by the rules and the form's other choices.

    The table is in this task's log; the first thousand files are also under *XCom*, as CSV.
    """

    as_begun = False

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns how many files would be sent, held, removed and left."""
        if SAY_PLAN not in answering_tasks(context["params"]):
            raise AirflowSkipException("No plan was asked for.")
        # Imported here: Airflow parses the DAG for every task, and this is of use to this one alone.
        from client_delivery.run.detection import check_form
        from client_delivery.run.plan import plan
        from client_delivery.run.plan_report import PlanReport

        run = self.run_of(context)
        with failing_as_airflow_does():
            check_form(run)
        report = PlanReport.of(plan(run))
        run.log_event("plan_said", **{fate.value: count for fate, count in report.counts.items()})
        for line in report.lines():
            TABLE.info("%s", line)
        context["ti"].xcom_push(key="csv", value=report.csv())
        return {"summary": report.summary, **{fate.value: count for fate, count in report.counts.items()}}
