"""Services that ask for patience, services' limits, and what is asked of the engine besides the bytes."""

from __future__ import annotations

import time

import pytest

from client_delivery.transfer.contract import TransferError
from tests.functional.transfer.conftest import MIB, Journal, deliver

GIB = 1024 * MIB


@pytest.mark.parametrize("size", [1000, 20 * MIB])
@pytest.mark.parametrize(("status", "code"), [(503, "SlowDown"), (500, "InternalError"), (503, "ServiceUnavailable")])
def test_s3_that_asks_for_patience_gets_it_within_the_attempt(servers, size, status, code):
    source, crc32c = servers.declare(size)
    servers.s3_faults({"call": "GetObject|PutObject|UploadPart", "status": status, "code": code, "times": 4})
    receipt = deliver(servers.open("s3", max_bytes_per_second=10**12), source)
    assert receipt.checksum == f"crc32c:{crc32c}"


@pytest.mark.parametrize("size", [1000, 20 * MIB])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_gcs_that_asks_for_patience_gets_it_within_the_attempt(servers, size, status):
    source, crc32c = servers.declare(size)
    servers.gcs_faults({"call": "xml", "status": status, "code": "SlowDown", "times": 4})
    journal = Journal()
    assert deliver(servers.open("gcs"), source, journal).checksum == f"crc32c:{crc32c}"
    assert journal.moved == size  # a part that was sent twice counts once


@pytest.mark.parametrize("kind", ["gcs", "s3"])
def test_a_service_that_stays_away_is_an_error_that_says_so(servers, kind):
    source, _ = servers.declare(1000)
    rule = {"call": "PutObject", "status": 503, "code": "SlowDown", "times": 0}
    (servers.gcs_faults if kind == "gcs" else servers.s3_faults)(rule)
    with pytest.raises(TransferError, match="SlowDown"):
        deliver(servers.open(kind, **({"max_bytes_per_second": 10**12} if kind == "s3" else {})), source)


def test_a_connection_cut_in_the_middle_of_a_part_only_sends_that_part_again(servers):
    source, crc32c = servers.declare(40 * MIB)
    servers.gcs_faults({"call": "UploadPart", "cut_after_bytes": 3 * MIB, "times": 2})
    before = servers.s3_facts()["sent"]
    assert deliver(servers.open("gcs"), source).checksum == f"crc32c:{crc32c}"
    assert servers.s3_facts()["sent"] - before < 73 * MIB  # the whole, and twice one part of 16 MiB


def test_r6_objects_above_s3s_limit_for_one_copy_are_copied_in_parts(servers):
    source, crc32c = servers.declare(6 * GIB)
    before = servers.s3_facts()["sent"]
    receipt = deliver(servers.open("s3"), source)
    assert (receipt.size, receipt.verified_by) == (6 * GIB, "checksum")
    assert servers.visible("s3")[source.key] == (6 * GIB, crc32c)
    assert servers.s3_facts()["sent"] == before  # no byte came through here


def test_a_role_that_may_not_copy_streams(servers):
    source, crc32c = servers.declare(20 * MIB)
    servers.s3_faults({"call": "CopyObject|UploadPartCopy", "status": 403, "code": "AccessDenied", "times": 0})
    assert deliver(servers.open("s3"), source).checksum == f"crc32c:{crc32c}"


@pytest.mark.parametrize("kind", ["gcs", "s3", "sftp"])
def test_a_bandwidth_limit_is_kept(servers, sftp_server, kind):
    server = sftp_server() if kind == "sftp" else None
    source, _ = servers.declare(24 * MIB)
    began = time.monotonic()
    deliver(servers.open(kind, server, max_bytes_per_second=16 * MIB), source)
    # 24 MiB at 16 MiB/s; the first piece may go at once.
    assert time.monotonic() - began > 1.3
