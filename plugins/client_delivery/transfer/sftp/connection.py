"""One SSH connection to a client's server, whose host key is verified before anything else happens (R2.3)."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.sftp.channel import SftpChannel
from client_delivery.transfer.sftp.handshake import (
    agrees_on_nothing,
    fingerprint,
    prepared_session,
    shown_key,
    text_of,
)
from client_delivery.transfer.sftp.learned import Learned
from client_delivery.transfer.sftp.login import Login
from client_delivery.transfer.sftp.packets import ConnectionLost
from client_delivery.transfer.sftp.session import SftpSession

if TYPE_CHECKING:
    from client_delivery.config.model import SftpSection
    from client_delivery.transfer.secret import Secret

_CONNECT_SECONDS = 20
_LOGIN_SECONDS = 90
_SILENCE_SECONDS = 60


class Unreached(DestinationUnavailable):
    """The connection broke before anybody was asked for a login: a moment later it may work."""


class SftpConnection:
    """A logged-in session and its SFTP channel. Raises :class:`DestinationUnavailable` when it cannot be had.

    :param learned: takes what is learned of the server, also where this raises.
    :param seconds: that connecting, and agreeing on a secure connection, may take each; None for the usual.
    """

    def __init__(
        self,
        config: SftpSection,
        secret: Secret,
        *,
        learned: Learned | None = None,
        seconds: int | None = None,
    ) -> None:
        self._config = config
        self._secret = secret
        self._learned = learned or Learned()
        self._seconds = _CONNECT_SECONDS if seconds is None else seconds
        host = f"[{config.host}]" if ":" in config.host else config.host
        self._where = f"{host}:{config.port}"
        self._socket = self._connect()
        try:
            self._session = self._handshake()
            self._verify_host_key()
            self._log_in()
            self._channel = self._open_channel()
        except BaseException:
            cut(self._socket)
            raise
        try:
            self.sftp = SftpSession(self._channel)
            self.banner = self._learned.banner
        except ConnectionLost as error:
            self.close()
            raise self._no_sftp(error) from error

    def close(self) -> None:
        """Close the session and the socket; a connection that is broken already makes no trouble."""
        self._channel.close()
        with contextlib.suppress(Exception):
            self._session.disconnect()
        cut(self._socket)

    def _connect(self) -> socket.socket:
        connection = reached(self._config.host, self._config.port, self._seconds)
        with contextlib.suppress(OSError):  # the server has closed it already, which the handshake will explain
            self._learned.address = _address(connection.getpeername())
            self._learned.own_address = _address(connection.getsockname()).rpartition(":")[0]
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # A peer that vanished without a word is noticed while data is on its way, too.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENCE_SECONDS * 1000)
        return connection

    def _handshake(self) -> Any:
        from ssh.exceptions import BaseSSHError

        session = prepared_session(
            self._socket,
            host=self._config.host,
            username=self._config.username,
            key_types=list(dict.fromkeys(key.split()[0] for key in self._config.host_keys)),
            weak=self._config.allow_weak_algorithms,
            seconds=self._seconds,
        )
        try:
            session.connect()
        except BaseSSHError as error:
            reason = text_of(session.get_error() or error)
            if is_silent(session, reason):
                raise Unreached(silence(self._where, self._seconds)) from error
            if not agrees_on_nothing(reason):
                raise Unreached(
                    f"The SFTP server {self._where} broke the connection off before any login: {reason}. It may limit "
                    "connections, block this address, or not be an SSH server. Ask the client."
                ) from error
            raise DestinationUnavailable(
                f"The SFTP server {self._where} does not agree on a secure connection: {reason}. If it only "
                "knows old algorithms, or shows a host key of another type than destination.host_keys lists, ask the "
                "client; as a last resort set destination.allow_weak_algorithms."
            ) from error
        agreed = (session.get_kex_algo(), session.get_cipher_out(), session.get_hmac_out())
        self._learned.algorithms = ", ".join(text_of(one) for one in agreed if one)
        self._learned.banner = text_of(session.get_serverbanner() or "").strip().removeprefix("SSH-2.0-")
        return session

    def _verify_host_key(self) -> None:
        self._learned.host_key = found = shown_key(self._session)
        if found not in self._config.host_keys:
            raise DestinationUnavailable(
                f"The SFTP server {self._where} shows the host key {fingerprint(found)}, but destination.host_keys "
                f"has {', '.join(map(fingerprint, self._config.host_keys))}. Nothing was sent: this may not be the "
                "client's server. Ask the client, not by e-mail, whether the key has changed."
            )

    def _log_in(self) -> None:
        from ssh import options

        # Directory services that the server asks, and people who approve, need their time.
        self._session.options_set_int_val(options.TIMEOUT, _LOGIN_SECONDS)
        Login(self._session, self._config, self._secret, self._where, self._learned).run()
        self._session.options_set_int_val(options.TIMEOUT, _SILENCE_SECONDS)

    def _open_channel(self) -> SftpChannel:
        from ssh.exceptions import BaseSSHError

        try:
            channel = self._session.channel_new()
            channel.open_session()
            channel.request_sftp()
        except (BaseSSHError, OSError) as error:
            raise self._no_sftp(error) from error
        return SftpChannel(self._session, channel, self._socket, silence=_SILENCE_SECONDS)

    def _no_sftp(self, error: BaseException) -> DestinationUnavailable:
        return DestinationUnavailable(
            f"The SFTP server {self._where} accepts the login but offers no SFTP: {text_of(error)}. Ask the client."
        )


def reached(host: str, port: int, seconds: float) -> socket.socket:
    """A connected socket. Raises :class:`Unreached`.

    :param seconds: for each of the addresses that the name has.
    """
    try:
        return socket.create_connection((host, port), timeout=seconds)
    except OSError as error:
        shown = f"[{host}]" if ":" in host else host
        raise Unreached(
            f"The SFTP server {shown}:{port} cannot be reached: {error.strerror or error}. Check destination.host "
            "and port, the firewalls in between, and with the client that the server is up."
        ) from error


def is_silent(session: Any, reason: str) -> bool:
    """Whether somebody took the connection and never said a word."""
    return "imeout" in reason and not session.get_serverbanner()


def silence(where: str, seconds: int) -> str:
    """What that may mean."""
    return (
        f"{where} accepts connections, but says nothing within {seconds} s; an SSH server speaks first. A "
        "firewall or load balancer may accept them instead, the port may be another service's, or the server "
        "is overloaded. Check destination.port, and ask the client whether the server sees our connection."
    )


def cut(sock: socket.socket) -> None:
    """End a connection for all copies of its socket: libssh keeps its own until it is garbage, and the server
    would count that as open."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


def _address(name: tuple[object, ...]) -> str:
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
