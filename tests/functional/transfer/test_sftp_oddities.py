"""SFTP servers as they are: each still gets its files (R1.2)."""

from __future__ import annotations

import time

import pytest
from awscrt import checksums

from client_delivery.config.model import SftpSection
from client_delivery.transfer.contract import DestinationUnavailable, Job, TransferError
from client_delivery.transfer.delivering.batch import deliver_all
from client_delivery.transfer.integrity import encode
from client_delivery.transfer.secret import Secret
from client_delivery.transfer.sftp.connection import SftpConnection
from tests.functional.transfer.conftest import MIB, Journal, deliver

ODDITIES = {
    "none": {},
    "no limits extension: 32 KiB writes": {"refuse": "limits"},
    "no posix-rename": {"refuse": "posix-rename"},
    "no stat": {"refuse": "stat"},
    "no setstat": {"refuse": "setstat"},
    "nothing but the draft": {"refuse": "limits,posix-rename,stat,setstat,fsync"},
    "one connection": {"connections": "1"},
    "front to back only": {"sequential": "1"},
    "paths of 200 bytes at most": {"longest_path": "200"},
}


@pytest.fixture(autouse=True)
def _short_lanes(monkeypatch):
    monkeypatch.setattr("client_delivery.transfer.sftp.lanes._SHORTEST", 2 * MIB)


def crc_of(path):
    return encode(checksums.crc32c(path.read_bytes()))


@pytest.mark.parametrize("oddity", ODDITIES)
def test_every_server_gets_its_files(servers, sftp_server, oddity):
    server = sftp_server(**ODDITIES[oddity])
    expected = {}
    with servers.open("sftp", server, file_mode="0640", connections=3) as destination:
        for size in (0, 1000, 9 * MIB):
            source, crc32c = servers.declare(size)
            for token in (1, 2):  # the second time there is a file in its place
                destination.deliver(Job(source.key, source, token=token), Journal())
            expected[source.key] = crc32c
    assert {path.name: crc_of(path) for path in (server.root / "in").iterdir()} == expected


@pytest.mark.parametrize("oddity", ["none", "one connection"])
def test_many_files_share_the_connections_that_the_server_allows(servers, sftp_server, oddity):
    server = sftp_server(**ODDITIES[oddity])
    sources = [servers.declare(50_000 + number) for number in range(40)]
    outcomes = {}
    with servers.open("sftp", server) as destination:
        deliver_all(
            [source for source, _ in sources],
            lambda source: (Job(source.key, source, token=1), Journal()),
            destination,
            lambda source, result: outcomes.update({source.key: result}),
        )
    assert {key: getattr(result, "checksum", result) for key, result in outcomes.items()} == {
        source.key: f"crc32c:{crc32c}" for source, crc32c in sources
    }
    assert {path.name: crc_of(path) for path in (server.root / "in").iterdir()} == {
        source.key: crc32c for source, crc32c in sources
    }


def test_r6_8_a_link_planted_for_a_directory_does_not_lead_a_file_away(servers, sftp_server):
    server = sftp_server()
    (server.root / "elsewhere").mkdir()
    (server.root / "in" / "sub").symlink_to(server.root / "elsewhere")
    source, _ = servers.declare(1000, "sub/file.csv")
    with pytest.raises(TransferError, match="'in/sub' is a symbolic link"):
        deliver(servers.open("sftp", server), source)
    assert list((server.root / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("size", [1000, 6 * MIB])
def test_r6_8_a_link_planted_for_the_file_is_replaced_and_not_followed(servers, sftp_server, size):
    server = sftp_server()
    victim = server.root / "victim"
    victim.write_bytes(b"precious")
    source, crc32c = servers.declare(size)
    (server.root / "in" / source.key).symlink_to(victim)
    part = server.root / "in" / f".{source.key}.{source.etag[:12]}.1.part"
    part.symlink_to(victim)
    deliver(servers.open("sftp", server), source)
    assert victim.read_bytes() == b"precious"
    assert not (server.root / "in" / source.key).is_symlink()
    assert crc_of(server.root / "in" / source.key) == crc32c


def test_another_host_key_is_refused_before_anything_is_sent(servers, sftp_server):
    server, other = sftp_server(), sftp_server()
    with pytest.raises(DestinationUnavailable, match=r"shows the host key SHA256:.* but destination.host_keys has"):
        servers.open("sftp", server, host_keys=[other.host_key]).__enter__()


def test_weak_ciphers_are_refused_unless_the_configuration_allows_them(servers, sftp_server):
    server = sftp_server(ciphers="aes128-cbc")
    source, _ = servers.declare(1000)
    with pytest.raises(DestinationUnavailable, match="does not agree on a secure connection"):
        deliver(servers.open("sftp", server), source)
    deliver(servers.open("sftp", server, allow_weak_algorithms=True), source)
    assert (server.root / "in" / source.key).stat().st_size == 1000


def test_a_server_that_floods_is_left(servers, sftp_server):
    server = sftp_server(flood="1")
    source, _ = servers.declare(1000)
    with pytest.raises(TransferError, match="was lost"):
        deliver(servers.open("sftp", server), source)


def test_a_connection_that_was_closed_is_closed_for_the_server_too(sftp_server):
    """libssh keeps a copy of the socket: a server that allows one connection would refuse the next one."""
    server = sftp_server(connections=1)
    config = SftpSection(
        type="sftp",
        host=server.host,
        port=server.port,
        username=server.username,
        directory="in",
        connection_id="test",
        host_keys=[server.host_key],
    )
    secret = Secret("test", password=server.password)
    kept = []
    for _ in range(3):
        kept.append(SftpConnection(config, secret))
        kept[-1].close()
        time.sleep(0.2)
