"""No credential in a configuration (R2.5): it is refused, the right place is named, and its value is never repeated."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client_delivery.config.credentials import is_credential_name

SECRET = "hunter2-Xyzzy"
NOWHERE = "found a field for a credential, expected no credential in this file."
SFTP = (
    "Store it in Secrets Manager as the Airflow connection `airflow/connections/acme_sftp`,"
    " and write only `connection_id: acme_sftp` here."
)
ROLE = "S3 is reached by IAM roles: name the role in `role_arn`, or leave it out to use the environment's own."
PRIVATE_KEY = "-----BEGIN OPENSSH " + "PRIVATE KEY-----"
VALUES = {
    "OpenSSH key": f"{PRIVATE_KEY}\\nb3BlbnNzaC1rZXktdjEA",
    "PKCS#8 key": "-----BEGIN " + "PRIVATE KEY-----",
    "encrypted key": "-----BEGIN ENCRYPTED " + "PRIVATE KEY-----",
    "PuTTY key": "PuTTY-User-Key-File-3: ssh-ed25519",
    "AWS access key": "AKIA" + "IOSFODNN7EXAMPLE",
    "AWS temporary key": "key ASIA" + "IOSFODNN7EXAMPLE here",
    "service account": '{\\"type\\": \\"service_account\\", \\"x\\": 1}',
    "Google API key": "AIza" + "SyD-" + "a" * 31,
    "JSON web token": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0.abc",
    "user and password": f"acme:{SECRET}@sftp.example.org",
    "address with password": f"sftp://acme:{SECRET}@sftp.example.org/in",
}

NAMES = [
    "password", "Password", "passwd", "pwd", "secret", "secret_key", "client_secret", "private_key", "privateKey",
    "private-key", "passphrase", "private_key_passphrase", "token", "access_token", "access_key", "access_key_id",
    "aws_secret_access_key", "aws_access_key_id", "key_file", "keyfile_json", "keyfile_dict", "api_key", "credentials",
    "service_account_key", "ssh_key", "key", "auth", "sas", "pass",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_field_for_a_credential_is_refused(text, complaints, name):
    assert complaints(text("sftp", {f"destination.{name}": SECRET})) == [
        f"acme.yaml:15:3: destination.{name}: {NOWHERE} {SFTP}"
    ]


def test_no_field_of_ours_is_taken_for_one():
    from client_delivery.config.model import ClientConfig
    from client_delivery.config.outline import DESTINATIONS
    from client_delivery.config.pickup import PickupSection

    fields = [name for model in (ClientConfig, PickupSection, *DESTINATIONS.values()) for name in model.model_fields]
    assert [name for name in fields if is_credential_name(name)] == []


@pytest.mark.parametrize(
    ("kind", "path", "where"),
    [
        ("sftp", "password", SFTP),
        ("s3", "destination.secret_key", ROLE),
        ("gcs", "pickup.access_key", ROLE),
        ("gcs", "destination.keyfile_json", SFTP.replace("acme_sftp", "acme_gcs")),
    ],
)
def test_where_it_belongs_depends_on_what_it_is_for(text, complaints, kind, path, where):
    [said] = complaints(text(kind, {path: SECRET}))
    assert said.split(": ", 1)[1] == f"{path}: {NOWHERE} {where}"


def test_a_credential_inside_an_unknown_section_is_found(text, complaints):
    said = complaints(text("sftp", {"destination.login": f"{{user: acme, options: [{{password: {SECRET}}}]}}"}))
    assert [line.split(": ")[1] for line in said] == ["destination.login", "destination.login.options[0].password"]
    assert SECRET not in "".join(said)


def test_without_a_connection_id_a_placeholder_is_named(text, complaints):
    said = complaints(text("sftp", {"destination.password": SECRET, "destination.connection_id": None}))
    assert "`airflow/connections/<connection_id>`" in said[1]


@pytest.mark.parametrize("case", VALUES)
@pytest.mark.parametrize("field", ["destination.host", "destination.username", "feed", "destination.unknown"])
def test_a_value_that_looks_like_a_credential_is_refused_unseen(text, complaints, case, field):
    said = complaints(text("sftp", {field: f'"{VALUES[case]}"'}))
    assert any(
        "found what looks like a credential, expected no credential in this file. Store it" in line for line in said
    )
    for part in VALUES[case].replace("\\n", " ").split():
        if len(part) > 8:
            assert part not in "".join(said)


def test_a_credential_in_place_of_a_fields_name_is_refused_unseen(text, complaints):
    access_key = VALUES["AWS access key"]
    [said] = complaints(text("sftp", {f"destination.{access_key}": "x"}))
    assert access_key not in said
    assert "found what looks like a credential instead of a field's name" in said


def test_a_private_key_pasted_without_indentation_is_found_in_what_is_no_yaml(text, complaints):
    pasted = text("sftp") + f"private_key: |\n{PRIVATE_KEY}\nb3BlbnNzaC1rZXktdjEA\n-----END\n"
    said = complaints(pasted)
    assert (
        "acme.yaml:18:1: found what looks like a credential, expected no credential in this file."
        " Remove it; if this file was ever shared or committed, replace the credential as well." in said
    )
    assert "b3BlbnNzaC1rZXktdjEA" not in "".join(said)


def test_a_credential_in_a_comment_is_refused_unseen(text, complaints):
    assert complaints(text("gcs") + f"# was {VALUES['AWS access key']} before\n") == [
        "acme.yaml:15:7: found what looks like a credential, expected no credential in this file."
        " Remove it; if this file was ever shared or committed, replace the credential as well."
    ]


@pytest.mark.parametrize(
    "password", ["!hunter2Xyzzy", "*hunter2Xyzzy", "&hunter2Xyzzy x", "'hunter2Xyzzy", "[hunter2Xyzzy", "%hunter2Xyzzy"]
)
def test_a_password_that_yaml_takes_for_something_else_is_not_repeated(text, complaints, password):
    said = complaints(text("sftp", {"destination.password": password}))
    assert "hunter2Xyzzy" not in "".join(said)


def test_an_e_mail_address_is_not_a_credential(text, load, complaints):
    assert load(text("gcs", {"contacts": "['jane@example.com', 'team+x@example.org']"})).contacts
    assert "found 'mailto:jane@example.com'" in complaints(text("gcs", {"contacts": "['mailto:jane@example.com']"}))[0]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["password", "secret", "private_key", "token", "keyfile_dict"]),
    secret=st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=6, max_size=30),
    section=st.sampled_from(["", "pickup.", "destination."]),
)
def test_whatever_the_credential_is_the_message_does_not_hold_it(text, complaints, name, secret, section):
    """R2.5: written as it would be by someone who does not know YAML's rules, without quotes."""
    value = f"~{secret}~"  # so that no word of the message is the secret by chance
    said = "\n".join(complaints(text("sftp", {f"{section}{name}": f"{secret}{value}"})))
    assert secret + value not in said
