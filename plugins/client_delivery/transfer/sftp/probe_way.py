"""The way to an SFTP server as a test reports it: address, secure connection, host key, login."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.reach import each_address_may_take, find_address, milliseconds
from client_delivery.transfer.sftp.connection import SftpConnection, Unreached
from client_delivery.transfer.sftp.credentials import public_key_of
from client_delivery.transfer.sftp.handshake import fingerprint, md5_fingerprint
from client_delivery.transfer.sftp.host_key_scan import scan
from client_delivery.transfer.sftp.learned import Learned

if TYPE_CHECKING:
    from client_delivery.config.model import SftpSection
    from client_delivery.transfer.finding import Findings
    from client_delivery.transfer.secret import Secret

_SHOWN_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")


class Way:
    """Connects once, and tells how far it came."""

    def __init__(self, config: SftpSection, secret: Secret, findings: Findings) -> None:
        self._config = config
        self._secret = secret
        self._findings = findings
        self._user = repr(config.username)

    def connected(self) -> SftpConnection | None:
        """The connection, logged in, with SFTP; None if there is none, and a finding says why."""
        config, findings, learned = self._config, self._findings, Learned()
        open_up = (
            f"Say whether the server is up, and open your firewall for our addresses to {config.host}:{config.port}."
        )
        addresses = find_address(config.host, config.port, findings, "Say which name or address the server has.")
        if not addresses:
            return None
        began = time.monotonic()
        try:
            connection = SftpConnection(
                config, self._secret, learned=learned, seconds=int(each_address_may_take(addresses))
            )
        except DestinationUnavailable as error:
            self._explain(error, learned, open_up)
            return None
        self._tell_way(learned, milliseconds(began))
        return connection

    def _explain(self, error: DestinationUnavailable, learned: Learned, open_up: str) -> None:
        findings, told = self._findings, str(error)
        if not learned.address:
            findings.no("Reached", told, open_up)
            return
        findings.yes("Reached", f"{learned.address}, from {learned.own_address}")
        if not learned.host_key:
            findings.no("Secure connection", told, "Say which algorithms and host keys the server has.")
            if not isinstance(error, Unreached):
                self._show_host_keys()
            return
        findings.yes("Secure connection", f"{learned.banner}: {learned.algorithms}")
        shown = fingerprint(learned.host_key)
        if learned.host_key not in self._config.host_keys:
            listed = ", ".join(map(fingerprint, self._config.host_keys))
            findings.no(
                "Host key",
                f"the server shows {shown}, and the YAML lists {listed}. Nothing was logged in: this may not be the "
                "partner's server",
                (
                    "Read out the fingerprints of the server's host keys on the telephone: is the one that we have "
                    "out of date?"
                ),
            )
            self._show_host_keys()
            return
        findings.yes("Host key", f"{learned.host_key.split()[0]} {shown} is in the YAML")
        if not self._logged_in(learned, told):
            ask = f"Say how {self._user} logs in, and whether the account is open and not locked."
            if key := self._tell_own_key():
                ask = f"Compare the fingerprint of our key, {key}, with the one that you have for {self._user}. {ask}"
            findings.no("Login", told, ask)
            return
        self._tell_login(learned)
        findings.no("SFTP", told, f"Let {self._user} use SFTP, not only SSH.")

    def _tell_own_key(self) -> str:
        """The fingerprint of what we log in with, for the partner to compare; empty without a key."""
        key = public_key_of(self._secret)
        if key is None:
            return ""
        self._findings.unknown("Our key", f"{key.split()[0]} {fingerprint(key)}, {md5_fingerprint(key)}")
        return fingerprint(key)

    @staticmethod
    def _logged_in(learned: Learned, told: str) -> bool:
        return bool(learned.accepted) and "offers no SFTP" in told

    def _show_host_keys(self) -> None:
        """Ready to be pasted, when a person has compared them."""
        with contextlib.suppress(DestinationUnavailable):
            keys = scan(self._config.host, self._config.port, _SHOWN_TYPES, seconds=3).keys
            if keys:
                self._findings.fit(
                    "host_keys",
                    keys,
                    "only when compared by telephone: " + ", ".join(fingerprint(key) for key in keys),
                )

    def _tell_way(self, learned: Learned, took: str) -> None:
        findings = self._findings
        findings.yes("Reached", f"{learned.address}, from {learned.own_address}")
        findings.yes("Secure connection", f"{learned.banner}: {learned.algorithms}")
        findings.yes("Host key", f"{learned.host_key.split()[0]} {fingerprint(learned.host_key)} is in the YAML")
        self._tell_login(learned)
        findings.yes("SFTP", f"connected and logged in within {took}")

    def _tell_login(self, learned: Learned) -> None:
        by = " and ".join(learned.accepted) or "nothing: it lets anybody in"
        offered = f" (offered: {', '.join(learned.offered)})" if learned.offered else ""
        self._findings.yes("Login", f"{self._user} by {by}{offered}")
