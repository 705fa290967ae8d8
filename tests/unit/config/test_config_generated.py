"""What is made from the model is what the repository holds, and the examples are good (R2.8)."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from client_delivery.config import reference, schema
from client_delivery.config.acknowledgement import Acknowledgement
from client_delivery.config.companions import CompletionFile
from client_delivery.config.guards import ExpectedFiles, GuardsSection
from client_delivery.config.loader import load_directory
from client_delivery.config.model import ClientConfig, GcsSection, S3Section, SftpSection
from client_delivery.config.notify import MEANINGS, NotifyRule, Occasion
from client_delivery.config.pickup import PickupSection

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = sorted((ROOT / "include" / "client_configs").iterdir())


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    document = json.loads((ROOT / schema.SCHEMA_FILE).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


def test_the_schema_file_is_that_of_the_model():
    assert (ROOT / schema.SCHEMA_FILE).read_text(encoding="utf-8") == schema.render(), (
        "run: python -m client_delivery.config.schema"
    )


def test_the_reference_is_that_of_the_model():
    assert (ROOT / reference.REFERENCE_FILE).read_text(encoding="utf-8") == reference.render(), (
        "run: python -m client_delivery.config.reference"
    )


def test_the_schema_knows_no_other_fields(validator):
    definitions = [validator.schema, *validator.schema["$defs"].values()]
    assert len(definitions) == 11
    assert all(definition["additionalProperties"] is False for definition in definitions)


@pytest.mark.parametrize(
    "model",
    [
        ClientConfig,
        PickupSection,
        GcsSection,
        SftpSection,
        S3Section,
        GuardsSection,
        ExpectedFiles,
        NotifyRule,
        CompletionFile,
        Acknowledgement,
    ],
)
def test_every_field_is_explained(model):
    for name, field in model.model_fields.items():
        assert field.title, name
        assert field.description, name
        assert field.description.endswith("."), name
        assert field.examples or name in ("pickup", "destination"), name


def test_the_words_of_a_rule_are_all_explained_and_no_others(validator):
    on = validator.schema["$defs"]["NotifyRule"]["properties"]["on"]["items"]["enum"]
    assert [*on] == [*MEANINGS] == [*Occasion]


@pytest.mark.parametrize("kind", ["gcs", "sftp", "s3"])
def test_the_smallest_example_is_accepted(load, kind):
    assert load(reference.example(kind)).destination.type == kind


def test_the_examples_of_clients_are_right():
    results = load_directory(ROOT / "include" / "client_configs")
    assert [str(result.error) for result in results if result.error] == []
    assert len(results) == len(EXAMPLES) >= 6


def test_the_examples_of_clients_show_every_way():
    """Issue 2: at least one per destination, with and without done file, bypass, a second feed."""
    configs = [result.config for result in load_directory(ROOT / "include" / "client_configs")]
    assert {config.destination.type for config in configs} == {"gcs", "sftp", "s3"}
    assert {config.trigger_on_done_file for config in configs} == {True, False}
    assert {config.bypass_file_checks for config in configs} == {True, False}
    assert any(config.feed for config in configs)
    addresses = [address for config in configs for address in config.contacts]
    assert all(address.endswith(("example.com", "example.org")) for address in addresses)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_names_its_schema_and_keeps_to_it(validator, path):
    text = path.read_text(encoding="utf-8")
    first = text.splitlines()[0]
    assert first == "# yaml-language-server: $schema=../client_config.schema.json"
    assert (path.parent / first.partition("$schema=")[2]).resolve() == ROOT / schema.SCHEMA_FILE
    validator.validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("client_h_number", "1234"),
        ("name", "Acme"),
        ("contacts", []),
        ("contacts", ["nobody"]),
        ("schedule", "hourly"),
        ("send_notifications", "yes"),
        ("unknown", 1),
        ("pickup", {"bucket": "example-pickup", "prefix": "acme"}),
        ("destination", {"type": "ftp"}),
        ("offload_threshold", "10 gigs"),
        ("dedupe_by", "name"),
        ("destination", {"type": "s3", "bucket": "landing", "kms_key": "xalias/landing"}),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(validator, text, field, value):
    """R2.8: the editor underlines it while it is typed."""
    good = yaml.safe_load(text("gcs"))
    validator.validate(good)
    assert not validator.is_valid(good | {field: value})
