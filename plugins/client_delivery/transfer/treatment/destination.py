"""A destination whose files are compressed and encrypted first: prepared in a place of ours, then delivered from there.

The engine then delivers what it always delivers: an object whose bytes are fixed. So parts go at once, a resume goes on
where it was, and what has arrived is recognised, although no two encryptions of a file are alike
(docs/decisions/0036-prepare-then-deliver.md).
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from client_delivery.transfer.contract import (
    Destination,
    Job,
    Journal,
    Receipt,
    SourceChanged,
    Superseded,
    TooLarge,
    TransferError,
)
from client_delivery.transfer.integrity import Digest
from client_delivery.transfer.prepared import Prepared
from client_delivery.transfer.reading.carried import NOTHING, Carried
from client_delivery.transfer.reading.source import Source
from client_delivery.transfer.throttle import Throttle
from client_delivery.transfer.treatment.compression import compressor

if TYPE_CHECKING:
    from client_delivery.config.treatment import Compression
    from client_delivery.transfer.s3_wire.access import S3Access
    from client_delivery.transfer.treatment.area import PreparedArea
    from client_delivery.transfer.treatment.encryption import Encryption

_SMALL = 4 * 1024**2
"""Bytes up to which a file is treated in memory, at once: some 20 ms of encryption, which hold up everybody else."""
_LARGE_AT_ONCE = 2
"""Large files that one process prepares at a time: each takes a CPU, and up to 100 MiB."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """What is done to each file."""

    compress: Compression | None
    encryption: Encryption | None
    suffixes: str
    """What it has behind its name for that."""
    keep_metadata: bool
    """Whether the file keeps its user metadata from the pick-up. Its type and encoding it does not: it has others."""

    def digest(self, job: Job) -> str:
        """What the file, and all that is done to it, is told by."""
        encryption = self.encryption
        facts = [
            job.source.bucket,
            job.source.key,
            job.source.etag,
            job.source.version_id,
            job.source.size,
            job.name,
            self.compress,
            encryption and [*(key.fingerprint for key in encryption.recipients)],
            encryption and (encryption.signer.fingerprint if encryption.signer else ""),
            encryption and encryption.armor,
            self.keep_metadata,
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]

    def most(self, size: int) -> int:
        """Bytes that come of so many at most: what cannot be compressed grows a little, armor takes a third."""
        grown = size + size // 1000 + 1024**2
        armored = self.encryption is not None and self.encryption.armor
        return grown * 4 // 3 + grown // 40 if armored else grown


class TreatedDestination:
    """Wraps an open destination whose engine reads from the prepared area.

    :param source_s3: an identity that may read the pick-up.
    """

    def __init__(
        self, inner: Destination, treat: Callable[[], Treatment], area: PreparedArea, source_s3: S3Access
    ) -> None:
        self._inner = inner
        self._treat = treat
        self._area = area
        self._source_s3 = source_s3
        self._large = threading.Semaphore(_LARGE_AT_ONCE)

    def __enter__(self) -> Self:
        # First the keys: where they are of no use, nobody needs to be connected to.
        self._treatment = self._treat()
        self._inner = self._inner.__enter__()
        self.parallel_jobs = self._inner.parallel_jobs
        return self

    def __exit__(self, *exc: object) -> None:
        self._inner.__exit__(*exc)

    def deliver(self, job: Job, journal: Journal) -> Receipt:
        """Prepare the file, unless an earlier attempt has, and deliver it."""
        state = _State.of(job.resume)
        prepared = state.prepared
        if prepared is None or not self._good(prepared, job):
            self._forget(job.name, state)
            prepared = self._prepare(job, journal)
            state = _State(prepared, None)
            try:
                journal.checkpoint(state.written())
            except Superseded:
                self.remove(prepared)
                raise
        from_area = replace(job, source=self._area.source(prepared), resume=state.engine)
        try:
            receipt = self._inner.deliver(from_area, _Within(journal, prepared))
        except SourceChanged as error:
            raise TransferError(
                f"The prepared copy of {json.dumps(job.name)} was removed from the prepared area, or changed, while it "
                "was delivered. The next attempt prepares it again."
            ) from error
        return replace(receipt, crc64nvme=prepared.source_crc64nvme, prepared=prepared)

    def discard(self, name: str, resume: Mapping[str, Any]) -> None:
        """Remove what an attempt left that will not be resumed, at the destination and in the prepared area."""
        self._forget(name, _State.of(resume))

    def remove(self, prepared: Prepared) -> None:
        """Remove what was delivered from the prepared area. Raises :class:`TransferError`."""
        self._area.remove(prepared)

    def _forget(self, name: str, state: _State) -> None:
        if state.engine is not None:
            self._inner.discard(name, state.engine)
        if state.prepared is not None:
            with suppress(TransferError):  # the bucket's lifecycle rule does, in seven days
                self._area.remove(state.prepared)

    def _good(self, prepared: Prepared, job: Job) -> bool:
        """Whether it is of this very file, by the keys of today, and still there."""
        return prepared.made_by == self._treatment.digest(job) and self._area.has(prepared)

    def _prepare(self, job: Job, journal: Journal) -> Prepared:
        source, treatment = Source(self._source_s3, job.source), self._treatment
        made_by = treatment.digest(job)
        key = self._area.key(f"{job.source.bucket}/{job.source.key}/{job.source.etag}", job.token)
        most = treatment.most(job.source.size)
        try:
            self._area.part_size(most)
        except ValueError:
            raise TooLarge(
                f"{source.where} has {job.source.size} bytes: files of that size cannot be compressed or encrypted "
                "here. Nothing was sent. Have the file split before it is dropped."
            ) from None
        about = self._about(source)
        if job.source.size <= _SMALL:
            content, read = source.whole(Throttle(None))
            etag, made = self._area.put(key, self._whole(job, content), about)
        else:
            with self._turn(journal):
                read = source.digest()
                with closing(self._stream(job, source, read, journal)) as pieces:
                    etag, made = self._area.put_stream(key, pieces, most, about)
        return Prepared(
            bucket=self._area.bucket,
            key=key,
            etag=etag,
            size=made.size,
            source_size=read.size,
            source_checksum=f"crc32c:{read.crc32c}",
            source_crc64nvme=read.crc64nvme or "",
            made_by=made_by,
        )

    @contextmanager
    def _turn(self, journal: Journal) -> Iterator[None]:
        """When a large file may be prepared. A task that is told to stop does not begin."""
        while not self._large.acquire(timeout=1):
            journal.progress(0)
        try:
            journal.progress(0)
            yield
        finally:
            self._large.release()

    def _about(self, source: Source) -> Carried:
        return Carried(metadata=source.carried().metadata) if self._treatment.keep_metadata else NOTHING

    def _member(self, job: Job) -> str:
        """What the file is called inside a zip file: as it would be called without what is done to it."""
        return job.name.removesuffix(self._treatment.suffixes).rpartition("/")[2]

    def _whole(self, job: Job, content: bytes) -> bytes:
        step = compressor(self._treatment.compress, member=self._member(job), size=len(content))
        done = step.feed(content) + step.finish()
        return self._treatment.encryption.whole(done) if self._treatment.encryption else done

    def _stream(self, job: Job, source: Source, read: Digest, journal: Journal) -> Generator[bytes]:
        compressed = self._compressed(job, source, read, journal)
        return self._treatment.encryption.stream(compressed) if self._treatment.encryption else compressed

    def _compressed(self, job: Job, source: Source, read: Digest, journal: Journal) -> Generator[bytes]:
        size = job.source.size
        step = compressor(self._treatment.compress, member=self._member(job), size=size)
        for piece in source.read(0, size):
            journal.progress(0)
            read.update(piece)
            if ready := step.feed(piece):
                yield ready
        # The end is not given out before it is known to be the end of the right bytes.
        source.require_same(read)
        if rest := step.finish():
            yield rest


@dataclass(frozen=True, slots=True)
class _State:
    """What an earlier attempt left: the prepared object, and how far the engine has come with it."""

    prepared: Prepared | None
    engine: Mapping[str, Any] | None

    @classmethod
    def of(cls, resume: Mapping[str, Any] | None) -> _State:
        if not resume:
            return cls(None, None)
        if "prepared" not in resume:
            return cls(None, resume)  # from before anything was done to this client's files
        return cls(Prepared.resumed(resume["prepared"]), resume.get("engine"))

    def written(self) -> dict[str, Any]:
        """For the checkpoint."""
        prepared = self.prepared.state() if self.prepared else None
        return {"prepared": prepared, **({} if self.engine is None else {"engine": dict(self.engine)})}


class _Within:
    """The engine's journal while it delivers a prepared object: that goes into every checkpoint."""

    def __init__(self, journal: Journal, prepared: Prepared) -> None:
        self._journal = journal
        self._prepared = prepared
        self.confirm = journal.confirm
        self.resumed = journal.resumed
        self.progress = journal.progress

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """Keep both. Raises :class:`Superseded`."""
        self._journal.checkpoint(_State(self._prepared, state).written())
