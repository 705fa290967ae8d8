"""A large file: streamed, by several writers where the server takes that, and gone on with after a break (R6.7)."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from client_delivery.transfer.contract import IntegrityError, Receipt, SourceChanged, Superseded
from client_delivery.transfer.integrity import Digest
from client_delivery.transfer.sftp import proof
from client_delivery.transfer.sftp.create import Created
from client_delivery.transfer.sftp.directory import is_full
from client_delivery.transfer.sftp.lanes import LaneWriter, Opened, PartFile, StartedAnew
from client_delivery.transfer.sftp.packets import NO_SUCH_FILE, ConnectionLost, SftpError
from client_delivery.transfer.sftp.publication import Delivery, Publication
from client_delivery.transfer.sftp.sending import Sending, Tools
from client_delivery.transfer.sftp.session import SftpSession

_MOST_REFUSALS = 5
_MAY_GO_ON = ("open", "write", "read")
"""Operations after whose refusal one writer resumes the file, or starts it over: some servers refuse a second
writer, a second open, or just one request."""
_SPOILS = ("fsync", "close")
"""Operations whose refusal says that what was acknowledged is not to be relied on."""


class LargeFile(Sending):
    """Sent as the server takes it; at worst by one writer from its beginning to its end."""

    def __init__(self, tools: Tools, to: Delivery, state: Mapping[str, Any]) -> None:
        super().__init__(tools, to, state)
        self._reported = 0
        """How many bytes the journal knows of."""
        self._single = False
        """Whether there is to be one writer, from nothing."""
        self._plain = False
        """Whether this try is like that."""

    @property
    def acknowledged(self) -> int:
        """How many bytes of the file the server has taken."""
        return self._reported

    def attempt(self) -> Receipt:
        """Raises :class:`SftpError`, :class:`ConnectionLost`, and what the source and the journal raise."""
        refusals = 0
        while True:
            if receipt := self.published_before():
                return receipt
            before = self._reported
            try:
                return self._send_directly() if self._direct else self._send()
            except (proof.WrongContent, StartedAnew):
                if self._plain:
                    self.discard()
                    raise
                self._start_over()
            except (SourceChanged, IntegrityError):
                self.discard()
                raise
            except SftpError as error:
                if error.operation in _SPOILS:
                    self.discard()
                    self.to.journal.checkpoint({"etag": self.to.job.source.etag})
                    raise
                refusals += 1
                if refusals > _MOST_REFUSALS or error.operation not in _MAY_GO_ON or is_full(error):
                    raise
                if self._direct or (self._plain and self._reported <= before):
                    raise
                if self._reported <= before:
                    self._start_over()

    # -- one try -----------------------------------------------------------------------------------------------------

    def _send(self) -> Receipt:
        tools, to = self.tools, self.to
        with tools.pool.session() as sftp:
            tools.recipient.require_plain(sftp, to.job.name, tools.config.directory)
            part, created = self._adopted(sftp), None
            if part is None:
                created = self._created(sftp)
                part = PartFile.new(created.path, to.source, self._writers())
            edges = {offset for lane in part.lanes for offset in (lane.start, lane.reached, lane.end)}
            self._plain = created is not None and len(part.lanes) <= 1
            self._begin(sftp, part, created)
            opened = None if created is None else Opened(sftp, created.handle)
            told = self._written(part, opened)
            digest = part.whole(to.source)
            to.source.require_same(digest)
            receipt = self._proven(sftp, proof.Sent(part.path, tools.directory.uri(to.path), digest, told), edges)
            return self.publish(sftp, Publication(part.path, to.job.source.etag, receipt))

    def _writers(self) -> int:
        config, tools = self.tools.config, self.tools
        if self._single or (tools.mode is not None and not tools.mode & stat.S_IRUSR):
            return 1
        return config.connections if tools.server.several_writers(config.parallel_writes) else 1

    def _created(self, sftp: SftpSession) -> Created:
        tools, to = self.tools, self.to
        tools.publisher.require_temporary_names()
        tools.creator.remove_earlier(sftp, to.path, to.job.source.etag, to.job.token, self.state)
        tools.stragglers.look(to.path)
        created = tools.creator.temporary(sftp, to.path, to.job.source.etag, to.job.token)
        try:
            tools.recipient.require_own_place(sftp, to.path, created.path, occupied=created.occupied)
        except BaseException:
            self._remove(sftp, created)
            raise
        if self._reported:
            to.journal.progress(-self._reported)
            self._reported = 0
        return created

    def _begin(self, sftp: SftpSession, part: PartFile, created: Created | None) -> None:
        """Tell the ledger where the file grows."""
        if created is None and part.acknowledged > self._reported:
            self.to.journal.resumed(part.acknowledged - self._reported)
            self._reported = part.acknowledged
        self.state = part.state()
        try:
            self.to.journal.checkpoint(self.state)
        except Superseded:
            if created is not None:
                self._remove(sftp, created)
            raise

    def _written(self, part: PartFile, opened: Opened | None) -> int | None:
        """Write what is missing; the size that the server reports, if one writer wrote all of it."""
        tools, to = self.tools, self.to
        writer = LaneWriter(
            tools.pool, part, to.source, journal=to.journal, throttle=tools.throttle, opened=opened, mode=tools.mode
        )
        try:
            writer.run()
        finally:
            self.state, self._reported = part.state(), part.acknowledged
        return writer.told if self._plain else None

    def _adopted(self, sftp: SftpSession) -> PartFile | None:
        """Take over what an earlier try at the same content wrote, if the server still has what it acknowledged."""
        server, to = self.tools.server, self.to
        part = PartFile.resumed(self.state, to.job.source.etag)
        if part is None or not part.written or self._single or not (server.resumable and server.readable):
            return None
        if len(part.lanes) > 1 and not server.several_writers(self.tools.config.parallel_writes):
            return None
        name = self.tools.creator.name_for(to.path, to.job.source.etag, to.job.token)
        try:
            if part.path != name:
                sftp.rename(part.path, name)
                part.path = self.state["part"] = name
            found = sftp.stat(name, follow=False)
            regular = found.mode is None or not stat.S_IFMT(found.mode) or stat.S_ISREG(found.mode)
            if not regular or found.size is None or found.size < part.written:
                return None
            proof.require_resumable(sftp, part.path, part.lanes)
        except proof.WrongContent:
            self._single = True
            return None
        except SftpError as error:
            if error.operation == "read":
                server.readable = False
            return None
        return part

    def _proven(self, sftp: SftpSession, sent: proof.Sent, edges: set[int]) -> Receipt:
        server = self.tools.server
        try:
            receipt = self.proven(sftp, sent)
            if self._plain or receipt.verified_by == "read-back":
                return receipt
            if server.has_file_system:
                proof.require_stretches(sftp, sent.part, proof.edges_of(self.to.source, sorted(edges)))
                return receipt
            proof.require_whole(sftp, sent.part, sent.digest)
        except IntegrityError as error:
            raise (error if self._plain else proof.WrongContent(str(error))) from error
        except SftpError as error:
            if error.code == NO_SUCH_FILE:
                raise self.tools.publisher.gone(sent.part, self.to) from error
            if error.operation == "read" and not self._plain:
                server.readable = False
                raise proof.WrongContent(
                    f"{sent.uri}: what several connections wrote cannot be read back ({error})."
                ) from error
            raise
        return replace(receipt, verified_by="read-back")

    def _send_directly(self) -> Receipt:
        tools, to = self.tools, self.to
        with tools.pool.session() as sftp:
            tools.recipient.require_plain(sftp, to.job.name, tools.config.directory)
            tools.recipient.require_own_place(sftp, to.path, to.path, occupied=False)
            if self._reported:
                to.journal.progress(-self._reported)
                self._reported = 0
            self._plain = True
            handle = self.begin_directly(sftp, None)
            part, state = PartFile.new(to.path, to.source, 1), dict(self.state)
            writer = LaneWriter(
                tools.pool,
                part,
                to.source,
                journal=to.journal,
                throttle=tools.throttle,
                opened=Opened(sftp, handle),
                mode=tools.mode,
                state=lambda: state,
            )
            try:
                writer.run()
                digest: Digest = part.whole(to.source)
                to.source.require_same(digest)
            except (SftpError, SourceChanged, IntegrityError):
                self.withdraw_directly(sftp)
                raise
            finally:
                self._reported = part.acknowledged
            return self.proven_directly(sftp, digest, writer.told)

    def _start_over(self) -> None:
        """By one writer, from nothing."""
        server, lanes = self.tools.server, self.state.get("lanes", ())
        if len(lanes) > 1:
            server.spoilt_by_lanes = True
        else:
            server.resumable = False
        self.discard()
        self._single = True

    @staticmethod
    def _remove(sftp: SftpSession, created: Created) -> None:
        sftp.close(created.handle)
        with contextlib.suppress(SftpError, ConnectionLost):
            sftp.remove(created.path)
