"""The people who get the e-mails (R7.1)."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from client_delivery.config.problem import quoted, write
from client_delivery.config.refusal import refusal

MAX_CONTACTS = 200
"""More are a distribution list's task. Amazon SES takes 50 for each message: more make several messages."""

_WORD = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"{_WORD}(?:\.{_WORD})*@(?:{_LABEL}\.)+{_LABEL}")
_EXPECTED = "an e-mail address such as jane.doe@example.com"


def _check_address(value: str) -> str:
    if _is_address(value):
        return value
    if len(re.findall(r"[^\s,;<>]+@[^\s,;<>]+", value)) > 1:
        raise refusal("one e-mail address", "Write each address as a separate item ('- …').")
    if (inside := re.search(r"<([^<>]*)>", value) or re.fullmatch(r"\s*(?:mailto:)?(\S+)\s*", value)) and _is_address(
        inside[1]
    ):
        raise refusal("an e-mail address alone", write(inside[1]))
    raise refusal(_EXPECTED)


def _is_address(value: str) -> bool:
    return len(value) <= 254 and len(value.partition("@")[0]) <= 64 and _ADDRESS.fullmatch(value) is not None


def refuse_repeated(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """``addresses``, or a refusal if one of them is there twice: its owner would get everything twice."""
    seen: set[str] = set()
    for index, address in enumerate(addresses):
        if address.lower() in seen:
            raise refusal("each address once", "Remove this one.", found=f"{quoted(address)} again", at=(index,))
        seen.add(address.lower())
    return addresses


EmailAddress = Annotated[
    str,
    AfterValidator(_check_address),
    WithJsonSchema({"type": "string", "pattern": r"^[^\s@,;<>]{1,64}@[^\s@,;<>]+\.[^\s@,;<>]+$", "maxLength": 254}),
]
"""Plain ASCII ``local@domain``. Nothing that could end a header of an e-mail or begin another one."""
