"""What of an object's headers is sent on."""

from __future__ import annotations

import pytest

from client_delivery.transfer.reading.carried import NOTHING, Carried


@pytest.mark.parametrize(
    ("stored", "sent_on"),
    [("gzip", "gzip"), ("aws-chunked", None), ("gzip,aws-chunked", "gzip"), ("aws-chunked, gzip", "gzip"), ("", None)],
)
def test_the_framing_of_an_upload_is_no_encoding_of_its_content(stored, sent_on):
    assert Carried.of({"content-encoding": stored}).headers.get("content-encoding") == sent_on


def test_only_what_the_uploader_said_is_sent_on():
    response = {
        "content-type": "binary/octet-stream",
        "content-length": "7",
        "etag": '"0"',
        "x-amz-version-id": "1",
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-storage-class": "GLACIER_IR",
    }
    assert Carried.of(response) == NOTHING


def test_user_metadata_gets_the_services_own_prefix():
    carried = Carried.of({"x-amz-meta-batch": "7", "cache-control": "no-store"})
    assert carried.as_headers("x-goog-meta-") == {"cache-control": "no-store", "x-goog-meta-batch": "7"}


@pytest.mark.parametrize("value", ["Gr\xfc\xdfe", "a\tb", "a\x00b", "a\r\nx-amz-acl: public-read"])
def test_what_would_not_make_a_header_is_left_out(value):
    assert Carried.of({"x-amz-meta-note": value, "content-disposition": value}) == NOTHING
