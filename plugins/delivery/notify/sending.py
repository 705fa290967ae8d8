"""Hands an e-mail to Amazon SES."""

from __future__ import annotations

from copy import deepcopy
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

    A call is repeated only as ``ses`` itself is configured to: a client that repeats unanswered calls can send an
    e-mail twice (R7.2). Raises :class:`NotificationError`.
    """
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

    recipients = [str(address) for address in message["To"].addresses]
    message_id = ""
    for sent in range(0, len(recipients), MAX_RECIPIENTS):
        part = deepcopy(message)
        # SES goes by the header, so nobody counts twice.
        part.replace_header("To", ", ".join(recipients[sent : sent + MAX_RECIPIENTS]))
        already = f" The first {sent} recipients have it, so it is not sent again." if sent else ""
        try:
            answer = ses.send_raw_email(RawMessage={"Data": part.as_bytes(policy=SMTP)})
        except ClientError as error:
            reason = _reason(error, str(message["From"]))
            # What failed inside SES may have gone out all the same.
            unknown = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 500
            raise NotificationError(
                f"SES refuses the e-mail: {reason}{already}", maybe_sent=unknown or sent > 0
            ) from error
        except HTTPClientError as error:
            raise NotificationError(
                f"SES did not answer ({error}), so it is not known whether the e-mail was sent; it is not sent again.",
                maybe_sent=True,
            ) from error
        except BotoCoreError as error:
            raise NotificationError(
                f"SES cannot be called ({error}). What to do: check the AWS connection that sends and the network's "
                f"way to SES.{already}",
                maybe_sent=sent > 0,
            ) from error
        message_id = answer["MessageId"]
    return message_id


def _reason(error: ClientError, sender: str) -> str:
    answer = error.response["Error"]
    code, reason = answer.get("Code", ""), answer.get("Message", "")
    advice = _ADVICE.get(_SAME_AS.get(code, code), "see the SES console").format(sender=sender)
    return f"{reason} [{code}]. What to do: {advice}."
