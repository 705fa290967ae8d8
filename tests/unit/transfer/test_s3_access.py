"""S3 as the engine uses it: bodies with their checksum behind them, and credentials that cannot be had."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, CredentialRetrievalError, EndpointConnectionError

from delivery.transfer.contract import DestinationUnavailable
from delivery.transfer.integrity import Digest
from delivery.transfer.s3.access import S3Access, TrailedBody, no_credentials
from delivery.transfer.source import CHUNK


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


def refused(operation: str, code: str = "AccessDenied") -> ClientError:
    told = {"Code": code, "Message": "User: arn:aws:sts::1:x is not authorized to perform: sts:AssumeRole on arn:y"}
    return ClientError({"Error": told}, operation)


def test_a_role_that_may_not_be_assumed_is_told_from_an_object_that_is_refused():
    error = no_credentials(refused("AssumeRole"))
    assert isinstance(error, DestinationUnavailable)
    assert "not authorized to perform: sts:AssumeRole on arn:y [AccessDenied]" in str(error)
    assert "external id" in str(error)
    assert no_credentials(refused("HeadObject")) is None


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (CredentialRetrievalError(provider="assume-role", error_msg="gone"), "no AWS credentials to be had"),
        (
            EndpointConnectionError(endpoint_url="https://sts.us-east-1.amazonaws.com/"),
            "token service cannot be reached",
        ),
    ],
)
def test_other_reasons_for_having_no_credentials(error, says):
    assert says in str(no_credentials(error))
    assert no_credentials(EndpointConnectionError(endpoint_url="https://b.s3.amazonaws.com/")) is None


def test_every_request_says_so_when_it_cannot_be_signed():
    class Meta:
        region_name = "us-east-1"

    class Client:
        meta = Meta

        def generate_presigned_url(self, *_: Any, **__: Any) -> str:
            return "https://b.s3.amazonaws.com/k?signed"

    class Credentials:
        def get_frozen_credentials(self) -> Any:
            raise refused("AssumeRole")

    for credentials in (None, Credentials()):
        with pytest.raises(DestinationUnavailable):
            S3Access(Client(), credentials).exchange("GET", "b", "k")  # type: ignore[arg-type]
