"""A wrong byte and a missing byte are noticed, wherever they come from (R6.4)."""

from __future__ import annotations

import pytest

from client_delivery.transfer.contract import IntegrityError, Receipt, SourceChanged, TransferError
from tests.functional.transfer.conftest import MIB, Journal, deliver

KINDS = {"gcs": {}, "s3": {"max_bytes_per_second": 10**12}, "sftp": {}}
"""S3 with a bandwidth limit, so that it streams."""
SIZES = [0, 1, 100_000, 40 * MIB + 1]


def opened(servers, kind, sftp_server, **options):
    server = sftp_server() if kind == "sftp" else None
    return servers.open(kind, server, **KINDS[kind], **options), server


def arrived(servers, kind, server, key):
    if kind == "sftp":
        path = server.root / "in" / key
        return path.exists()
    return key in servers.visible(kind)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_r6_4_what_arrives_is_what_was_read(servers, sftp_server, kind, size):
    destination, server = opened(servers, kind, sftp_server)
    source, crc32c = servers.declare(size)
    journal = Journal()
    receipt = deliver(destination, source, journal)
    assert isinstance(receipt, Receipt)
    assert (receipt.size, receipt.checksum) == (size, f"crc32c:{crc32c}")
    assert (journal.moved, journal.confirmed >= 1) == (size, True)
    if kind == "sftp":
        assert [path.name for path in (server.root / "in").iterdir()] == [source.key]
        assert (server.root / "in" / source.key).stat().st_size == size
    else:
        assert servers.visible(kind)[source.key] == (size, crc32c)
    assert servers.open_uploads(source.key) == 0


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("kind", KINDS)
def test_r6_4_a_wrong_byte_from_s3_is_caught_before_anything_is_visible(servers, sftp_server, kind, size):
    destination, server = opened(servers, kind, sftp_server)
    source, _ = servers.declare(size)
    servers.s3_faults({"call": "GetObject", "corrupt": True, "times": 1})
    with pytest.raises(IntegrityError, match="what was read has"):
        deliver(destination, source)
    assert not arrived(servers, kind, server, source.key)
    assert servers.open_uploads(source.key) == 0
    if kind == "sftp":
        assert list((server.root / "in").iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_response_that_ends_early_is_read_on_from_where_it_ended(servers, sftp_server, kind):
    destination, _ = opened(servers, kind, sftp_server)
    source, crc32c = servers.declare(20 * MIB)
    servers.s3_faults({"call": "GetObject", "truncate": 3_000_000, "times": 2})
    before = servers.s3_facts()["sent"]
    assert deliver(destination, source).checksum == f"crc32c:{crc32c}"
    # What was read before the cut is not read again; sockets may have held a little more than was taken.
    assert servers.s3_facts()["sent"] - before < 21 * MIB


@pytest.mark.parametrize("kind", KINDS)
def test_responses_that_always_end_early_fail_and_nothing_is_visible(servers, sftp_server, kind):
    destination, server = opened(servers, kind, sftp_server)
    source, _ = servers.declare(100_000)
    servers.s3_faults({"call": "GetObject", "truncate": 0, "times": 0})
    with pytest.raises(TransferError, match="broke off at byte 0 of 100000, 5 times in a row"):
        deliver(destination, source)
    assert not arrived(servers, kind, server, source.key)


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_that_changes_while_it_is_read_is_never_delivered_in_its_old_name(servers, sftp_server, kind):
    destination, server = opened(servers, kind, sftp_server)
    source, _ = servers.declare(20 * MIB)
    servers.declare(20 * MIB + 5, source.key)
    changed = type(source)(source.bucket, source.key, "0" * 32, source.size)
    with pytest.raises(SourceChanged, match="has changed since it was registered"):
        deliver(destination, changed)
    assert not arrived(servers, kind, server, source.key)


@pytest.mark.parametrize("call", ["PutObject", "UploadPart", "CompleteUpload"])
def test_r6_4_what_gcs_stored_wrong_is_not_counted_and_not_left(servers, call):
    size = 1000 if call == "PutObject" else 20 * MIB
    source, _ = servers.declare(size)
    servers.gcs_faults({"call": call, "corrupt": True, "times": 1})
    with pytest.raises(IntegrityError):
        deliver(servers.open("gcs"), source)
    assert source.key not in servers.visible("gcs")


@pytest.mark.parametrize("size", [1000, 20 * MIB])
def test_r6_4_what_s3_received_wrong_never_becomes_visible(servers, size):
    source, _ = servers.declare(size)
    servers.s3_faults({"call": "PutObject|UploadPart", "corrupt": True, "times": 0})
    with pytest.raises(IntegrityError, match="BadDigest"):
        deliver(servers.open("s3", max_bytes_per_second=10**12), source)
    assert source.key not in servers.visible("s3")


def test_r6_4_an_sftp_server_that_lies_about_sizes_is_not_believed(servers, sftp_server):
    for size in (1000, 20 * MIB):
        server = sftp_server(wrong_size="1")
        source, _ = servers.declare(size)
        with pytest.raises(IntegrityError, match=f"has {size + 1} bytes on the server, but {size} were sent"):
            deliver(servers.open("sftp", server), source)
        assert list((server.root / "in").iterdir()) == []


@pytest.mark.parametrize("size", [1000, 20 * MIB])
def test_r6_4_read_back_finds_a_byte_that_the_server_stored_wrong(servers, sftp_server, size):
    server = sftp_server(corrupt="1")
    source, _ = servers.declare(size)
    with pytest.raises(IntegrityError, match="crc32c"):
        deliver(servers.open("sftp", server, verify="read_back"), source)
    assert list((server.root / "in").iterdir()) == []


@pytest.mark.parametrize("kind", ["gcs", "s3"])
@pytest.mark.parametrize("size", [1000, 20 * MIB])
def test_r3_5_what_another_wrote_meanwhile_is_not_overwritten(servers, kind, size):
    """The place is looked at, then written by somebody else, then ours comes."""
    source, _ = servers.declare(size)
    other, other_crc = servers.declare(size + 7, source.key + ".other")

    def somebody_else() -> None:
        journal_of_ours._on_confirm = lambda: None
        rival = type(other)(other.bucket, other.key, other.etag, other.size)
        with servers.open(kind, **KINDS[kind]) as destination:
            from client_delivery.transfer.contract import Job

            destination.deliver(Job(source.key, rival, token=2), Journal())

    journal_of_ours = Journal(somebody_else)
    if size == 1000:
        # A small file is tried as new, looked at, and confirmed again before it replaces what was looked at.
        deliver(servers.open(kind, **KINDS[kind]), source, journal_of_ours)
        assert journal_of_ours.confirmed == 2
    else:
        with pytest.raises(TransferError, match="written by someone else"):
            deliver(servers.open(kind, **KINDS[kind]), source, journal_of_ours)
        assert servers.visible(kind)[source.key] == (size + 7, other_crc)


@pytest.mark.parametrize("kind", ["gcs", "s3"])
@pytest.mark.parametrize("size", [1000, 20 * MIB])
def test_a_lost_answer_to_the_last_request_is_no_second_delivery(servers, kind, size):
    source, crc32c = servers.declare(size)
    call = "PutObject" if size == 1000 else "CompleteUpload|CompleteMultipartUpload"
    rule = {"call": call, "reset": "after", "times": 1}
    (servers.gcs_faults if kind == "gcs" else servers.s3_faults)(rule)
    receipt = deliver(servers.open(kind, **KINDS[kind]), source)
    assert receipt.checksum == f"crc32c:{crc32c}"
    assert servers.visible(kind)[source.key] == (size, crc32c)
    if kind == "gcs":
        import httpx

        events = [e for e in httpx.get(f"{servers.gcs_url}/_local/events").json() if e["name"] == source.key]
        assert len(events) == 1
