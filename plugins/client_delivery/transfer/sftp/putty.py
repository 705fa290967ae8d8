"""PuTTY's private keys (``.ppk``, versions 2 and 3), which libssh does not read (R2.3).

Written here, for no maintained library reads both versions; the cryptography is that of the package ``cryptography``.
The format is described in PuTTY's manual, appendix C, "PPK file format".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import struct
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from client_delivery.transfer.pem import UnusableKey

_CURVES: dict[str, ec.EllipticCurve] = {
    "ecdsa-sha2-nistp256": ec.SECP256R1(),
    "ecdsa-sha2-nistp384": ec.SECP384R1(),
    "ecdsa-sha2-nistp521": ec.SECP521R1(),
}
_BLOCKS = ("Public-Lines", "Private-Lines")
_SPOILED = "it is a PuTTY key with lines missing or changed"
_MOST_MEMORY = 1024 * 1024
"""KiB that deriving a key may take."""


def from_putty(text: str, passphrase: str | None) -> str:
    """The key in OpenSSH's form, unencrypted. Raises :class:`UnusableKey`."""
    file = _File.parsed(text)
    if not file.encrypted:
        return _converted(file, file.checked(file.private, mac_key=b""))
    if not passphrase:
        raise UnusableKey("it is a PuTTY key with a passphrase, and no passphrase is given")
    return _converted(file, file.decrypted(passphrase.encode()))


@dataclass(frozen=True, slots=True)
class _File:
    version: int
    algorithm: str
    fields: dict[str, str]
    public: bytes
    private: bytes

    @classmethod
    def parsed(cls, text: str) -> _File:
        lines = text.splitlines()
        fields: dict[str, str] = {}
        blocks: dict[str, bytes] = {}
        at = 0
        try:
            while at < len(lines):
                name, _, value = lines[at].partition(": ")
                at += 1
                if name in ("Public-Lines", "Private-Lines"):
                    count = int(value)
                    blocks[name] = base64.b64decode("".join(lines[at : at + count]), validate=True)
                    at += count
                else:
                    fields[name] = value
            version = int(lines[0].removeprefix("PuTTY-User-Key-File-").partition(":")[0])
            file = cls(version, fields[f"PuTTY-User-Key-File-{version}"], fields, *(blocks[name] for name in _BLOCKS))
            sound = fields["Encryption"] in ("none", "aes256-cbc") and re.fullmatch("[0-9a-f]+", fields["Private-MAC"])
        except (KeyError, IndexError, ValueError, binascii.Error):
            if other := re.match(r"PuTTY-User-Key-File-(?![23]\b)(\d+)", text):
                raise UnusableKey(f"it is a PuTTY key of version {other[1]}; versions 2 and 3 can be read") from None
            raise UnusableKey(_SPOILED) from None
        if not sound:
            raise UnusableKey(_SPOILED)
        return file

    @property
    def encrypted(self) -> bool:
        return self.fields["Encryption"] != "none"

    def decrypted(self, passphrase: bytes) -> bytes:
        if len(self.private) % 16:
            raise UnusableKey(_SPOILED)
        key, start, mac_key = self._derived(passphrase)
        decryptor = Cipher(algorithms.AES256(key), modes.CBC(start)).decryptor()
        return self.checked(decryptor.update(self.private) + decryptor.finalize(), mac_key)

    def _derived(self, passphrase: bytes) -> tuple[bytes, bytes, bytes]:
        """Cipher key, initialization vector and MAC key."""
        if self.version == 2:
            # SHA-1 is the format's choice, not ours.
            key = b"".join(hashlib.sha1(struct.pack(">I", n) + passphrase).digest() for n in (0, 1))  # noqa: S324
            return key[:32], bytes(16), passphrase
        if (kind := self.fields.get("Key-Derivation")) != "Argon2id":
            raise UnusableKey(f"it is a PuTTY key with {kind}; only Argon2id, PuTTYgen's default, can be read")
        try:
            memory = int(self.fields["Argon2-Memory"])
            if memory > _MOST_MEMORY:
                raise UnusableKey(f"its passphrase takes {memory} KiB to try; {_MOST_MEMORY} are the most")
            derived = Argon2id(
                salt=bytes.fromhex(self.fields["Argon2-Salt"]),
                length=80,
                iterations=int(self.fields["Argon2-Passes"]),
                lanes=int(self.fields["Argon2-Parallelism"]),
                memory_cost=memory,
            ).derive(passphrase)
        except UnsupportedAlgorithm:
            raise UnusableKey("it is a PuTTY key with Argon2, which this system's OpenSSL does not know") from None
        except (KeyError, ValueError) as error:
            if isinstance(error, UnusableKey):
                raise
            raise UnusableKey(_SPOILED) from None
        return derived[:32], derived[32:48], derived[48:]

    def checked(self, private: bytes, mac_key: bytes) -> bytes:
        """The private part, if the file's own checksum is right: a wrong passphrase shows here."""
        parts = (self.algorithm, self.fields["Encryption"], self.fields.get("Comment", ""))
        told = b"".join(_string(part) for part in (*(part.encode() for part in parts), self.public, private))
        if self.version == 2:
            key = hashlib.sha1(b"putty-private-key-file-mac-key" + mac_key).digest()  # noqa: S324 - the format's
            found = hmac.new(key, told, hashlib.sha1).hexdigest()
        else:
            found = hmac.new(mac_key, told, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(found, self.fields["Private-MAC"]):
            reason = "the passphrase does not open it" if self.encrypted else "it has been changed or cut"
            raise UnusableKey(f"it is a PuTTY key, but {reason}")
        return private


def _converted(file: _File, private: bytes) -> str:
    public, secret = _Reader(file.public), _Reader(private)
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    try:
        public.string()  # the algorithm again
        if file.algorithm == "ssh-rsa":
            e, n = public.number(), public.number()
            d, p, q, iqmp = (secret.number() for _ in range(4))
            numbers = rsa.RSAPublicNumbers(e, n)
            key = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), iqmp, numbers).private_key()
        elif file.algorithm == "ssh-ed25519":
            key = ed25519.Ed25519PrivateKey.from_private_bytes(secret.string()[:32])
        elif file.algorithm in _CURVES:
            key = ec.derive_private_key(secret.number(), _CURVES[file.algorithm])
        else:
            raise UnusableKey("it is a PuTTY key of another type than RSA, ECDSA and Ed25519")
        return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    except (struct.error, ValueError, ZeroDivisionError) as error:
        if isinstance(error, UnusableKey):
            raise
        raise UnusableKey("it is a PuTTY key whose numbers do not fit together") from None


class _Reader:
    """SSH's strings and numbers, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def string(self) -> bytes:
        (length,) = struct.unpack_from(">I", self._data)
        value, self._data = self._data[4 : 4 + length], self._data[4 + length :]
        if len(value) != length:
            raise ValueError("too short")
        return value

    def number(self) -> int:
        return int.from_bytes(self.string(), "big")


def _string(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value
