"""Compression and encryption a piece at a time: the same bytes each time, and nothing taken for an end that is none."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import zipfile

import pytest
import zstandard

from client_delivery.config.openpgp import read_recipient
from client_delivery.transfer.arrived import arrived, to_arrive
from client_delivery.transfer.contract import Job, SourceObject, TransferError
from client_delivery.transfer.prepared import Prepared
from client_delivery.transfer.secret import Secret
from client_delivery.transfer.treatment import encryption as module
from client_delivery.transfer.treatment.area import PreparedArea, _cut
from client_delivery.transfer.treatment.compression import compressor
from client_delivery.transfer.treatment.destination import Treatment, _State
from client_delivery.transfer.treatment.encryption import Encryption, KeyTrouble, read_signer
from tests.support.openpgp import key

CONTENT = b"12345678;SMITH\n" * 30_000
OPEN = {
    "gzip": gzip.decompress,
    "zstd": lambda done: zstandard.ZstdDecompressor().decompressobj().decompress(done),
    "zip": lambda done: zipfile.ZipFile(io.BytesIO(done)).read("a file.csv"),
    None: bytes,
}


def compressed(kind, content: bytes, piece: int) -> bytes:
    step = compressor(kind, member="a file.csv", size=len(content))
    out = [step.feed(memoryview(content)[start : start + piece]) for start in range(0, len(content), piece)]
    return b"".join([*out, step.finish()])


@pytest.mark.parametrize("content", [CONTENT, b"", b"x"], ids=["text", "empty", "a byte"])
@pytest.mark.parametrize("kind", OPEN)
def test_what_is_compressed_is_opened_by_the_usual_programs(kind, content):
    assert OPEN[kind](compressed(kind, content, 1000)) == content


@pytest.mark.parametrize("kind", ["gzip", "zip", "zstd"])
def test_the_same_file_is_compressed_to_the_same_bytes_whenever_it_is(kind, monkeypatch):
    once = compressed(kind, CONTENT, 2**20)
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert compressed(kind, CONTENT, 2**20) == once
    assert len(once) < len(CONTENT) / 10


def test_a_zip_file_says_nothing_of_the_moment_and_takes_any_name():
    step = compressor("zip", member="café 東京.csv", size=3)
    archive = zipfile.ZipFile(io.BytesIO(step.feed(b"abc") + step.finish()))
    [about] = archive.infolist()
    assert (about.filename, about.date_time) == ("café 東京.csv", (1980, 1, 1, 0, 0, 0))
    assert archive.testzip() is None


def test_a_zip_of_more_than_four_gigabytes_says_so_from_the_beginning():
    """Its sizes come after it, so the form that can say them is chosen by the source's size."""
    step = compressor("zip", member="a.csv", size=5 * 2**30)
    done = step.feed(b"abc") + step.finish()
    assert int.from_bytes(done[4:6], "little") >= 45  # the version needed to extract: 4.5 knows ZIP64 (APPNOTE, 4.4.3)
    assert zipfile.ZipFile(io.BytesIO(done)).read("a.csv") == b"abc"


# -- encryption --------------------------------------------------------------------------------------------------------


def encryption(*, signed: bool = False, armor: bool = False) -> Encryption:
    signer = read_signer(Secret("ours", extra={"private_key": key("ours.private")})) if signed else None
    return Encryption((read_recipient(key("good")),), signer, armor)


def pieces(content: bytes):
    return (content[start : start + 100_000] for start in range(0, len(content), 100_000))


@pytest.mark.parametrize("armor", [False, True])
def test_a_stream_and_a_whole_file_are_read_by_the_recipient(recipient, armor):
    how = encryption(signed=True, armor=armor)
    for message in (how.whole(CONTENT), b"".join(how.stream(pieces(CONTENT)))):
        assert message.startswith(b"-----BEGIN PGP MESSAGE-----") == armor
        read = recipient.reads(message)
        assert read.content == CONTENT
        assert read.signed_by == "ours@example.org"


def test_an_empty_stream_is_an_empty_file(recipient):
    assert recipient.reads(b"".join(encryption().stream(iter(())))).content == b""


class SourceBroke(Exception):
    pass


def breaking():
    yield CONTENT
    raise SourceBroke


def test_a_source_that_breaks_off_is_no_shorter_file():
    """The child is killed before it can take the end of what came for the end of the file."""
    with pytest.raises(SourceBroke):
        list(encryption().stream(breaking()))


def test_a_child_that_dies_is_an_error_and_not_an_end(monkeypatch):
    started = []
    popen = subprocess.Popen

    def noted(*args, **kwargs):
        started.append(popen(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr(module.subprocess, "Popen", noted)

    def killing():
        for _ in range(200):
            yield os.urandom(100_000)
        started[0].kill()
        yield os.urandom(100_000)

    with pytest.raises(TransferError, match="could not be encrypted: code -9"):
        list(encryption().stream(killing()))


def test_a_stream_that_is_not_read_to_its_end_leaves_no_process(monkeypatch):
    started = []
    popen = subprocess.Popen

    def noted(*args, **kwargs):
        started.append((popen(*args, **kwargs), args, kwargs))
        return started[-1][0]

    monkeypatch.setattr(module.subprocess, "Popen", noted)
    stream = encryption(signed=True).stream(os.urandom(100_000) for _ in range(10_000))
    next(stream)
    stream.close()
    [(child, args, kwargs)] = started
    assert child.returncode is not None
    assert kwargs["env"] == {}
    assert "PRIVATE" not in str(args)


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        ({"extra": {"private_key": "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END"}}, "no OpenPGP private key"),
        ({"password": "hunter2"}, "no OpenPGP private key"),
        ({"extra": {"private_key": key("ours")}}, "no OpenPGP private key"),
        ({"extra": {"private_key": key("ours-locked.private")}}, "store it as `private_key_passphrase`"),
        (
            {"extra": {"private_key": key("ours-locked.private"), "private_key_passphrase": "wrong"}},
            "does not sign",
        ),
        ({"extra": {"private_key": key("ours.private")[:200] + "\n-----END PGP PRIVATE KEY BLOCK-----"}}, "cannot be"),
    ],
)
def test_a_signing_key_of_no_use_is_refused_and_never_quoted(stored, why):
    with pytest.raises(KeyTrouble, match=why) as refused:
        read_signer(Secret("ours", **stored))
    assert "'ours'" in str(refused.value)
    for secret in ("hunter2", "wrong", key("ours.private").splitlines()[3], key("ours-locked.private").splitlines()[3]):
        assert secret not in str(refused.value)


@pytest.mark.parametrize(
    "changed", [lambda text: text, lambda text: text.replace("\n", "\\n"), lambda text: text.replace("\n", " ")]
)
def test_a_signing_key_may_have_lost_its_newlines(changed):
    signer = read_signer(Secret("ours", extra={"private_key": changed(key("ours.private"))}))
    assert "PRIVATE" not in repr(signer)
    assert encryption(signed=True).signer.fingerprint == signer.fingerprint


def test_a_signing_key_with_a_passphrase_signs(recipient):
    extra = {"private_key": key("ours-locked.private"), "private_key_passphrase": "correct horse"}
    signer = read_signer(Secret("ours", extra=extra))
    assert "correct" not in repr(signer)
    how = Encryption((read_recipient(key("good")),), signer, armor=False)
    assert recipient.reads(how.whole(b"x")).signed_by == "ours-locked@example.org"


# -- the prepared area -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[], [1], [10], [3, 7], [25], [9, 1, 1, 30], [10, 10]])
def test_pieces_of_any_size_become_parts_of_one_size(sizes):
    content = os.urandom(sum(sizes))
    offsets = [sum(sizes[:n]) for n in range(len(sizes))]
    parts = list(_cut([content[at : at + size] for at, size in zip(offsets, sizes, strict=True)], 10))
    assert b"".join(parts) == content
    assert all(len(part) == 10 for part in parts[:-1])
    assert parts[-1] or len(parts) == 1


def test_parts_grow_with_the_file_and_what_fits_nowhere_is_refused():
    mib = 1024**2
    assert PreparedArea.part_size(100) == 16 * mib
    assert PreparedArea.part_size(10_000 * 16 * mib) == 17 * mib
    assert PreparedArea.part_size(2 * 1024**4) * 9_999 >= 2 * 1024**4
    with pytest.raises(ValueError, match="3298534883328"):
        PreparedArea.part_size(3 * 1024**4)


@pytest.mark.parametrize("location", ["s3://client-delivery-staging-prepared-111122223333/", "s3://prepared/files/"])
def test_the_area_may_be_a_bucket_that_no_configuration_may_name(location):
    class Access:
        client = None

    area = PreparedArea(location, Access())
    assert area.key("a", 1).startswith(location.partition(area.bucket + "/")[2])
    assert area.key("a", 1) != area.key("a", 2) != area.key("b", 2)


PREPARED = Prepared("b", "k", "e", 70, 100, "crc32c:AAAAAA==", "AAAAAAAAAAA=", "digest")


def test_a_checkpoint_has_the_prepared_object_and_how_far_the_engine_is():
    engine = {"upload_id": "u", "runs": [[1, 2, {"size": 30}]]}
    state = json.loads(json.dumps(_State(PREPARED, engine).written()))
    assert _State.of(state) == _State(PREPARED, engine)
    assert arrived(state) == 30
    assert to_arrive(state, 100) == 70
    assert to_arrive(None, 100) == to_arrive(engine, 100) == 100
    assert arrived(_State(PREPARED, None).written()) == 0


def test_a_checkpoint_of_another_release_is_not_taken_for_one():
    assert _State.of({"prepared": {"bucket": "b"}, "engine": {"upload_id": "u"}}) == _State(None, {"upload_id": "u"})
    assert _State.of({"upload_id": "u"}) == _State(None, {"upload_id": "u"})
    assert _State.of(None) == _State(None, None)


def test_what_was_prepared_for_other_keys_or_of_another_object_is_not_delivered():
    job = Job("a.csv.pgp", SourceObject("b", "k", "etag", 5), 1)
    how = Treatment(None, encryption(), ".pgp", keep_metadata=True)
    other = Encryption((read_recipient(key("rsa3072")),), None, armor=False)
    digests = {
        how.digest(job),
        Treatment("gzip", how.encryption, ".gz.pgp", keep_metadata=True).digest(job),
        Treatment(None, other, ".pgp", keep_metadata=True).digest(job),
        Treatment(None, encryption(signed=True), ".pgp", keep_metadata=True).digest(job),
        Treatment(None, encryption(armor=True), ".pgp", keep_metadata=True).digest(job),
        how.digest(Job("a.csv.pgp", SourceObject("b", "k", "another", 5), 1)),
        how.digest(Job("b.csv.pgp", SourceObject("b", "k", "etag", 5), 1)),
    }
    assert len(digests) == 7
    assert how.digest(job) == Treatment(None, encryption(), ".pgp", keep_metadata=True).digest(job)


@pytest.mark.parametrize("kind", OPEN)
@pytest.mark.parametrize("armor", [False, True])
@pytest.mark.parametrize("size", [0, 1, 100_000, 3 * 2**20])
def test_no_more_comes_out_than_the_parts_have_room_for(kind, armor, size):
    how = encryption(signed=True, armor=armor)
    done = how.whole(compressed(kind, os.urandom(size), 2**20))
    assert len(done) <= Treatment(kind, how, "", keep_metadata=True).most(size)
