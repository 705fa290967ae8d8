"""The event of a delivery that has ended: its schema is written down, and it fits onto a bus."""

from __future__ import annotations

import json

from client_delivery.notify.delivery_event import (
    LARGEST,
    SCHEMA_FILE,
    DeliveryEvent,
    FileOfEvent,
    RunOfEvent,
    as_json,
    render,
    short,
)


def event_of(names):
    files = [
        FileOfEvent(
            name=name,
            arrives_as=name,
            size=1,
            status="delivered",
            at="2026-03-02T09:30:00.000Z",
            delivered_to=f"s3://b/{name}",
            checksum="crc32c:AAAAAA==",
            reason=None,
        )
        for name in names
    ]
    return DeliveryEvent(
        id="acme/run/0",
        time="2026-03-02T09:30:00.000Z",
        environment="production",
        configuration="acme",
        client_h_number="H1001",
        feed=None,
        run=RunOfEvent(dag_id="acme", run_id="run", url=None),
        outcome="delivered",
        source="s3://a/b/",
        destination="s3://b/",
        files_delivered=len(files),
        bytes_delivered=len(files),
        files_failed=0,
        files=files,
        files_left_out=0,
    )


def test_the_schema_that_is_written_down_is_that_of_the_code():
    assert SCHEMA_FILE.read_text(encoding="utf-8") == render(), "run `make docs`; a field that is gone is a new version"


def test_of_very_many_files_as_many_are_named_as_fit():
    names = [f"{number:05d}-{'é' * 200}.csv" for number in range(5000)]
    text = as_json(event_of(names))
    told = json.loads(text)
    assert LARGEST * 0.8 < len(text.encode()) <= LARGEST
    assert told["files_left_out"] + len(told["files"]) == told["files_delivered"] == 5000
    assert [one["name"] for one in told["files"]] == names[: len(told["files"])]


def test_a_small_event_is_whole():
    told = json.loads(as_json(event_of(["claims.csv"])))
    assert (told["schema"], told["files_left_out"]) == ("client-file-delivery/delivery-ended", 0)
    assert len(short("x" * 9000)) == 500
