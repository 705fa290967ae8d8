"""Grants as IAM managed policies, none longer than IAM allows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from infra.permissions import Grant

_LONGEST = 6144
"""Characters of a managed policy, white space not counted."""
_MOST = 10
"""Managed policies that a role may have, unless the quota was raised."""
_OTHERS = 2
"""For MWAA's own needs, and for the key."""
_FRAME = len('{"Version":"2012-10-17","Statement":[]}')


class TooManyGrantsError(Exception):
    """The clients need more than IAM lets one role have. The message says what to do."""


def documents(grants: Iterable[Grant]) -> list[dict[str, Any]]:
    """Pack the grants into as few policies as fit. Raises :class:`TooManyGrantsError`."""
    packed: list[list[dict[str, Any]]] = [[]]
    room = _LONGEST - _FRAME
    for statement in (part for grant in grants for part in _statements(grant)):
        size = len(_compact(statement)) + 1
        if size > _LONGEST - _FRAME:
            raise TooManyGrantsError(f"{statement['Sid']} alone is longer than a policy may be: {size} characters.")
        if size > room:
            packed.append([])
            room = _LONGEST - _FRAME
        packed[-1].append(statement)
        room -= size
    if len(packed) > _MOST - _OTHERS:
        raise TooManyGrantsError(
            f"The clients' buckets and roles make {len(packed)} policies of {_LONGEST} characters; a role may have "
            f"{_MOST - _OTHERS} beside those that it always has. Put pick-ups and landings below fewer prefixes, let "
            "roles be assumed by a naming pattern, or have AWS raise the quota of managed policies per role."
        )
    return [{"Version": "2012-10-17", "Statement": statements} for statements in packed]


def _statements(grant: Grant) -> Iterable[dict[str, Any]]:
    """One statement, or several where its resources alone would fill a policy."""
    resources: list[str] = []
    number = 0
    for resource in grant.resources:
        if resources and len(_compact(_statement(grant, [*resources, resource], number))) > _LONGEST // 2:
            yield _statement(grant, resources, number)
            resources, number = [], number + 1
        resources.append(resource)
    yield _statement(grant, resources, number)


def _statement(grant: Grant, resources: list[str], number: int) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Sid": grant.sid + (f"Part{number + 1}" if number else ""),
        "Effect": grant.effect,
        "Action": list(grant.actions),
        "Resource": resources,
    }
    if grant.conditions:
        statement["Condition"] = dict(grant.conditions)
    return statement


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
