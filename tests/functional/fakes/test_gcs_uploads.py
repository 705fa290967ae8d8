"""Whether the fake of Google Cloud Storage lists uploads as Google does: by their names, a thousand at once.

https://cloud.google.com/storage/docs/xml-api/get-bucket-uploads
"""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from client_delivery.transfer.gcs.access import GcsAccess
from client_delivery.transfer.gcs.api import GcsApi
from client_delivery.transfer.reading.carried import NOTHING
from client_delivery.transfer.secret import Secret
from local.gcs import service_account_key
from local.process import Service
from local.stack import url_of
from tests.unit.transfer.scripted_service import gcs_config


@pytest.fixture
def access(tmp_path) -> Iterator[GcsAccess]:
    service = Service("local.gcs", "--directory", str(tmp_path / "gcs"), log=tmp_path / "gcs.log")
    url = url_of(service)
    httpx.post(f"{url}/_local/buckets/bucket").raise_for_status()
    access = GcsAccess(gcs_config(), Secret("acme", extra=service_account_key(url)), url)
    yield access
    access.close()
    service.stop()


def test_the_uploads_for_a_name_are_before_those_for_names_that_begin_with_it(access):
    """So the engine needs one page only, whatever else is open there."""
    api = GcsApi(access)
    others = [api.begin(f"in/many.{number:04}", NOTHING) for number in range(1001)]
    ours = {api.begin("in/many", NOTHING) for _ in range(2)}
    with access("GET", "", verb="list", query="uploads&prefix=in/many") as response:
        page = response.read().decode()
    assert (page.count("<Upload>"), "<IsTruncated>true</IsTruncated>" in page) == (1000, True)
    assert set(api.open_uploads("in/many")) == ours
    assert api.open_uploads("in/many.1000") == [others[-1]]
