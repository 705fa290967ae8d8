"""CRC32C over pieces and over parts."""

from __future__ import annotations

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.transfer.contract import IntegrityError
from delivery.transfer.integrity import Crc32c, combine, decode, encode, require_equal


@given(st.binary(max_size=3000), st.binary(max_size=3000))
def test_parts_checksums_make_the_wholes(first, second):
    combined = combine(google_crc32c.value(first), google_crc32c.value(second), len(second))
    assert combined == google_crc32c.value(first + second)


@given(st.lists(st.binary(max_size=100)))
def test_pieces_are_passed_on_and_counted(pieces):
    checksum = Crc32c()
    assert list(checksum.over(pieces)) == pieces
    whole = b"".join(pieces)
    assert (checksum.value, checksum.size) == (google_crc32c.value(whole), len(whole))


def test_the_known_check_value():
    checksum = Crc32c()
    list(checksum.over([b"123456789"]))
    assert checksum.value == 0xE3069283
    assert checksum.base64 == "4waSgw=="
    assert decode(encode(checksum.value)) == checksum.value


def test_another_checksum_is_an_error_that_says_both():
    require_equal("gs://b/k", "AAAAAA==", "AAAAAA==")
    with pytest.raises(IntegrityError, match=r"gs://b/k has the checksum crc32c:BBBBBB==, .* has crc32c:AAAAAA=="):
        require_equal("gs://b/k", "BBBBBB==", "AAAAAA==")
