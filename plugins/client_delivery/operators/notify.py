"""R7: the messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowFailException

from client_delivery.operators.base import DeliveryOperator
from client_delivery.operators.post import post_of
from client_delivery.operators.tasks import LIFE
from client_delivery.run.closing import settle
from client_delivery.run.job_mail import JobMail, MailUnknown
from client_delivery.run.mails import FinishedMail, StartedMail
from client_delivery.run.notifying import tell

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.run.context import Run


class NotifyOperator(DeliveryOperator):
    """Sends one kind of e-mail. When a mail service keeps refusing, the task is red and the delivery goes on (R7.3).

    Where e-mails are switched off it is not skipped: a task that is skipped would skip the wind-up after it.
    """

    winds_up = True
    mail: type[JobMail]

    def execute(self, context: Context) -> None:
        """Send the e-mail if it is due."""
        run = self.run_of(context)
        self._before(run, context)
        mail = self.mail(run, post_of(self, run))
        try:
            tell(mail)
        except MailUnknown as error:
            raise AirflowFailException(str(error)) from error
        except Exception as error:
            if getattr(error, "final", False):
                # Another try could do no more: people are to see this (R7.3).
                raise AirflowFailException(str(error)) from error
            raise
        finally:
            if mail.accounted:
                self._accounted(run, context)

    def _before(self, run: Run, context: Context) -> None:
        """What must be true before anything is told."""

    def _accounted(self, run: Run, context: Context) -> None:
        """The e-mail is sent, or the ledger knows what is left of it: no other task has to think of it."""


class NotifyStartedOperator(NotifyOperator):
    """'Job started' (R7.1)."""

    mail = StartedMail


class NotifyFinishedOperator(NotifyOperator):
    """'Job finished' (R7.1): every file has an outcome by now, or gets one here (R6.2)."""

    mail = FinishedMail

    def _before(self, run: Run, context: Context) -> None:
        settle(run)

    def _accounted(self, run: Run, context: Context) -> None:
        # Not as the task's result: it is for a task that failed, too.
        context["ti"].xcom_push(key=LIFE, value=str(run.owner))
