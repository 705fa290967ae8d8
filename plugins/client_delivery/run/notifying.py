"""How a step of a run announces its job: first to the rules of ``notify``, then to the contacts (R7.1)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from client_delivery.run.rules import tell_of_job

if TYPE_CHECKING:
    from client_delivery.run.job_mail import JobMail


def tell(mail: JobMail) -> None:
    """Send all messages that are due. Raises as :meth:`~client_delivery.run.job_mail.JobMail.send_due` does."""
    tell_of_job(mail)
    if mail.run.notifies:
        mail.send_due()
    else:
        mail.run.log_event("mail_switched_off", kind=mail.kind)
        mail.accounted = True


def tell_after_all(mail: JobMail, *, retried: bool) -> None:
    """The same at the run's end, if the e-mail's own task has not accounted for it in this life of the run.

    Trouble with an e-mail never fails the delivery (R7.3). But closed files lead to no e-mail: if the e-mail is not
    accounted for and another try follows, this raises, and that try sends it.

    :param retried: whether Airflow retries the task if it fails.
    """
    tell_of_job(mail)
    if not mail.run.notifies:
        return
    try:
        mail.send_due()
    except Exception as error:
        if retried and not mail.accounted:
            raise
        mail.run.log_event("mail_not_sent", level=logging.ERROR, kind=mail.kind, error=str(error))
