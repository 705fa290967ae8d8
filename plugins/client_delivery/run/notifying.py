"""How a step of a run tells of its job: first the rules of ``notify``, then the contacts (R7.1)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from client_delivery.run.rules import tell_of_job

if TYPE_CHECKING:
    from client_delivery.run.mails import JobMail


def tell(mail: JobMail) -> None:
    """Tell of it what is due. Raises as :meth:`~client_delivery.run.mails.JobMail.send_due` does."""
    tell_of_job(mail)
    if mail.run.notifies:
        mail.send_due()
    else:
        mail.run.log_event("mail_switched_off", kind=mail.kind)
        mail.accounted = True


def tell_after_all(mail: JobMail, *, retried: bool) -> None:
    """The same at the run's end, where the task of the e-mail did not account for it in this life of the run.

    No trouble is the delivery's failure (R7.3). But files that are closed lead to no e-mail: what is not accounted for
    is raised where another try follows, which sends it.

    :param retried: whether another try of the task follows one that fails.
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
