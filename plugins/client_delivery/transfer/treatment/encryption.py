"""OpenPGP encryption of a stream, by Sequoia: small files here, large ones in a child process.

The message is what RFC 4880 and RFC 9580 know as an encrypted and, with a signing key, signed message; literal data
has neither name nor time. GnuPG 2.2 and later reads it.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from client_delivery.config.openpgp import RecipientKey, UnusableKey, read_recipient, said
from client_delivery.transfer.contract import DestinationUnavailable, TransferError
from client_delivery.transfer.pem import UnusableKey as UnusableText
from client_delivery.transfer.pem import unwrapped
from client_delivery.transfer.secret import Secret, field_of

if TYPE_CHECKING:
    from client_delivery.config.treatment import EncryptSection

_CHILD = Path(__file__).with_name("child.py")
_PIECE = 1024 * 1024
_KINDS = ("ssh", "sftp")
_LONGEST_COMPLAINT = 4096
_PRIVATE = "PGP PRIVATE KEY BLOCK"
_ARMOR = re.compile(rf"-----BEGIN {_PRIVATE}-----(.*?)-----END {_PRIVATE}-----", re.DOTALL)


class KeyTrouble(DestinationUnavailable):
    """Nothing can be encrypted or signed for this client, whatever the file: a key is of no use (any more)."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Our private key. Its ``repr`` shows neither key nor passphrase."""

    fingerprint: str
    material: bytes = field(repr=False)
    password: str | None = field(repr=False)
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Encryption:
    """How files are encrypted, with the keys that were good when it was opened."""

    recipients: tuple[RecipientKey, ...]
    signer: Signer | None
    armor: bool

    def whole(self, content: bytes) -> bytes:
        """A small file, encrypted here: a child process would take longer to start. Raises :class:`TransferError`."""
        import pysequoia

        try:
            ours = self.signer
            signer = pysequoia.Tsk.from_bytes(ours.material).signer(ours.password) if ours else None
            keys = [pysequoia.Cert.from_bytes(key.material) for key in self.recipients]
            return pysequoia.encrypt(bytes=content, recipients=keys, signer=signer, armor=self.armor)
        except Exception as error:
            raise TransferError(f"The file could not be encrypted: {said(error)}. It will be retried.") from None

    def stream(self, pieces: Iterable[bytes]) -> Generator[bytes]:
        """The encrypted pieces, by a child process that holds little of them at a time.

        Raises :class:`TransferError`, and what ``pieces`` raises. To be closed if it is not read to its end.
        """
        child = _Child(self)
        try:
            yield from child.encrypted(pieces)
        finally:
            child.end()


class _Child:
    def __init__(self, encryption: Encryption) -> None:
        import pysequoia

        home = str(Path(str(pysequoia.__file__)).parent.parent)
        order_out, order_in = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, and a program of ours
                [sys.executable, "-I", str(_CHILD), str(order_out), home],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[order_out],
                env={},
            )
        except BaseException as error:
            os.close(order_in)
            if isinstance(error, OSError):
                raise TransferError(f"No process could be started to encrypt: {error.strerror}.") from None
            raise
        finally:
            os.close(order_out)
        # They are pipes, and so never None.
        self._input = cast("IO[bytes]", self._process.stdin)
        self._output = cast("IO[bytes]", self._process.stdout)
        self._errors = cast("IO[bytes]", self._process.stderr)
        self._order = threading.Thread(target=_write_order, args=(order_in, encryption), daemon=True)
        self._order.start()
        self._complaint = bytearray()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._trouble: BaseException | None = None

    def encrypted(self, pieces: Iterable[bytes]) -> Generator[bytes]:
        """Feed it, and hand on what it gives back."""
        output = self._output
        feeder = threading.Thread(target=self._feed, args=(pieces,), daemon=True)
        feeder.start()
        while piece := output.read(_PIECE):
            yield piece
        feeder.join()
        code = self._process.wait()
        if self._trouble is not None:
            # Whatever came out until then is the beginning of nothing.
            raise self._trouble
        if code:
            self._listener.join(5)
            why = said(RuntimeError(self._complaint.decode(errors="replace"))) if self._complaint else f"code {code}"
            raise TransferError(f"The file could not be encrypted: {why}. It will be retried.")

    def _feed(self, pieces: Iterable[bytes]) -> None:
        sink = self._input
        try:
            for piece in pieces:
                sink.write(piece)
            sink.close()
        except BrokenPipeError:
            # It has ended: its exit code says why.
            with suppress(OSError):
                sink.close()
        except BaseException as error:
            # It must not take the end of what came so far for the end of the file.
            self._trouble = error
            self._process.kill()

    def _listen(self) -> None:
        complaints = self._errors
        while line := complaints.read1(_LONGEST_COMPLAINT):  # type: ignore[attr-defined]
            self._complaint += line[: _LONGEST_COMPLAINT - len(self._complaint)]

    def end(self) -> None:
        """Nobody reads any more: it ends, if it has not."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._input, self._output, self._errors):
            with suppress(OSError, ValueError):
                stream.close()


def _write_order(fd: int, encryption: Encryption) -> None:
    signer = encryption.signer
    order = {
        "recipients": [base64.b64encode(key.material).decode() for key in encryption.recipients],
        "signer": base64.b64encode(signer.material).decode() if signer else None,
        "password": signer.password if signer else None,
        "armor": encryption.armor,
    }
    with suppress(OSError), os.fdopen(fd, "w") as sink:
        json.dump(order, sink)


def open_encryption(section: EncryptSection, secret: Secret | None, now: datetime | None = None) -> Encryption:
    """The encryption, with every key looked at as it is now. Raises :class:`KeyTrouble`.

    :param secret: the signing key's connection; None if files are not signed.
    """
    recipients = recipients_of(section.recipients, now)
    return Encryption(recipients, None if secret is None else read_signer(secret, now), section.armor)


def recipients_of(keys: Sequence[str], now: datetime | None = None) -> tuple[RecipientKey, ...]:
    """Raises :class:`KeyTrouble` for the first key that nothing can be encrypted for."""
    found = []
    for number, text in enumerate(keys):
        try:
            found.append(read_recipient(text, now))
        except UnusableKey as error:
            raise KeyTrouble(f"encrypt.recipients[{number}]: {error} Nothing was sent.") from None
    return tuple(found)


def read_signer(secret: Secret, now: datetime | None = None) -> Signer:
    """The private key of a connection, if it can sign now. Raises :class:`KeyTrouble`; no message quotes the key."""
    now = now or datetime.now(UTC)
    where = f"The connection {secret.connection_id!r} (encrypt.sign_with)"
    key = field_of(secret.extra, ["private_key"], _KINDS) or secret.password
    try:
        text = _unfolded(key) if isinstance(key, str) else ""
    except UnusableText:
        text = ""
    if _PRIVATE not in text:
        raise KeyTrouble(
            f"{where} holds {secret.outline}, but no OpenPGP private key. Store the output of `gpg --armor "
            "--export-secret-keys <fingerprint>` as the secret, or as `private_key` of the connection's extra."
        )
    passphrase = field_of(secret.extra, ["private_key_passphrase", "passphrase"], _KINDS)
    password = str(passphrase) if passphrase else None
    try:
        import pysequoia
    except ImportError:
        raise KeyTrouble("The package pysequoia, which encrypts, is not installed here.") from None
    try:
        material = text.encode()
        private = pysequoia.Tsk.from_bytes(material)
        public = private.extract_certificate()
        fingerprint = public.fingerprint.upper()
        expires, revoked = public.expiration, public.is_revoked
    except Exception as error:
        raise KeyTrouble(f"{where}: its OpenPGP key cannot be used: {said(error)}.") from None
    if revoked:
        raise KeyTrouble(f"{where}: its key {fingerprint} is revoked. Store the one in use now.")
    if expires is not None and expires <= now:
        raise KeyTrouble(f"{where}: its key {fingerprint} expired on {expires:%Y-%m-%d}. Store a valid one.")
    try:
        pysequoia.sign(private.signer(password), b"")
    except Exception as error:
        hint = "" if password else " If it has a passphrase, store it as `private_key_passphrase` of the extra."
        raise KeyTrouble(f"{where}: its key {fingerprint} does not sign: {said(error)}.{hint}") from None
    return Signer(fingerprint, material, password, expires)


def _unfolded(key: str) -> str:
    """The armored block with its lines as they should be: consoles turn newlines into blanks, or write ``\\n``."""
    plain = unwrapped(key)
    found = _ARMOR.search(plain)
    if found is None or "\n" in found[1].strip():
        return plain
    return "\n".join([f"-----BEGIN {_PRIVATE}-----", "", *found[1].split(), f"-----END {_PRIVATE}-----", ""])
