"""R2.5: worker and container understand the same secrets in the same way, and Airflow's own backend agrees.

The judge is the backend of Airflow's amazon provider, which MWAA runs, over moto's Secrets Manager.
"""

from __future__ import annotations

import json
from urllib.parse import quote, urlencode

import httpx
import pytest
from airflow.providers.amazon.aws.secrets.secrets_manager import SecretsManagerBackend
from airflow.providers.sftp.get_provider_info import get_provider_info
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from client_delivery.access import secrets_manager
from client_delivery.operators import connections
from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.sftp.credentials import password_of, private_key_of

PREFIX = "airflow/connections"


@pytest.fixture
def store(aws, delivery_environment, monkeypatch):
    """Stores a secret as it is; the worker's Airflow looks there."""
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    client = aws.client("secretsmanager")

    def put(connection_id: str, text: str) -> None:
        client.create_secret(Name=f"{PREFIX}/{connection_id}", SecretString=text)

    httpx.post(f"{aws.aws_url}/_local/faults", json=[], timeout=30).raise_for_status()
    yield put
    httpx.post(f"{aws.aws_url}/_local/faults", json=[], timeout=30).raise_for_status()


@pytest.fixture
def in_airflow(monkeypatch):
    """What Airflow has in its metadata database."""
    known: dict[str, Connection] = {}

    def get(connection_id: str) -> Connection:
        if connection_id not in known:
            raise AirflowNotFoundException(connection_id)
        return known[connection_id]

    monkeypatch.setattr("client_delivery.operators.connections.Connection.get", get)
    return known


EXTRA = {"private_key": "K\nL\n", "private_key_passphrase": "a+b%20"}
FORMS = {
    "json": json.dumps({"conn_type": "sftp", "login": "u", "password": "p%2Fw+#", "extra": EXTRA}),
    "json_extra_as_text": json.dumps({"conn_type": "sftp", "password": "pw", "extra": json.dumps(EXTRA)}),
    "json_rds_words": json.dumps({"conn_type": "sftp", "username": "u", "pass": "pw", "host": "h", "port": "22"}),
    "json_user_and_key": json.dumps({"conn_type": "sftp", "user": "u", "key": "pw"}),
    "json_user_name": json.dumps({"engine": "sftp", "user_name": "u", "password": "pw", "remote_host": "h"}),
    "json_unknown_word": json.dumps({"conn_type": "sftp", "password": "pw", "extras": EXTRA}),
    "json_empty": json.dumps({"conn_type": "sftp", "login": "", "password": None, "extra": ""}),
    "uri": f"sftp://u:{quote('p/w+#%@', safe='')}@h:22/?{urlencode(EXTRA)}",
    "uri_extra": f"sftp://u:pw@h/?__extra__={quote(json.dumps(EXTRA))}",
    "uri_plus": "sftp://u:p+w@h",
    "uri_schema": "sftp://u:pw@h/schema",
    "airflow_uri": Connection(
        conn_id="x", conn_type="sftp", login="ü", password="p:w/@", extra=json.dumps(EXTRA)
    ).get_uri(),
    "airflow_json": Connection(
        conn_id="x", conn_type="sftp", login="ü", password="p:w/@", extra=json.dumps(EXTRA)
    ).as_json(),
}


@pytest.mark.parametrize("form", FORMS)
def test_r2_5_worker_container_and_airflow_read_the_same(store, form):
    connection_id = f"same_{form}"
    store(connection_id, FORMS[form])
    theirs = SecretsManagerBackend(connections_prefix=PREFIX).get_connection(connection_id)
    worker, container = connections.secret_of(connection_id), secrets_manager.read_secret(connection_id, PREFIX)
    assert worker == container
    assert (worker.login, worker.password) == (theirs.login or None, theirs.password or None)
    assert worker.extra == theirs.extra_dejson


MORE = {
    "google": (
        '{"type": "service_account", "client_email": "a@b"}',
        {"keyfile_dict": {"type": "service_account", "client_email": "a@b"}},
    ),
    "key": (
        "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----",
        {"private_key": "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----"},
    ),
    "beside": ('{"username": "u", "private_key": "K"}', {"private_key": "K"}),
}


@pytest.mark.parametrize("form", MORE)
def test_r2_5_worker_and_container_read_what_airflow_would_drop(store, form):
    text, extra = MORE[form]
    store(f"more_{form}", text)
    worker = connections.secret_of(f"more_{form}")
    assert worker == secrets_manager.read_secret(f"more_{form}", PREFIX)
    assert worker.extra == extra


def test_r2_5_the_words_that_airflows_backend_was_told(store, aws, monkeypatch):
    options = {
        "connections_prefix": f"{PREFIX}/",
        "extra_conn_words": {"password": ["haslo"]},
        "region_name": "us-east-1",
    }
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND_KWARGS", json.dumps(options))
    store("words", '{"haslo": "pw", "user": "u"}')
    assert SecretsManagerBackend(**options).get_connection("words").password == "pw"
    assert connections.secret_of("words").password == "pw"


def test_what_secrets_manager_lacks_is_asked_of_airflow(store, in_airflow, monkeypatch):
    extra = json.dumps({"private_key": "K"})
    in_airflow["only_in_airflow"] = Connection(conn_id="only_in_airflow", password="pw", extra=extra)
    secret = connections.secret_of("only_in_airflow")
    assert (secret.password, secret.extra) == ("pw", {"private_key": "K"})
    monkeypatch.setenv("AIRFLOW_CONN_IN_ENVIRONMENT", "sftp://u:p%20w@h")
    assert connections.secret_of("in_environment").password == "p w"
    with pytest.raises(DestinationUnavailable) as refused:
        connections.secret_of("nowhere")
    assert str(refused.value) == (
        "There is no Airflow connection 'nowhere', which the configuration names in destination.connection_id. "
        "There is no secret 'airflow/connections/nowhere' in Secrets Manager. Store the destination's credential "
        "there, in this account and region."
    )


def test_a_pattern_keeps_the_worker_from_asking_secrets_manager(store, in_airflow, aws, monkeypatch):
    options = {"connections_prefix": PREFIX, "connections_lookup_pattern": "^sm_"}
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND_KWARGS", json.dumps(options))
    store("other", '{"password": "from Secrets Manager"}')
    in_airflow["other"] = Connection(conn_id="other", password="from Airflow")
    assert connections.secret_of("other").password == "from Airflow"


def test_another_backend_is_airflows_affair(store, in_airflow, monkeypatch):
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "airflow.secrets.local_filesystem.LocalFilesystemBackend")
    store("elsewhere", '{"password": "from Secrets Manager"}')
    in_airflow["elsewhere"] = Connection(conn_id="elsewhere", password="from Airflow")
    assert connections.secret_of("elsewhere").password == "from Airflow"


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (400, "ThrottlingException", "The secret is not the cause; the next attempt asks again."),
        (500, "InternalServiceError", "The secret is not the cause; the next attempt asks again."),
        (
            400,
            "AccessDeniedException",
            "may not be read [AccessDeniedException]. The role of the worker or the container",
        ),
    ],
)
def test_secrets_manager_in_trouble_is_told_from_a_refusal(store, in_airflow, aws, monkeypatch, status, code, said):
    """Airflow alone would call all of these "not defined"."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    store(f"trouble_{code}", '{"password": "pw"}')
    rule = {"call": "secretsmanager.GetSecretValue", "status": status, "code": code, "times": 0}
    httpx.post(f"{aws.aws_url}/_local/faults", json=[rule], timeout=30).raise_for_status()
    for read in (connections.secret_of, lambda name: secrets_manager.read_secret(name, PREFIX)):
        with pytest.raises(DestinationUnavailable) as refused:
            read(f"trouble_{code}")
        assert said in str(refused.value)


def test_r2_5_what_the_airflow_ui_writes_for_an_sftp_connection_works(in_airflow, stack):
    """The form of type ``sftp``: *Username*, *Password*, and the extra as JSON in an editor."""
    form = next(kind for kind in get_provider_info()["connection-types"] if kind["connection-type"] == "sftp")
    assert form["ui-field-behaviour"]["hidden-fields"] == ["schema"]
    assert "conn-fields" not in form, "the provider has fields of its own now: are they read?"
    extra = json.dumps({"private_key": stack.sftp.private_key, "no_host_key_check": "false", "key_file": ""}, indent=2)
    in_airflow["by_ui"] = Connection(conn_id="by_ui", conn_type="sftp", login="acme", host="h", port=22, extra=extra)
    secret = connections.secret_of("by_ui")
    assert private_key_of(secret) is not None
    assert password_of(secret) is None
    in_airflow["by_ui"] = Connection(conn_id="by_ui", conn_type="sftp", password=" p w ", extra="{}")
    assert password_of(connections.secret_of("by_ui")) == " p w "


def test_r2_5_what_is_a_credential_is_masked_and_what_is_not_stays_readable(in_airflow, monkeypatch):
    masked = []
    monkeypatch.setattr(
        "client_delivery.operators.connections.mask_secret", lambda value, name=None: masked.append((value, name))
    )
    extra = {
        "private_key": "K1",
        "extra__ssh__passphrase": "P1",
        "no_host_key_check": "false",
        "keyfile_dict": {"a": "b"},
    }
    in_airflow["masked"] = Connection(conn_id="masked", password="pw", extra=json.dumps(extra))
    connections.secret_of("masked")
    assert masked == [
        ("pw", None),
        ("K1", None),
        ("P1", None),
        ("false", "no_host_key_check"),
        ({"a": "b"}, None),
    ]


def test_r2_5_a_connection_that_cannot_be_read_is_described_and_never_quoted(in_airflow):
    in_airflow["broken"] = Connection(conn_id="broken", extra='{"private_key": "hunter2')
    with pytest.raises(
        DestinationUnavailable, match="'broken' cannot be read: Its extra is broken JSON of 24"
    ) as refused:
        connections.secret_of("broken")
    assert "hunter2" not in str(refused.value)
