"""The reference of all fields for the people who write configurations, made from the model so that it cannot drift.

``python -m client_delivery.config.reference`` writes it to ``docs/dextr/configuration.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from client_delivery.config.companions import CompletionFile
from client_delivery.config.guards import ExpectedFiles, GuardsSection
from client_delivery.config.model import ClientConfig
from client_delivery.config.notify import MEANINGS, NotifyRule
from client_delivery.config.outline import DESTINATIONS, as_yaml, default_of, section_of
from client_delivery.config.pickup import PickupSection
from client_delivery.config.treatment import EncryptSection

REFERENCE_FILE = Path("docs/dextr/configuration.md")

_INTRODUCTION = """\
# Configuration reference

<!-- Made from the model by `make docs`; change that, not this file. -->

Each YAML file in `include/client_configs/` describes one delivery and becomes one DAG in Airflow. To add, change or
remove a client, edit its file; nothing else is needed.

| To | do |
|---|---|
| add a client | `make new-client NAME=acme`, fill in the empty fields, check, deploy |
| check all files | `make check-config`: it reports every problem with file, line and the accepted values |
| switch the method of delivery | replace the `destination` section, check, deploy |
| stop a delivery for a while | `paused: true` |
| remove a client | delete the file; the record of what was sent stays |

A wrong file stops only its own delivery: its DAG stays in the list with the tag `config-error`, and its page says what
to fix. Editors that know YAML schemas (such as VS Code with the YAML extension) complete and check the fields; the
first line of each file names the schema.

Values are text, numbers, `true`, `false` and lists. Put text in quotes if it looks like a number or begins with a
character such as `*`, `@` or `%`. YAML anchors, aliases and tags are not accepted.
"""

_SECRETS = """\
## Credentials

A configuration never contains a password, key or token; a file with one is refused. A credential is an Airflow
connection in AWS Secrets Manager, under `airflow/connections/<connection_id>`. The configuration names only the
connection id.

    aws secretsmanager create-secret --name airflow/connections/acme_sftp --secret-string file://acme_sftp.json

The file's content depends on the destination:

| Destination | Content |
|---|---|
| SFTP, password | `{"conn_type": "sftp", "password": "…"}` |
| SFTP, private key | `{"conn_type": "sftp", "extra": {"private_key": "-----BEGIN OPENSSH PRIVATE KEY-----\\n…", "private_key_passphrase": "…"}}`, or the key's file unchanged: OpenSSH, PEM, PKCS #8 or PuTTY (`.ppk`) |
| Google Cloud Storage | `{"conn_type": "google_cloud_platform", "extra": {"keyfile_dict": {…}}}`, or Google's JSON file unchanged: a service-account key, or, better, [workload identity federation](../operators/credentials.md#google-without-a-key) |
| OpenPGP signing key (`encrypt.sign_with`) | the armored private key unchanged, or `{"conn_type": "generic", "extra": {"private_key": "-----BEGIN PGP PRIVATE KEY BLOCK-----\\n…", "private_key_passphrase": "…"}}` |
| S3 | none: access is by IAM role (`role_arn`, or the environment's own) |

[Credentials](../operators/credentials.md) lists every accepted form and explains the messages about them.

Leave the secret's encryption key at the default, `aws/secretsmanager`: the roles may use no other key for secrets.
Delete the local file afterwards. To change a credential, update the secret; the configuration stays the same.

The account at the destination needs these permissions:

| Destination | Permissions |
|---|---|
| SFTP | in `destination.directory`, which must exist: write, rename and delete files, and make directories where files' names have a '/' |
| Google Cloud Storage | on the bucket `roles/storage.objectCreator`: enough to deliver every file whose name is new. To replace existing objects, also `storage.objects.get` and `storage.objects.delete` (`roles/storage.objectUser` has both); to remove leftovers of interrupted attempts, `storage.multipartUploads.list` |
| S3 | `s3:PutObject` is enough to deliver every file whose name is new; to replace existing objects, also `s3:GetObject` and `s3:ListBucket`. See [who may do what](../operators/deployment.md#who-may-do-what) |

An account that may only create objects never overwrites one. A file whose name is taken fails with a message that says
so; clear the run once the recipient has removed the older object.
Tests try [what each permission is for](../developers/conditional-requests.md#what-each-permission-buys) row by row.
"""  # noqa: E501 - a table's row is one line

_RULES = """\
## Rules across files

- No two files have the same client H number, unless each has a different `feed`.
- No pick-up lies in another one, and no S3 destination and no archive overlaps with a pick-up.
- Hidden files, subdirectories and files with other endings than `.yaml` are not configurations. (`.yml` is
  treated as a mistake: an error asks you to rename the file.)
"""


def render() -> str:
    """The reference's file."""
    parts = [_INTRODUCTION, _example(), _table("All deliveries", ClientConfig, "")]
    parts.append(_table("`pickup`", PickupSection, "pickup."))
    parts.append(_table("`completion_file`", CompletionFile, "completion_file."))
    parts.append(_table("`guards`", GuardsSection, "guards."))
    parts.append(_table("Each of `guards.expected_files`", ExpectedFiles, "guards.expected_files[]."))
    parts.append(_table("`encrypt`", EncryptSection, "encrypt."))
    parts += [_table("Each of `notify`", NotifyRule, "notify[]."), _occasions()]
    parts += [_table(f"`destination`, `type: {kind}`", model, "destination.") for kind, model in DESTINATIONS.items()]
    return "\n".join([*parts, _SECRETS, _RULES])


def example(destination: str) -> str:
    """A configuration with every required field and no other, made of the fields' examples."""
    return "\n".join(_example_lines(ClientConfig, destination, "")) + "\n"


def _example_lines(model: type[BaseModel], destination: str, indent: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        section = section_of(name, destination)
        if section and not field.is_required():
            continue
        if section:
            yield f"{indent}{name}:"
            yield from _example_lines(section, destination, indent + "  ")
        elif field.is_required() and field.examples:
            yield f"{indent}{name}: {as_yaml(field.examples[0])}"


def _example() -> str:
    return f"The smallest file for an SFTP server, `acme.yaml`:\n\n```yaml\n{example('sftp')}```\n"


def _table(heading: str, model: type[BaseModel], path: str) -> str:
    properties = model.model_json_schema()["properties"]
    rows = [
        f"| `{path}{name}` | {_need(field)} | {_accepted(properties[name])} | {_meaning(field)} |"
        for name, field in model.model_fields.items()
    ]
    return "\n".join([f"## {heading}", "", "| Field | Default | Accepted | Meaning |", "|---|---|---|---|", *rows, ""])


def _occasions() -> str:
    """What the words of ``on`` mean."""
    rows = [f"| `{word}` | {meaning} |" for word, meaning in MEANINGS.items()]
    said = "If several of these happen at the same moment, such as `finished` and `failed`, a rule sends one message."
    return "\n".join(["| Word in `on` | When |", "|---|---|", *rows, "", said, ""])


def _need(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    default = default_of(field)
    return "none" if default is None or default in ("", []) else f"`{_cell(as_yaml(default))}`"


def _meaning(field: FieldInfo) -> str:
    example = f" Example: `{as_yaml(field.examples[0])}`" if field.examples else ""
    return _cell(f"{field.description}{example}")


def _accepted(schema: Mapping[str, Any]) -> str:
    """What the JSON Schema of a field accepts, in a few words."""
    if "anyOf" in schema:
        kinds = [_accepted(one) for one in schema["anyOf"] if one != {"type": "null"}]
        has_null = len(kinds) < len(schema["anyOf"]) and schema.get("default") is not None
        return " or ".join([*kinds, "`null`"] if has_null else kinds)
    if choices := schema.get("enum") or ([schema["const"]] if "const" in schema else []):
        return ", ".join(f"`{choice}`" for choice in choices)
    if schema.get("maximum", 2**31) < 2**31:
        return f"{schema['minimum']} to {schema['maximum']}"
    if fields := schema.get("properties"):
        return f"a section of {', '.join(f'`{name}`' for name in fields)}"
    if item := schema.get("items", {}).get("properties"):
        return f"a list of sections of {', '.join(f'`{name}`' for name in item)}"
    return _TYPES.get(schema.get("type", ""), "a section, see below")


_TYPES = {"boolean": "`true`, `false`", "integer": "a number", "array": "a list", "string": "text"}


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    REFERENCE_FILE.write_text(render(), encoding="utf-8")
