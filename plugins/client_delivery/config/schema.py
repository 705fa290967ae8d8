"""The JSON Schema of a client's configuration, for completion and validation in editors (R2.8).

``python -m client_delivery.config.schema`` writes it to ``include/client_config.schema.json``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from client_delivery.config.model import ClientConfig

SCHEMA_FILE = Path("include/client_config.schema.json")


def json_schema() -> dict[str, Any]:
    """The schema, draft 2020-12."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **ClientConfig.model_json_schema()}


def render() -> str:
    """The schema's file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(render(), encoding="utf-8")
