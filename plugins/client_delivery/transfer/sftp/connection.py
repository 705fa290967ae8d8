"""One SSH connection to a client's server, whose host key is verified before anything else happens (R2.3)."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
from typing import TYPE_CHECKING, Any

from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.sftp.channel import SftpChannel
from client_delivery.transfer.sftp.login import Login
from client_delivery.transfer.sftp.packets import ConnectionLost
from client_delivery.transfer.sftp.session import SftpSession

if TYPE_CHECKING:
    from client_delivery.config.model import SftpDestination
    from client_delivery.transfer.secret import Secret

_CONNECT_SECONDS = 20
_LOGIN_SECONDS = 90
_SILENCE_SECONDS = 60
_CIPHERS = (
    "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr"
)
_WEAK_CIPHERS = "aes256-cbc,aes128-cbc,3des-cbc"
_KEY_EXCHANGES = (
    "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,"
    "diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group14-sha256,"
    "diffie-hellman-group-exchange-sha256"
)
_WEAK_KEY_EXCHANGES = "diffie-hellman-group14-sha1,diffie-hellman-group-exchange-sha1,diffie-hellman-group1-sha1"
_MACS = "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512"
_WEAK_MACS = "hmac-sha1-etm@openssh.com,hmac-sha1"
_RSA = "rsa-sha2-512,rsa-sha2-256"
_KEYS = "ssh-ed25519,ecdsa-sha2-nistp521,ecdsa-sha2-nistp384,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256"


class Unreached(DestinationUnavailable):
    """The connection broke before anybody was asked for a login: a moment later it may work."""


class Connection:
    """A logged-in session and its SFTP channel. Raises :class:`DestinationUnavailable` when it cannot be had."""

    def __init__(self, config: SftpDestination, secret: Secret) -> None:
        self._config = config
        self._secret = secret
        host = f"[{config.host}]" if ":" in config.host else config.host
        self._where = f"{host}:{config.port}"
        self._socket = self._connect()
        try:
            self._session = self._handshake()
            self._verify_host_key()
            self._log_in()
            self._channel = self._open_channel()
        except BaseException:
            self._socket.close()
            raise
        try:
            self.sftp = SftpSession(self._channel)
            self.banner = _text(self._session.get_serverbanner() or "").strip().removeprefix("SSH-2.0-")
        except ConnectionLost as error:
            self.close()
            raise self._no_sftp(error) from error

    def close(self) -> None:
        """Close the session and the socket; a connection that is broken already makes no trouble."""
        self._channel.close()
        with contextlib.suppress(Exception):
            self._session.disconnect()
        self._socket.close()

    def _connect(self) -> socket.socket:
        try:
            connection = socket.create_connection((self._config.host, self._config.port), timeout=_CONNECT_SECONDS)
        except OSError as error:
            raise Unreached(
                f"The SFTP server {self._where} cannot be reached: {error.strerror or error}. Check destination.host "
                "and port, the firewalls in between, and with the client that the server is up."
            ) from error
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # A peer that vanished without a word is noticed while data is on its way, too.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENCE_SECONDS * 1000)
        return connection

    def _handshake(self) -> Any:
        from ssh import options
        from ssh.exceptions import BaseSSHError
        from ssh.session import Session

        weak = self._config.allow_weak_algorithms
        session = Session()
        session.options_set(options.HOST, self._config.host)
        session.options_set(options.USER, self._config.username)
        session.options_set_int_val(options.PROCESS_CONFIG, 0)  # nothing from ~/.ssh/config
        session.options_set_int_val(options.TIMEOUT, _CONNECT_SECONDS)
        session.options_set(options.COMPRESSION, "no")
        ciphers = f"{_CIPHERS},{_WEAK_CIPHERS}" if weak else _CIPHERS
        for option in (options.CIPHERS_C_S, options.CIPHERS_S_C):
            session.options_set(option, ciphers)
        session.options_set(options.KEY_EXCHANGE, f"{_KEY_EXCHANGES},{_WEAK_KEY_EXCHANGES}" if weak else _KEY_EXCHANGES)
        macs = f"{_MACS},{_WEAK_MACS}" if weak else _MACS
        for option in (options.HMAC_C_S, options.HMAC_S_C):
            session.options_set(option, macs)
        session.options_set(options.PUBLICKEY_ACCEPTED_TYPES, f"{_KEYS},ssh-rsa" if weak else _KEYS)
        session.options_set(options.HOSTKEYS, self._host_key_algorithms(weak))
        # libssh closes what it is given, by number: two owners would close another thread's connection some day.
        own = self._socket.dup()
        session.set_socket(own)
        own.detach()
        try:
            session.connect()
        except BaseSSHError as error:
            reason = _text(session.get_error() or error)
            if "no match for method" not in reason and "kex error" not in reason:
                raise Unreached(
                    f"The SFTP server {self._where} broke the connection off before any login: {reason}. It may limit "
                    "connections, block this address, or not be an SSH server. Ask the client."
                ) from error
            raise DestinationUnavailable(
                f"The SFTP server {self._where} does not agree on a secure connection: {reason}. If it only "
                "knows old algorithms, or shows a host key of another type than destination.host_keys lists, ask the "
                "client; as a last resort set destination.allow_weak_algorithms."
            ) from error
        return session

    def _host_key_algorithms(self, weak: bool) -> str:
        types = list(dict.fromkeys(key.split()[0] for key in self._config.host_keys))
        rsa = f"{_RSA},ssh-rsa" if weak else _RSA
        return ",".join(rsa if kind == "ssh-rsa" else kind for kind in types)

    def _verify_host_key(self) -> None:
        found = self._session.get_server_publickey().export_pubkey_base64()
        found = found.decode() if isinstance(found, bytes) else found
        expected = [key.split()[1] for key in self._config.host_keys]
        if found not in expected:
            raise DestinationUnavailable(
                f"The SFTP server {self._where} shows the host key {_fingerprint(found)}, but destination.host_keys "
                f"has {', '.join(_fingerprint(key) for key in expected)}. Nothing was sent: this may not be the "
                "client's server. Ask the client, by another way than e-mail, whether the key has changed."
            )

    def _log_in(self) -> None:
        from ssh import options

        # Directories behind the server, and people who approve, need their time.
        self._session.options_set_int_val(options.TIMEOUT, _LOGIN_SECONDS)
        Login(self._session, self._config, self._secret, self._where).run()
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
            f"The SFTP server {self._where} accepts the login but offers no SFTP: {_text(error)}. Ask the client."
        )


def _fingerprint(key: str) -> str:
    digest = hashlib.sha256(base64.b64decode(key)).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def _text(message: object) -> str:
    return message.decode(errors="replace") if isinstance(message, bytes) else str(message)
