"""The guards of a run: this module looks up earlier deliveries, and the checksum files beside files (R5.10)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from client_delivery.ledger.history import MOST
from client_delivery.pickup.guards import LAST, File, Guards, shape

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from client_delivery.config.guards import GuardsSection
    from client_delivery.config.model import ClientConfig
    from client_delivery.ledger.history import History

_CHUNK = 1024**2
_MOST_PAGES = 10
"""Pages of the client's last deliveries, 200 each, that are searched for names of one shape."""
_LONGEST_SUM_FILE = 4096
"""Bytes of a checksum file that are read: the sum, and a name."""


def guards_of(config: ClientConfig, guards: GuardsSection, history: History, s3: Callable[[], S3Client]) -> Guards:
    """The configuration's guards, for one look at the pick-up.

    :param s3: a client that may read the pick-up; only asked for if a guard needs it.
    """
    return Guards(
        guards,
        now=datetime.now(UTC),
        sizes_before=cache(lambda name: _sizes_before(history, config.delivery_key, name)),
        checksum_refusal=_Checksums(config, s3).refusal if guards.checksum_files else lambda file: None,
    )


def _sizes_before(history: History, key: str, name: str) -> tuple[int, ...]:
    """The sizes of the last deliveries of files with names of this shape, the newest first."""
    wanted, found, after = shape(name), list[int](), None
    for _ in range(_MOST_PAGES):
        page = history.of_client(key, status="success", after=after, limit=MOST)
        found += [one.size for one in page.found if shape(one.file_name) == wanted]
        after = page.next
        if after is None or len(found) >= LAST:
            break
    return tuple(found[:LAST])


class _Checksums:
    """Compares files with the checksum files beside them, each once."""

    def __init__(self, config: ClientConfig, s3: Callable[[], S3Client]) -> None:
        self._pickup = config.pickup
        self._s3 = s3
        self._known: dict[tuple[str, datetime], str | None] = {}

    def refusal(self, file: File) -> str | None:
        """The problem; None if there is none, or if it is a checksum file itself."""
        if file.name.endswith(".sha256"):
            return None
        key = (file.name, file.last_modified)
        if key not in self._known:
            self._known[key] = self._compared(file)
        return self._known[key]

    def _compared(self, file: File) -> str | None:
        from botocore.exceptions import ClientError

        s3, pickup = self._s3(), self._pickup
        place: dict[str, Any] = {"Bucket": pickup.bucket}
        beside = f"{file.name}.sha256"
        try:
            told = s3.get_object(**place, Key=f"{pickup.prefix}{beside}")
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] not in (403, 404):
                raise
            return f"there is no checksum file {beside!r} beside it (guards.checksum_files)."
        with closing(told["Body"]) as body:
            words = body.read(_LONGEST_SUM_FILE).decode("ascii", "replace").split()
        expected = words[0].removeprefix("\\").lower() if words else ""
        if not re.fullmatch("[0-9a-f]{64}", expected):
            return f"its checksum file {beside!r} does not begin with a SHA-256 in hexadecimal (guards.checksum_files)."
        digest = hashlib.sha256()
        with closing(s3.get_object(**place, Key=f"{pickup.prefix}{file.name}")["Body"]) as body:
            for piece in body.iter_chunks(_CHUNK):
                digest.update(piece)
        if digest.hexdigest() == expected:
            return None
        return (
            f"its content has the SHA-256 {digest.hexdigest()}, but its checksum file says {expected} "
            "(guards.checksum_files)."
        )
