"""The reference of all settings for the people who run an environment, made from their model so that it cannot drift.

``python -m client_delivery.runtime.settings_reference`` writes it to ``docs/operators/settings.md``.
"""

from __future__ import annotations

from pathlib import Path

from pydantic.fields import FieldInfo

from client_delivery.runtime.settings import PREFIX, Settings

REFERENCE_FILE = Path("docs/operators/settings.md")

_INTRODUCTION = f"""\
# Settings of an environment

<!-- Made from the model by `make docs`; change that, not this file. -->

Each setting is an Airflow configuration option `delivery.<name>` of MWAA, which turns it into the variable
`{PREFIX}<NAME>`. A container's task definition has variables of the same names.
`infra/platform_stack.py` (`_airflow_options`) sets them when the environment is deployed.

A setting that is wrong or unknown, or half of a pair, stops no client: it is treated as not set.
While anything is wrong, there is a red DAG `delivery-settings` with the tag `config-error`. It says what is wrong, and
raises the same alarm as a client's wrong file.

| Setting | Default | Accepted | Meaning |
|---|---|---|---|
"""


def render() -> str:
    """The whole page, as Markdown."""
    return _INTRODUCTION + "".join(_row(name, field) for name, field in Settings.model_fields.items())


def _row(name: str, field: FieldInfo) -> str:
    extra = field.json_schema_extra
    expected = extra["expected"] if isinstance(extra, dict) else ""
    default = (
        f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"
        if field.default not in ("", ())
        else "none"
    )
    return f"| `{name}` | {default} | {expected} | {field.description} |\n"


if __name__ == "__main__":
    REFERENCE_FILE.write_text(render(), encoding="utf-8")
