"""R2.3, R2.5: private keys in every form in which people store them; a wrong one is described and never quoted.

``tests/fixtures/keys`` holds keys that PuTTYgen 0.78 made for these tests. They open nothing. Their passphrase is
:data:`PHRASE`, their comment holds a backslash and an n, as paths of Windows do.
"""

from __future__ import annotations

import base64
import hmac
import json
import struct
import warnings
from pathlib import Path

import asyncssh
import pytest
from cryptography.exceptions import UnsupportedAlgorithm

from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.secret import Secret
from client_delivery.transfer.sftp import putty
from client_delivery.transfer.sftp.credentials import nothing_to_log_in_with, password_of, private_key_of

FIXTURES = Path(__file__).parents[2] / "fixtures" / "keys"
PHRASE = "test pass-phrase ü"
ED25519 = asyncssh.generate_private_key("ssh-ed25519")
RSA = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
ECDSA = asyncssh.generate_private_key("ecdsa-sha2-nistp521")


def public(key: asyncssh.SSHKey) -> str:
    return key.export_public_key().decode().split()[1]


def text(key: asyncssh.SSHKey, form: str = "openssh", passphrase: str | None = None) -> str:
    with warnings.catch_warnings(action="ignore"):  # one round is too few for a key that opens something
        return key.export_private_key(form, passphrase, rounds=1).decode()


def imported(**extra: object) -> str:
    """The public half of what libssh makes of it."""
    key = private_key_of(Secret("acme", extra=extra))
    return key.export_privkey_to_pubkey().export_pubkey_base64().decode()


def ssh_string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def ppk(algorithm: str, public: bytes, private: bytes, *, comment: str = "test", mac: str | None = None) -> str:
    """A file as PuTTYgen writes it, version 3, without a passphrase; with the right checksum unless another is given.

    https://the.earth.li/~sgtatham/putty/0.78/htmldoc/AppendixC.html
    """
    told = b"".join(map(ssh_string, (algorithm.encode(), b"none", comment.encode(), public, private)))
    lines = [f"PuTTY-User-Key-File-3: {algorithm}", "Encryption: none", f"Comment: {comment}"]
    for name, block in (("Public", public), ("Private", private)):
        lines += [f"{name}-Lines: 1", base64.b64encode(block).decode()] if block else [f"{name}-Lines: 0"]
    checksum = mac or hmac.new(b"", told, "sha256").hexdigest()
    return "\n".join([*lines, f"Private-MAC: {checksum}", ""])


def of_rsa(*numbers: int) -> bytes:
    return b"".join(ssh_string(number.to_bytes((number.bit_length() + 8) // 8, "big")) for number in numbers)


def refusal(**extra: object) -> str:
    with pytest.raises(DestinationUnavailable) as refused:
        private_key_of(Secret("acme", extra=extra))
    assert refused.value.__suppress_context__
    return str(refused.value)


@pytest.mark.parametrize("form", ["openssh", "pkcs1-pem", "pkcs8-pem"])
@pytest.mark.parametrize("passphrase", [None, "geheim €"])
@pytest.mark.parametrize("key", [ED25519, RSA, ECDSA], ids=lambda key: key.get_algorithm())
def test_r2_3_openssh_and_pem_with_and_without_a_passphrase(key, form, passphrase):
    if key is ED25519 and form == "pkcs1-pem":
        form = "openssh"  # there is no such form of it
    extra = {"private_key": text(key, form, passphrase)}
    if passphrase:
        extra["private_key_passphrase"] = passphrase
    assert imported(**extra) == public(key)


COPIED = {
    "no newline at the end": str.rstrip,
    "CRLF": lambda key: key.replace("\n", "\r\n"),
    "CR": lambda key: key.replace("\n", "\r"),
    "literal newlines": lambda key: key.replace("\n", r"\n"),
    "literal newlines, escaped twice": lambda key: key.replace("\n", r"\\n"),
    "literal CRLF": lambda key: key.replace("\n", r"\r\n"),
    "blanks for newlines": lambda key: key.strip().replace("\n", " "),
    "no newlines at all": lambda key: key.replace("\n", ""),
    "indented": lambda key: "\n".join(f"    {line}" for line in key.splitlines()),
    "blanks around": lambda key: f"\n  {key}  \n",
    "byte-order mark": lambda key: "\ufeff" + key,
    "in quotation marks": lambda key: f'"{key}"',
    "as a JSON string": json.dumps,
    "Base64 around it": lambda key: base64.b64encode(key.encode()).decode(),
    "Base64 in lines": lambda key: base64.encodebytes(key.encode()).decode(),
    "public half behind it": lambda key: key + public(ED25519),
}


@pytest.mark.parametrize("copied", COPIED.values(), ids=COPIED)
@pytest.mark.parametrize(
    ("form", "passphrase"), [("openssh", None), ("pkcs1-pem", None), ("pkcs1-pem", "pw"), ("pkcs8-pem", "pw")]
)
def test_r2_5_what_copying_does_to_a_key_does_no_harm(copied, form, passphrase):
    spoiled = copied(text(RSA, form, passphrase))
    assert imported(private_key=spoiled, private_key_passphrase=passphrase or "") == public(RSA)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa256", "ecdsa521"])
@pytest.mark.parametrize("encrypted", [False, True])
def test_r2_3_puttys_keys_are_read(kind, version, encrypted):
    name = f"{kind}-v{version}"
    expected = (FIXTURES / f"{name}.pub").read_text().split()[1]
    key = (FIXTURES / f"{name}{'-encrypted' if encrypted else ''}.ppk").read_text()
    extra = {"private_key_passphrase": PHRASE} if encrypted else {}
    assert imported(private_key=key, **extra) == expected
    assert imported(private_key=key.replace("\n", "\r\n").rstrip(), **extra) == expected
    assert imported(private_key=base64.b64encode(key.encode()).decode(), **extra) == expected


@pytest.mark.parametrize("name", ["private_key_passphrase", "passphrase", "private_key_pass"])
def test_r2_5_every_name_that_airflow_has_had_for_a_passphrase(name):
    for prefix in ("", "extra__ssh__", "extra__sftp__"):
        extra = {f"{prefix}private_key": text(ECDSA, passphrase="pw"), f"{prefix}{name}": "pw"}
        assert imported(**extra) == public(ECDSA)


@pytest.mark.parametrize("key", [text(RSA, passphrase="pw"), text(RSA, "pkcs8-pem", "pw")])
def test_r2_5_the_password_is_tried_as_the_passphrase(key):
    secret = Secret("acme", password="pw", extra={"private_key": key, "private_key_passphrase": "an old one"})
    assert private_key_of(secret).export_privkey_to_pubkey().export_pubkey_base64().decode() == public(RSA)
    assert password_of(secret) == "pw"


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(("passphrase", "password"), [("an old one", PHRASE), (PHRASE, "the account's")])
def test_r2_5_a_putty_key_is_opened_by_whichever_of_both_does(version, passphrase, password):
    key = (FIXTURES / f"ed25519-v{version}-encrypted.ppk").read_text()
    secret = Secret("acme", password=password, extra={"private_key": key, "private_key_passphrase": passphrase})
    expected = (FIXTURES / f"ed25519-v{version}.pub").read_text().split()[1]
    assert private_key_of(secret).export_privkey_to_pubkey().export_pubkey_base64().decode() == expected


@pytest.mark.parametrize("key", [text(RSA), text(RSA, "pkcs1-pem").replace("\n", r"\n")])
def test_r2_5_a_private_key_in_the_password_field_is_a_private_key(key):
    secret = Secret("acme", password=key)
    assert private_key_of(secret).export_privkey_to_pubkey().export_pubkey_base64().decode() == public(RSA)
    assert password_of(secret) is None


def test_r2_5_a_putty_key_in_quotation_marks_keeps_the_path_in_its_comment():
    """As JSON the text would have escapes that JSON does not know."""
    plain = ppk("ssh-ed25519", ssh_string(b"ssh-ed25519"), ssh_string(bytes(range(32))), comment=r"C:\keys\acme")
    assert imported(private_key=f'"{plain}"') == imported(private_key=plain)


def test_r2_5_a_spoiled_private_key_in_the_password_field_is_never_sent_as_a_password():
    secret = Secret("acme", password=base64.b64encode(text(RSA).encode()).decode()[:-3] + "%%%")
    assert password_of(secret) is None


@pytest.mark.parametrize("password", ["p@ss", " lead and trail ", '"quoted"', r"back\nslash", "-----BEGIN", "päß€"])
def test_r2_5_a_password_stays_as_it_is(password):
    secret = Secret("acme", password=password)
    assert (private_key_of(secret), password_of(secret)) == (None, password)


SSH_RSA = ssh_string(b"ssh-rsa")
NO_FIT = "it is a PuTTY key whose numbers do not fit together"
WRONG = {
    "PuTTY, DSA": (ppk("ssh-dss", ssh_string(b"ssh-dss"), b"1"), "it is a PuTTY key of another type than RSA"),
    "PuTTY, other numbers": (ppk("ssh-rsa", SSH_RSA + of_rsa(65537, 3 * 5), of_rsa(7, 3, 7, 2)), NO_FIT),
    "PuTTY, a prime of 1": (ppk("ssh-rsa", SSH_RSA + of_rsa(65537, 15), of_rsa(7, 1, 15, 1)), NO_FIT),
    "PuTTY, a short number": (ppk("ssh-ed25519", ssh_string(b"ssh-ed25519"), b"\0\0\0\x20short"), NO_FIT),
    "PuTTY, nothing public": (ppk("ssh-ed25519", b"", ssh_string(bytes(32))), NO_FIT),
    "PuTTY, no checksum": (
        ppk("ssh-ed25519", ssh_string(b"ssh-ed25519"), ssh_string(bytes(32)), mac="none"),
        "it is a PuTTY key with lines missing or changed",
    ),
    "a public key": (RSA.export_public_key().decode(), "it is a public key"),
    "a public key in PEM": (RSA.export_public_key("pkcs8-pem").decode(), "it is a public key"),
    "cut off": (text(RSA)[:400], "it is an OpenSSH private key, cut off before its END line"),
    "damaged": (text(RSA).replace(text(RSA)[300:340], "A" * 40), "truncated, damaged or of an unknown type"),
    "a stub": (
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAAA\n-----END OPENSSH PRIVATE KEY-----",
        "truncated, damaged or of an unknown type",
    ),
    "a path": ("/home/airflow/.ssh/id_rsa", "it is a path, which does not exist on a worker"),
    "a password": ("hunter2-hunter2", "it is a text of 15 characters that is not a private key"),
    "JSON": ('{"key": 1}', "it is JSON or the like"),
    "ssh.com's": (
        "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nAAAA",
        "ssh.com's form, which puttygen turns into OpenSSH",
    ),
    "a certificate": ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "it is a certificate"),
    "no passphrase": (text(RSA, passphrase="pw"), "it is encrypted, and no passphrase is given"),
    "no text": (17, "it is not text but of type int"),
    "spoiled Base64": (base64.b64encode(text(RSA).encode()).decode()[:-3] + "%%%", "begins like a key in Base64"),
    "PuTTY, no passphrase": (
        (FIXTURES / "rsa-v3-encrypted.ppk").read_text(),
        "PuTTY key with a passphrase, and no pass",
    ),
    "PuTTY, changed": ((FIXTURES / "rsa-v2.ppk").read_text().replace("C:\\", "D:\\"), "it has been changed or cut"),
    "PuTTY, cut": ((FIXTURES / "rsa-v3.ppk").read_text()[:600], "it is a PuTTY key with lines missing or changed"),
    "PuTTY, version 1": ("PuTTY-User-Key-File-1: ssh-rsa\n", "it is a PuTTY key of version 1; versions 2 and 3 can"),
    "PuTTY, huge": (
        (FIXTURES / "rsa-v3-encrypted.ppk").read_text().replace("Memory: 8192", "Memory: 99999999"),
        "it is a PuTTY key with a passphrase",
    ),
}


@pytest.mark.parametrize(("value", "found"), WRONG.values(), ids=WRONG)
def test_r2_5_what_is_no_key_is_described_and_never_quoted(value, found):
    message = refusal(private_key=value)
    assert message.startswith("The private key in the extra 'private_key' of the Airflow connection 'acme' cannot be")
    assert found in message
    assert "Expected a password, or the extra 'private_key'" in message
    for piece in str(value).split():
        assert len(piece) < 12 or piece not in message


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (text(RSA, passphrase="pw"), "it is encrypted, and the passphrase does not open it"),
        (text(RSA, "pkcs8-pem", "pw"), "it is encrypted, and the passphrase does not open it"),
        ((FIXTURES / "ed25519-v3-encrypted.ppk").read_text(), "PuTTY key, but the passphrase does not open it"),
        ((FIXTURES / "ed25519-v2-encrypted.ppk").read_text(), "PuTTY key, but the passphrase does not open it"),
        ((FIXTURES / "ed25519-v3-argon2d.ppk").read_text(), "only Argon2id, PuTTYgen's default, can be read"),
        (
            (FIXTURES / "rsa-v3-encrypted.ppk").read_text().replace("Memory: 8192", "Memory: 99999999"),
            "its passphrase takes 99999999 KiB to try; 1048576 are the most",
        ),
        (
            (FIXTURES / "rsa-v3-encrypted.ppk").read_text().replace("Argon2-Passes: ", "Argon2-Passes: x"),
            "it is a PuTTY key with lines missing or changed",
        ),
        (
            ppk("ssh-ed25519", ssh_string(b"ssh-ed25519"), b"no whole block").replace(": none", ": aes256-cbc"),
            "it is a PuTTY key with lines missing or changed",
        ),
    ],
)
def test_r2_5_a_wrong_passphrase_is_told_from_a_damaged_key(key, found):
    message = refusal(private_key=key, private_key_passphrase="not the one at all")
    assert found in message
    assert "not the one at all" not in message


def test_r2_3_a_system_without_argon2_is_blamed_on_neither_key_nor_passphrase(monkeypatch):
    def unknown(**_):
        raise UnsupportedAlgorithm("Argon2id is not supported by this version of OpenSSL")

    monkeypatch.setattr(putty, "Argon2id", unknown)
    key = (FIXTURES / "ed25519-v3-encrypted.ppk").read_text()
    assert "which this system's OpenSSL does not know" in refusal(private_key=key, private_key_passphrase=PHRASE)


def test_r2_5_a_connection_with_nothing_to_log_in_with_says_what_it_has():
    secret = Secret("acme", login="me", extra={"host_key": "x", "known_hosts": "", "S3CRET value!": 1})
    message = str(nothing_to_log_in_with(secret))
    assert "it has a login and the extra 'host_key', (an odd name)." in message
    assert "S3CRET" not in message
    assert "names a 'key_file', which does not exist on a worker" in str(
        nothing_to_log_in_with(Secret("a", extra={"key_file": "/k"}))
    )
    assert "it has nothing usable." in str(nothing_to_log_in_with(Secret("acme")))
