"""How a check of a field's value says no."""

from __future__ import annotations

from pydantic_core import PydanticCustomError

REFUSED = "refused"
"""The pydantic error type of every check of ours; its context is read by :mod:`client_delivery.config.diagnosis`."""


def refusal(
    expected: str, hint: str = "", *, found: str | None = None, at: tuple[str | int, ...] = ()
) -> PydanticCustomError:
    """The error to raise from a validator.

    ``found`` stands in for the value itself, where that would be long or misleading; ``at`` leads from the validated
    field to the part of it that is wrong.
    """
    context = {"expected": expected, "hint": hint, "found": found, "at": at}
    return PydanticCustomError(REFUSED, "expected {expected}. {hint}", context)
