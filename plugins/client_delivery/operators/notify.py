"""R7: the e-mails."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException

from client_delivery.operators.base import DeliveryOperator
from client_delivery.run.expected import look
from client_delivery.run.mails import FinishedMail, JobMail, MailUnknown, Post, StartedMail

if TYPE_CHECKING:
    from airflow.sdk import Context
    from mypy_boto3_ses import SESClient

    from client_delivery.run.context import Run


class NotifyOperator(DeliveryOperator):
    """Sends one kind of e-mail. When a mail service keeps refusing, the task is red and the delivery goes on (R7.3)."""

    winds_up = True
    mail: type[JobMail]

    def execute(self, context: Context) -> None:
        """Send the e-mail if it is due."""
        run = self.run_of(context)
        if not run.notifies:
            # Not skipped: a task that is skipped would skip the wind-up after it.
            run.log_event("mail_switched_off", kind=self.mail.kind)
            return
        try:
            self.mail(run, post_of(run)).send_due()
        except MailUnknown as error:
            raise AirflowFailException(str(error)) from error
        except Exception as error:
            if getattr(error, "final", False):
                # Another try could do no more: people are to see this (R7.3).
                raise AirflowFailException(str(error)) from error
            raise


class NotifyStartedOperator(NotifyOperator):
    """'Job started' (R7.1)."""

    mail = StartedMail


class NotifyFinishedOperator(NotifyOperator):
    """'Job finished' (R7.1)."""

    mail = FinishedMail


def look_for_late(task: DeliveryOperator, run: Run, *, delivered: bool) -> None:
    """As a run ends: tell of files that are expected and have not come (R7), and raise the client's alarm."""
    if look(run, lambda: post_of(run), delivered=delivered):
        task.alarm("files_overdue")


def post_of(run: Run) -> Post:
    """SES by Airflow's connection, and the run's page."""
    base_url, owner = conf.get("api", "base_url", fallback="").rstrip("/"), run.owner
    dag_id = owner.dag_id or run.config.name
    return Post(
        ses=lambda: _ses(run.settings.ses_connection_id),
        run_url=f"{base_url}/dags/{dag_id}/runs/{quote(owner.run_id)}" if base_url else None,
    )


def _ses(connection_id: str) -> SESClient:
    from airflow.providers.amazon.aws.hooks.ses import SesHook
    from botocore.config import Config

    # One call and no more: a call whose response was lost may have sent the e-mail (R7.2). Airflow retries the
    # rest.
    client: SESClient = SesHook(aws_conn_id=connection_id, config=Config(retries={"total_max_attempts": 1})).get_conn()
    return client
