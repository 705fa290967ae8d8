"""What other systems are told when a delivery has ended: one JSON document, whose schema has a version.

``python -m client_delivery.notify.delivery_event`` writes the JSON Schema, :data:`SCHEMA_FILE`.
Within a version, fields are only added; readers must ignore unknown ones.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_FILE = Path("docs/operators/delivery-event.schema.json")
SOURCE = "client-file-delivery"
"""EventBridge's ``source``."""
DETAIL_TYPE = "Delivery ended"
"""EventBridge's ``detail-type``."""
LARGEST = 200_000
"""Bytes of an event. EventBridge takes entries below 256 KB with everything around them
(https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html, *Calculating entry size*)."""
_LONGEST_REASON = 500

Outcome = Literal["delivered", "partly", "failed"]
FileStatus = Literal["delivered", "failed", "held", "replaced"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RunOfEvent(_Part):
    """Which run of which DAG."""

    dag_id: str
    run_id: str
    url: str | None = Field(description="Its page in the Airflow UI; null if its address is not known.")


class FileOfEvent(_Part):
    """What became of one file."""

    name: str = Field(description="The path below the pick-up's prefix. Untrusted: the sender chose it.")
    arrives_as: str = Field(description="The path below the destination's place.")
    size: int = Field(ge=0, description="Bytes in the pick-up.")
    status: FileStatus = Field(
        description="`held`: a guard holds it, and nothing of it was sent. `replaced`: another object had replaced it "
        "by then, and counts as a separate file."
    )
    at: str = Field(description="When it got that status: ISO 8601, UTC.")
    delivered_to: str | None = Field(description="Where it is; null unless it was delivered.")
    checksum: str | None = Field(description="`<algorithm>:<value>` of the delivered bytes.")
    reason: str | None = Field(description="Why it was not delivered, for people.")


class DeliveryEvent(_Part):
    """A delivery has ended, whatever became of its files."""

    schema_name: Literal["client-file-delivery/delivery-ended"] = Field(
        default="client-file-delivery/delivery-ended", alias="schema"
    )
    version: Literal["1.0"] = "1.0"
    id: str = Field(
        description="`<DAG>/<run>/<life>`. At most one event is put for each; a bus may deliver it more than once."
    )
    time: str = Field(description="When the delivery ended: ISO 8601, UTC.")
    environment: str = Field(description="`production`, or the environment's name.")
    configuration: str
    client_h_number: str
    feed: str | None
    run: RunOfEvent
    outcome: Outcome = Field(
        description="`delivered`: every file was delivered. `partly`: some were. `failed`: none was. Replaced files do "
        "not count."
    )
    source: str = Field(description="The pick-up.")
    destination: str
    files_delivered: int = Field(ge=0)
    bytes_delivered: int = Field(ge=0)
    files_failed: int = Field(ge=0, description="Includes the files that a guard holds.")
    files: list[FileOfEvent] = Field(description="As many files as fit; failed files come first.")
    files_left_out: int = Field(
        ge=0, description="How many more files there are, which no event lists; the ledger has all."
    )


def as_json(event: DeliveryEvent) -> str:
    """The document, not larger than :data:`LARGEST`: of very many files some are left out."""
    files, left_out = list(event.files), event.files_left_out
    while True:
        text = event.model_copy(update={"files": files, "files_left_out": left_out}).model_dump_json(by_alias=True)
        too_much = len(text.encode()) - LARGEST
        if too_much <= 0 or not files:
            return text
        # By what a file takes on average, so that this is over after a few turns.
        fewer = max(1, too_much * len(files) // len(text.encode()))
        del files[-fewer:]
        left_out += fewer


def short(reason: str | None) -> str | None:
    """A reason that leaves room for others."""
    if reason is None or len(reason) <= _LONGEST_REASON:
        return reason
    return f"{reason[: _LONGEST_REASON - 1]}…"


def json_schema() -> dict[str, Any]:
    """The schema, draft 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **DeliveryEvent.model_json_schema(by_alias=True, mode="serialization"),
    }


def render() -> str:
    """The schema's file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(render(), encoding="utf-8")
