"""Recipients' keys: what is wrong with one is said before anything is encrypted; a private key is never repeated."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pysequoia
import pytest
import yaml
from pysequoia.packet import PacketPile, Tag

from client_delivery.config import check
from client_delivery.config.document import Document
from client_delivery.config.loader import load_directory, load_file
from client_delivery.config.openpgp import UnusableKey, read_recipient
from client_delivery.config.problem import ConfigError
from client_delivery.config.treatment import LONGEST_KEY
from client_delivery.config.treatment_checks import (
    key_lines,
    refuse_unusable_keys,
    require_prepared_area,
)
from tests.support.openpgp import KEYS, key

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize("name", ["good", "rsa3072", "subkey-renewed"])
def test_a_good_key_is_known_by_fingerprint_and_owner(name):
    found = read_recipient(key(name), NOW)
    assert found.owner == f"{name}@example.org"
    assert found.fingerprint == pysequoia.Cert.from_bytes(key(name).encode()).fingerprint.upper()
    assert found.expires is None
    assert not found.expires_soon(NOW)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("expired", "expired on 2025-01-31"),
        ("revoked", "revoked by its owner"),
        ("signs-only", "no encryption subkey: it can only sign"),
        ("subkey-expired", "its last one expired on 2025-01-31"),
        ("subkey-revoked", "no encryption subkey that is not revoked"),
        ("rsa1024", "RSA with 1024 bits, and 2048 are the least"),
        ("weak-subkey", "RSA with 1024 bits, and 2048 are the least"),
        ("sha1", "SHA1 is not considered secure"),
        ("good.private", "holds, a private key"),
    ],
)
def test_a_key_of_no_use_is_refused_with_the_reason(name, why):
    with pytest.raises(UnusableKey, match=why) as refused:
        read_recipient(key(name), NOW)
    assert "backtrace" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_binding_alone_would_encrypt_for_a_key_that_expired_or_is_revoked():
    """Why keys are examined here. When this fails, the binding has become as strict, and the module may shrink."""
    for name in ("expired", "revoked", "subkey-expired"):
        assert pysequoia.encrypt(bytes=b"x", recipients=[pysequoia.Cert.from_bytes(key(name).encode())])


def test_of_several_encryption_subkeys_the_newest_that_is_good_is_encrypted_to():
    packets = list(PacketPile.from_bytes(key("subkey-renewed").encode()))
    expired, renewed = (packet.key_id for packet in packets if packet.tag == Tag.PublicSubkey)
    usable = pysequoia.Cert.from_bytes(read_recipient(key("subkey-renewed"), NOW).material)
    message = pysequoia.encrypt(bytes=b"x", recipients=[usable], armor=False)
    (session,) = [packet for packet in PacketPile.from_bytes(message) if packet.tag == Tag.PKESK]
    assert session.body[1:9].hex() == renewed != expired  # RFC 9580, 5.1.1: version, then the key id


def test_what_expires_within_thirty_days_is_told_before_it_has():
    tsk = pysequoia.Tsk.generate("soon@example.org", validity_seconds=int(timedelta(days=400).total_seconds()))
    text = str(tsk.extract_certificate())
    ends = read_recipient(text).expires
    assert ends is not None
    assert not read_recipient(text, ends - timedelta(days=31)).expires_soon(ends - timedelta(days=31))
    assert read_recipient(text, ends - timedelta(days=29)).expires_soon(ends - timedelta(days=29))
    with pytest.raises(UnusableKey, match="expired on"):
        read_recipient(text, ends)


def test_two_keys_in_one_block_are_two_items():
    both = pysequoia.armor(
        b"".join(bytes(pysequoia.Cert.from_bytes(key(name).encode())) for name in ("good", "rsa3072")),
        pysequoia.ArmorKind.PublicKey,
    )
    with pytest.raises(UnusableKey, match="holds 2 keys"):
        read_recipient(both)


def test_r2_5_a_private_key_is_known_by_its_packets_whatever_the_armor_says():
    disguised = pysequoia.armor(
        bytes(pysequoia.Tsk.from_bytes(key("good.private").encode())), pysequoia.ArmorKind.PublicKey
    )
    assert "PRIVATE" not in disguised
    with pytest.raises(UnusableKey, match="holds, a private key"):
        read_recipient(disguised)


def test_a_block_that_is_no_key_says_how_one_is_exported():
    with pytest.raises(
        UnusableKey, match=r"not a readable OpenPGP key \(.*\)\. Export it with `gpg --armor"
    ) as refused:
        read_recipient(key("good").replace("m", "n", 40))
    assert "\n" not in str(refused.value)


def test_without_the_package_no_key_is_called_wrong(monkeypatch):
    monkeypatch.setitem(sys.modules, "pysequoia", None)
    with pytest.raises(UnusableKey, match="pysequoia, which encrypts, is not installed here"):
        read_recipient(key("good"))


# -- in a configuration ------------------------------------------------------------------------------------------------


def block(name: str) -> str:
    return yaml.safe_dump({"recipients": [key(name)]}, default_flow_style=True, width=10**6).strip()


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "acme.yaml"
    path.write_text(text)
    return path


def test_a_key_stands_in_the_yaml_or_in_a_file_of_its_own(load, text, tmp_path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "acme.asc").write_bytes(key("good").encode())
    inline = load(text("gcs", {"encrypt": block("good")}))
    named = load(text("gcs", {"encrypt": "{recipients: [keys/acme.asc]}"}))
    assert named.encrypt == inline.encrypt
    assert named.encrypt.recipients == (key("good"),)


def test_a_key_with_the_signatures_of_many_others_is_to_be_exported_without_them(complaints, text):
    begin, _, rest = key("good").partition("\n\n")
    large = f"{begin}\n\n{'A' * LONGEST_KEY}\n{rest}"
    value = yaml.safe_dump({"recipients": [large]}, default_flow_style=True, width=10**6).strip()
    [told] = complaints(text("gcs", {"encrypt": value}))
    assert "encrypt.recipients[0]: found a key of " in told
    assert "expected a key of at most 32 KiB. Export it without the signatures of others" in told


def test_a_key_file_that_cannot_be_used_is_named(complaints, text, tmp_path):
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "binary").write_bytes(bytes(pysequoia.Cert.from_bytes(key("good").encode())))
    (keys / "large").write_bytes(b"-" * (LONGEST_KEY + 1))
    (keys / "out").symlink_to("/etc/hostname")
    found = {
        name: complaints(text("gcs", {"encrypt": f"{{recipients: [keys/{name}]}}"}))
        for name in ("absent", "binary", "large", "out")
    }
    assert all(len(one) == 1 and "encrypt.recipients[0]: found 'keys/" in one[0] for one in found.values()), found
    assert "which is not there" in found["absent"][0]
    assert "which is binary" in found["binary"][0]
    assert "larger than 32 KiB" in found["large"][0]
    assert "leads elsewhere" in found["out"][0]


@pytest.mark.parametrize("where", ["inline", "file"])
def test_r2_5_a_private_key_is_refused_loudly_and_never_repeated(complaints, text, tmp_path, where):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "oops.asc").write_text(key("good.private"))
    value = block("good.private") if where == "inline" else "{recipients: [keys/oops.asc]}"
    [told] = complaints(text("gcs", {"encrypt": value}))
    assert "encrypt.recipients[0]: found what looks like a credential" in told
    assert "must revoke it" in told
    assert not any(line and line in told for line in key("good.private").splitlines()[1:])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{recipients: []}", "encrypt.recipients: found an empty list, expected at least one item"),
        ("{}", "encrypt.recipients: found nothing"),
        ("{recipients: [../etc/passwd]}", "expected one armored public key, or the name of a file with one"),
        ("{recipients: [keys/a/b.asc]}", "expected one armored public key"),
        ("{recipients: [keys/x], suffix: pgp}", "expected a suffix such as '.pgp'"),
        ("{recipients: [keys/x], suffix: ./..}", "expected a suffix such as '.pgp'"),
        ("{recipients: [keys/x], sign_with: 'a b'}", "encrypt.sign_with: found 'a b', expected an Airflow connection"),
        ("{recipients: [keys/x], signed_with: x}", "Did you mean `sign_with`?"),
    ],
)
def test_what_is_wrong_with_the_section_is_said(complaints, text, value, expected):
    assert any(expected in line for line in complaints(text("gcs", {"encrypt": value})))


def test_compress_takes_three_words(complaints, load, text):
    assert load(text("gcs", {"compress": "zstd"})).compress == "zstd"
    [told] = complaints(text("gcs", {"compress": "gz"}))
    assert "expected one of gzip, zip, zstd" in told


# -- the checks beside the model ---------------------------------------------------------------------------------------


def test_the_check_refuses_what_the_model_takes(text, tmp_path, capsys):
    """A key that expires makes no right file wrong: its DAG stays, and the delivery refuses to encrypt for it."""
    path = write(tmp_path, text("gcs", {"encrypt": block("expired")}))
    assert load_file(path).encrypt
    assert check.main([str(path)]) == 1
    told = capsys.readouterr().out
    assert "encrypt.recipients[0]: found an unusable key" in told
    assert "expired on 2025-01-31" in told


def test_the_check_shows_each_fingerprint_for_people_to_compare(text, tmp_path, capsys):
    path = write(tmp_path, text("gcs", {"encrypt": block("good")}))
    assert check.main([str(path)]) == 0
    assert "acme: encrypts for B59A4727527FB10A18BA343D179B682EA964576E (good@example.org), never expires." in (
        capsys.readouterr().out
    )


def test_a_key_that_expires_soon_is_a_warning(load, text):
    tsk = pysequoia.Tsk.generate("soon@example.org", validity_seconds=int(timedelta(days=20).total_seconds()))
    soon = yaml.safe_dump({"recipients": [str(tsk.extract_certificate()), key("good")]}, default_flow_style=True)
    config = load(text("gcs", {"encrypt": soon.strip().replace("\n", "\n  ")}))
    keys = map(read_recipient, config.encrypt.recipients)
    assert [one.owner for one in keys if one.expires_soon(datetime.now(UTC))] == ["soon@example.org"]
    warned, fine = key_lines(config)
    assert "WARNING: ask the recipient for a new key now." in warned
    assert "WARNING" not in fine


@pytest.mark.parametrize(("changes", "field"), [({"compress": "gzip"}, "compress"), ({"encrypt": ""}, "encrypt")])
def test_an_environment_without_a_prepared_area_says_so_of_the_clients_that_need_one(text, tmp_path, changes, field):
    changes = {name: value or block("good") for name, value in changes.items()}
    write(tmp_path, text("gcs", changes))
    [without] = load_directory(tmp_path, [require_prepared_area("")])
    assert isinstance(without.error, ConfigError)
    assert f"{field}: found it, expected an environment with a prepared area" in str(without.error)
    [with_one] = load_directory(tmp_path, [require_prepared_area("s3://prepared/")])
    assert with_one.error is None
    write(tmp_path, text("gcs"))
    [untreated] = load_directory(tmp_path, [require_prepared_area("")])
    assert untreated.error is None


def test_a_client_without_treatment_imports_nothing_for_it(tmp_path, text):
    """In a process of its own: what others imported does not count."""
    import subprocess
    import sys

    path = write(tmp_path, text("gcs"))
    code = (
        "import sys; from pathlib import Path; from client_delivery.config.loader import load_directory;"
        f"load_directory(Path({str(path.parent)!r}));"
        "from client_delivery.run import attempt, destination, transfer;"
        "print([one for one in ('pysequoia', 'isal', 'zstandard', 'client_delivery.transfer.treatment.destination')"
        " if one in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(Path(check.__file__).parents[2]), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_refusing_is_for_files_with_keys_only(load, text):
    document = Document("acme.yaml", {}, {(): (1, 1)}, {})
    refuse_unusable_keys(load(text("gcs")), document)
    assert document.problems == []
    assert KEYS.is_dir()
