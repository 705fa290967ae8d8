"""Files that are compressed and encrypted on their way: prepared in a place of ours, then delivered from there (R6.13).

The recipient is GnuPG as Debian has it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import zipfile

import pytest
import zstandard
from pysequoia.packet import PacketPile, Tag

from client_delivery.ledger.entry import Status
from client_delivery.ledger.history import History
from client_delivery.transfer.s3_wire.access import S3Access
from local.stand_ins import LEDGER_TABLE, PREPARED_BUCKET
from tests.faults.crash import ResumableRuns, die_at_call
from tests.support.openpgp import key

MIB = 1024**2
DESTINATIONS = ["s3", "gcs", "sftp"]
SECRET = "our_signing_key"


def lines(size: int) -> bytes:
    """Text that can be compressed, but not to nothing."""
    drawn = random.Random(size)
    return b"".join(b"%08d;%d;SMITH\n" % (drawn.randrange(10**8), n) for n in range(size // 20 + 1))[:size]


@pytest.fixture
def signing(monkeypatch) -> str:
    """The connection with our signing key."""
    connection = {"conn_type": "generic", "extra": json.dumps({"private_key": key("ours.private")})}
    monkeypatch.setenv(f"AIRFLOW_CONN_{SECRET.upper()}", json.dumps(connection))
    return SECRET


def prepared(client) -> list[str]:
    """What lies in the prepared area, of whomever."""
    return [item["Key"] for item in client.s3.list_objects_v2(Bucket=PREPARED_BUCKET).get("Contents", ())]


@pytest.fixture(autouse=True)
def clean_area(stack):
    s3 = stack.client("s3")
    for item in s3.list_objects_v2(Bucket=PREPARED_BUCKET).get("Contents", ()):
        s3.delete_object(Bucket=PREPARED_BUCKET, Key=item["Key"])


@pytest.mark.parametrize("destination", DESTINATIONS)
def test_gzip_and_pgp_arrive_to_be_decrypted_verified_and_compared(scenario, recipient, signing, destination):
    client = scenario(destination, compress="gzip", encrypt={"recipients": [key("good")], "sign_with": signing})
    files = {"a.csv": lines(5000), "sub/b c.csv": lines(100), "empty.csv": b"", "big.csv": lines(9 * MIB)}
    for name, content in files.items():
        client.drop(name, content)
    assert client.run().errors == {}
    arrived = client.delivered()
    assert set(arrived) == {f"{name}.gz.pgp" for name in files}
    for name, content in files.items():
        read = recipient.reads(arrived[f"{name}.gz.pgp"])
        assert gzip.decompress(read.content) == content
        assert read.signed_by == "ours@example.org"
    entries = client.entries()
    assert {entry.status for entry in entries.values()} == {Status.SUCCESS}
    assert prepared(client) == []
    # Another run finds that they have been sent, by the source: each encryption is other bytes.
    assert client.run().state == "success"
    assert client.waiting() == []
    for name, content in files.items():
        client.drop(f"again {name}", content)
    client.run()
    assert client.delivered() == arrived


@pytest.mark.parametrize(
    ("kind", "suffix", "opened"),
    [
        ("gzip", ".gz", gzip.decompress),
        ("zstd", ".zst", lambda done: zstandard.ZstdDecompressor().decompressobj().decompress(done)),
        ("zip", ".zip", lambda done: zipfile.ZipFile(io.BytesIO(done)).read("a.csv")),
    ],
)
def test_each_compression_arrives_alone(scenario, kind, suffix, opened):
    client = scenario("s3", compress=kind)
    content = lines(5 * MIB)
    client.drop("in/a.csv", content)
    assert client.run().errors == {}
    arrived = client.delivered()
    assert list(arrived) == [f"in/a.csv{suffix}"]
    assert opened(arrived[f"in/a.csv{suffix}"]) == content
    assert len(arrived[f"in/a.csv{suffix}"]) < len(content) / 2
    assert prepared(client) == []


def test_ledger_and_record_have_both_checksums_and_sizes(scenario):
    client = scenario("gcs", encrypt={"recipients": [key("good"), key("rsa3072")]})
    content = lines(3000)
    client.drop("a.csv", content)
    client.run()
    [entry] = client.ledger.find([client.entries()["a.csv"].identity]).values()
    arrived = client.delivered()["a.csv.pgp"]
    assert (entry.size, entry.delivered_size) == (len(content), len(arrived))
    assert entry.source_checksum != entry.checksum
    assert entry.source_checksum.startswith("crc32c:")
    [recorded] = History(client.stack.client("dynamodb"), LEDGER_TABLE).of_client(client.config.delivery_key).found
    assert (recorded.source_checksum, recorded.delivered_size) == (entry.source_checksum, entry.delivered_size)
    assert recorded.checksum == entry.checksum


@pytest.mark.slow
def test_armor_and_another_suffix(scenario, recipient):
    client = scenario("sftp", encrypt={"recipients": [key("rsa3072")], "armor": True, "suffix": ".asc"})
    client.drop("a.csv", b"text")
    client.drop("big.bin", content := os.urandom(5 * MIB))
    assert client.run().errors == {}
    arrived = client.delivered()
    assert arrived["a.csv.asc"].startswith(b"-----BEGIN PGP MESSAGE-----")
    assert recipient.reads(arrived["a.csv.asc"]).content == b"text"
    assert recipient.reads(arrived["big.bin.asc"]).content == content
    assert recipient.reads(arrived["a.csv.asc"]).signed_by is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("expired", "expired on 2025-01-31"),
        pytest.param("revoked", "has been revoked", marks=pytest.mark.slow),
        pytest.param("subkey-expired", "its last one expired on 2025-01-31", marks=pytest.mark.slow),
        pytest.param("signs-only", "can only sign", marks=pytest.mark.slow),
        pytest.param("rsa1024", "RSA with 1024 bits", marks=pytest.mark.slow),
    ],
)
def test_nothing_is_sent_for_a_key_that_is_of_no_use(scenario, name, why):
    client = scenario("s3", encrypt={"recipients": [key("good"), key(name)]})
    client.drop("a.csv")
    run = client.run()
    assert run.state == "failed"
    assert client.delivered() == {}
    assert prepared(client) == []
    entry = client.entries()["a.csv"]
    assert entry.status is Status.FAIL
    assert "encrypt.recipients[1]" in entry.last_error
    assert why in entry.last_error
    # With the key that the recipient uses now, and a clear, it goes.
    client.edit(encrypt={"recipients": [key("good")]})
    client.clear(run)
    assert list(client.delivered()) == ["a.csv.pgp"]


def test_a_signing_key_that_is_none_says_what_to_store_and_quotes_nothing(scenario, monkeypatch):
    secret = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----"
    monkeypatch.setenv("AIRFLOW_CONN_WRONG", json.dumps({"conn_type": "generic", "extra": {"private_key": secret}}))
    client = scenario("s3", encrypt={"recipients": [key("good")], "sign_with": "wrong"})
    client.drop("a.csv")
    assert client.run().state == "failed"
    told = client.entries()["a.csv"].last_error
    assert "encrypt.sign_with" in told
    assert "no OpenPGP private key" in told
    assert "c2VjcmV0" not in told


def test_without_a_prepared_area_nothing_is_sent_and_the_reason_names_the_setting(scenario, monkeypatch):
    client = scenario("s3", compress="gzip")
    monkeypatch.delenv("AIRFLOW__DELIVERY__PREPARED_LOCATION")
    client.drop("a.csv")
    assert client.run().state == "failed"
    assert "prepared_location" in client.entries()["a.csv"].last_error
    assert client.delivered() == {}


def test_a_prepared_area_that_refuses_is_named(scenario, monkeypatch):
    client = scenario("s3", compress="gzip")
    monkeypatch.setenv("AIRFLOW__DELIVERY__PREPARED_LOCATION", "s3://no-such-bucket-here/")
    client.drop("a.csv")
    assert client.run().state == "failed"
    assert "prepared area" in client.entries()["a.csv"].last_error
    assert client.delivered() == {}


def test_r12_a_payers_setup_names_checksums_and_manifest_are_of_what_arrives(scenario, recipient, signing):
    client = scenario(
        "sftp",
        compress="gzip",
        encrypt={"recipients": [key("good")], "sign_with": signing},
        deliver_as="{client}_{stem}_{sequence:03}{ext}",
        sidecar="sha256",
        completion_file={"name": "{client}_{sequence}.manifest", "content": "json"},
    )
    number, content = client.config.client_h_number, lines(5000)
    client.drop("a.csv", content)
    run = client.run()
    assert run.state == "success", run.errors
    arrived, name = client.delivered(), f"{number}_a_001.csv.gz.pgp"
    assert sorted(arrived) == sorted([f"{number}_1.manifest", name, f"{name}.sha256"])
    assert gzip.decompress(recipient.reads(arrived[name]).content) == content
    digest = hashlib.sha256(arrived[name]).hexdigest()
    assert arrived[f"{name}.sha256"] == f"{digest}  {name}\n".encode()
    told = {"name": name, "size": len(arrived[name]), "sha256": digest}
    assert json.loads(arrived[f"{number}_1.manifest"]) == {"count": 1, "total": len(arrived[name]), "files": [told]}


# -- between preparing and delivering ----------------------------------------------------------------------------------


def content_of(client, recipient, name: str) -> bytes:
    return gzip.decompress(recipient.reads(client.delivered()[f"{name}.gz.pgp"]).content)


def dead_between(scenario, tmp_path, **changes):
    """A client whose run died when its file was prepared, and nothing of it was delivered yet."""
    client = scenario("s3", compress="gzip", encrypt={"recipients": [key("good")]}, **changes)
    client.drop("a.csv", lines(5000))
    runs = ResumableRuns(client.config, tmp_path / "run")
    died = die_at_call(r"PUT .*/example-partner-landing", "before", runs, tmp_path / "call")
    assert died.killed
    assert client.delivered() == {}
    assert len(prepared(client)) == 1
    return client, runs


def test_what_a_dead_run_has_prepared_is_what_the_next_one_delivers(scenario, recipient, tmp_path):
    """The very bytes: its ETag is that of the object that was there."""
    client, _ = dead_between(scenario, tmp_path)
    [there] = prepared(client)
    waiting = client.s3.get_object(Bucket=PREPARED_BUCKET, Key=there)["Body"].read()
    assert client.run().state == "success"
    assert client.delivered() == {"a.csv.gz.pgp": waiting}
    assert content_of(client, recipient, "a.csv") == lines(5000)
    assert prepared(client) == []


@pytest.mark.parametrize("how", [pytest.param("gone", marks=pytest.mark.slow), "changed"])
def test_a_prepared_object_that_is_not_what_was_noted_is_prepared_anew(scenario, recipient, tmp_path, how):
    client, _ = dead_between(scenario, tmp_path)
    [there] = prepared(client)
    if how == "gone":
        client.s3.delete_object(Bucket=PREPARED_BUCKET, Key=there)
    else:
        client.s3.put_object(Bucket=PREPARED_BUCKET, Key=there, Body=b"something else")
    assert client.run().state == "success"
    assert content_of(client, recipient, "a.csv") == lines(5000)
    assert [one for one in prepared(client) if one != there] == []


def test_what_was_prepared_for_a_key_that_was_replaced_is_never_delivered(scenario, recipient, tmp_path):
    client, _ = dead_between(scenario, tmp_path)
    client.edit(encrypt={"recipients": [key("rsa3072")]})
    assert client.run().state == "success"
    message = client.delivered()["a.csv.gz.pgp"]
    (session,) = [one for one in PacketPile.from_bytes(message) if one.tag == Tag.PKESK]
    assert session.body[9] == 1, "RSA: for the key of today (RFC 9580, 5.1.1)"
    assert content_of(client, recipient, "a.csv") == lines(5000)
    assert prepared(client) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "name"), [({"encrypt": None}, "a.csv.gz"), ({"encrypt": None, "compress": None}, "a.csv")]
)
def test_a_name_says_what_is_done_by_now_whatever_the_dead_run_registered(scenario, tmp_path, changes, name):
    client, _ = dead_between(scenario, tmp_path)
    client.edit(**changes)
    assert client.run().state == "success"
    assert list(client.delivered()) == [name]
    assert gzip.decompress(client.delivered()[name]) if name.endswith("gz") else client.delivered()[name]


def test_a_source_that_is_replaced_before_it_was_prepared_is_not_read_in_its_name(scenario, recipient):
    client = scenario("s3", compress="gzip", encrypt={"recipients": [key("good")]})
    client.drop("a.csv", lines(5000))
    put = S3Access.exchange

    def late(self, method, bucket, name, **request):
        if method == "GET" and name.endswith("a.csv") and client.waiting() == ["a.csv"] and not replaced:
            replaced.append(name)
            client.s3.put_object(Bucket=bucket, Key=name, Body=lines(6000))
        return put(self, method, bucket, name, **request)

    replaced: list[str] = []
    with pytest.MonkeyPatch.context() as race:
        race.setattr(S3Access, "exchange", late)
        client.run()
    assert replaced
    assert client.delivered() == {}
    assert prepared(client) == []
    assert client.run().state == "success"
    assert content_of(client, recipient, "a.csv") == lines(6000)


def test_what_arrives_beside_an_encrypted_file_says_only_what_can_be_seen_there(scenario):
    client = scenario(
        "s3",
        encrypt={"recipients": [key("good")]},
        deliver_as="{sequence}.dat",
        sidecar="sha256",
        completion_file={"name": "complete", "content": "json"},
    )
    content = lines(5003)
    client.drop("smith_john_1970.csv", content)
    assert client.run().errors == {}
    arrived = client.delivered()
    there = arrived.pop("1.dat.pgp")
    digest = hashlib.sha256(there).hexdigest()
    assert arrived.pop("1.dat.pgp.sha256") == f"{digest}  1.dat.pgp\n".encode()
    (file,) = json.loads(arrived["complete"])["files"]
    assert file == {"name": "1.dat.pgp", "size": len(there), "sha256": digest}
    (beside,) = arrived.values()
    for secret in ("smith", hashlib.sha256(content).hexdigest(), str(len(content))):
        assert secret.encode() not in beside
