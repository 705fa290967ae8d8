"""Hands an e-mail to Amazon SES."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from mypy_boto3_ses import SESClient

MAX_RECIPIENTS = 50
"""In one SES call."""

_ADVICE = {
    "MessageRejected": "verify the sender {sender} in SES; leave the SES sandbox if the contacts are outside it",
    "MailFromDomainNotVerifiedException": "finish verifying the MAIL FROM domain of {sender} in SES",
    "AccountSendingPausedException": "sending is paused for the account: see its reputation in the SES console",
    "InvalidParameterValue": "check the sender {sender} and the contacts in the client's configuration",
    "Throttling": "the account's sending quota is used up: ask for a higher one if this repeats",
    "AccessDenied": "allow ses:SendRawEmail for {sender} to the role that sends",
    "InvalidClientTokenId": "check the credentials of the AWS connection that sends",
    "ExpiredToken": "check the credentials of the AWS connection that sends",
}
_SAME_AS = {"ThrottlingException": "Throttling", "AccessDeniedException": "AccessDenied"}


class NotificationError(Exception):
    """The e-mail was not sent, or it is not known whether it was.

    :param maybe_sent: some of the recipients may have it; sending it again could send it twice.
    """

    def __init__(self, message: str, *, maybe_sent: bool) -> None:
        super().__init__(f"{message} The delivery itself is not affected.")
        self.maybe_sent = maybe_sent


def send(message: EmailMessage, ses: SESClient) -> str:
    """Send to everyone in ``To``; returns SES's message id, of the last call if there are several.

    Throttled and broken calls are repeated by the client's own retries only. Raises :class:`NotificationError`.
    """
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

    sender = str(message["From"])
    recipients = [address.addr_spec for address in message["To"].addresses]
    raw = message.as_bytes(policy=SMTP)
    message_id = ""
    for start in range(0, len(recipients), MAX_RECIPIENTS):
        try:
            answer = ses.send_raw_email(
                Source=sender, Destinations=recipients[start : start + MAX_RECIPIENTS], RawMessage={"Data": raw}
            )
        except ClientError as error:
            raise NotificationError(
                f"SES refuses the e-mail: {_reason(error, sender)}{_already(start)}", maybe_sent=start > 0
            ) from error
        except HTTPClientError as error:
            raise NotificationError(
                f"SES did not answer ({error}), so it is not known whether the e-mail was sent; it is not sent again.",
                maybe_sent=True,
            ) from error
        except BotoCoreError as error:
            raise NotificationError(
                f"SES cannot be called ({error}). What to do: check the AWS connection that sends and the network's "
                f"way to SES.{_already(start)}",
                maybe_sent=start > 0,
            ) from error
        message_id = answer["MessageId"]
    return message_id


def _reason(error: ClientError, sender: str) -> str:
    answer = error.response["Error"]
    code, reason = answer.get("Code", ""), answer.get("Message", "")
    advice = _ADVICE.get(_SAME_AS.get(code, code), "see the SES console").format(sender=sender)
    return f"{reason} [{code}]. What to do: {advice}."


def _already(sent: int) -> str:
    return f" The first {sent} recipients have it; it is not sent again." if sent else ""
