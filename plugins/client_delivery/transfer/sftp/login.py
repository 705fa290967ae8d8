"""Logging in: by key, password, keyboard-interactive, or by key *and* password, as the server asks for.

RFC 4252 (methods, partial success) and 4256 (questions).

A password is offered once, by one method: servers count failures and lock accounts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.sftp.credentials import nothing_to_log_in_with, password_of, private_key_of
from client_delivery.transfer.sftp.learned import Learned

if TYPE_CHECKING:
    from client_delivery.config.model import SftpSection
    from client_delivery.transfer.secret import Secret

_METHODS = {
    0x02: "password",
    0x04: "publickey",
    0x08: "hostbased",
    0x10: "keyboard-interactive",
    0x20: "gssapi-with-mic",
}
"""libssh's bits, and the names of the RFCs."""
_INFO = 3
"""libssh's word for: the server asks a question."""
_MOST_QUESTIONS = 8
_SHOWN = 60


class Login:
    """One login. Raises :class:`DestinationUnavailable`, which names the step, and what both sides offer.

    :param session: a libssh session whose host key has been verified.
    :param learned: takes what the server offers and accepts.
    """

    def __init__(
        self, session: Any, config: SftpSection, secret: Secret, where: str, learned: Learned | None = None
    ) -> None:
        self._session = session
        self._config = config
        self._secret = secret
        self._where = where
        self._password = password_of(secret)
        self._learned = learned or Learned()
        self._accepted = self._learned.accepted
        self._refused: list[str] = []
        self._question = ""

    def run(self) -> None:
        """Take the steps that the server asks for, as far as there are credentials for them."""
        from ssh.exceptions import AuthenticationDenied, AuthenticationPartial, BaseSSHError

        key = private_key_of(self._secret)
        if key is None and self._password is None:
            raise nothing_to_log_in_with(self._secret)
        if (offered := self._first_offer()) is None:
            return
        self._learned.offered = offered
        while (step := self._next(offered, has_key=key is not None)) is not None:
            try:
                self._take(step, key)
            except AuthenticationPartial:
                self._accepted.append(step)
                offered = self._offer()
            except AuthenticationDenied:
                self._refused.append(step)
                offered = self._offer() or offered
            except (BaseSSHError, TimeoutError) as error:
                raise self._broken(step, error) from None
            else:
                self._accepted.append(step)
                return
        raise self._no_way(offered)

    def _first_offer(self) -> list[str] | None:
        """What can be tried; None if the server lets anybody in."""
        from ssh.exceptions import AuthenticationDenied, AuthenticationPartial, BaseSSHError

        try:
            _require_success(self._session.userauth_none())
        except (AuthenticationDenied, AuthenticationPartial):
            return self._offer()
        except (BaseSSHError, TimeoutError) as error:
            raise self._broken("none", error) from None
        return None

    def _offer(self) -> list[str]:
        bits = self._session.userauth_list()
        return [name for bit, name in _METHODS.items() if bits & bit]

    def _next(self, offered: list[str], *, has_key: bool) -> str | None:
        done = {*self._accepted, *self._refused}
        if has_key and "publickey" in offered and "publickey" not in done:
            return "publickey"
        if "publickey" in self._refused:
            return None  # beside a key, the password may be its passphrase, which is none of the server's business
        if self._password is not None and not done & {"password", "keyboard-interactive"}:
            return next((step for step in ("password", "keyboard-interactive") if step in offered), None)
        return None

    def _take(self, step: str, key: Any) -> None:
        if step == "publickey":
            _require_success(self._session.userauth_publickey(key))
        elif step == "password":
            _require_success(self._session.userauth_password(self._config.username, self._password))
        else:
            self._respond_to_questions()

    def _respond_to_questions(self) -> None:
        """The password for the first hidden question; who asks for more wants something that is not in the secret."""
        from ssh.exceptions import AuthenticationDenied

        given = False
        for _ in range(_MOST_QUESTIONS):
            outcome = self._session.userauth_kbdint(self._config.username, "")
            if outcome != _INFO:
                _require_success(outcome)
                return
            for number in range(self._session.userauth_kbdint_getnprompts()):
                echo = bytes(bytearray(8))  # libssh writes into it
                prompt = self._session.userauth_kbdint_getprompt(number, echo)
                if given or echo[0]:
                    self._question = _text(prompt)
                    raise AuthenticationDenied
                self._session.userauth_kbdint_setanswer(number, (self._password or "").encode())
                given = True
        raise AuthenticationDenied

    def _broken(self, step: str, error: Exception) -> DestinationUnavailable:
        # libssh's message may be about the secret; what it says of the connection is not.
        reason = _text(self._session.get_error())
        if isinstance(error, TimeoutError) or "imeout" in reason or "imed out" in reason:
            reason = "it did not respond in time"
        elif "not allowed" in reason and step == "publickey":
            return DestinationUnavailable(
                f"The SFTP server {self._where} only accepts signatures of the private key in the Airflow connection "
                f"{self._secret.connection_id!r} by an algorithm that is not allowed here ({reason}). Ask the client "
                "for a server that knows rsa-sha2-256, or to register an Ed25519 key; as a last resort set "
                "destination.allow_weak_algorithms."
            )
        else:
            reason = "it broke the connection off"
        return DestinationUnavailable(
            f"The SFTP server {self._where} did not finish the login of {self._config.username!r}, step {step}: "
            f"{reason} ({type(error).__name__}). This says nothing about the credential. Ask the client whether "
            "the server, or the service that it asks for logins, is down, or locks this account or address."
        )

    def _no_way(self, offered: list[str]) -> DestinationUnavailable:
        secret = self._secret
        has_key = private_key_of(secret) is not None
        held = " and ".join(["a private key"] * has_key + ["a password"] * (self._password is not None))
        facts = [
            f"The server offers {', '.join(offered) or 'no method'}; the Airflow connection "
            f"{secret.connection_id!r} holds {held}."
        ]
        if self._accepted:
            facts.append(f"It accepted {', '.join(self._accepted)} and asks for more.")
        if self._question:
            facts.append(f"It asked {self._question[:_SHOWN]!a}, which needs a person to answer.")
        if self._refused and not self._question:
            facts.append("The credential may have expired or been changed: store the valid one.")
        else:
            facts.append("Store what the server asks for, or ask the client for another way to log in.")
        refused = f" by {', '.join(self._refused)}" if self._refused else ""
        return DestinationUnavailable(
            f"The SFTP server {self._where} refuses the login of {self._config.username!r}{refused}. {' '.join(facts)}"
        )


def _require_success(outcome: int) -> None:
    """libssh does not raise when no response came in time: it says that it wants to be asked again."""
    if outcome != 0:
        raise TimeoutError


def _text(message: object) -> str:
    return message.decode(errors="replace") if isinstance(message, bytes) else str(message)
