"""Recipients' public keys: what is wrong with one, until when it is good, and which part of it files are encrypted to.

Sequoia's Python binding (``pysequoia``) judges the algorithms by Sequoia's own policy
(https://docs.rs/sequoia-openpgp/latest/sequoia_openpgp/policy/struct.StandardPolicy.html): RSA below 2,048 bits and
self-signatures by SHA-1 are refused. It does *not* refuse to encrypt for a certificate that has expired or is revoked
(seen with 0.1.35, and a test holds that this module does), and of several encryption subkeys it takes the first. So a
key is examined here before anything is encrypted, and only what is left of it then is encrypted to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from client_delivery.config.problem import visible

if TYPE_CHECKING:
    from pysequoia import Cert
    from pysequoia.packet import Packet

BEGIN_PUBLIC, END_PUBLIC = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"
SOON = timedelta(days=30)
"""A key that expires within this time is to be renewed now: partners need a while."""
_LONGEST_NAME = 80
_WEAKEST_RSA = 2048


class UnusableKey(Exception):
    """Nothing can be encrypted for, or signed by, this key. The message says why and what to do, and quotes no key."""


@dataclass(frozen=True, slots=True)
class RecipientKey:
    """A public key that can be encrypted to."""

    fingerprint: str
    """Of the primary key, hexadecimal, in capitals, as GnuPG shows it."""
    owner: str
    """Its first user id; empty if it has none. Untrusted."""
    expires: datetime | None
    """When it, or the subkey that is encrypted to, expires; None: never."""
    material: bytes
    """The primary key and the one encryption key, in binary."""

    @property
    def name(self) -> str:
        """For messages: fingerprint and owner."""
        return f"{self.fingerprint} ({visible(self.owner)})" if self.owner else self.fingerprint

    def expires_soon(self, now: datetime) -> bool:
        """Whether somebody has to ask for a new one."""
        return self.expires is not None and self.expires - now < SOON


@dataclass(slots=True)
class _Key:
    """A primary key or a subkey, and what follows it in the certificate."""

    packet: Packet
    following: list[Packet] = field(default_factory=list)

    @property
    def signatures(self) -> list[Packet]:
        return [packet for packet in self.following if str(packet.tag) == "Tag.Signature"]

    @property
    def revoked(self) -> bool:
        return any(str(one.signature_type) == "SignatureType.SubkeyRevocation" for one in self.signatures)

    @property
    def binding(self) -> Packet | None:
        """The newest signature that says what the key is for."""
        said = [one for one in self.signatures if one.key_flags is not None]
        return max(said, key=lambda one: one.signature_created or datetime.min.replace(tzinfo=UTC), default=None)

    @property
    def encrypts(self) -> bool:
        flags = self.binding.key_flags if self.binding is not None else None
        return flags is not None and bool(flags.transport_encryption or flags.storage_encryption)

    @property
    def expires(self) -> datetime | None:
        if self.binding is None or not self.binding.key_validity_period or self.packet.key_created is None:
            return None
        return self.packet.key_created + self.binding.key_validity_period

    @property
    def rsa_bits(self) -> int | None:
        """RFC 9580, 5.5.2: version, time and algorithm, then in version 4 the modulus with its length in bits."""
        body = self.packet.body
        return int.from_bytes(body[6:8], "big") if body[0] == 4 and "RSA" in str(self.packet.key_algorithm) else None


def read_recipient(text: str, now: datetime | None = None) -> RecipientKey:
    """The key in an armored block, if files can be encrypted for it now. Raises :class:`UnusableKey`."""
    now = now or datetime.now(UTC)
    if "PRIVATE KEY BLOCK" in text:
        raise UnusableKey(PRIVATE)
    try:
        import pysequoia
        from pysequoia.packet import PacketPile
    except ImportError:
        raise UnusableKey("The package pysequoia, which encrypts, is not installed here.") from None
    try:
        kinds = {str(packet.tag) for packet in PacketPile.from_bytes(text.encode())}
        certificates = pysequoia.Cert.split_bytes(text.encode())
    except Exception as error:
        raise UnusableKey(f"It is not a readable OpenPGP key ({said(error)}). {_EXPORT}") from None
    if any("Secret" in kind for kind in kinds):  # whatever the armor says
        raise UnusableKey(PRIVATE)
    if len(certificates) != 1:
        raise UnusableKey(f"It holds {len(certificates)} keys. Write each as a separate item of the list. {_EXPORT}")
    return _examined(certificates[0], now)


def _examined(certificate: Cert, now: datetime) -> RecipientKey:
    from pysequoia import Cert
    from pysequoia.packet import PacketPile

    fingerprint = certificate.fingerprint.upper()
    primary, *subkeys = _keys(PacketPile.from_bytes(bytes(certificate)))
    owner = next((p.user_id or "" for p in primary.following if str(p.tag) == "Tag.UserID"), "")[:_LONGEST_NAME]
    shown = RecipientKey(fingerprint, owner, None, b"").name
    whole = _expiration(certificate, primary, shown)
    if certificate.is_revoked:
        raise UnusableKey(f"The key {shown} has been revoked by its owner. {_RENEW}")
    if whole is not None and whole <= now:
        raise UnusableKey(f"The key {shown} expired on {whole:%Y-%m-%d}. {_RENEW}")
    able = [key for key in subkeys if key.encrypts]
    good = [key for key in able if not key.revoked and (key.expires is None or key.expires > now)]
    if not good and not primary.encrypts:
        raise UnusableKey(f"The key {shown} {_no_subkey(able)}. {_RENEW}")
    # The newest, as GnuPG does it.
    chosen = max(good, key=lambda key: key.packet.key_created or now) if good else None
    packets = [primary.packet, *primary.following, *([chosen.packet, *chosen.following] if chosen else [])]
    try:
        usable = Cert.from_packets(packets)
        _try(usable)
    except Exception as error:
        raise UnusableKey(f"The key {shown} is too weak, or its encryption subkey is: {_weak(chosen, error)}") from None
    ends = [one for one in (whole, chosen.expires if chosen else None) if one is not None]
    return RecipientKey(fingerprint, owner, min(ends, default=None), bytes(usable))


def _keys(packets: Any) -> list[_Key]:
    """The keys of a certificate, which begins with its primary one."""
    keys: list[_Key] = []
    for packet in packets:
        if str(packet.tag) in ("Tag.PublicKey", "Tag.PublicSubkey"):
            keys.append(_Key(packet))
        else:
            keys[-1].following.append(packet)
    return keys


def _expiration(certificate: Cert, primary: _Key, shown: str) -> datetime | None:
    """Sequoia judges the certificate when it is asked for this."""
    try:
        return certificate.expiration
    except Exception as error:
        raise UnusableKey(f"The key {shown} is too weak: {_weak(primary, error)}") from None


def _weak(key: _Key | None, error: Exception) -> str:
    bits = key.rsa_bits if key is not None else None
    why = f"RSA with {bits} bits, and {_WEAKEST_RSA} are the least" if bits and bits < _WEAKEST_RSA else said(error)
    return f"{why}. {_RENEW}"


def _no_subkey(able: list[_Key]) -> str:
    expired = [key.expires for key in able if key.expires is not None and not key.revoked]
    if expired:
        return f"has no encryption subkey any more: its last one expired on {max(expired):%Y-%m-%d}"
    return "has no encryption subkey that is not revoked" if able else "has no encryption subkey: it can only sign"


def _try(certificate: Cert) -> None:
    import pysequoia

    pysequoia.encrypt(bytes=b"", recipients=[certificate], armor=False)


def said(error: BaseException) -> str:
    """What Sequoia says of it, in one line: its backtrace is nobody's business."""
    text = str(error).partition("Stack backtrace:")[0].replace("Caused by:", " ")
    text = re.sub(r"\s+(?:\d+: )?", " ", text).strip().rstrip(".")
    return visible(text[:300]) or type(error).__name__


PRIVATE = (
    "It is, or holds, a private key. A configuration has the recipients' public keys only. If this file was ever shared"
    " or committed, the key is no longer a secret: its owner must revoke it."
)
_EXPORT = "Export it with `gpg --armor --export <its fingerprint>`."
_RENEW = "Ask the recipient for the public key that they use now, and replace this one with it."
