"""R8: the run's end, and its colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from client_delivery.access.aws import events_client
from client_delivery.operators.base import DeliveryOperator
from client_delivery.operators.post import post_of
from client_delivery.operators.tasks import FINISHED_TASK, LIFE
from client_delivery.run.announcing import delivered_of, put_event
from client_delivery.run.closing import deactivate, failures, settle
from client_delivery.run.last_look import look_for_late
from client_delivery.run.mails import FinishedMail
from client_delivery.run.notifying import tell_after_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

    from client_delivery.ledger.entry import Entry


class ReportOperator(DeliveryOperator):
    """The run's last word: sets its files inactive (R8.2), and is red, with names and reasons, if any failed (R8.3).

    It settles what is not settled and sends the finish e-mail that nobody has accounted for in this life of the run:
    the UI can clear only the failed tasks of a run, the transfers and this one, but not the e-mail between them; and
    the e-mail's own task may have failed before the ledger knew of any e-mail.
    """

    winds_up = True
    _delivered: Sequence[Entry] = ()
    """What this try found delivered."""

    def execute(self, context: Context) -> None:
        """Raises if any file failed."""
        run, task = self.run_of(context), context["ti"]
        post = post_of(self, run)
        settled = settle(run)
        self._delivered = delivered_of(settled)
        if task.xcom_pull(task_ids=FINISHED_TASK, key=LIFE) != str(run.owner):
            tell_after_all(FinishedMail(run, post), retried=task.try_number <= task.max_tries)
        if not put_event(run, events_client, run_url=post.run_url(run.owner)):
            self.alarm("event_not_put")
        closed = deactivate(run, settled)
        look_for_late(run, post, delivered=True)
        failed = failures(run, closed)
        run.end()
        if failed:
            raise AirflowFailException(failed)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """What the OpenLineage provider asks for when the task has ended, red or not
        (https://airflow.apache.org/docs/apache-airflow-providers-openlineage/2.16.0/guides/developer.html).

        Nobody else calls it. It reads what is in memory: the provider waits some seconds in a process of its own.
        """
        from client_delivery.operators.lineage import lineage_of

        return lineage_of(self._acting_for, self._delivered)
