"""Other systems are told that a delivery has ended (R7): one event at most, and none that a delivery depends on."""

from __future__ import annotations

import contextlib
import json

import httpx
import jsonschema
import pytest
from structlog.testing import capture_logs

from client_delivery.notify import delivery_event
from tests.faults.deliveries import REFUSAL

BUS = "deliveries"
_REFUSED = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "NotAuthorizedForSource", "ErrorMessage": "no"}]}


@pytest.fixture
def bus(stack, delivery_environment, monkeypatch):
    """A bus whose events go into a log group; returns what has come since."""
    monkeypatch.setenv("AIRFLOW__DELIVERY__EVENT_BUS", BUS)
    events, logs = stack.client("events"), stack.client("logs")
    group = f"/events/{BUS}"
    for make, taken in (
        (lambda: events.create_event_bus(Name=BUS), events.exceptions.ResourceAlreadyExistsException),
        (lambda: logs.create_log_group(logGroupName=group), logs.exceptions.ResourceAlreadyExistsException),
    ):
        with contextlib.suppress(taken):
            make()
    events.put_rule(
        Name="all", EventBusName=BUS, EventPattern=json.dumps({"source": [delivery_event.SOURCE]}), State="ENABLED"
    )
    arn = f"arn:aws:logs:us-east-1:123456789012:log-group:{group}"
    events.put_targets(Rule="all", EventBusName=BUS, Targets=[{"Id": "log", "Arn": arn}])

    def of(client):
        found = [json.loads(one["message"]) for one in logs.filter_log_events(logGroupName=group)["events"]]
        return [one["detail"] for one in found if one["detail"]["configuration"] == client.config.name]

    return of


def test_each_delivery_ends_with_one_event_by_its_schema(scenario, bus):
    client = scenario("s3", guards={"not_empty": True})
    client.drop("claims.csv", "claims")
    client.drop("sub/members é.csv", "members")
    client.drop("empty.csv", "")
    run = client.run()
    (event,) = bus(client)
    jsonschema.validate(event, delivery_event.json_schema())
    assert (event["version"], event["outcome"]) == ("1.0", "partly")
    assert (event["files_delivered"], event["bytes_delivered"], event["files_failed"]) == (2, 13, 1)
    assert event["run"]["run_id"] == run.run_id
    held, *delivered = event["files"]
    assert (held["name"], held["status"], held["delivered_to"]) == ("empty.csv", "held", None)
    assert "the file is empty" in held["reason"]
    assert [one["name"] for one in delivered] == ["claims.csv", "sub/members é.csv"]
    assert all(one["delivered_to"].startswith("s3://") and one["checksum"] for one in delivered)
    client.clear(run)
    client.run()
    assert len(bus(client)) == 1


def test_other_dags_hear_of_it_by_the_clients_asset_where_files_arrived(scenario, monkeypatch):
    monkeypatch.setenv("AIRFLOW__DELIVERY__ASSET_EVENTS", "true")
    client = scenario("s3")
    client.drop("claims.csv", "claims")
    told = client.run().asset_events
    assert told.keys() == {f"delivered/{client.config.name}", client.config.destination.uri}
    for extra in told.values():
        assert (extra["files"], extra["bytes"]) == (1, 6)
        assert extra["run"].startswith(f"{client.config.name}/")
    assert client.run().asset_events == {}


def test_nobody_is_told_of_files_where_none_arrived(scenario, bus, monkeypatch):
    monkeypatch.setenv("AIRFLOW__DELIVERY__ASSET_EVENTS", "true")
    client = scenario("gcs")
    client.drop("claims.csv", "claims")
    client.gcs_faults(REFUSAL)
    run = client.run()
    client.gcs_faults()
    assert (run.states["announce"], run.asset_events) == ("success", {})
    (event,) = bus(client)
    assert (event["outcome"], event["files_delivered"], event["files_failed"]) == ("failed", 0, 1)
    assert event["files"][0]["reason"]


@pytest.mark.parametrize(
    ("fault", "said", "tries", "put"),
    [
        ({"status": 403, "code": "AccessDeniedException"}, "It needs events:PutEvents on the bus", 1, 0),
        ({"status": 400, "code": "ThrottlingException"}, "ThrottlingException", 3, 0),
        ({"status": 500, "code": "InternalFailure"}, "it is not known whether it was put", 1, 0),
        ({"reset": "after"}, "it is not known whether it was put", 1, 1),
        ({"answer": _REFUSED}, "did not accept it", 1, 0),
    ],
)
def test_a_bus_in_trouble_is_told_and_costs_the_delivery_nothing(scenario, bus, events, fault, said, tries, put):
    client = scenario("s3")
    client.drop("claims.csv", "claims")
    client.aws_faults({"call": "events.PutEvents", "times": 0, **fault})
    before = _calls(client)
    with capture_logs() as alarms:
        run = client.run()
    client.aws_faults()
    assert run.state == "success"
    assert client.delivered() == {"claims.csv": b"claims"}
    (line,) = events("event_not_put")
    assert said in line["error"]
    assert [line["alarm"] for line in alarms if line["event"] == "alarm"] == ["event_not_put"]
    assert _calls(client) - before == tries
    assert len(bus(client)) == put


def test_without_a_bus_nobody_is_asked(scenario):
    client = scenario("s3")
    client.drop("claims.csv", "claims")
    before = _calls(client)
    assert client.run().state == "success"
    assert _calls(client) == before


def _calls(client) -> int:
    return httpx.get(f"{client.stack.aws_url}/_local/requests", timeout=30).json().get("events.PutEvents", 0)
