"""`make scan-host-key`: the keys that a server shows, as YAML, with what people compare them by (R2.3)."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading

import asyncssh
import pytest
import yaml

from client_delivery.config.model import SftpSection
from client_delivery.probe import scan_host_key
from tests.support.habits import HabitServer


@pytest.fixture
def server(tmp_path):
    more = [
        asyncssh.generate_private_key("ecdsa-sha2-nistp256"),
        asyncssh.generate_private_key("ssh-rsa", key_size=2048),
    ]
    with HabitServer(tmp_path / "server", more_keys=more) as running:
        yield running


def test_every_key_of_the_server_is_shown_as_a_configuration_takes_it(server, capsys):
    assert scan_host_key.main(["127.0.0.1", "--port", str(server.server.port)]) == 0
    text = capsys.readouterr().out
    keys = yaml.safe_load(text)["host_keys"]
    assert [key.split()[0] for key in keys] == ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"]
    assert keys[0] == server.server.host_key
    SftpSection(
        type="sftp", host="h", username="u", directory="d", connection_id="c", host_keys=keys
    )  # takes them as they are
    assert "compare by telephone before use" in text


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen, which judges the fingerprints, is missing")
@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_fingerprints_are_those_that_openssh_computes(server, tmp_path, capsys, algorithm):
    assert scan_host_key.main(["127.0.0.1", "--port", str(server.server.port), "--json"]) == 0
    for told in json.loads(capsys.readouterr().out)["host_keys"]:
        (tmp_path / "key.pub").write_text(told["key"] + "\n")
        command = ["ssh-keygen", "-l", "-E", algorithm, "-f", str(tmp_path / "key.pub")]
        judged = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert told[algorithm] == judged.split()[1]


def test_a_key_that_no_configuration_takes_is_shown_and_not_offered(tmp_path, capsys):
    short = asyncssh.generate_private_key("ssh-rsa", key_size=1024)
    with HabitServer(tmp_path / "server", more_keys=[short]) as running:
        assert scan_host_key.main(["127.0.0.1", "--port", str(running.server.port)]) == 0
    text = capsys.readouterr().out
    assert yaml.safe_load(text)["host_keys"] == [running.server.host_key]
    assert "not accepted: expected an RSA key of at least 2048 bits" in text


def test_what_is_no_ssh_server_is_said_to_be_none(capsys):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        listener.listen()

        def hang_up():
            connection, _ = listener.accept()
            connection.sendall(b"220 ftp.example.org ready\r\n")
            connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        assert scan_host_key.main(["127.0.0.1", "--port", str(port)]) == 1
    assert "not be an SSH server" in capsys.readouterr().err


def test_a_port_where_nobody_listens_and_a_name_that_is_none(capsys):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert scan_host_key.main(["127.0.0.1", "--port", str(port)]) == 1
    assert f"127.0.0.1:{port} cannot be reached" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        scan_host_key.main(["sftp://acme.example.org"])
    assert "expected a host name without 'sftp://'. Write 'acme.example.org'" in capsys.readouterr().err
