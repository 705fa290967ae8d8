"""Hands an e-mail to Amazon SES.

What SES does, by its API reference (SendRawEmail) and developer guide: at most 50 recipients and 10 MB for each call;
one recipient that it refuses (malformed, or not verified while the account is in the sandbox) makes it refuse the whole
message; an address on the suppression list is *accepted* and not sent to, which only a bounce event tells.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from mypy_boto3_ses import SESClient

MAX_RECIPIENTS = 50
"""In one SES call."""

_ADVICE = {
    "MessageRejected": "verify the sender {sender} in SES; leave the SES sandbox if the contacts are outside it",
    "MailFromDomainNotVerifiedException": "finish verifying the MAIL FROM domain of {sender} in SES",
    "AccountSendingPausedException": "sending is paused for the account: see its reputation in the SES console",
    "ConfigurationSetDoesNotExist": "create the configuration set in SES, or correct delivery.ses_configuration_set",
    "ConfigurationSetSendingPausedException": "sending is paused for the configuration set: see the SES console",
    "InvalidParameterValue": "check the sender {sender} and the contacts in the client's configuration",
    "Throttling": "the account's sending quota is used up: ask for a higher one if this repeats",
    "AccessDenied": "allow ses:SendRawEmail for {sender} to the role that sends",
    "InvalidClientTokenId": "check the credentials of the AWS connection that sends",
    "ExpiredToken": "check the credentials of the AWS connection that sends",
}
_SAME_AS = {
    "ThrottlingException": "Throttling",
    "AccessDeniedException": "AccessDenied",
    "ConfigurationSetDoesNotExistException": "ConfigurationSetDoesNotExist",
}
_MAY_BE_A_RECIPIENTS = frozenset({"MessageRejected", "InvalidParameterValue"})
"""What SES says of a message with one bad recipient; it says the same of a bad sender or content."""


class NotificationError(Exception):
    """The e-mail was not sent to everybody, or it is not known whether it was.

    :param has: the recipients who have it.
    :param unknown: the recipients who may have it; sending it again could send it twice.
    :param final: a retry is of no use, because everybody whom SES accepts has the e-mail.
    """

    def __init__(
        self, message: str, *, has: Sequence[str] = (), unknown: Sequence[str] = (), final: bool = False
    ) -> None:
        others = f" The other {len(has)} have it." if len(has) > 1 else f" {has[0]} has it." if has else ""
        super().__init__(f"{message}{others} The delivery itself is not affected.")
        self.has = tuple(has)
        self.unknown = tuple(unknown)
        self.final = final or bool(unknown)


@dataclass
class _Progress:
    todo: list[list[str]]
    """Groups of recipients that have not been tried, or are to be tried in smaller groups."""
    message_id: str = ""
    has: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    """Address and reason."""


def send(
    message: EmailMessage, ses: SESClient, recipients: Sequence[str] | None = None, configuration_set: str = ""
) -> str:
    """Send to ``recipients``, by default to everyone in ``To``; returns SES's message id, of the last call.

    A recipient that SES refuses costs only itself: the others get the e-mail, then :class:`NotificationError` names who
    did not. A call is repeated only as ``ses`` itself is configured to: a client that repeats unanswered calls can send
    an e-mail twice (R7.2).

    :param configuration_set: the SES configuration set whose event destination reports bounces and complaints.
    """
    to = list(recipients) if recipients is not None else [str(address) for address in message["To"].addresses]
    progress = _Progress([to[start : start + MAX_RECIPIENTS] for start in range(0, len(to), MAX_RECIPIENTS)])
    while progress.todo:
        _send_to(progress, progress.todo[0], message, ses, configuration_set)
    if progress.refused:
        named = "; ".join(f"{address}: {reason}" for address, reason in progress.refused.items())
        raise NotificationError(f"SES refuses the e-mail for {named}", has=progress.has, final=bool(progress.has))
    return progress.message_id


def _send_to(
    progress: _Progress, group: list[str], message: EmailMessage, ses: SESClient, configuration_set: str
) -> None:
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

    part = deepcopy(message)
    # SES goes by the header, so nobody counts twice.
    part.replace_header("To", ", ".join(group))
    options: dict[str, Any] = {"ConfigurationSetName": configuration_set} if configuration_set else {}
    try:
        response = ses.send_raw_email(RawMessage={"Data": part.as_bytes(policy=SMTP)}, **options)
    except ClientError as error:
        sender = message["From"].addresses[0].addr_spec
        reason = _reason(error, sender)
        # A failure inside SES does not mean that the e-mail was not sent.
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 500:
            raise NotificationError(
                f"SES failed, so it is not known whether the e-mail was sent to {', '.join(group)}; it will not be "
                f"sent again: {reason}",
                has=progress.has,
                unknown=group,
            ) from error
        if not _a_recipients(error, sender):
            raise NotificationError(f"SES refuses the e-mail: {reason}", has=progress.has) from error
        _set_aside(progress, group, error.response["Error"].get("Message", ""), reason)
        return
    except HTTPClientError as error:
        raise NotificationError(
            f"SES did not respond ({error}), so it is not known whether the e-mail was sent to {', '.join(group)}; "
            "it is not sent again.",
            has=progress.has,
            unknown=group,
        ) from error
    except BotoCoreError as error:
        raise NotificationError(
            f"SES cannot be called ({error}). What to do: check the AWS connection that sends and the network's "
            "access to SES.",
            has=progress.has,
        ) from error
    progress.message_id = response["MessageId"]
    progress.has += group
    del progress.todo[0]


def _set_aside(progress: _Progress, group: list[str], said: str, reason: str) -> None:
    """One of the group is refused, or all are: those that SES names, otherwise the last ones of ever smaller groups."""
    named = [address for address in group if _names(said, address)]
    del progress.todo[0]
    if named or len(group) == 1:
        progress.refused |= dict.fromkeys(named or group, reason)
        if rest := [address for address in group if address not in progress.refused]:
            progress.todo.insert(0, rest)
    else:
        half = len(group) // 2
        progress.todo[:0] = [group[:half], group[half:]]


def _a_recipients(error: ClientError, sender: str) -> bool:
    """Whether a recipient can be the reason of the refusal: then the others need not go without."""
    refusal = error.response["Error"]
    return refusal.get("Code") in _MAY_BE_A_RECIPIENTS and not _names(refusal.get("Message", ""), sender)


def _names(text: str, address: str) -> bool:
    """Whether the text has this address, and not only one that contains it."""
    return re.search(rf"(?<![\w.+-]){re.escape(address)}(?![\w-]|\.\w)", text, re.IGNORECASE) is not None


def _reason(error: ClientError, sender: str) -> str:
    refusal = error.response["Error"]
    code, reason = refusal.get("Code", ""), refusal.get("Message", "")
    advice = _ADVICE.get(_SAME_AS.get(code, code), "see the SES console").format(sender=sender)
    return f"{reason} [{code}]. What to do: {advice}."
