"""A transfer that is killed goes on where it was (R6.7), and memory does not grow with the file (R6.6)."""

from __future__ import annotations

import dataclasses

import pytest

from client_delivery.transfer.contract import Job
from local.sshd import OpenSsh, find_sshd
from tests.functional.transfer.conftest import MIB, Journal, deliver
from tests.support.killed_engine import run

GIB = 1024 * MIB
STREAMING = {"max_bytes_per_second": 10**12}


@pytest.fixture
def openssh(tmp_path):
    if find_sshd() is None:
        pytest.fail("OpenSSH's sshd is not installed (Debian and Ubuntu: apt install openssh-server)")
    server = OpenSsh(tmp_path / "ssh")
    (server.server.root / "in").mkdir()
    yield server.server
    server.stop()


def order_for(servers, kind, source, state, openssh=None, token=1):
    secret = None
    if kind == "sftp":
        destination = {
            "type": "sftp",
            "host": openssh.host,
            "port": openssh.port,
            "username": openssh.username,
            "directory": "in",
            "connection_id": "test",
            "host_keys": [openssh.host_key],
        }
        secret = {"private_key": openssh.private_key}
    elif kind == "gcs":
        destination = {"type": "gcs", "bucket": "target", "connection_id": "test"}
        secret = {"keyfile_dict": servers.gcs_key}
    else:
        destination = {"type": "s3", "bucket": "target", **STREAMING}
    return {
        "destination": destination,
        "secret": secret,
        "gcs_endpoint": servers.gcs_url,
        "source": {name: value for name, value in dataclasses.asdict(source).items() if value is not None},
        "state": str(state),
        "token": token,
    }


@pytest.mark.parametrize("kind", ["gcs", "s3", "sftp"])
def test_r6_7_a_gibibyte_killed_at_ninety_percent_reads_at_most_fifteen_percent_again(servers, tmp_path, kind, request):
    openssh = request.getfixturevalue("openssh") if kind == "sftp" else None
    source, crc32c = servers.declare(GIB)
    state = tmp_path / "state.json"
    assert run(order_for(servers, kind, source, state, openssh), kill_at=90) is None
    assert not (openssh.root / "in" / source.key).exists() if openssh else source.key not in servers.visible(kind)
    before = servers.s3_facts()["sent"]
    result = run(order_for(servers, kind, source, state, openssh, token=2))
    again = (servers.s3_facts()["sent"] - before) / GIB
    print(f"{kind}: {again:.1%} read again")
    assert result is not None
    assert result["checksum"] == f"crc32c:{crc32c}"
    assert again <= 0.15
    assert servers.open_uploads(source.key) == 0
    if openssh:
        assert [path.name for path in (openssh.root / "in").iterdir()] == [source.key]
        assert (openssh.root / "in" / source.key).stat().st_size == GIB


@pytest.mark.parametrize("kind", ["gcs", "s3"])
def test_r6_6_memory_does_not_grow_with_the_file(servers, tmp_path, kind):
    peaks = []
    for size in (256 * MIB, 3 * GIB):
        source, _ = servers.declare(size)
        result = run(order_for(servers, kind, source, tmp_path / f"{size}.json"))
        assert result is not None
        peaks.append(result["rss"])
    assert peaks[1] < 160 * MIB
    assert (
        peaks[1] < peaks[0] * 1.6
    )  # a longer transfer has time for more streams; twelve times the bytes change nothing


@pytest.mark.parametrize("kind", ["gcs", "s3", "sftp"])
def test_r6_7_another_content_does_not_go_on_where_the_old_one_was(servers, sftp_server, kind):
    server = sftp_server() if kind == "sftp" else None
    options = STREAMING if kind == "s3" else {}
    old, _ = servers.declare(40 * MIB)
    journal = _cut_off(servers, servers.open(kind, server, **options), old)
    new, crc32c = servers.declare(33 * MIB, old.key)
    new = dataclasses.replace(new, etag="f" * 32)
    _redeclare(servers, new)
    receipt = deliver(servers.open(kind, server, **options), new, token=2, resume=journal.states[-1])
    assert receipt.checksum == f"crc32c:{crc32c}"
    assert servers.open_uploads(new.key) == 0
    if server:
        assert [path.name for path in (server.root / "in").iterdir()] == [new.key]


@pytest.mark.parametrize("kind", ["gcs", "s3", "sftp"])
def test_r6_7_what_will_not_be_resumed_is_discarded(servers, sftp_server, kind):
    server = sftp_server() if kind == "sftp" else None
    options = STREAMING if kind == "s3" else {}
    source, _ = servers.declare(40 * MIB)
    journal = _cut_off(servers, servers.open(kind, server, **options), source)
    assert list((server.root / "in").iterdir()) if server else servers.open_uploads(source.key) == 1
    with servers.open(kind, server, **options) as destination:
        destination.discard(source.key, journal.states[-1])
        destination.discard(source.key, journal.states[-1])  # and again, for a crash in between
    assert servers.open_uploads(source.key) == 0
    if server:
        assert list((server.root / "in").iterdir()) == []


class _Cut(Exception):
    pass


def _cut_off(servers, destination, source) -> Journal:
    """A transfer that ends right before its delivery becomes visible, as by a crash."""

    def cut() -> None:
        raise _Cut

    journal = Journal(cut)
    with pytest.raises(_Cut), destination:
        destination.deliver(Job(source.key, source, token=1), journal)
    return journal


def _redeclare(servers, source) -> None:
    import httpx

    item = {"bucket": source.bucket, "key": source.key, "size": source.size, "etag": source.etag}
    httpx.put(f"{servers.s3_url}/_local/objects", json=[item]).raise_for_status()
