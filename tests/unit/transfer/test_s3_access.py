"""S3 as the engine uses it: bodies with their checksum behind them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from client_delivery.access.aws import s3_client
from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.integrity import Digest
from client_delivery.transfer.s3.api import _stored
from client_delivery.transfer.s3_wire.access import S3Access
from client_delivery.transfer.s3_wire.chunked import CHUNK, TrailedBody


class Cut:
    """Content in pieces of any size, of which none reaches over a chunk's end."""

    def __init__(self, content: bytes, size: int) -> None:
        self._content = content
        self._size = size
        self.digest = Digest()

    def __len__(self) -> int:
        return len(self._content)

    def __iter__(self) -> Iterator[bytes]:
        for chunk in range(0, len(self._content), CHUNK):
            end = min(chunk + CHUNK, len(self._content))
            for start in range(chunk, end, self._size):
                piece = self._content[start : min(start + self._size, end)]
                self.digest.update(piece)
                yield piece


@pytest.mark.parametrize("size", [CHUNK, CHUNK // 3, 4096])
@pytest.mark.parametrize("total", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 5])
def test_the_frames_are_the_same_however_small_the_pieces(total, size):
    content = bytes(number % 251 for number in range(total))
    body = TrailedBody(Cut(content, size))
    sent = b"".join(bytes(piece) for piece in body)
    assert len(body) == len(sent)
    found = b""
    while match := re.match(rb"([0-9a-f]+)\r\n", sent):
        length, sent = int(match[1], 16), sent[match.end() :]
        if not length:
            break
        assert length in (CHUNK, total % CHUNK)
        assert sent[length : length + 2] == b"\r\n"
        found, sent = found + sent[:length], sent[length + 2 :]
    assert found == content
    whole = Digest()
    whole.update(content)
    assert sent == f"x-amz-checksum-crc32c:{whole.crc32c}\r\n\r\n".encode()


def test_a_request_without_credentials_says_so():
    with pytest.raises(DestinationUnavailable, match="no AWS credentials"):
        S3Access(s3_client(region="us-east-1"), None).exchange("GET", "bucket", "k")


@pytest.mark.parametrize("told", ["abc", '"abc"'])
def test_an_etag_from_a_responses_body_is_the_one_that_its_headers_have(told):
    """SeaweedFS leaves the quotation marks out: a file that was copied would count as overwritten by somebody."""
    assert _stored({"ETag": told}).tag == '"abc"'
    assert _stored({}).tag == ""
