"""The ledger table's definition: the one source for the local stand-ins, the tests and the infrastructure code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PARTITION_KEY = "clientHNumber"
SORT_KEY = "etag"
OPEN_INDEX = "open"
"""The sparse index: only entries with ``openKey`` are in it (see :mod:`client_delivery.ledger.entry`)."""
TTL_ATTRIBUTE = "expiresAt"
"""Only the marks of sent e-mails carry it; a file's entry never expires (R3.3)."""


def table_definition(name: str) -> dict[str, Any]:
    """What CreateTable takes."""
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": attribute, "AttributeType": "S"}
            for attribute in (PARTITION_KEY, SORT_KEY, "openKey", "workRef")
        ],
        "KeySchema": [
            {"AttributeName": PARTITION_KEY, "KeyType": "HASH"},
            {"AttributeName": SORT_KEY, "KeyType": "RANGE"},
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": OPEN_INDEX,
                "KeySchema": [
                    {"AttributeName": "openKey", "KeyType": "HASH"},
                    {"AttributeName": "workRef", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    }


def create_table(dynamodb: DynamoDBClient, name: str) -> None:
    """Create the table where no infrastructure code does: locally and in tests. An existing table is kept."""
    try:
        dynamodb.create_table(**table_definition(name))
    except dynamodb.exceptions.ResourceInUseException:
        return
    dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
