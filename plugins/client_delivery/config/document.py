"""A YAML file as plain data, with the place of every field.

Only what a configuration needs is accepted: one document, a mapping at the top, text and numbers as YAML 1.2 reads
them (so ``yes`` is text and ``0640`` is not octal, as in the editors that use the JSON Schema). Anchors, aliases and
tags are refused: so small a file has no use for them, and with them go YAML bombs, loops and constructed objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml import events

from client_delivery.config.problem import ConfigError, Problem, credential_position, field_path
from client_delivery.config.syntax import explain_syntax_error

FieldPath = tuple[str | int, ...]

MAX_DEPTH = 10
"""Mappings and lists inside one another. A configuration needs three."""
MAX_PROBLEMS = 50
"""More than these are counted, not listed."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]{1,18}\.[0-9]{0,18}|\.[0-9]{1,18}|[0-9]{1,18}(?=[eE]))(?:[eE][-+]?[0-9]{1,3})?")
_NOT_TEXT = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


@dataclass(slots=True)
class Document:
    """The data of one file and where each field stands."""

    file: str
    data: dict[str, Any]
    places: dict[FieldPath, tuple[int, int]]
    """Line and column (from 1) of each field's name, or of each list item."""
    numerals: dict[FieldPath, str]
    """Numbers as they are written: ``0640`` reads as 640, and a message must show what the person sees."""
    problems: list[Problem] = field(default_factory=list)
    refused: set[FieldPath] = field(default_factory=set)
    """Fields that have been dealt with in ``problems``: what the model says of them is not repeated."""
    empty: list[FieldPath] = field(default_factory=list)
    """Fields with nothing after the colon: nobody can tell what was meant."""
    omitted: int = 0
    credential_place: tuple[int, int] | None = None
    """Where in the text, comments included, something stands that is a credential wherever it is found."""

    def report(
        self, path: FieldPath, found: str, expected: str, hint: str = "", place: tuple[int, int] | None = None
    ) -> None:
        """Note a problem at ``path``: at ``place`` or where the field stands, or what it is missing from."""
        if len(self.problems) >= MAX_PROBLEMS:
            self.omitted += 1
            return
        line, column = place or self.place(path)
        self.problems.append(Problem(self.file, line, column, field_path(path), found, expected, hint))

    def report_credential_place(self) -> None:
        """Note the credential that the text holds, if it does."""
        if self.credential_place:
            hint = "Remove it; if this file was ever shared or committed, replace the credential as well."
            self.report((), "what looks like a credential", "no credential in this file", hint, self.credential_place)

    def place(self, path: FieldPath) -> tuple[int, int]:
        """Line and column of the field at ``path``, or of the nearest one around it that is in the file."""
        while path not in self.places:
            path = path[:-1]
        return self.places[path]

    def is_refused(self, path: FieldPath) -> bool:
        """Whether ``path``, or something that it lies in, has been dealt with."""
        return any(path[:length] in self.refused for length in range(1, len(path) + 1))


def parse(raw: bytes, file: str) -> Document:
    """The document in ``raw``; ``file`` is the name that messages use.

    Problems that leave the rest of the file readable (a duplicate field, a tag) are in the result's ``problems``.
    Raises :class:`ConfigError` for a file that cannot be read as YAML at all.
    """
    text = _decode(raw, file)
    document = Document(file, {}, {(): (1, 1)}, {})
    if (position := credential_position(text)) is not None:
        document.credential_place = _place(text, position)
    try:
        _Reader(document, yaml.parse(text, Loader=_LOADER)).read()
    except yaml.YAMLError as error:
        # A private key pasted without indentation is the usual reason why a file is not YAML: say so as well.
        document.report_credential_place()
        raise ConfigError([*document.problems, explain_syntax_error(error, text, file)]) from None
    return document


def _decode(raw: bytes, file: str) -> str:
    def refuse(found: str, hint: str, place: tuple[int, int] = (1, 1)) -> ConfigError:
        return ConfigError([Problem(file, *place, "", found, "a text file in UTF-8", hint)])

    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise refuse("a file in UTF-16", "Save it as UTF-8.")
    if b"\0" in raw:
        raise refuse("a binary file", "Is this really a configuration?")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = _place(raw[: error.start].decode("utf-8-sig"), error.start)
        raise refuse("bytes that are not UTF-8", "Save the file as UTF-8.", place) from None
    if unprintable := _NOT_TEXT.search(text):
        place = _place(text, unprintable.start())
        raise refuse(f"the control character U+{ord(unprintable[0]):04X}", "Remove it.", place)
    return text


def _place(text: str, index: int) -> tuple[int, int]:
    before = text[:index]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


class _Reader:
    """Builds plain data from YAML events, one at a time: a file that nests too deep is not read to its end."""

    def __init__(self, document: Document, stream: Iterator[Any]) -> None:
        self._document = document
        self._events = stream
        self._anchors_reported = False

    def read(self) -> None:
        next(self._events)  # StreamStart
        if isinstance(next(self._events), events.StreamEndEvent):
            raise self._fatal((1, 1), "an empty file", "a configuration", _NEW_CLIENT)
        first = next(self._events)
        if isinstance(first, events.ScalarEvent) and first.value == "" and first.implicit[0]:
            raise self._fatal((1, 1), "an empty file", "a configuration", _NEW_CLIENT)
        if not isinstance(first, events.MappingStartEvent):
            kind = "a list" if isinstance(first, events.SequenceStartEvent) else "text"
            raise self._fatal(
                _start(first), kind, "a mapping at the top level", "Write lines such as `name: acme`, without '-'."
            )
        self._document.data = self._value(first, ())
        next(self._events)  # DocumentEnd
        after = next(self._events)
        if not isinstance(after, events.StreamEndEvent):
            raise self._fatal(
                _start(after), "a second document after '---'", "one configuration per file", "Give each its own file."
            )

    def _fatal(self, place: tuple[int, int], found: str, expected: str, hint: str) -> ConfigError:
        return ConfigError([*self._document.problems, Problem(self._document.file, *place, "", found, expected, hint)])

    def _value(self, event: Any, path: FieldPath) -> Any:
        if isinstance(event, events.AliasEvent) or event.anchor is not None:
            self._refuse_anchor(path)
        if isinstance(event, events.AliasEvent):
            return None
        if event.tag is not None:
            self._document.refused.add(path)
            self._document.report(
                path, "a YAML tag ('!…')", "a plain value", "Put the value in quotes if it begins with '!'."
            )
        if isinstance(event, events.ScalarEvent):
            return self._scalar(event, path)
        if len(path) >= MAX_DEPTH:
            raise self._fatal(
                _start(event),
                f"more than {MAX_DEPTH} levels of nesting",
                "at most 3",
                "Check brackets and indentation.",
            )
        return self._mapping(path) if isinstance(event, events.MappingStartEvent) else self._sequence(path)

    def _scalar(self, event: Any, path: FieldPath) -> Any:
        text: str = event.value
        if not event.implicit[0]:
            return text
        if text == "":
            self._document.empty.append(path)
        if text in _NULLS:
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if _INTEGER.fullmatch(text):
            self._document.numerals[path] = text
            return int(text)
        if _FLOAT.fullmatch(text):
            self._document.numerals[path] = text
            return float(text)
        return text

    def _mapping(self, path: FieldPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(key := next(self._events), events.MappingEndEvent):
            place = _start(key)
            if not isinstance(key, events.ScalarEvent):
                raise self._fatal(
                    place,
                    "a list, mapping or alias before ':'",
                    "a field's name",
                    "Put a value that begins with '{' or '[' in quotes.",
                )
            name: str = key.value
            here = (*path, name)
            if name in result:
                first = self._document.places[here][0]
                hint = f"The first is on line {first}; remove one of them."
                self._document.report(here, "a field that is already there", "each field once", hint, place)
                self._document.refused.add(here)
                self._value(next(self._events), here)
                continue
            self._document.places[here] = place
            if key.anchor is not None:
                self._refuse_anchor(here)
            result[name] = None
            result[name] = self._value(next(self._events), here)
        return result

    def _sequence(self, path: FieldPath) -> list[Any]:
        result: list[Any] = []
        while not isinstance(item := next(self._events), events.SequenceEndEvent):
            here = (*path, len(result))
            self._document.places[here] = _start(item)
            result.append(self._value(item, here))
        return result

    def _refuse_anchor(self, path: FieldPath) -> None:
        self._document.refused.add(path)
        if not self._anchors_reported:  # once is enough: a YAML bomb has hundreds
            self._anchors_reported = True
            self._document.report(
                path,
                "a YAML anchor or alias ('&…' or '*…')",
                "the value itself",
                "Write it out; put a value that begins with '&' or '*' in quotes.",
            )


def _start(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


_NEW_CLIENT = "Make one with `make new-client NAME=…`."
