"""Checksums computed as bytes go by and put together from parts (R6.4)."""

from __future__ import annotations

import google_crc32c
import pytest
from awscrt import checksums
from hypothesis import given
from hypothesis import strategies as st

from client_delivery.transfer.contract import IntegrityError
from client_delivery.transfer.integrity import CRC32C, Digest, OwnChecksum, decode, encode, require_equal


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_the_checksum_is_that_of_the_whole_by_another_implementation(pieces):
    digest = Digest()
    for piece in pieces:
        digest.update(piece)
    whole = b"".join(pieces)
    assert (digest.crc32c, digest.size) == (encode(google_crc32c.value(whole)), len(whole))


@given(st.lists(st.binary(max_size=300), max_size=8), st.sampled_from(["crc32c", "crc64nvme", "crc32"]))
def test_parts_put_together_have_the_wholes_checksums(pieces, algorithm):
    whole, combined = Digest(algorithm), Digest(algorithm)
    for piece in pieces:
        whole.update(piece)
        part = Digest(algorithm)
        part.update(piece)
        kept = Digest.resumed(part.state())
        combined.append(kept.values, kept.size)
    assert (combined.values, combined.size, combined.own_value) == (whole.values, whole.size, whole.own_value)


def test_encoding_is_big_endian_base64():
    # The check value of RFC 3720: 32 bytes of zeros have 0x8a9136aa.
    assert encode(0x8A9136AA) == "ipE2qg=="
    assert decode("ipE2qg==") == 0x8A9136AA
    digest = Digest("crc64nvme")
    digest.update(b"123456789")
    assert digest.own_value == encode(checksums.crc64nvme(b"123456789"), 8)
    assert digest.own_value == encode(0xAE8B14860A799888, 8)  # the catalogue's check value of CRC-64/NVME


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-amz-checksum-crc64nvme": "rosUhgp5mIg=", "x-amz-checksum-type": "FULL_OBJECT"}, "crc64nvme"),
        ({"x-amz-checksum-crc32c": "ipE2qg=="}, CRC32C),
        ({"x-amz-checksum-crc32": "ipE2qg==", "x-amz-checksum-type": "FULL_OBJECT"}, "crc32"),
        ({"x-amz-checksum-crc32c": "ipE2qg==-3", "x-amz-checksum-type": "COMPOSITE"}, None),
        ({"x-amz-checksum-crc32c": "ipE2qg==-3"}, None),
        ({"x-amz-checksum-sha256": "abc"}, None),
        ({}, None),
    ],
)
def test_only_a_checksum_of_the_whole_object_counts_as_s3s_own(headers, expected):
    own = OwnChecksum.of(headers)
    assert (own.algorithm if own else None) == expected


def test_a_stored_checksum_that_differs_is_an_error_naming_both():
    require_equal("gs://b/k", "ipE2qg==", "ipE2qg==")
    with pytest.raises(IntegrityError, match=r"gs://b/k.*crc32c:None.*crc32c:ipE2qg=="):
        require_equal("gs://b/k", None, "ipE2qg==")
