"""What is below a prefix in Google Cloud Storage, by its JSON API
(https://cloud.google.com/storage/docs/json_api/v1/objects/list: it needs storage.objects.list)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from client_delivery.transfer.contract import TransferError
from client_delivery.transfer.gcs.access import GcsAccess
from client_delivery.transfer.listing import Limit, ListingRefused, There

if TYPE_CHECKING:
    from client_delivery.config.model import GcsSection
    from client_delivery.transfer.secret import Secret


class GcsListing:
    """One bucket, as one account sees it."""

    def __init__(self, config: GcsSection, secret: Secret, endpoint: str, prefix: str, limit: Limit) -> None:
        self._limit = limit
        self._config = config
        self._access = GcsAccess(config, secret, endpoint)
        self._prefix = prefix

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._access.close()

    def files(self, directory: str, begins: str) -> Iterator[There]:
        """The objects in one folder. Raises :class:`ListingRefused`, :class:`TransferError`."""
        folder, token = self._prefix + directory, ""
        while True:
            page = self._page(folder, begins, token)
            for one in page.get("items", ()):
                modified = datetime.fromisoformat(one["updated"]) if "updated" in one else None
                yield There(
                    str(one["name"]).removeprefix(folder), int(one["size"]) if "size" in one else None, modified
                )
            self._limit.check(self._access.uri(folder))
            token = str(page.get("nextPageToken", ""))
            if not token:
                return

    def _page(self, folder: str, begins: str, token: str) -> dict[str, Any]:
        where = self._access.uri(folder)
        with self._access.listed(folder + begins, token) as response:
            if response.status == 403:
                raise ListingRefused(
                    f"The account in the Airflow connection {self._config.connection_id!r} may not list {where}. Grant "
                    "it storage.objects.list on the bucket (roles/storage.objectViewer, or roles/storage.objectUser)."
                )
            if response.status != 200:
                raise TransferError(f"Google Cloud Storage refuses to list {where} (status {response.status}).")
            try:
                page = json.loads(response.read())
            except ValueError as error:
                raise TransferError(f"Google Cloud Storage lists {where} in a form that cannot be read.") from error
        if not isinstance(page, dict):
            raise TransferError(f"Google Cloud Storage lists {where} in a form that cannot be read.")
        return page
