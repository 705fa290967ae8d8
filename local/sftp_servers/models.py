"""What open, close and rename *mean* on servers that are no file systems: models on top of asyncssh's server.

They need no misbehaviour to be different: each does what products in use do, and answers success.

``object-store``, as AWS Transfer Family over S3 and other gateways to object stores:

- Each open for writing is an upload of its own, which begins with nothing. It becomes the object when it is closed; of
  several the last close wins. Until then the name shows the older object, or nothing, and so does a stat of the handle.
- A session that ends with a file open has uploaded a partial file: AWS calls this a partial upload
  (docs.aws.amazon.com/transfer/latest/userguide/API_WorkflowDetails.html).
- There is no rename in an object store: it is a copy and a delete, and takes the longer the larger the object is. A
  connection that ends meanwhile does not stop it.
- It renames over nothing, and sets no attributes.

``mft-on-close`` and ``mft-on-rename``, as managed file transfer products with rules for arriving files: the file is
taken away into another system at once, in the request that completed it. The first takes every file, whatever its
name; the second what gets a name that does not begin with a dot. What was taken is in ``taken`` beside the root
directory, each in a numbered directory of its own. ``mft-scan`` leaves files where they are, but refuses to open,
rename or remove one that was written until a scanner has been through with it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncssh

_Base = type[asyncssh.SFTPServer]
_T = TypeVar("_T")
_numbers = itertools.count(1)
_working: set[asyncio.Future[Any]] = set()


@dataclass(frozen=True)
class Times:
    """How long the store behind the server takes."""

    seconds: float = 0.0
    """For every close and rename."""
    seconds_per_mib: float = 0.0
    """For every MiB that is uploaded, or copied by a rename. AWS's customers see some 15 s for each GiB."""

    def of(self, size: int) -> float:
        """Seconds for so many bytes."""
        return self.seconds + self.seconds_per_mib * size / 1024**2


@dataclass(frozen=True)
class _Upload:
    """What a handle that was opened for writing will become."""

    object: bytes
    """Where, on this machine."""
    name: Path
    """What has been written of it."""


def _in_any_case(work: Awaitable[_T]) -> Awaitable[_T]:
    """The store goes on with what it has begun, though the connection ends."""
    task = asyncio.ensure_future(work)
    _working.add(task)
    task.add_done_callback(_working.discard)
    return asyncio.shield(task)


def _object_store(base: _Base, directory: Path, times: Times) -> _Base:
    """Handles are uploads; see above."""
    uploads = directory / "uploads"
    uploads.mkdir(exist_ok=True)

    class ObjectStore(base):  # type: ignore[valid-type, misc]
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self._uploads: dict[int, _Upload] = {}

        def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
            """Begin an upload, or read an object."""
            if not pflags & asyncssh.FXF_WRITE:
                return super().open(path, pflags, attrs)
            place = self.map_path(path)
            there = os.path.lexists(place)
            if _is_directory(place):
                raise asyncssh.SFTPFailure("Is a directory")
            if not _is_directory(os.path.dirname(place)) or not (there or pflags & asyncssh.FXF_CREAT):  # noqa: PTH120
                raise asyncssh.SFTPNoSuchFile("No such file")
            if there and pflags & asyncssh.FXF_EXCL:
                raise asyncssh.SFTPFailure("File exists")
            upload = _Upload(place, uploads / str(next(_numbers)))
            file = upload.name.open("w+b", buffering=0)
            self._uploads[id(file)] = upload
            return file

        def read(self, file_obj: object, offset: int, size: int) -> Any:
            """Of an object, never of an upload."""
            if id(file_obj) in self._uploads:
                raise asyncssh.SFTPFailure("Not open for reading")
            return super().read(file_obj, offset, size)

        def fstat(self, file_obj: object) -> Any:
            """Of the object that the name shows; the upload is none yet."""
            upload = self._uploads.get(id(file_obj))
            return super().fstat(file_obj) if upload is None else Path(os.fsdecode(upload.object)).stat()

        def close(self, file_obj: object) -> Any:
            """Complete the upload: only now is there an object, or a newer one."""
            upload = self._uploads.pop(id(file_obj), None)
            closed = super().close(file_obj)
            if upload is None:
                return closed

            async def completed() -> None:
                await asyncio.sleep(times.of(upload.name.stat().st_size))
                upload.name.replace(os.fsdecode(upload.object))

            return _in_any_case(completed())

        def rename(self, oldpath: bytes, newpath: bytes) -> Any:
            """Copy, then delete."""
            self._allow("rename")
            old, new = (Path(os.fsdecode(self.map_path(path))) for path in (oldpath, newpath))
            if os.path.lexists(new):
                raise asyncssh.SFTPFailure("The target exists")
            if old.is_dir():
                raise asyncssh.SFTPOpUnsupported("Directories are not renamed")
            copy = uploads / str(next(_numbers))
            shutil.copyfile(old, copy)

            async def copied() -> None:
                await asyncio.sleep(times.of(copy.stat().st_size))
                copy.replace(new)
                old.unlink()

            return _in_any_case(copied())

        def posix_rename(self, oldpath: bytes, newpath: bytes) -> Any:
            """Not on offer."""
            raise asyncssh.SFTPOpUnsupported("posix-rename is not supported")

        def setstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> Any:
            """An object has no permissions."""
            raise asyncssh.SFTPOpUnsupported("setstat is not supported")

        def fsetstat(self, file_obj: object, attrs: asyncssh.SFTPAttrs) -> Any:
            """As :meth:`setstat`."""
            raise asyncssh.SFTPOpUnsupported("fsetstat is not supported")

    return ObjectStore


def _noticing(base: _Base, written: Callable[[bytes], None]) -> _Base:
    """Calls ``written`` with the local path of each file that was open for writing and has been closed."""

    class Noticing(base):  # type: ignore[valid-type, misc]
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self._writing: dict[int, bytes] = {}

        def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
            """Remember what is opened for writing."""
            opened = super().open(path, pflags, attrs)
            if pflags & asyncssh.FXF_WRITE:
                self._writing[id(opened)] = self.map_path(path)
            return opened

        def close(self, file_obj: object) -> Any:
            """It is complete."""
            place = self._writing.pop(id(file_obj), None)
            closed = super().close(file_obj)
            if place is not None:
                written(place)
            return closed

    return Noticing


def _taking(base: _Base, directory: Path, *, on_close: bool) -> _Base:
    taken = directory / "taken"
    taken.mkdir(exist_ok=True)

    def take(place: bytes) -> None:
        path = Path(os.fsdecode(place))
        if path.is_file():
            there = taken / f"{next(_numbers):04d}" / path.relative_to(directory / "root")
            there.parent.mkdir(parents=True)
            shutil.move(path, there)

    class Taking(_noticing(base, take) if on_close else base):  # type: ignore[misc]
        def rename(self, oldpath: bytes, newpath: bytes) -> Any:
            """A file that gets a name for everybody has arrived."""
            renamed = super().rename(oldpath, newpath)
            self._arrived(newpath)
            return renamed

        def posix_rename(self, oldpath: bytes, newpath: bytes) -> Any:
            """As :meth:`rename`."""
            renamed = super().posix_rename(oldpath, newpath)
            self._arrived(newpath)
            return renamed

        def _arrived(self, path: bytes) -> None:
            if not path.rpartition(b"/")[2].startswith(b"."):
                take(self.map_path(path))

    return Taking


def _scanning(base: _Base, seconds: float) -> _Base:
    scanned_at: dict[bytes, float] = {}

    def scan(place: bytes) -> None:
        scanned_at[place] = time.monotonic() + seconds

    class Scanning(_noticing(base, scan)):  # type: ignore[misc]
        def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
            """Not what the scanner has."""
            self._refuse_locked(path)
            return super().open(path, pflags, attrs)

        def rename(self, oldpath: bytes, newpath: bytes) -> Any:
            """As :meth:`open`."""
            self._refuse_locked(oldpath)
            return super().rename(oldpath, newpath)

        def posix_rename(self, oldpath: bytes, newpath: bytes) -> Any:
            """As :meth:`open`."""
            self._refuse_locked(oldpath)
            return super().posix_rename(oldpath, newpath)

        def remove(self, path: bytes) -> Any:
            """As :meth:`open`."""
            self._refuse_locked(path)
            return super().remove(path)

        def _refuse_locked(self, path: bytes) -> None:
            if scanned_at.get(self.map_path(path), 0.0) > time.monotonic():
                raise asyncssh.SFTPPermissionDenied("The file is being scanned")

    return Scanning


def _is_directory(path: bytes) -> bool:
    return Path(os.fsdecode(path)).is_dir()


NOT_OFFERED = {"object-store": ("posix-rename", "fsync", "hardlink", "limits")}
"""Extensions that the model's server does not have."""
MODELS: Mapping[str, Callable[[_Base, Path, Times], _Base]] = {
    "object-store": _object_store,
    "mft-on-close": lambda base, directory, _: _taking(base, directory, on_close=True),
    "mft-on-rename": lambda base, directory, _: _taking(base, directory, on_close=False),
    "mft-scan": lambda base, _, times: _scanning(base, times.seconds),
}
