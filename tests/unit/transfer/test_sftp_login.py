"""Logging in at servers that fall silent, break off or ask too much, by a libssh session in another's place."""

from __future__ import annotations

import asyncssh
import pytest
from ssh.exceptions import AuthenticationDenied, AuthenticationPartial, OtherError

from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.secret import Secret
from client_delivery.transfer.sftp.learned import Learned
from client_delivery.transfer.sftp.login import Login
from tests.unit.transfer.sftp_kit import SECRET, section

KEY = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
WITH_KEY = Secret("acme_sftp", extra={"private_key": KEY})
PASSWORD, PUBLIC_KEY, INTERACTIVE = 0x02, 0x04, 0x10
SUCCESS, AGAIN, INFO = 0, -2, 3


class Libssh:
    """One session: what each method responds, in turn; what it raises may be told by ``get_error``."""

    def __init__(self, offers: int, reason: bytes | str = b"", **turns: object) -> None:
        self.offers = offers
        self.given: list[str] = []
        self._reason = reason
        self._turns = {"none": [AuthenticationDenied()], **{name: list(turn) for name, turn in turns.items()}}
        self.prompts: list[bytes] = []

    def userauth_none(self):
        return self._turn("none")

    def userauth_list(self):
        return self.offers

    def userauth_publickey(self, key):
        return self._turn("publickey")

    def userauth_password(self, user, password):
        self.given.append(password)
        return self._turn("password")

    def userauth_kbdint(self, user, submethods):
        outcome = self._turn("kbdint")
        if isinstance(outcome, list):
            self.prompts = outcome
            return INFO
        return outcome

    def userauth_kbdint_getnprompts(self):
        return len(self.prompts)

    def userauth_kbdint_getprompt(self, number, echo):
        return self.prompts[number]

    def userauth_kbdint_setanswer(self, number, answer):
        self.given.append(answer.decode())

    def get_error(self):
        return self._reason

    def _turn(self, step):
        turns = self._turns[step]
        turn = turns.pop(0) if len(turns) > 1 else turns[0]
        if isinstance(turn, Exception):
            raise turn
        return turn


def log_in(session, secret=SECRET) -> Learned:
    learned = Learned()
    Login(session, section(), secret, "sftp.example.org:22", learned).run()
    return learned


def refusal(session, secret=SECRET) -> str:
    with pytest.raises(DestinationUnavailable) as refused:
        log_in(session, secret)
    return str(refused.value)


def test_a_connection_without_a_credential_is_said_so_before_the_server_is_asked():
    session = Libssh(PASSWORD, none=[AssertionError("nobody asks the server")])
    assert "has neither a password nor the extra 'private_key'" in refusal(session, Secret("acme_sftp", login="acme"))


def test_a_server_that_lets_anybody_in_gets_no_password():
    session = Libssh(PASSWORD, none=[SUCCESS])
    learned = log_in(session)
    assert (learned.offered, learned.accepted, session.given) == ([], [], [])


def test_a_key_and_then_a_password_are_given_where_both_are_asked_for():
    session = Libssh(PUBLIC_KEY | PASSWORD, publickey=[AuthenticationPartial()], password=[SUCCESS])
    learned = log_in(session, Secret("acme_sftp", password="letmein", extra={"private_key": KEY}))
    assert learned.accepted == ["publickey", "password"]
    assert session.given == ["letmein"]


def test_the_password_is_the_answer_to_one_hidden_question():
    session = Libssh(INTERACTIVE, kbdint=[[b"Password: "], [], SUCCESS])
    assert log_in(session).accepted == ["keyboard-interactive"]
    assert session.given == ["letmein"]


def test_questions_without_end_are_a_refusal():
    session = Libssh(INTERACTIVE, kbdint=[[b"Password: "], []])
    message = refusal(session)
    assert "refuses the login of 'acme' by keyboard-interactive" in message
    assert session.given == ["letmein"], "once"


def test_a_second_hidden_question_gets_no_answer():
    session = Libssh(INTERACTIVE, kbdint=[[b"Password: ", b"One-time code: "]])
    assert "It asked 'One-time code: ', which needs a person to answer" in refusal(session)
    assert session.given == ["letmein"]


BROKEN = [
    ("none", {"none": [OtherError()]}, b"Socket error: Connection reset", "it broke the connection off (OtherError)"),
    ("none", {"none": [AGAIN]}, b"", "it did not respond in time (TimeoutError)"),
    ("password", {"password": [OtherError()]}, "Timeout connecting", "it did not respond in time (OtherError)"),
    ("password", {"password": [OtherError()]}, "Operation timed out", "it did not respond in time (OtherError)"),
    ("password", {"password": [OtherError()]}, "Socket error: disconnected", "it broke the connection off"),
    ("password", {"password": [OtherError()]}, "'letmein' is not allowed", "it broke the connection off"),
]


@pytest.mark.parametrize(("step", "turns", "reason", "why"), BROKEN)
def test_a_login_that_breaks_off_is_not_blamed_on_the_credential(step, turns, reason, why):
    message = refusal(Libssh(PASSWORD, reason, **turns))
    assert f"did not finish the login of 'acme', step {step}: {why}" in message
    assert "This says nothing about the credential" in message
    assert "letmein" not in message


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        ("The key algorithm 'ssh-rsa' is not allowed to be used by PUBLICKEY_ACCEPTED_TYPES", "knows rsa-sha2-256"),
        ("Socket error: disconnected", "step publickey: it broke the connection off"),
    ],
)
def test_a_server_that_only_takes_old_signatures_is_told_from_one_that_breaks_off(reason, why):
    assert why in refusal(Libssh(PUBLIC_KEY, reason, publickey=[OtherError()]), WITH_KEY)


def test_a_server_that_offers_nothing_says_what_we_hold():
    message = refusal(Libssh(0))
    assert "The server offers no method; the Airflow connection 'acme_sftp' holds a password." in message
    assert "ask the client for another way to log in" in message
