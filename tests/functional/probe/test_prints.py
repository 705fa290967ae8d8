"""`make check-destination` on every server, and where something is wrong: what it prints is what the documents say."""

from __future__ import annotations

import json
import socket
import time

import asyncssh
import pytest

from client_delivery.access.secrets_manager import NoSecret
from client_delivery.probe import check_destination, scan_host_key
from tests.functional.probe import prints
from tests.functional.probe.cases import ANOTHER_KEY, CASES, Ground, clear_environment


@pytest.fixture
def ground(tmp_path, bench, servers, monkeypatch):
    clear_environment(monkeypatch.setenv)
    monkeypatch.delenv("AIRFLOW_CONN_ACME", raising=False)
    ground = Ground(tmp_path, bench, servers, monkeypatch.setenv)
    with ground.exit:
        yield ground


@pytest.mark.parametrize("name", CASES)
def test_what_is_printed_is_what_the_documentation_shows_and_nothing_stays(ground, name):
    printed = CASES[name].run(ground)
    assert prints.alike(printed) == prints.sections()[name], "run `make probe-prints` and look"
    if ground.root is not None:
        stays = [path.name for path in ground.root.rglob("*") if path.is_file()]
        assert bool(stays) == ("STILL AT THE DESTINATION" in printed.text) == (name == "write-only-left"), stays


def test_the_document_has_every_case_and_nothing_else():
    assert prints.DOCUMENT.read_text(encoding="utf-8") == prints.document(prints.sections())
    assert [*prints.sections()] == [*CASES]


def test_for_machines(ground):
    printed = CASES["host-key"].run(ground)
    assert printed.code == 1
    told = json.loads(ground.gcs("--json").text)
    assert (told["good"], told["left"], told["fits"]) == (True, [], [])
    assert {one["outcome"] for one in told["findings"]} == {"yes"}


def test_an_address_that_swallows_everything_is_told_within_fifteen_seconds(ground, blackhole, servers):
    began = time.monotonic()
    destination = {
        "type": "sftp",
        "host": blackhole.host,
        "port": blackhole.port,
        "username": "acme",
        "directory": "in",
        "connection_id": "acme",
        "host_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA9R3lUxvyx+XrErJyTvyowMYNkFKKQMAKjiCXjSlqAH"],
    }
    printed = ground.check(destination, connection={"password": "p"})
    assert time.monotonic() - began < 15
    assert printed.code == 1
    assert "cannot be reached: timed out" in printed.text
    assert "open your firewall for our addresses" in printed.text


def test_a_port_that_takes_connections_and_says_nothing_is_told_in_time(ground, monkeypatch):
    monkeypatch.setattr("client_delivery.transfer.sftp.probe_way.each_address_may_take", lambda addresses: 1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        destination = {
            "type": "sftp",
            "host": "127.0.0.1",
            "port": listener.getsockname()[1],
            "username": "acme",
            "directory": "in",
            "connection_id": "acme",
            "host_keys": [ANOTHER_KEY],
        }
        printed = ground.check(destination, connection={"password": "p"})
    assert printed.code == 1
    assert "accepts connections, but says nothing within 1 s; an SSH server speaks first" in printed.text
    assert "limit connections" not in printed.text


def test_a_wrong_key_is_named_by_the_fingerprint_that_the_partner_sees(ground, tmp_path):
    key = asyncssh.generate_private_key("ssh-ed25519")
    destination = {"type": "sftp", "username": "acme", "directory": "in", "connection_id": "acme"}
    server = ground.bench.server("asyncssh").server
    destination |= {"host": server.host, "port": server.port, "host_keys": [server.host_key]}
    printed = ground.check(destination, connection={"extra": {"private_key": key.export_private_key().decode()}})
    assert f"Compare the fingerprint of our key, {key.get_fingerprint()}" in printed.text
    assert key.get_fingerprint("md5") in printed.text


def test_what_we_have_to_do_ourselves_is_not_asked_of_the_partner(ground, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    printed = ground.s3()
    assert printed.code == 1
    assert "Ask the partner" not in printed.text
    assert "To be done on our side:\n  Reached: Allow outbound connections to it" in printed.text


def test_a_region_that_nobody_named_is_said_to_be_missing(ground, monkeypatch, tmp_path):
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    printed = ground.check({"type": "gcs", "bucket": "target", "connection_id": "acme"}, connection=None)
    assert "No AWS region is known: set AWS_DEFAULT_REGION" in printed.text
    assert "overloaded" not in printed.text
    printed = ground.s3(role_arn="arn:aws:iam::111122223333:role/partner-landing-writer")
    assert "No AWS region is known: set AWS_DEFAULT_REGION" in printed.text
    assert "overloaded" not in printed.text


def test_a_name_that_was_forgotten_is_asked_for(tmp_path, capsys):
    (tmp_path / "acme.yaml").touch()
    assert check_destination.main(["", "--directory", str(tmp_path)]) == 2
    assert "Say which client: NAME=…. " in capsys.readouterr().err
    with pytest.raises(SystemExit):
        scan_host_key.main([])
    assert "say which server: make scan-host-key HOST=" in capsys.readouterr().err


def test_no_credential_is_ever_printed(ground, bench):
    password = bench.server("asyncssh").server.password
    for name in ("asyncssh", "password", "host-key"):
        text = CASES[name].run(ground).text
        assert password not in text
        assert "wrong" not in text


def test_a_credential_from_a_file(ground, bench, tmp_path):
    server = bench.server("openssh").server
    (tmp_path / "key").write_text(server.private_key)
    (server.root / "from-file").mkdir(exist_ok=True)
    destination = {
        "type": "sftp",
        "host": server.host,
        "port": server.port,
        "username": server.username,
        "directory": "from-file",
        "connection_id": "acme",
        "host_keys": [server.host_key],
    }
    printed = ground.check(destination, "--credential", str(tmp_path / "key"), connection=None)
    assert printed.code == 0
    assert f"the file {tmp_path / 'key'}, with the extra 'private_key'" in printed.text


def test_a_credential_that_is_nowhere(ground, monkeypatch):
    def none_there(connection_id, prefix):
        raise NoSecret(f"There is no secret {prefix}/{connection_id}.")

    monkeypatch.setattr("client_delivery.probe.credential.read_secret", none_there)
    destination = {"type": "gcs", "bucket": "target", "connection_id": "acme"}
    printed = ground.check(destination, connection=None)
    assert printed.code == 1
    assert "There is no credential for 'acme' here" in printed.text


@pytest.mark.parametrize("name", ["../acme", "nobody"])
def test_a_configuration_that_is_not_there(tmp_path, capsys, name):
    (tmp_path / "acme.yaml").touch()
    assert check_destination.main([name, "--directory", str(tmp_path)]) == 2
    assert "there is: acme" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["claims.csv", "*/*", "../*", "a\n*"])
def test_the_test_file_is_never_one_that_somebody_has(ground, capsys, name):
    with pytest.raises(SystemExit):
        ground.gcs("--file-name", name)
    assert "expected a name that could be delivered, with one '*' in it" in capsys.readouterr().err
