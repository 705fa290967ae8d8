"""The partner's sheet is made from the configuration, so that it cannot be wrong (R2.8)."""

from __future__ import annotations

import json
import re

import asyncssh
import pytest
import yaml

from client_delivery.config.acknowledgement import Acknowledgement
from client_delivery.config.model import ClientConfig
from client_delivery.probe import partner_sheet
from client_delivery.probe.sheet import sheet
from client_delivery.probe.sheet_parts import FILL_IN, Ours
from client_delivery.transfer.sftp.temporary import TemporaryNames
from tests.support.openpgp import key

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA9R3lUxvyx+XrErJyTvyowMYNkFKKQMAKjiCXjSlqAH"
PLACES = {
    "sftp": {
        "type": "sftp",
        "host": "sftp.example.org",
        "port": 2222,
        "username": "acme",
        "directory": "incoming",
        "connection_id": "acme",
        "host_keys": [HOST_KEY],
    },
    "gcs": {"type": "gcs", "bucket": "acme-landing", "prefix": "in/", "connection_id": "acme"},
    "s3": {"type": "s3", "bucket": "acme-landing", "prefix": "in/", "role_arn": "arn:aws:iam::111122223333:role/w"},
}


def config_for(kind, **place):
    return ClientConfig.model_validate(
        {
            "name": "acme",
            "client_h_number": "H1001",
            "contacts": ["data@example.org"],
            "send_notifications": True,
            "pickup": {"bucket": "example-pickup", "prefix": "acme/"},
            "destination": {**PLACES[kind], **place},
            "bypass_file_checks": False,
            "trigger_on_done_file": False,
        }
    )


def text_of(config, ours=None):
    return partner_sheet.as_markdown(sheet(config, ours or Ours()))


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"temporary_prefix": "tmp-", "temporary_suffix": ""},
        {"temporary_suffix": ".tmp"},
        {"appear": "staging", "staging_directory": "stage"},
    ],
)
def test_temporary_names_are_those_that_deliveries_use(place):
    config = config_for("sftp", **place)
    shown = re.search(r"^ {4}(\S*claims\.csv\S*)$", text_of(config), re.MULTILINE)[1]
    real = TemporaryNames(config.destination).path("incoming/claims.csv", "5d41402abc4b2a76", 1, 0).rpartition("/")[2]
    # In a staging directory files of one name come together: a mark of the place is between.
    assert shown == re.sub(r"\.[0-9a-f]{8}(?=\.5d41402abc4b)", "", real)


def test_files_written_directly_need_no_rename_and_are_said_to_grow():
    text = text_of(config_for("sftp", appear="direct"))
    assert "| rename files | no |" in text
    assert "grows there" in text
    assert ".part" not in text


@pytest.mark.parametrize("kind", PLACES)
def test_what_nobody_knows_is_marked_and_named(kind):
    sections = sheet(config_for(kind), Ours())
    assert FILL_IN in partner_sheet.as_markdown(sections)
    assert any("Whom to call" in one for one in partner_sheet.unknown(sections))
    known = Ours(["192.0.2.7"], ["arn:aws:iam::1:role/a", "arn:aws:iam::1:role/b"], HOST_KEY, account="a@b.c", call="J")
    left = partner_sheet.unknown(sheet(config_for(kind), known))
    assert left == ["Whom to call: your technical contact"]


def test_the_command_writes_both_files_with_our_public_key_and_never_the_private_one(tmp_path, monkeypatch, capsys):
    key = asyncssh.generate_private_key("ssh-ed25519")
    monkeypatch.setenv("AIRFLOW_CONN_ACME", json.dumps({"extra": {"private_key": key.export_private_key().decode()}}))
    monkeypatch.setenv("AIRFLOW__DELIVERY__OUTGOING_ADDRESSES", "192.0.2.7, 192.0.2.8")
    config = config_for("sftp").model_dump(mode="json", exclude_defaults=True)
    config["destination"]["type"] = "sftp"
    (tmp_path / "acme.yaml").write_text(yaml.safe_dump(config))
    assert partner_sheet.main(["acme", "--directory", str(tmp_path), "--to", str(tmp_path / "out"), "--call", "J"]) == 0
    for suffix in (".md", ".html"):
        text = (tmp_path / "out" / f"acme{suffix}").read_text()
        assert " ".join(key.export_public_key().decode().split()[:2]) in text
        assert key.get_fingerprint() in text
        assert "192.0.2.7, 192.0.2.8" in text
        assert "PRIVATE" not in text
    assert "to be filled in: Whom to call: your technical contact" in capsys.readouterr().out


def test_words_of_the_configuration_are_shown_and_never_obeyed():
    config = config_for("sftp", username="<b>acme|x</b>", directory="in|coming")
    assert "<b>" not in partner_sheet.as_html(sheet(config, Ours()))
    assert r"in\|coming" in text_of(config)


def test_a_configuration_that_is_not_there(tmp_path, capsys):
    assert partner_sheet.main(["nobody", "--directory", str(tmp_path)]) == 2
    assert "There is no" in capsys.readouterr().err


def test_a_recipient_of_encrypted_files_is_told_how_to_open_and_verify_them():
    treated = config_for("sftp").model_dump() | {
        "compress": "gzip",
        "encrypt": {"recipients": [key("good")], "sign_with": "ours", "suffix": ".gpg"},
    }
    text = text_of(ClientConfig.model_validate(treated))
    assert "    gpg --output FILE --decrypt FILE.gpg" in text
    assert "Good signature" in text
    assert ".gz: gunzip FILE" in text
    assert "PUBLIC KEY" not in text
    assert "How to open the files" not in text_of(config_for("sftp"))


@pytest.mark.parametrize(
    ("kind", "right"), [("sftp", "allowed to list"), ("gcs", "storage.objects.list"), ("s3", "s3:ListBucket")]
)
def test_a_partner_is_told_how_to_acknowledge_and_what_we_need_for_it(kind, right):
    config = config_for(kind)
    assert "acknowledge" not in text_of(config)
    section = Acknowledgement.model_validate({"pattern": "{stem}*.ack", "place": "/out", "within": "3 days"})
    told = text_of(config.model_copy(update={"acknowledgement": section}))
    for words in ("## How to acknowledge a file", "back in /out", "within 3 days", "    {stem}*.ack", "{stem} stands"):
        assert words in told
    assert right in told.partition("How to acknowledge")[2]
