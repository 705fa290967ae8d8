"""What is said of treatment beyond the model: recipients' keys that are of no use, or not for long; and an environment
that has no place to prepare files in.

A key that expires is no mistake in a file that was right when it was deployed: so the model, and with it the DAGs, take
it, and the delivery itself refuses to encrypt for it. The check before a deployment refuses it at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from client_delivery.config.document import Document
from client_delivery.config.loader import Rule
from client_delivery.config.model import ClientConfig
from client_delivery.config.openpgp import RecipientKey, UnusableKey, read_recipient


def require_prepared_area(location: str) -> Rule:
    """The rule of an environment whose prepared area (setting ``prepared_location``) is there; empty: it has none."""

    def rule(config: ClientConfig, document: Document) -> None:
        if config.treated and not location:
            field = "encrypt" if config.encrypt else "compress"
            document.report(
                (field,),
                "it",
                "an environment with a prepared area",
                "Files are compressed and encrypted in our prepared area in S3 before they are delivered. Have the "
                "setting prepared_location configured (docs/operators/settings.md); `make deploy` does that.",
            )

    return rule


def refuse_unusable_keys(config: ClientConfig, document: Document) -> None:
    """A :data:`~client_delivery.config.loader.Rule`: report every key that nothing can be encrypted for today."""
    for index, text in enumerate(config.encrypt.recipients if config.encrypt else ()):
        try:
            read_recipient(text)
        except UnusableKey as error:
            document.report(
                ("encrypt", "recipients", index), "an unusable key", "a public key to encrypt for", str(error)
            )


def key_lines(config: ClientConfig, now: datetime | None = None) -> list[str]:
    """What the check of configurations says of each key, so that people can compare its fingerprint."""
    now = now or datetime.now(UTC)
    lines = []
    for key in _usable(config, now):
        until = "never expires" if key.expires is None else f"valid until {key.expires:%Y-%m-%d}"
        warning = " WARNING: ask the recipient for a new key now." if key.expires_soon(now) else ""
        lines.append(f"{config.name}: encrypts for {key.name}, {until}.{warning}")
    return lines


def _usable(config: ClientConfig, now: datetime) -> Iterator[RecipientKey]:
    for text in config.encrypt.recipients if config.encrypt else ():
        try:
            yield read_recipient(text, now)
        except UnusableKey:
            continue
