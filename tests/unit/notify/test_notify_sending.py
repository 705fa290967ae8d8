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

from client_delivery.notify.messages import finished
from client_delivery.notify.sending import NotificationError, send

URL = "https://email.us-east-1.amazonaws.com"


class Ses:
    """Answers each call with the next of ``answers``: an error to raise, or a message id."""

    def __init__(self, *answers: Exception | str) -> None:
        self.answers = list(answers)
        self.sent: list[Any] = []
        self.options: list[dict[str, Any]] = []

    def send_raw_email(self, RawMessage: dict[str, bytes], **options: Any) -> dict[str, str]:
        self.options.append(options)
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
        ("MailFromDomainNotVerifiedException", "finish verifying the MAIL FROM domain"),
        ("AccountSendingPausedException", "sending is paused for the account"),
        (
            "ConfigurationSetDoesNotExist",
            "create the configuration set in SES, or correct delivery.ses_configuration_set",
        ),
        ("ConfigurationSetSendingPausedException", "sending is paused for the configuration set"),
        ("Throttling", "the account's sending quota is used up"),
        ("ThrottlingException", "the account's sending quota is used up"),
        ("AccessDenied", "allow ses:SendRawEmail for delivery@example.com to the role"),
        ("AccessDeniedException", "allow ses:SendRawEmail"),
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
    assert (caught.value.has, caught.value.unknown, caught.value.final) == ((), (), False), "it may be tried again"


@pytest.mark.parametrize(
    "error",
    [NoCredentialsError(), EndpointConnectionError(endpoint_url=URL), ConnectTimeoutError(endpoint_url=URL)],
    ids=lambda error: type(error).__name__,
)
def test_r7_3_a_call_that_never_left_may_be_tried_again(mail, error):
    with pytest.raises(NotificationError, match=r"SES cannot be called \(.+\)\. What to do: check") as caught:
        send(mail(), Ses(error))
    assert (caught.value.has, caught.value.unknown, caught.value.final) == ((), (), False)


@pytest.mark.parametrize(
    "error",
    [ReadTimeoutError(endpoint_url=URL), ConnectionClosedError(endpoint_url=URL)],
    ids=lambda error: type(error).__name__,
)
def test_r7_2_a_lost_answer_leaves_open_whether_it_was_sent(mail, error):
    with pytest.raises(
        NotificationError, match=r"not known whether the e-mail was sent to contact0@example\.com, contact1@"
    ) as caught:
        send(mail(), Ses(error))
    assert caught.value.unknown == tuple(contacts(2))
    assert caught.value.final


def test_r7_2_what_failed_inside_ses_may_have_been_sent(mail):
    error = refusal("InternalFailure")
    error.response["ResponseMetadata"] = {"HTTPStatusCode": 500}
    with pytest.raises(NotificationError) as caught:
        send(mail(60), Ses("id-0", error))
    assert (caught.value.has, caught.value.unknown) == (tuple(contacts(50)), tuple(contacts(60)[50:]))


@pytest.mark.parametrize("error", [refusal("Throttling"), NoCredentialsError()], ids=lambda error: type(error).__name__)
def test_r7_1_who_has_it_is_known_where_only_the_first_fifty_got_it(mail, error):
    with pytest.raises(NotificationError, match="The other 50 have it") as caught:
        send(mail(60), Ses("id-0", error))
    assert caught.value.has == tuple(contacts(50))
    assert not caught.value.final, "the others can still get it"


def test_r7_1_only_the_recipients_that_are_asked_for_get_it(mail):
    ses = Ses("id-0")
    send(mail(3), ses, ["contact2@example.com"])
    assert [recipients(sent) for sent in ses.sent] == [["contact2@example.com"]]


class Choosy:
    """Refuses each message that has one of ``bad`` among its recipients, as SES does; ``says`` is its reason."""

    def __init__(self, bad: list[str], says: str, code: str = "MessageRejected") -> None:
        self.bad, self.says, self.code, self.calls, self.got = bad, says, code, 0, []

    def send_raw_email(self, RawMessage: dict[str, bytes]) -> dict[str, str]:
        self.calls += 1
        to = recipients(message_from_bytes(RawMessage["Data"], policy=policy.default))
        if found := [address for address in to if address in self.bad]:
            raise refusal(self.code, self.says.format(", ".join(found)))
        self.got += to
        return {"MessageId": "id"}


IDENTITIES = "Email address is not verified. The following identities failed the check in region US-EAST-1: {}"


def test_r7_1_recipients_that_ses_names_cost_one_call_more_and_nobody_else_the_email(mail):
    bad = ["contact7@example.com", "contact55@example.com"]
    ses = Choosy(bad, IDENTITIES)
    with pytest.raises(NotificationError) as caught:
        send(mail(60), ses)
    assert ses.got == [address for address in contacts(60) if address not in bad]
    assert ses.calls == 4
    assert str(caught.value).count("is not verified") == 2
    assert all(address in str(caught.value) for address in bad)
    assert (set(caught.value.has), caught.value.final) == (set(ses.got), True)


def test_r7_1_a_recipient_that_ses_does_not_name_is_found_by_halves(mail):
    ses = Choosy(["contact37@example.com"], "Domain contains illegal character", "InvalidParameterValue")
    with pytest.raises(
        NotificationError, match=r"for contact37@example\.com: Domain contains illegal character"
    ) as caught:
        send(mail(50), ses)
    assert sorted(ses.got) == sorted(set(contacts(50)) - {"contact37@example.com"})
    assert ses.calls < 15
    assert len(caught.value.has) == 49


def test_an_address_that_only_contains_the_refused_one_is_another_ones(mail):
    """contact1@example.com is part of contact11@example.com."""
    ses = Choosy(["contact11@example.com"], IDENTITIES)
    with pytest.raises(NotificationError):
        send(mail(12), ses)
    assert ses.got == contacts(11)


def test_r7_3_a_sender_that_is_refused_is_not_looked_for_among_the_recipients(mail):
    ses = Ses(refusal("MessageRejected", IDENTITIES.format("Delivery@example.com")))
    with pytest.raises(NotificationError, match=r"verify the sender delivery@example\.com in SES") as caught:
        send(mail(50), ses)
    assert ses.answers == []
    assert (caught.value.has, caught.value.final) == ((), False)


def test_where_all_recipients_are_refused_another_try_may_help(mail):
    with pytest.raises(NotificationError) as caught:
        send(mail(3), Choosy(contacts(3), IDENTITIES))
    assert (caught.value.has, caught.value.final) == ((), False)


def test_r7_3_bounces_are_told_by_the_configuration_set(mail):
    ses = Ses("id-0", "id-1")
    send(mail(), ses, configuration_set="deliveries")
    send(mail(), ses)
    assert ses.options == [{"ConfigurationSetName": "deliveries"}, {}]


def test_r2_5_the_error_does_not_carry_the_message(mail):
    with pytest.raises(NotificationError) as caught:
        send(mail(1), Ses(refusal("MessageRejected")))
    assert "Job finished" not in str(caught.value) + repr(caught.value)
