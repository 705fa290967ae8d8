"""Google Cloud Storage (R1.1): small files in one request, larger ones as an XML multipart upload.

Completing an upload overwrites whatever is there, for Google supports no precondition in it. What that means, and what
``publish: compose`` costs that closes the last gap, is in ``docs/developers/conditional-requests.md``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from client_delivery.transfer.contract import Journal
from client_delivery.transfer.gcs.access import GcsAccess
from client_delivery.transfer.gcs.api import GcsApi
from client_delivery.transfer.integrity import CRC32C, Digest, OwnChecksum
from client_delivery.transfer.naming import object_key
from client_delivery.transfer.objects.api import Occupied, Stored
from client_delivery.transfer.objects.destination import ObjectDestination
from client_delivery.transfer.reading.carried import Carried
from client_delivery.transfer.reading.parts import PartLimits, Parts

if TYPE_CHECKING:
    from client_delivery.config.model import GcsSection
    from client_delivery.transfer.s3_wire.access import S3Access
    from client_delivery.transfer.secret import Secret

_SMALL = 4 * 1024**2


class GcsDestination(ObjectDestination):
    """One client's bucket and prefix."""

    _api: GcsApi

    def __init__(
        self,
        config: GcsSection,
        secret: Secret,
        source_s3: S3Access,
        endpoint: str,
        *,
        small: int = _SMALL,
        limits: PartLimits | None = None,
    ) -> None:
        self._access = GcsAccess(config, secret, endpoint)
        self._composes = config.publish == "compose"
        super().__init__(
            GcsApi(self._access),
            source_s3,
            prefix=config.prefix,
            bytes_per_second=config.max_bytes_per_second,
            keep_metadata=config.keep_metadata,
            small=small,
            limits=limits,
        )
        if self._composes:
            self._may_be_overwritten = False

    def __exit__(self, *exc: object) -> None:
        self._access.close()

    def discard(self, name: str, resume: Mapping[str, Any]) -> None:
        """Abort what an attempt left open, and remove what it has put together but not composed yet."""
        super().discard(name, resume)
        if self._composes:
            place = self._assembly_place(object_key(self._prefix, name))
            if (left := self._there(place)) is not None:
                self._api.withdraw(place, left)

    def _assembly_place(self, key: str) -> str:
        if not self._composes:
            return key
        return f"{self._prefix}.delivery-{hashlib.sha256(key.encode()).hexdigest()[:32]}.part"

    def _completed(self, key: str, parts: Parts, digest: Digest, before: Stored | None, journal: Journal) -> Stored:
        if not self._composes:
            return super()._completed(key, parts, digest, before, journal)
        journal.confirm()
        place = self._assembly_place(key)
        try:
            return self._api.complete(place, parts.upload_id, parts.part_etags, digest, None)
        except Occupied as error:
            return self._ours(place, None, OwnChecksum(CRC32C, digest.crc32c), error)

    def _published(
        self, key: str, assembled: Stored, digest: Digest, before: Stored | None, *, about: Carried, journal: Journal
    ) -> Stored:
        if not self._composes:
            return assembled
        journal.confirm()
        place = self._assembly_place(key)
        try:
            stored = self._api.compose(key, place, assembled, before, about)
        except Occupied as error:
            stored = self._ours(key, before, OwnChecksum(CRC32C, digest.crc32c), error)
        self._api.withdraw(place, assembled)
        return stored
