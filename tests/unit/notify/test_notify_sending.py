"""R7.3: what is said, and whether it may be tried again, when SES does not take an e-mail."""

from __future__ import annotations

from email import message_from_bytes, policy
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from delivery.notify.messages import finished
from delivery.notify.sending import NotificationError, send

URL = "https://email.us-east-1.amazonaws.com"


class Ses:
    """Answers each call with the next of ``answers``: an error to raise, or a message id."""

    def __init__(self, *answers: Exception | str) -> None:
        self.answers = list(answers)
        self.sent: list[Any] = []

    def send_raw_email(self, RawMessage: dict[str, bytes]) -> dict[str, str]:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        self.sent.append(message_from_bytes(RawMessage["Data"], policy=policy.default))
        return {"MessageId": answer}


def refusal(code: str, reason: str = "the reason") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": reason}}, "SendRawEmail")


def contacts(count: int) -> list[str]:
    return [f"contact{number}@example.com" for number in range(count)]


@pytest.fixture
def mail(job):
    return lambda count=2: finished(job(), "Deliveries <delivery@example.com>", contacts(count))


def recipients(message: Any) -> list[str]:
    return [address.addr_spec for address in message["To"].addresses]


@pytest.mark.parametrize(("count", "calls"), [(1, [1]), (50, [50]), (51, [50, 1]), (120, [50, 50, 20])])
def test_r7_1_everyone_gets_it_once_in_calls_of_at_most_fifty(mail, count, calls):
    message = mail(count)
    ses = Ses(*(f"id-{number}" for number in range(len(calls))))
    assert send(message, ses) == f"id-{len(calls) - 1}"
    assert [len(recipients(sent)) for sent in ses.sent] == calls
    assert [to for sent in ses.sent for to in recipients(sent)] == contacts(count)
    assert {sent["Subject"] for sent in ses.sent} == {message["Subject"]}
    assert len(recipients(message)) == count, "the message itself is as it was"


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("MessageRejected", "verify the sender Deliveries <delivery@example.com> in SES; leave the SES sandbox"),
        ("MailFromDomainNotVerifiedException", "finish verifying the MAIL FROM domain"),
        ("AccountSendingPausedException", "sending is paused for the account"),
        ("Throttling", "the account's sending quota is used up"),
        ("ThrottlingException", "the account's sending quota is used up"),
        ("AccessDenied", "allow ses:SendRawEmail for Deliveries <delivery@example.com> to the role"),
        ("AccessDeniedException", "allow ses:SendRawEmail"),
        ("InvalidParameterValue", "check the sender Deliveries <delivery@example.com> and the contacts"),
        ("ExpiredToken", "check the credentials"),
        ("SomethingNew", "see the SES console"),
    ],
)
def test_r7_3_a_refusal_says_why_and_what_to_do(mail, code, advice):
    with pytest.raises(NotificationError) as caught:
        send(mail(), Ses(refusal(code)))
    text = str(caught.value)
    assert text.startswith(f"SES refuses the e-mail: the reason [{code}]. What to do: {advice}")
    assert text.endswith("The delivery itself is not affected.")
    assert not caught.value.maybe_sent, "it may be tried again"


@pytest.mark.parametrize(
    "error",
    [NoCredentialsError(), EndpointConnectionError(endpoint_url=URL), ConnectTimeoutError(endpoint_url=URL)],
    ids=lambda error: type(error).__name__,
)
def test_r7_3_a_call_that_never_left_may_be_tried_again(mail, error):
    with pytest.raises(NotificationError, match=r"SES cannot be called \(.+\)\. What to do: check") as caught:
        send(mail(), Ses(error))
    assert not caught.value.maybe_sent


@pytest.mark.parametrize(
    "error",
    [ReadTimeoutError(endpoint_url=URL), ConnectionClosedError(endpoint_url=URL)],
    ids=lambda error: type(error).__name__,
)
def test_r7_2_a_lost_answer_leaves_open_whether_it_was_sent(mail, error):
    with pytest.raises(
        NotificationError, match="not known whether the e-mail was sent; it is not sent again"
    ) as caught:
        send(mail(), Ses(error))
    assert caught.value.maybe_sent


@pytest.mark.parametrize("error", [refusal("Throttling"), NoCredentialsError()], ids=lambda error: type(error).__name__)
def test_r7_2_what_the_first_fifty_have_is_not_sent_again(mail, error):
    with pytest.raises(NotificationError, match="The first 50 recipients have it, so it is not sent again") as caught:
        send(mail(60), Ses("id-0", error))
    assert caught.value.maybe_sent


def test_r2_5_the_error_does_not_carry_the_message(mail):
    with pytest.raises(NotificationError) as caught:
        send(mail(), Ses(refusal("MessageRejected")))
    assert "Job finished" not in str(caught.value) + repr(caught.value)
