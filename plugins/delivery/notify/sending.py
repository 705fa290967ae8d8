"""Hands an e-mail to Amazon SES."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient

MAX_RECIPIENTS = 50
"""In one SES call."""


class NotificationError(Exception):
    """The e-mail was not sent, or it is not known whether it was.

    :param maybe_sent: the mail service may have taken it although its answer did not arrive.
    """

    def __init__(self, message: str, *, maybe_sent: bool) -> None:
        super().__init__(message)
        self.maybe_sent = maybe_sent


def send(message: EmailMessage, ses: SESClient) -> str:
    """Send to everyone in ``To``; returns SES's message id. Raises :class:`NotificationError`."""
    from botocore.exceptions import BotoCoreError, ClientError

    recipients = [address.addr_spec for address in message["To"].addresses]
    message_id = ""
    sent = False
    for start in range(0, len(recipients), MAX_RECIPIENTS):
        try:
            answer = ses.send_raw_email(
                Source=str(message["From"]),
                Destinations=recipients[start : start + MAX_RECIPIENTS],
                RawMessage={"Data": message.as_bytes(policy=SMTP)},
            )
        except ClientError as error:
            raise NotificationError(_advice(error, str(message["From"])), maybe_sent=sent) from error
        except BotoCoreError as error:
            raise NotificationError(
                f"SES did not answer ({type(error).__name__}), so it is not known whether the e-mail was sent. It is "
                "not sent a second time. The delivery itself is not affected.",
                maybe_sent=True,
            ) from error
        message_id, sent = answer["MessageId"], True
    return message_id


def _advice(error: object, sender: str) -> str:
    response = getattr(error, "response", {}).get("Error", {})
    code, reason = response.get("Code", ""), response.get("Message", "")
    advice = {
        "MessageRejected": f"verify the sender {sender} in SES; leave its sandbox if the contacts are outside it",
        "MailFromDomainNotVerified": "finish verifying the sender's domain in SES",
        "AccessDenied": "allow ses:SendRawEmail to the environment's role",
        "AccessDeniedException": "allow ses:SendRawEmail to the environment's role",
        "Throttling": "the account's sending rate is used up; it is tried again",
    }.get(code, "see the SES console")
    return f"SES refuses the e-mail: {reason} [{code}]. What to do: {advice}. The delivery itself is not affected."
