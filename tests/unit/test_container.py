"""The container's order, and secrets read without Airflow."""

from __future__ import annotations

import pytest

from delivery import secrets_manager
from delivery.config.model import ClientConfig
from delivery.container import ORDER_VARIABLE, ExitCode, Order, main
from delivery.ledger.entry import RunRef
from delivery.transfer.contract import DestinationUnavailable

CONFIG = ClientConfig.model_validate(
    {
        "name": "acme",
        "client_h_number": "H1234",
        "contacts": ["data@example.com"],
        "send_notifications": True,
        "pickup": {"bucket": "example-pickup", "prefix": "acme/"},
        "destination": {"type": "gcs", "bucket": "example-gcs-landing", "connection_id": "acme"},
        "bypass_file_checks": False,
        "trigger_on_done_file": False,
    }
)
SETTINGS = {"AIRFLOW__DELIVERY__LEDGER_TABLE": "ledger"}


def test_an_order_survives_the_way_through_the_environment():
    order = Order(CONFIG, RunRef("manual__2026-01-01T00:00:00+00:00", 2), 7, remove_source=True)
    assert Order.from_json(order.to_json()) == order


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"config": {}, "run": "a/0", "batch": 1, "remove_source": true}'])
def test_an_unusable_order_ends_with_its_own_code(text, capsys):
    assert main({**SETTINGS, ORDER_VARIABLE: text}) is ExitCode.MISUSED


def test_missing_settings_end_with_the_same_code():
    assert main({}) is ExitCode.MISUSED


class FakeSecrets:
    def __init__(self, text: str) -> None:
        self._text = text

    def get_secret_value(self, SecretId: str) -> dict[str, str]:
        assert SecretId == "airflow/connections/acme"
        return {"SecretString": self._text}


def resolved(monkeypatch, text):
    monkeypatch.setattr("boto3.client", lambda service: FakeSecrets(text))
    secret = secrets_manager.resolve("acme", "airflow/connections")
    return secret.login, secret.password, dict(secret.extra)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"conn_type": "sftp", "login": "me", "password": "p w"}', ("me", "p w", {})),
        ('{"conn_type": "sftp", "extra": {"private_key": "k"}}', (None, None, {"private_key": "k"})),
        ('{"conn_type": "sftp", "extra": "{\\"private_key\\": \\"k\\"}"}', (None, None, {"private_key": "k"})),
        ("sftp://me:p%20w@host:22/?private_key=k%0Al", ("me", "p w", {"private_key": "k\nl"})),
        ("gcpx://?__extra__=%7B%22keyfile_dict%22%3A%20%22%7B%7D%22%7D", (None, None, {"keyfile_dict": "{}"})),
    ],
)
def test_r2_5_connections_are_read_as_airflow_reads_them(monkeypatch, text, expected):
    assert resolved(monkeypatch, text) == expected


@pytest.mark.parametrize("text", ["{broken", "no uri at all", '{"extra": "{not json"}', "[1]"])
def test_r2_5_a_malformed_secret_is_named_and_never_quoted(monkeypatch, text):
    with pytest.raises(DestinationUnavailable, match="'airflow/connections/acme' cannot be read") as raised:
        resolved(monkeypatch, text)
    assert text not in str(raised.value)
    assert raised.value.__suppress_context__
