"""By what identity e-mails are sent: the environment's own one without Airflow's hook, which costs seconds."""

from __future__ import annotations

import pytest
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from client_delivery.operators import ses


@pytest.fixture
def sent_by(monkeypatch):
    """``sent_by(connection)``: ``(who makes the client, what it is told)``."""
    made: list[tuple[str, object]] = []

    class Hook:
        def __init__(self, *, aws_conn_id, config):
            made.append((f"hook {aws_conn_id}", config.retries))

        def get_conn(self):
            return None

    monkeypatch.setattr("airflow.providers.amazon.aws.hooks.ses.SesHook", Hook)
    monkeypatch.setattr(ses, "ses_client", lambda region: made.append(("own", region)))

    def ask(connection: Connection | None) -> tuple[str, object]:
        def get(connection_id: str) -> Connection:
            if connection is None:
                raise AirflowNotFoundException(connection_id)
            return connection

        monkeypatch.setattr(ses.Connection, "get", get)
        ses.ses_of("aws_mail")
        return made.pop()

    return ask


def test_no_connection_and_one_that_says_nothing_are_the_environments_own_identity(sent_by):
    assert sent_by(None) == ("own", None)
    assert sent_by(Connection(conn_id="aws_mail", conn_type="aws")) == ("own", None)
    assert sent_by(Connection(conn_id="aws_mail", conn_type="aws", extra='{"region_name": "eu-west-1"}')) == (
        "own",
        "eu-west-1",
    )


@pytest.mark.parametrize(
    "says",
    [
        {"login": "AKIA", "password": "secret"},
        {"extra": '{"role_arn": "arn:aws:iam::1:role/mail"}'},
        {"extra": '{"region_name": "eu-west-1", "endpoint_url": "https://mail.example.org"}'},
        {"host": "mail.example.org"},
    ],
)
def test_a_connection_that_says_more_is_airflows_to_read(sent_by, says):
    assert sent_by(Connection(conn_id="aws_mail", conn_type="aws", **says)) == (
        "hook aws_mail",
        {"total_max_attempts": 1},
    )


def test_a_call_to_ses_is_made_once(monkeypatch):
    for name, value in {"DEFAULT_REGION": "us-east-1", "ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    from client_delivery.access.aws import ses_client

    assert ses_client("eu-west-1").meta.config.retries["total_max_attempts"] == 1
