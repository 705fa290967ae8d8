"""Each field takes what its owner would take, and says what is wrong with the rest (R2.1-R2.4, R2.6)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

EXPECTED_CASES = 170


def bad_values() -> Iterator[tuple[str, str, str]]:
    """Field, value and message of each block in ``bad_values.txt``."""
    for block in (Path(__file__).parent / "bad_values.txt").read_text(encoding="utf-8").split("\n\n")[1:]:
        case, message = block.strip("\n").split("\n")
        field, _, value = case.partition(":")
        yield field, value.removeprefix(" "), message.removeprefix("  ")


def change_for(field: str) -> tuple[str, str]:
    """The type of the destination to start from, and the field's path: ``sftp.host`` is ``destination.host``."""
    kind, _, rest = field.partition(".")
    return (kind, f"destination.{rest}") if kind in ("gcs", "sftp", "s3") else ("gcs", field)


def test_the_bad_values_are_there():
    assert sum(1 for _ in bad_values()) >= EXPECTED_CASES


@pytest.mark.parametrize(("field", "value", "message"), list(bad_values()))
def test_a_bad_value_is_explained(text, complaints, field, value, message):
    """R2.6: field, what was found, what is accepted, and no second complaint that follows from the first."""
    kind, path = change_for(field)
    [complaint] = complaints(text(kind, {path: value}))
    assert complaint.split(": ", 1)[1] == message


LONG = {
    "expected": (
        "[" + ", ".join(f"{{files: a{n}, by: '0 9 * * *'}}" for n in range(21)) + "]",
        "expected: found 21 items, expected at most 20.",
    ),
    "contacts": (
        "[" + ", ".join(f"a{n}@example.com" for n in range(201)) + "]",
        "contacts: found 201 items, expected at most 200.",
    ),
    "pickup.prefix": ("a" * 512 + "/", f"pickup.prefix: found '{'a' * 59}…', expected a prefix of at most 512 bytes."),
    "pickup.include": (
        f"[{'a' * 257}]",
        f"pickup.include[0]: found '{'a' * 59}…', expected a pattern of at most 256 characters.",
    ),
    "sftp.directory": (
        "/" + "a" * 1024,
        f"destination.directory: found '/{'a' * 58}…', expected a directory of at most 1024 bytes.",
    ),
    "sftp.username": (
        "a" * 256,
        f"destination.username: found '{'a' * 59}…', expected 1 to 255 visible characters without spaces around them.",
    ),
    "gcs.connection_id": (
        "a" * 201,
        f"destination.connection_id: found '{'a' * 59}…', expected an Airflow connection id of letters, digits, '_',"
        " '-' and '.'.",
    ),
}


@pytest.mark.parametrize("field", LONG)
def test_a_value_that_is_too_long_is_cut_in_the_message(text, complaints, field):
    kind, path = change_for(field)
    value, message = LONG[field]
    [complaint] = complaints(text(kind, {path: value}))
    assert complaint.split(": ", 1)[1] == message


GOOD = [
    ("name", "acme", "acme"),
    ("client_h_number", "H123456789", "H123456789"),
    ("feed", "claims_2-a", "claims_2-a"),
    ("feed", "'2024'", "2024"),
    ("feed", "no", "no"),  # text, as YAML 1.2 and editors have it
    ("contacts", "[jane.o'neil+x@mail.example.co.uk]", ("jane.o'neil+x@mail.example.co.uk",)),
    ("send_notifications", "False", False),
    ("pickup.bucket", "example.pickup-1", "example.pickup-1"),
    ("pickup.prefix", "Kunden/Ärzte & Co/", "Kunden/Ärzte & Co/"),
    ("pickup.region", "us-gov-west-1", "us-gov-west-1"),
    ("pickup.region", "ap-southeast-2", "ap-southeast-2"),
    ("pickup.region", "null", None),
    (
        "pickup.role_arn",
        "arn:aws-us-gov:iam::111122223333:role/team/reader",
        "arn:aws-us-gov:iam::111122223333:role/team/reader",
    ),
    (
        "pickup.include",
        "['*.csv', 'report (1).txt', 'a[0-9].csv', '[[]x', '[!a]*']",
        ("*.csv", "report (1).txt", "a[0-9].csv", "[[]x", "[!a]*"),
    ),
    ("pickup.include", "[report.*]", ("report.*",)),
    ("pickup.exclude", "['*/*', '*.tmp']", ("*/*", "*.tmp")),
    ("gcs.prefix", "''", ""),
    ("gcs.bucket", "landing_zone.example.org", "landing_zone.example.org"),
    ("gcs.project", "example.com:landing-zone", "example.com:landing-zone"),
    (
        "gcs.kms_key",
        "projects/p/locations/us/keyRings/r/cryptoKeys/k",
        "projects/p/locations/us/keyRings/r/cryptoKeys/k",
    ),
    ("gcs.storage_class", "COLDLINE", "COLDLINE"),
    ("gcs.connection_id", "acme-gcs.v2", "acme-gcs.v2"),
    ("gcs.max_bytes_per_second", "1.5 MiB", 1_572_864),
    ("gcs.max_bytes_per_second", "65536", 65536),
    ("sftp.host", "192.0.2.7", "192.0.2.7"),
    ("sftp.host", "'2001:db8::7'", "2001:db8::7"),
    ("sftp.host", "SFTP_1.example.org", "SFTP_1.example.org"),
    ("sftp.port", "65535", 65535),
    ("sftp.username", "DOMAIN\\acme", "DOMAIN\\acme"),
    ("sftp.directory", "/", "/"),
    ("sftp.directory", ".", "."),
    ("sftp.directory", "./in//acme/", "in/acme"),
    ("sftp.directory", "/in/Ärzte & Co/", "/in/Ärzte & Co"),
    ("sftp.file_mode", "'0640'", "0640"),
    ("sftp.file_mode", '"600"', "600"),
    ("sftp.connections", "16", 16),
    ("sftp.verify", "read_back", "read_back"),
    ("sftp.parallel_writes", "true", True),
    ("sftp.appear", "direct", "direct"),
    ("sftp.temporary_prefix", "tmp-", "tmp-"),
    ("sftp.temporary_suffix", "''", ""),
    ("sftp.allow_weak_algorithms", "true", True),
    ("s3.storage_class", "INTELLIGENT_TIERING", "INTELLIGENT_TIERING"),
    ("s3.acl", "bucket-owner-full-control", "bucket-owner-full-control"),
    ("s3.kms_key", "alias/landing", "alias/landing"),
    ("s3.kms_key", "1234abcd-12ab-34cd-56ef-1234567890ab", "1234abcd-12ab-34cd-56ef-1234567890ab"),
    (
        "s3.kms_key",
        "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab",
        "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab",
    ),
    ("schedule", "'0 6 * * MON-FRI'", "0 6 * * MON-FRI"),
    ("schedule", "0 6 1 * *", "0 6 1 * *"),
    ("schedule", "'*/15 * * * *'", "*/15 * * * *"),
    ("schedule", "H 6 * * THU", "H 6 * * THU"),
    ("schedule", "null", None),
    ("paused", "true", True),
    ("dedupe_by", "content_and_name", "content_and_name"),
    ("offload_threshold", "10 GiB", 10 * 2**30),
    ("offload_threshold", "1.5GB", 1_500_000_000),
    ("offload_threshold", "0", 0),
]


@pytest.mark.parametrize(("field", "value", "read"), GOOD)
def test_a_good_value_is_taken(text, load, field, value, read):
    kind, path = change_for(field)
    config = load(text(kind, {path: value}))
    for part in path.split("."):
        config = getattr(config, part)
    assert config == read


ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILVdQtv+afoL6YtH1WiRrcuE38wHlJUME/emUJiJPT2l"
P256 = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBJXz3cow6qafRGqI/0VCP/w2sf31bz/UjDnOJM7w"
    "//oJxsNIKabQge+ZntF89Il/TfETWWHMRo+LhbRW+raZGuo="
)


def test_host_keys_of_several_types_are_taken_without_their_comments(text, load):
    """R2.3."""
    from asyncssh import generate_private_key

    rsa = generate_private_key("ssh-rsa", key_size=2048).export_public_key().decode().strip()
    config = load(text("sftp", {"destination.host_keys": f"['{ED25519} root@host', '{P256}', '{rsa}']"}))
    assert config.destination.host_keys == (ED25519, P256, rsa)


def test_what_is_left_out_has_its_default(text, load):
    """R2.1: every 15 minutes, and nothing that is not asked for."""
    config = load(text("sftp"))
    assert config.schedule == "H/15 * * * *"
    assert (config.feed, config.paused, config.dedupe_by, config.offload_threshold) == (None, False, "content", None)
    assert (config.pickup.include, config.pickup.exclude) == (("*",), ())
    assert (config.pickup.region, config.pickup.role_arn, config.pickup.external_id) == (None, None, None)
    destination = config.destination
    assert (destination.port, destination.connections, destination.verify) == (22, 4, "size")
    assert (destination.allow_weak_algorithms, destination.file_mode, destination.max_bytes_per_second) == (
        False,
        None,
        None,
    )


@pytest.mark.parametrize("kind", ["gcs", "sftp", "s3"])
def test_a_required_field_that_is_missing_is_named(text, complaints, kind):
    """R2.6: all of them at once, with an example of each."""
    from client_delivery.config.outline import DESTINATIONS

    required = [
        name for name, field in DESTINATIONS[kind].model_fields.items() if field.is_required() and name != "type"
    ]
    said = complaints(text(kind, dict.fromkeys([f"destination.{name}" for name in required])))
    assert [line.split(": ")[1] for line in said] == [f"destination.{name}" for name in required]
    assert all(line.startswith("acme.yaml:8:1: ") and " found nothing, expected a value. " in line for line in said)
    assert all(f"Example: `{name}: " in line for name, line in zip(required, said, strict=True))


def test_the_keys_of_the_delivery(text, load):
    """R2.7, R4.3."""
    config = load(text("gcs"))
    assert (config.delivery_key, config.done_file_key) == ("H1234", "acme/H1234.done")
    config = load(text("gcs", {"feed": "eligibility"}))
    assert (config.delivery_key, config.done_file_key) == ("H1234#eligibility", "acme/H1234.done")


@pytest.mark.parametrize("kind", ["gcs", "sftp", "s3"])
def test_a_configuration_survives_json(text, load, kind):
    """A trigger, and the container, are handed one as JSON."""
    config = load(text(kind, {"offload_threshold": "10 GiB", "pickup.include": "['*.csv']"}))
    assert type(config).model_validate_json(config.model_dump_json()) == config
    assert type(config).model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("kind", "changes", "uri"),
    [
        ("gcs", {}, "gs://example-landing/out/"),
        ("s3", {"prefix": "''"}, "s3://example-landing/"),
        ("sftp", {}, "sftp://sftp.example.org/incoming"),
        ("sftp", {"port": "2222", "directory": "in/acme"}, "sftp://sftp.example.org:2222/~/in/acme"),
        ("sftp", {"host": "'2001:db8::7'", "directory": "."}, "sftp://[2001:db8::7]/~/"),
    ],
)
def test_the_destination_has_an_address(text, load, kind, changes, uri):
    config = load(text(kind, {f"destination.{field}": value for field, value in changes.items()}))
    assert config.destination.uri == uri


def test_a_configuration_cannot_be_changed(text, load):
    from pydantic import ValidationError

    config = load(text("gcs"))
    with pytest.raises(ValidationError, match="frozen"):
        config.destination.bucket = "other"


def test_a_value_is_not_in_the_models_own_error(text):
    """R2.5: whoever builds a model in code gets no echo of what was put in."""
    from pydantic import ValidationError

    from client_delivery.config.pickup import PickupSection

    with pytest.raises(ValidationError) as caught:
        PickupSection.model_validate({"bucket": "b-b", "prefix": "x/", "password": "hunter2", "region": "hunter3"})
    assert "hunter" not in str(caught.value)


BESIDE_THE_PICKUP = ["acme2/", "out/acme/", "acm/"]
AROUND_THE_PICKUP = {"acme/": "'acme/'", "acme/sent/": "'acme/sent/'", "''": "''"}


@pytest.mark.parametrize("prefix", BESIDE_THE_PICKUP)
def test_a_destination_beside_the_pickup_is_taken(text, load, prefix):
    config = load(text("s3", {"destination.bucket": "example-pickup", "destination.prefix": prefix}))
    assert config.destination.prefix == prefix


@pytest.mark.parametrize(("prefix", "found"), AROUND_THE_PICKUP.items())
def test_a_destination_in_or_around_the_pickup_is_a_loop(text, complaints, prefix, found):
    """R2.6: what is delivered would be picked up again."""
    changes = {"destination.bucket": "example-pickup", "destination.prefix": prefix}
    assert complaints(text("s3", changes)) == [
        f"acme.yaml:11:3: destination.prefix: found {found}, expected a destination outside the pick-up. The pick-up "
        "is 'acme/' in the same bucket: files would be delivered over and over."
    ]


def test_a_loop_is_found_while_other_fields_are_wrong(text, complaints):
    changes = {"destination.bucket": "example-pickup", "destination.prefix": None, "paused": "maybe"}
    assert [line.split(": ")[1] for line in complaints(text("s3", changes))] == ["destination.prefix", "paused"]


def test_staging_needs_a_directory_of_its_own(text, load, complaints):
    staging = {"destination.appear": "staging", "destination.staging_directory": "/staging"}
    assert load(text("sftp", staging)).destination.staging_directory == "/staging"
    for options, field in (
        ({"destination.appear": "staging"}, "destination.appear"),
        ({"destination.staging_directory": "/staging"}, "destination.staging_directory"),
        ({**staging, "destination.directory": "/staging"}, "destination.staging_directory"),
    ):
        [complaint] = complaints(text("sftp", options))
        assert complaint.split(": ")[1] == field


def test_an_external_id_needs_a_role(text, load, complaints):
    role = "arn:aws:iam::111122223333:role/writer"
    config = load(text("s3", {"destination.role_arn": role, "destination.external_id": "abc"}))
    assert config.destination.external_id == "abc"
    assert complaints(text("s3", {"destination.role_arn": "writer", "destination.external_id": "abc"})) == [
        "acme.yaml:13:3: destination.role_arn: found 'writer', expected the ARN of an IAM role, such as"
        " arn:aws:iam::111122223333:role/partner-landing-writer."
    ]


def test_exclude_may_not_undo_include(text, complaints):
    assert complaints(text("gcs", {"pickup.include": "['*.csv']", "pickup.exclude": "['*.csv']"})) == [
        "acme.yaml:9:3: pickup.exclude: found every pattern of `include`, expected patterns that leave something to"
        " deliver. Everything that `include` takes is excluded."
    ]


@pytest.mark.parametrize(
    ("include", "exclude", "taken", "left"),
    [
        (("*",), (), ["a.csv", "sub/a.csv", "ä b#?.txt", ".hidden", "a\nb"], []),
        (("*.csv",), (), ["a.csv", "sub/a.csv"], ["a.CSV", "a.csv.gz", "csv"]),
        (("*",), ("*/*",), ["a.csv"], ["sub/a.csv"]),
        (("*.csv", "*.txt"), ("*.tmp.csv", "old/*"), ["a.csv", "b.txt"], ["a.tmp.csv", "old/a.csv", "a.gz"]),
        (("file?[0-9].csv",), (), ["filea1.csv", "file/1.csv"], ["file1.csv", "fileaa.csv"]),
        (("[[]x]", "[!a]b"), (), ["[x]", "cb"], ["x", "ab"]),
    ],
)
def test_patterns_are_for_the_name_below_the_prefix(include, exclude, taken, left):
    """R2.1."""
    from client_delivery.config.pickup import PickupSection

    pickup = PickupSection(bucket="example-pickup", prefix="acme/", include=include, exclude=exclude)
    assert [name for name in (*taken, *left) if pickup.matches(name)] == taken
