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

Each is an Airflow configuration option `delivery.<name>` of MWAA, which makes it the variable
`{PREFIX}<NAME>`; a container's task definition has variables of the same names.
`infra/platform_stack.py` (`_airflow_options`) sets them
when the environment is deployed.

A setting that is wrong or unknown, or half of a pair, takes no client down: it counts as not set. What is wrong is told
by the DAG `delivery-settings`, which is there, tagged `config-error` and red, for as long as anything is wrong, and
alarms as a client's wrong file does.

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
