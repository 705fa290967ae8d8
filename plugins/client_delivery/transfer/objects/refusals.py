"""What a service's refusal means: whom it concerns, the service's own reason, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from client_delivery.transfer.contract import IntegrityError, Refused, TransferError

_LONGEST_REASON = 400
_BUSY = frozenset({408, 429})


@dataclass(frozen=True, slots=True)
class Meaning:
    """Of one kind of refusal."""

    pattern: str
    """Found in ``<status> <code> <reason>``, whatever the case of its letters."""
    text: str
    """What it means or what to do; may name what :func:`refusal` was given in braces."""
    error: type[TransferError] = Refused
    only_this: bool = False
    """Whether it can only ever concern the object that was refused."""


BUSY = Meaning("", "The service has a problem or is throttling. The request will be retried.", TransferError)
WRONG_BYTES = Meaning(
    r"^\d+ (BadDigest|InvalidDigest|XAmzContentChecksumMismatch)\b",
    "The bytes did not arrive as they were sent. They will be sent again.",
    IntegrityError,
)


def refusal(
    meanings: Sequence[Meaning],
    service: str,
    told: tuple[int, str, str],
    *,
    verb: str,
    uri: str,
    new: bool,
    **names: str,
) -> TransferError:
    """The error for a response.

    :param meanings: the first that fits counts.
    :param told: the response's status, code and reason.
    :param verb: what was to be done with ``uri``.
    :param new: whether an object was to be created where none was known to be: that may be refused to every file, and
        is what the failures of several are compared by.
    """
    status, code, reason = told
    busy = status in _BUSY or status >= 500
    line = f"{status} {code} {reason}"
    fits = (one for one in meanings if re.search(one.pattern, line, re.IGNORECASE))
    meaning = next(fits, BUSY if busy else None)
    todo = f" {meaning.text.format(**names)}" if meaning else ""
    message = f"{service} refuses to {verb} {uri}: {quoted(code, reason)}.{todo}"
    error = meaning.error(message) if meaning else Refused(message)
    if (new or busy) and not (meaning and meaning.only_this) and not isinstance(error, IntegrityError):
        error.alike = f"{status} {code}"
    return error


def quoted(code: str, reason: str) -> str:
    """The service's own words, as one printable line: ``reason [code]``."""
    line = " ".join("".join(char if char.isprintable() else " " for char in reason).split())
    line = line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}…"
    return f"{line.rstrip('.')} [{code}]" if line else f"[{code}]"
