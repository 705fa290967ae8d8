"""The ledger as it was at a moment: python -m infra.restore NAME 2026-03-01T12:00:00Z (docs/operators/upkeep.md).

DynamoDB restores into a new table, and leaves out what a table is given besides its data: its time to live, recovery,
protection and tags (DynamoDB's developer guide, "Point-in-time recovery: how it works"). This waits for the new table
and gives it all of that. Nothing uses it before the environment's file names it as ``restored_ledger``.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from client_delivery.ledger.schema import TTL_ATTRIBUTE, table_definition
from infra.deploy import account_session, say
from infra.settings import Environment, SettingsError, load

_POLL = 15.0


class RestoreError(Exception):
    """The table cannot be restored, or is not what the ledger is. The message says what to do."""


def restore(environment: Environment, dynamodb: Any, moment: datetime) -> str:
    """Restore the table that is in use. Returns the name of the new one. Raises :class:`RestoreError`."""
    source = environment.ledger_table
    target = f"{environment.own_ledger_table}-{moment:%Y%m%d-%H%M%S}"
    try:
        dynamodb.restore_table_to_point_in_time(
            SourceTableName=source,
            TargetTableName=target,
            RestoreDateTime=moment,
            SSESpecificationOverride={
                "Enabled": True,
                "SSEType": "KMS",
                "KMSMasterKeyId": f"alias/{environment.prefix}",
            },
        )
    except ClientError as error:
        raise RestoreError(f"{source} cannot be restored as it was at {moment}: {error}") from None
    say(f"{target}: DynamoDB restores it; this takes minutes to hours, and goes on if this ends")
    _await_active(dynamodb, target)
    _refuse_another_kind(dynamodb.describe_table(TableName=target)["Table"], target)
    dynamodb.update_time_to_live(
        TableName=target, TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL_ATTRIBUTE}
    )
    dynamodb.update_continuous_backups(
        TableName=target, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    dynamodb.update_table(TableName=target, DeletionProtectionEnabled=True)
    return target


def _await_active(dynamodb: Any, name: str) -> None:
    while (status := dynamodb.describe_table(TableName=name)["Table"]["TableStatus"]) != "ACTIVE":
        if status not in ("CREATING", "UPDATING"):
            raise RestoreError(f"{name} is {status}, and will not become active.")
        time.sleep(_POLL)


def _refuse_another_kind(table: dict[str, Any], name: str) -> None:
    """The code finds open entries by the index, and each by both keys."""
    wanted = table_definition(name)
    indexes = {index["IndexName"]: index["KeySchema"] for index in table.get("GlobalSecondaryIndexes", [])}
    needed = {index["IndexName"]: index["KeySchema"] for index in wanted["GlobalSecondaryIndexes"]}
    if table["KeySchema"] != wanted["KeySchema"] or not needed.items() <= indexes.items():
        raise RestoreError(f"{name} has other keys or indexes than the ledger: {table['KeySchema']}, {indexes}.")


def main() -> int:
    """Restore, and say what comes next. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment")
    parser.add_argument(
        "moment", type=datetime.fromisoformat, help="such as 2026-03-01T12:00:00Z; without Z it is UTC too"
    )
    arguments = parser.parse_args()
    moment = arguments.moment if arguments.moment.tzinfo else arguments.moment.replace(tzinfo=UTC)
    try:
        environment = load(arguments.environment)
        target = restore(environment, account_session(environment).client("dynamodb"), moment.astimezone(UTC))
    except (SettingsError, RestoreError) as error:
        print(error, file=sys.stderr)
        return 1
    say(
        f"{target} is ready. Next: `restored_ledger: {target}` in infra/environments/{environment.name}.yaml, then "
        f"make deploy ENV={environment.name}. Read docs/operators/upkeep.md before: files that were delivered after "
        "that moment are unknown to it."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
