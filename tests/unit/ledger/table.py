"""DynamoDB as the ledger's client meets it when there is trouble: what each call does is what a test says."""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
from botocore.exceptions import ClientError

from client_delivery.ledger import expressions


@cache
def exceptions() -> Any:
    """The errors of the real client, by whose types the ledger tells them apart."""
    return boto3.client(
        "dynamodb", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    ).exceptions


class Table:
    """A client whose calls end as was said, one after the other; the last end goes on for ever.

    ``Table(query=[page, page])``; an end is a response, or an error to raise.
    """

    def __init__(self, **ends: list[Any]) -> None:
        self._ends = {name: list(some) for name, some in ends.items()}
        self.exceptions = exceptions()
        self.requests: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        if name not in self._ends:
            raise AttributeError(name)

        def call(**request: Any) -> Any:
            self.requests.append((name, request))
            ends = self._ends[name]
            end = ends.pop(0) if len(ends) > 1 else ends[0]
            if isinstance(end, Exception):
                raise end
            return end

        return call


def page(*items: dict[str, Any], last: str | None = None) -> dict[str, Any]:
    """What a query returns; ``last``: there is more behind this sort key."""
    found: dict[str, Any] = {"Items": [expressions.to_item(item) for item in items]}
    if last is not None:
        found["LastEvaluatedKey"] = expressions.to_item({"clientHNumber": "H1234", "etag": last})
    return found


def cancelled(*codes: str, item: dict[str, Any] | None = None) -> ClientError:
    """A transaction that was not carried out, with the reason of each of its writes."""
    reasons: list[dict[str, Any]] = [{"Code": code} for code in codes]
    if item is not None:
        reasons[0]["Item"] = expressions.to_item(item)
    response: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
    error: ClientError = exceptions().TransactionCanceledException(response, "TransactWriteItems")
    return error


def refused(code: str) -> ClientError:
    """Any other error."""
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "UpdateItem")
