"""A client whose files do not come is missed, where its configuration says how often they are expected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from structlog.testing import capture_logs

from local.stand_ins import LEDGER_TABLE


def delivered_days_ago(client, days: float) -> None:
    at = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    client.stack.client("dynamodb").update_item(
        TableName=LEDGER_TABLE,
        Key={"clientHNumber": {"S": client.config.delivery_key}, "etag": {"S": "mark#last-delivery"}},
        UpdateExpression="SET deliveredAt = :at",
        ExpressionAttributeValues={":at": {"S": at}},
    )


def test_an_idle_run_says_that_files_are_overdue_and_stays_green(scenario, events):
    client = scenario("s3", expected_every_days=35)
    client.drop("monthly.csv")
    assert client.run().state == "success"
    client.withdraw("monthly.csv")
    assert client.run().state == "success"
    assert events("files_overdue") == []
    delivered_days_ago(client, 34.9)
    client.run()
    assert events("files_overdue") == []
    delivered_days_ago(client, 35.2)
    with capture_logs() as lines:
        assert client.run().executed == ["register_files"]
    (alarm,) = [line for line in lines if line["event"] == "alarm"]
    assert (alarm["alarm"], alarm["client"]) == ("files_overdue", client.config.delivery_key)
    (line,) = events("files_overdue")
    assert (line["delivery_key"], line["days"], line["expected_every_days"]) == (
        client.config.delivery_key,
        35.2,
        35,
    )


def test_a_delivery_ends_it(scenario, events):
    client = scenario("s3", expected_every_days=1)
    delivered_days_ago(client, 3)
    client.drop("late.csv")
    assert client.run().state == "success"
    client.withdraw("late.csv")
    client.run()
    assert events("files_overdue") == []


def test_who_says_nothing_is_not_missed_and_no_run_pays_for_it(scenario, events):
    client = scenario("s3")
    client.drop("monthly.csv")
    client.run()
    client.withdraw("monthly.csv")
    client.run()
    assert events("files_overdue") == []
    partition = client.stack.client("dynamodb").query(
        TableName=LEDGER_TABLE,
        KeyConditionExpression="clientHNumber = :key and begins_with(etag, :mark)",
        ExpressionAttributeValues={":key": {"S": client.config.delivery_key}, ":mark": {"S": "mark#"}},
    )
    assert partition["Items"] == []
