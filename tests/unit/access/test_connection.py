"""R2.5: a connection is read from whatever form it was stored in; what is none is described and never quoted."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from client_delivery.access.connection import UnreadableConnection, read_connection, read_parts

KEY = (Path(__file__).parents[2] / "fixtures" / "keys" / "ed25519-v3.ppk").read_text()
PEM = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
GOOGLE = {"type": "service_account", "client_email": "a@b.iam.gserviceaccount.com", "private_key": PEM}


def read(text, words=None):
    secret = read_connection("acme", text, words)
    return secret.login, secret.password, dict(secret.extra)


AIRFLOW = {
    "JSON": ('{"conn_type": "sftp", "login": "me", "password": "p w"}', ("me", "p w", {})),
    "extra as an object": ('{"conn_type": "sftp", "extra": {"private_key": "k"}}', (None, None, {"private_key": "k"})),
    "extra as text": (
        json.dumps({"conn_type": "sftp", "extra": '{"private_key": "k"}'}),
        (None, None, {"private_key": "k"}),
    ),
    "extra as JSON in JSON": (
        json.dumps({"conn_type": "sftp", "extra": json.dumps('{"private_key": "k"}')}),
        (None, None, {"private_key": "k"}),
    ),
    "no extra": ('{"conn_type": "sftp", "password": "pw", "extra": ""}', (None, "pw", {})),
    "null": ('{"conn_type": "sftp", "login": null, "password": "pw", "extra": null}', (None, "pw", {})),
    "numbers": ('{"conn_type": "sftp", "login": 4711, "password": 12}', ("4711", "12", {})),
    "newlines as they are": ('{"extra": {"private_key": "a\nb"}}', (None, None, {"private_key": "a\nb"})),
    "byte-order mark": ('\ufeff{"password": "pw"}', (None, "pw", {})),
    "JSON as a JSON string": (json.dumps('{"password": "pw"}'), (None, "pw", {})),
    "JSON escaped": (r"{\"password\": \"pw\"}", None),
    "values are not decoded": ('{"password": "p%2Fw+#"}', (None, "p%2Fw+#", {})),
    "key/value, console's RDS form": (
        '{"username": "u", "password": "p", "engine": "sftp", "host": "h", "port": "22", "dbname": "x"}',
        ("u", "p", {}),
    ),
    "key/value, user and key": ('{"user": "u", "key": "pw"}', ("u", "pw", {})),
    "key/value, the first of two": ('{"pass": "1", "password": "2"}', (None, "1", {})),
    "key/value, the key beside": (
        json.dumps({"username": "u", "private_key": PEM, "private_key_passphrase": "pp"}),
        ("u", None, {"private_key": PEM, "private_key_passphrase": "pp"}),
    ),
    "key/value, extra before beside": (
        json.dumps({"private_key": "beside", "extra": {"private_key": "extra"}}),
        (None, None, {"private_key": "extra"}),
    ),
    "URI": ("sftp://me:p%20w@host:22/?private_key=k%0Al", ("me", "p w", {"private_key": "k\nl"})),
    "URI, plus": ("sftp://me:p+w@host?private_key_passphrase=a%2Bb", ("me", "p+w", {"private_key_passphrase": "a+b"})),
    "URI with __extra__": (
        f"gcpx://?__extra__={quote(json.dumps({'keyfile_dict': '{}'}))}",
        (None, None, {"keyfile_dict": "{}"}),
    ),
    "URI, type with underscores": (
        f"google_cloud_platform://?keyfile_dict={quote(json.dumps(GOOGLE))}",
        (None, None, {"keyfile_dict": json.dumps(GOOGLE)}),
    ),
    "URI, long names": (
        f"google-cloud-platform://?extra__google_cloud_platform__keyfile_dict={quote('{}')}",
        (None, None, {"extra__google_cloud_platform__keyfile_dict": "{}"}),
    ),
    "Google's file as it is": (json.dumps(GOOGLE, indent=2), (None, None, {"keyfile_dict": GOOGLE})),
    "a private key as it is": (PEM, (None, None, {"private_key": PEM.strip()})),
    "PuTTY's key as it is": (KEY, (None, None, {"private_key": KEY.strip()})),
    "a private key in Base64": (
        base64.b64encode(PEM.encode()).decode(),
        (None, None, {"private_key": base64.b64encode(PEM.encode()).decode()}),
    ),
}


@pytest.mark.parametrize(("text", "expected"), AIRFLOW.values(), ids=AIRFLOW)
def test_r2_5_every_form_in_which_a_connection_is_stored(text, expected):
    if expected is None:
        expected = (None, "pw", {})
    assert read(text) == expected


def test_r2_5_more_names_as_airflows_backend_was_told():
    words = {"user": ["kto"], "password": ["haslo"], "extra": ["reszta"]}
    text = '{"kto": "u", "haslo": "pw", "reszta": {"private_key": "k"}}'
    assert read(text, words) == ("u", "pw", {"private_key": "k"})
    with pytest.raises(UnreadableConnection, match=r"its fields are 'haslo', 'kto', 'reszta'\."):
        read(text)


WRONG = {
    "broken JSON": ('{"password": "hunter2"', "The secret is broken JSON of 22 characters, not a JSON object."),
    "a list": ('["hunter2"]', "The secret is JSON of the type list, not a JSON object."),
    "a password": ("hunter2hunter2", "It is a text of 14 characters that is neither JSON nor a URI nor a key."),
    "empty": ("", "It is empty."),
    "extra that is not JSON": (
        '{"extra": "{not json"}',
        "Its extra is broken JSON of 9 characters, not a JSON object.",
    ),
    "extra that is a list": ('{"extra": ["hunter2"]}', "Its extra is of the type list, not a JSON object."),
    "password that is a list": ('{"password": ["hunter2"]}', "Its password is of the type list, not text."),
    "unknown fields": ('{"foo": "hunter2", "two words": 1}', "its fields are 'foo', (an odd name)."),
    "hash in a URI": ("sftp://u:hunter2#x@host", "'#' is %23 there"),
    "slash in a URI": ("sftp://u:hunter2/x@host", "'/' %2F"),
    "bracket in a URI": ("sftp://u:hunter2[x@host", "'[' %5B"),
    "a public key": ("ssh-ed25519 AAAAhunter2", "It is a public key."),
}


@pytest.mark.parametrize(("text", "found"), WRONG.values(), ids=WRONG)
def test_r2_5_what_is_no_connection_is_described_and_never_quoted(text, found):
    with pytest.raises(UnreadableConnection) as refused:
        read(text)
    message = str(refused.value)
    assert found in message
    assert "Expected one of: a connection URI; a JSON object with the names of an Airflow connection" in message
    assert "hunter2" not in message
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_r2_5_the_parts_that_airflow_knows_are_read_alike():
    secret = read_parts("acme", "", "", '{"keyfile_dict": "{}"}')
    assert (secret.login, secret.password, secret.extra) == (None, None, {"keyfile_dict": "{}"})
    assert read_parts("acme", "u", "p", None).extra == {}
    with pytest.raises(UnreadableConnection, match="Its extra is a text of 7 characters that is neither JSON"):
        read_parts("acme", None, None, "hunter2")
