"""Conditional writes as DynamoDB accepts them: every name and value goes in by placeholder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from boto3.dynamodb.conditions import ConditionBase, ConditionExpressionBuilder
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


def to_item(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Python values as DynamoDB's typed ones; None is left out (a sparse index needs absent attributes)."""
    return {name: _serialize(value) for name, value in attributes.items() if value is not None}


def from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of :func:`to_item`."""
    return {name: _deserialize(value) for name, value in item.items()}


def put(table: str, attributes: Mapping[str, Any], condition: ConditionBase) -> dict[str, Any]:
    """The arguments of a conditional PutItem, or of a transaction's ``Put``."""
    return _without_empty_values({"TableName": table, "Item": to_item(attributes), **_condition(condition)})


def update(
    table: str,
    key: Mapping[str, str],
    assign: Mapping[str, Any],
    condition: ConditionBase,
    *,
    add: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The arguments of a conditional UpdateItem, or of a transaction's ``Update``.

    ``assign`` sets attributes (None removes), ``add`` increments numbers or adds to sets.
    """
    removed = [name for name, value in assign.items() if value is None]
    assigned = {name: value for name, value in assign.items() if value is not None}
    request = {"TableName": table, "Key": to_item(key), **_condition(condition)}
    names, values, clauses = request["ExpressionAttributeNames"], request["ExpressionAttributeValues"], []
    for verb, join, pairs in (("SET", " = ", assigned), ("ADD", " ", add or {})):
        parts = []
        for name, value in pairs.items():
            names[f"#{name}"], values[f":{verb}{name}"] = name, _serialize(value)
            parts.append(f"#{name}{join}:{verb}{name}")
        if parts:
            clauses.append(f"{verb} {', '.join(parts)}")
    if removed:
        names.update({f"#{name}": name for name in removed})
        clauses.append("REMOVE " + ", ".join(f"#{name}" for name in removed))
    return _without_empty_values({**request, "UpdateExpression": " ".join(clauses)})


def _without_empty_values(request: dict[str, Any]) -> dict[str, Any]:
    """DynamoDB refuses an empty map of values."""
    if not request["ExpressionAttributeValues"]:
        del request["ExpressionAttributeValues"]
    return request


def _condition(condition: ConditionBase) -> dict[str, Any]:
    built = ConditionExpressionBuilder().build_expression(condition, is_key_condition=False)
    return {
        "ConditionExpression": built.condition_expression,
        "ExpressionAttributeNames": dict(built.attribute_name_placeholders),
        "ExpressionAttributeValues": {
            name: _serialize(value) for name, value in built.attribute_value_placeholders.items()
        },
    }
