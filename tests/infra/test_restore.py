"""The ledger can be had back as it was (R3.3): the whole procedure, against moto's DynamoDB."""

from __future__ import annotations

from datetime import UTC, datetime

import boto3
import pytest
from botocore.exceptions import ClientError

from client_delivery.ledger.schema import create_table, table_definition
from infra import restore as restore_module
from infra.restore import RestoreError, restore
from infra.settings import Environment

ENVIRONMENT = Environment(
    name="restoring",
    account="123456789012",
    region="us-east-1",
    mail_sender="a@example.org",
    alarm_emails=("b@example.org",),
)
MOMENT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TARGET = "client-delivery-restoring-ledger-20260301-120000"


@pytest.fixture
def dynamodb(stack, monkeypatch):
    for name, value in stack.environment().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setattr(restore_module, "_POLL", 0)
    return boto3.client("dynamodb", region_name="us-east-1")


def test_r3_3_the_restored_table_has_every_entry_and_is_protected_as_the_ledger_is(dynamodb):
    create_table(dynamodb, ENVIRONMENT.ledger_table)
    dynamodb.update_continuous_backups(
        TableName=ENVIRONMENT.ledger_table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    items = [
        {"clientHNumber": {"S": f"H{number}"}, "etag": {"S": "e"}, "status": {"S": "success"}} for number in range(3)
    ]
    for item in items:
        dynamodb.put_item(TableName=ENVIRONMENT.ledger_table, Item=item)
    assert restore(ENVIRONMENT, dynamodb, MOMENT) == TARGET
    key = {name: items[2][name] for name in ("clientHNumber", "etag")}
    assert dynamodb.get_item(TableName=TARGET, Key=key)["Item"] == items[2]
    table = dynamodb.describe_table(TableName=TARGET)["Table"]
    assert table["KeySchema"] == table_definition(TARGET)["KeySchema"]
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["open"]
    assert table["DeletionProtectionEnabled"] is True
    ttl = dynamodb.describe_time_to_live(TableName=TARGET)["TimeToLiveDescription"]
    assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "expiresAt")
    backups = dynamodb.describe_continuous_backups(TableName=TARGET)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    used = ENVIRONMENT.model_copy(update={"restored_ledger": TARGET})
    assert used.ledger_table == TARGET
    assert used.own_ledger_table == ENVIRONMENT.ledger_table, "the stack's own table stays what it is"


def test_a_table_that_cannot_be_restored_is_said(dynamodb):
    absent = ENVIRONMENT.model_copy(update={"name": "absent"})
    with pytest.raises(RestoreError, match="client-delivery-absent-ledger cannot be restored"):
        restore(absent, dynamodb, MOMENT)


class Aws:
    """A DynamoDB whose restored table becomes something else."""

    def __init__(self, *tables: dict) -> None:
        self.tables = list(tables)
        self.changed: list[str] = []

    def restore_table_to_point_in_time(self, **asked):
        assert asked["SSESpecificationOverride"]["KMSMasterKeyId"] == "alias/client-delivery-restoring"
        assert asked["RestoreDateTime"] == MOMENT

    def describe_table(self, **_):
        return {"Table": self.tables.pop(0) if len(self.tables) > 1 else self.tables[0]}

    def __getattr__(self, name):
        self.changed.append(name)
        raise ClientError({"Error": {"Code": "Unexpected"}}, name)


def test_a_table_without_the_index_is_never_put_to_use():
    schema = table_definition(TARGET)["KeySchema"]
    aws = Aws({"TableStatus": "CREATING"}, {"TableStatus": "ACTIVE", "KeySchema": schema})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(restore_module, "_POLL", 0)
        with pytest.raises(RestoreError, match="other keys or indexes"):
            restore(ENVIRONMENT, aws, MOMENT)
    assert aws.changed == []
