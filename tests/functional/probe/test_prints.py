"""`make check-destination` on every server, and where something is wrong: what it prints is what the documents say."""

from __future__ import annotations

import json
import time

import pytest

from client_delivery.access.secrets_manager import NoSecret
from client_delivery.probe import check_destination
from tests.functional.probe import prints
from tests.functional.probe.cases import CASES, Ground, clear_environment


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
