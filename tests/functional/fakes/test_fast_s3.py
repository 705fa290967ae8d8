"""Whether the fast S3 lists as S3 does: a thousand at once, and the marks of the next page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from client_delivery.transfer.integrity import Digest
from client_delivery.transfer.s3.api import S3Api
from client_delivery.transfer.s3_wire.access import S3Access
from local.process import Service
from local.stack import url_of
from tests.unit.transfer.scripted_service import s3_at, s3_config


@pytest.fixture(scope="module")
def access(tmp_path_factory) -> Iterator[S3Access]:
    service = Service("local.s3", log=tmp_path_factory.mktemp("s3") / "s3.log")
    yield s3_at(url_of(service))
    service.stop()


class Piece:
    """One byte."""

    def __init__(self) -> None:
        self.digest = Digest()

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[bytes]:
        self.digest.update(b"x")
        yield b"x"


def test_parts_beyond_the_first_thousand_are_on_the_next_page(access):
    api = S3Api(s3_config(), access)
    upload = access.client.create_multipart_upload(Bucket="bucket", Key="in/k")["UploadId"]
    for number in range(1, 1003):
        api.put_part("in/k", upload, number, Piece())
    page = access.client.list_parts(Bucket="bucket", Key="in/k", UploadId=upload)
    assert (len(page["Parts"]), page["IsTruncated"], page["NextPartNumberMarker"]) == (1000, True, 1000)
    assert sorted(api.parts("in/k", upload) or ()) == list(range(1, 1003))


def test_uploads_beyond_the_first_thousand_are_on_the_next_page(access):
    made = {
        access.client.create_multipart_upload(Bucket="bucket", Key=key)["UploadId"]
        for key in ["in/many"] * 600 + ["in/many.old"] * 600
    }
    page = access.client.list_multipart_uploads(Bucket="bucket", Prefix="in/many")
    assert (len(page["Uploads"]), page["IsTruncated"]) == (1000, True)
    api = S3Api(s3_config(), access)
    ours, others = api.open_uploads("in/many"), api.open_uploads("in/many.old")
    assert (len(ours), len(others)) == (600, 600)
    assert {*ours, *others} == made
