"""What becomes of a file in the pick-up once it is dealt with (R5.2, R5.6, R5.8): deleted, archived first, or kept.

Nothing is deleted that is not still the very object that was delivered, and nothing before its copy is verified.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from client_delivery.config.destinations import S3Section
from client_delivery.pickup.pickup import PickupError
from client_delivery.transfer.contract import Job, SourceChanged, SourceObject, TransferError

if TYPE_CHECKING:
    from client_delivery.config.model import ClientConfig
    from client_delivery.ledger.file import PickupFile
    from client_delivery.pickup.pickup import Pickup
    from client_delivery.transfer.s3_wire.access import S3Access

_PARALLEL = 8


class Disposal:
    """Clears files out of one configuration's pick-up, as ``after_delivery`` says.

    :param access: how the pick-up's own identity reaches S3; called only where files are archived.
    """

    def __init__(self, config: ClientConfig, pickup: Pickup, access: Callable[[], S3Access]) -> None:
        self._config = config
        self._pickup = pickup
        self._access = access

    @property
    def keeps(self) -> bool:
        """Whether files stay in the pick-up."""
        return self._config.after_delivery == "keep"

    @property
    def at_once(self) -> bool:
        """Whether a file goes as soon as its delivery is verified, not by the next run."""
        return self._config.after_delivery == "delete" or self._config.archive_prefix is not None

    def clear_away(self, files: Sequence[PickupFile], at: datetime | None = None) -> set[str]:
        """Remove the files; returns the keys of those that stay, for they have changed or are to be kept.

        Raises :class:`~client_delivery.pickup.pickup.PickupError` if S3 refuses to delete or to archive; what could not
        be archived is then still there.
        """
        if self.keeps:
            return {file.key for file in files}
        changed = self._archive(files, at or datetime.now(UTC)) if self._config.archive_prefix else set[str]()
        safe = [(file.key, file.etag) for file in files if file.key not in changed]
        return changed | set(self._pickup.remove(safe))

    def archived_to(self, file: PickupFile, at: datetime) -> str | None:
        """Where the archive keeps a file that goes at that time; None if there is no archive."""
        prefix = self._config.archive_prefix
        return f"s3://{file.bucket}/{_folder(prefix, at)}{file.name}" if prefix else None

    def _archive(self, files: Sequence[PickupFile], at: datetime) -> set[str]:
        """Copy, within S3 where it can be, and compare the checksums. Returns the keys of objects that have changed."""
        from client_delivery.transfer.s3.destination import S3Destination

        prefix, pickup = self._config.archive_prefix, self._config.pickup
        access = self._access()
        folder = S3Section(type="s3", bucket=pickup.bucket, prefix=_folder(prefix or "", at), region=pickup.region)

        def keep(file: PickupFile) -> str | None:
            job = Job(file.name, SourceObject(file.bucket, file.key, file.etag, file.size), 0)
            try:
                target.deliver(job, _Unwatched())
            except SourceChanged:
                return file.key
            except TransferError as error:
                raise PickupError(
                    f"{file.path} of {self._config.name} could not be archived, and stays where it is: {error}"
                ) from error
            return None

        with S3Destination(folder, access, access) as target, ThreadPoolExecutor(_PARALLEL) as pool:
            return {key for key in pool.map(keep, files) if key is not None}


class _Unwatched:
    """The journal of a copy that starts over if it is interrupted."""

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """Nothing to keep."""

    def confirm(self) -> None:
        """Nobody else archives this pick-up's files."""

    def resumed(self, there: int) -> None:
        """Never."""

    def progress(self, moved: int) -> None:
        """Nobody watches."""


def _folder(prefix: str, at: datetime) -> str:
    """A folder for each delivery's second: a name that comes every month never overwrites last month's file."""
    return f"{prefix}{at.astimezone(UTC):%Y-%m-%dT%H-%M-%SZ}/"
