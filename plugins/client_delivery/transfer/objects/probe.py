"""Tries a bucket before the first file, for every service: by deliveries of the engine itself, small and in parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from client_delivery.transfer.contract import DestinationUnavailable, Refused, TransferError
from client_delivery.transfer.finding import DELIVERED, Findings
from client_delivery.transfer.objects.api import LookDenied, ObjectApi
from client_delivery.transfer.objects.destination import ObjectDestination
from client_delivery.transfer.reading.carried import NOTHING
from client_delivery.transfer.reading.held import HeldFiles, NoJournal

_CONTENT = b"This is a test of the file delivery. It holds no data and may be removed.\n"
_SECOND = b"This is the second test of the file delivery. It holds no data and may be removed.\n"
_KEPT = r"retention|object lock|\bhold\b"
"""In a refusal: no right helps."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What to ask the partner for, for each thing that is refused."""

    write: str
    parts: str
    look: str
    replace: str
    remove: str
    abort: str
    key: str
    """For the key by which the bucket, or the configuration, has objects encrypted."""


class Service(Protocol):
    """What a probe needs of a service beyond what deliveries use."""

    asks: Rights

    @property
    def api(self) -> ObjectApi:
        """What deliveries call."""

    def target(self, files: HeldFiles, *, small: int) -> ObjectDestination:
        """A destination that delivers what is held."""

    def may_remove(self, key: str) -> bool | None:
        """Whether the account may remove objects, found out without any; None if it does not tell."""

    def remove(self, key: str) -> str:
        """Remove what is there, with its versions; why it is still there, or empty."""

    def retention(self) -> str | None:
        """How long the bucket keeps whatever is written: empty for not at all, None if the account is not told."""

    def about(self, key: str) -> Iterable[tuple[str, str]]:
        """What the service says of an object that arrived, as far as the account may ask: encryption, locks."""


class ObjectProbe:
    """One test of one bucket.

    :param name: of the probe object below the prefix; nobody else has one of that name.
    :param leave: whether to write an object although the account may not remove it.
    """

    def __init__(self, service: Service, findings: Findings, *, prefix: str, name: str, leave: bool) -> None:
        self._service = service
        self._findings = findings
        self._name = name
        self._key = prefix + name
        self._leave = leave

    def run(self, *, write: bool) -> None:
        """Try it. With ``write`` false, nothing is written. Raises nothing that a service can cause."""
        if self._look() and write:
            self._try_objects()

    def _look(self) -> bool:
        """False if there is nothing to go on with."""
        try:
            self._service.api.look(self._key)
        except LookDenied as denied:
            self._findings.no(
                "Looking",
                (
                    f"refused: {denied} New files are delivered nevertheless; a file whose name is already there is "
                    "refused"
                ),
                self._service.asks.look,
                needed=False,
            )
        except DestinationUnavailable as error:
            self._findings.no("Bucket", str(error), "Follow the message above.")
            return False
        except TransferError as error:
            self._findings.no("Looking", str(error), self._service.asks.look, needed=False)
        else:
            self._findings.yes("Looking", "existing objects can be looked at")
        return True

    def _try_objects(self) -> None:
        service, findings = self._service, self._findings
        if service.may_remove(self._key) is False and not self._leave:
            findings.no(
                "Removing",
                "the account may not remove objects, so a test object would stay. None was written",
                f"{service.asks.remove} Or agree that a test object stays, and test again with LEAVE=1.",
                needed=False,
            )
            return
        if (kept := service.retention()) and not self._leave:
            findings.no(
                "Retention",
                f"{kept}, so a test object would stay. None was written",
                "Agree that a test object stays that long, and test again with LEAVE=1. Files of deliveries stay as "
                "long, and none is replaced by a newer one of the same name before, unless the bucket has versions.",
                needed=False,
            )
            return
        parts, made = f"{self._name}.parts", list[str]()
        try:
            made.append(self._key)
            if self._delivered(DELIVERED, self._name, _CONTENT, service.asks.write):
                for what, told in service.about(self._key):
                    findings.yes(what, told)
                self._delivered("Replacing", self._name, _SECOND, service.asks.replace, token=2, needed=False)
            made.append(f"{self._key}.parts")
            if self._delivered("File in parts", parts, _CONTENT, service.asks.parts, small=0):
                self._try_abort(f"{self._key}.aborted")
        finally:
            # What an attempt at the file in parts has left open, or put together under another name.
            with suppress(TransferError), service.target(HeldFiles(), small=0) as target:
                target.discard(parts, {})
            self._clean_up(made)

    def _delivered(
        self,
        what: str,
        name: str,
        content: bytes,
        ask: str,
        *,
        token: int = 1,
        small: int = 1024,
        needed: bool = True,
    ) -> bool:
        files, findings = HeldFiles(), self._findings
        try:
            with self._service.target(files, small=small) as target:
                receipt = target.deliver(files.job(name, content, token), NoJournal())
        except DestinationUnavailable as error:
            findings.no(what, str(error), "Follow the message above.", needed=needed)
        except (Refused, TransferError) as error:
            findings.no(what, str(error), self._asked(str(error), ask), needed=needed)
        else:
            findings.yes(what, f"arrived, verified by {receipt.verified_by} ({receipt.checksum})")
            return True
        return False

    def _asked(self, refusal: str, ask: str) -> str:
        """What to ask for when the service refuses like this."""
        if re.search(_KEPT, refusal, re.IGNORECASE):
            return "Nothing, if that is intended: then no file may have the name of one that is kept."
        return self._service.asks.key if re.search("KMS|cryptoKey", refusal, re.IGNORECASE) else ask

    def _try_abort(self, key: str) -> None:
        api, findings = self._service.api, self._findings
        told = "an upload that is given up can be taken back"
        try:
            upload = api.begin(key, NOTHING)
            api.abort(key, upload)
            left = api.parts(key, upload) is not None or upload in api.open_uploads(key)
        except TransferError as error:
            findings.no("Taking back", str(error), self._service.asks.abort, needed=False)
            return
        if left:
            findings.no(
                "Taking back",
                "an upload that was given up is still there; it holds nothing",
                self._service.asks.abort,
                needed=False,
            )
        else:
            findings.yes("Taking back", told)

    def _clean_up(self, keys: list[str]) -> None:
        findings = self._findings
        for key in keys:
            why = _refusal(lambda key=key: self._service.remove(key))  # type: ignore[misc]
            if why:
                uri = self._service.api.uri(key)
                findings.left.append(f"{uri}: {why}")
                ask = (
                    "Remove it as soon as nothing protects it."
                    if re.search(_KEPT, why, re.IGNORECASE)
                    else f"Remove it. {self._service.asks.remove}"
                )
                findings.no("Removing", f"{uri} is still there: {why}", ask, needed=False)
        if not findings.left:
            findings.yes("Removing", "the test left nothing")


def _refusal(remove: Callable[[], str]) -> str:
    try:
        return remove()
    except TransferError as error:
        return str(error)
