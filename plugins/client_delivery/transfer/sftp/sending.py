"""What sending a small and a large file have in common: the destination's tools, and what came of earlier tries."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from client_delivery.transfer.contract import DestinationUnavailable, NotRepeatable, Receipt, TransferError
from client_delivery.transfer.integrity import Digest
from client_delivery.transfer.sftp import proof
from client_delivery.transfer.sftp.create import Creator
from client_delivery.transfer.sftp.directory import RemoteDirectory
from client_delivery.transfer.sftp.packets import FAILURE, NO_SUCH_FILE, ConnectionLost, SftpError
from client_delivery.transfer.sftp.pool import ConnectionPool
from client_delivery.transfer.sftp.publication import Delivery, Publication
from client_delivery.transfer.sftp.publish import Publisher
from client_delivery.transfer.sftp.recipient import Recipient
from client_delivery.transfer.sftp.server import Server
from client_delivery.transfer.sftp.session import SftpSession
from client_delivery.transfer.sftp.stragglers import Stragglers
from client_delivery.transfer.throttle import Throttle

if TYPE_CHECKING:
    from client_delivery.config.model import SftpSection


_DIRECT = "size, direct"


@dataclass(frozen=True, slots=True)
class Tools:
    """What belongs to a destination, and serves every file."""

    config: SftpSection
    server: Server
    pool: ConnectionPool
    directory: RemoteDirectory
    creator: Creator
    publisher: Publisher
    recipient: Recipient
    stragglers: Stragglers
    throttle: Throttle
    mode: int | None


class Sending:
    """One attempt at one file, over as many connections as it takes.

    :param state: what an earlier attempt left in the checkpoint.
    """

    def __init__(self, tools: Tools, to: Delivery, state: Mapping[str, Any]) -> None:
        self.tools = tools
        self.to = to
        self.state = dict(state)
        self.alone = False
        """Whether it is to have a connection for itself: it has lost one before."""
        self._direct = tools.config.appear == "direct"

    @property
    def acknowledged(self) -> int:
        """How many bytes of the file the server has taken."""
        return 0

    def discard(self) -> None:
        """Nothing can go on with what is there."""
        if "part" in self.state:
            with (
                contextlib.suppress(SftpError, ConnectionLost, DestinationUnavailable),
                self.tools.pool.session() as sftp,
            ):
                self.tools.publisher.withdraw(sftp, self.state, self.to.path)
        self.state = {}

    def published_before(self) -> Receipt | None:
        """What an earlier try, here or in an earlier attempt, was about to publish: found out, and finished.

        None if there is nothing like that, or nothing to go on with. Raises :class:`NotRepeatable`.
        """
        to, publisher = self.to, self.tools.publisher
        if self.state.get("etag") == to.job.source.etag and "vanished" in self.state:
            raise publisher.vanished(self.state["vanished"], to.path)
        earlier = Publication.resumed(self.state, to.job.source.etag)
        if earlier is None:
            return None
        with self.tools.pool.session(alone=self.alone) as sftp:
            if earlier.part == to.path:
                found = publisher.look_up_direct(sftp, earlier, to)
                if found is not None and not found.checksum:
                    found = replace(found, checksum=f"crc32c:{self._read_through().crc32c}")
                if found is None:
                    self.state = {}
                return found
            if not earlier.refused and (receipt := publisher.look_up(sftp, earlier, to)):
                return receipt
            self.state = earlier.state()
            # A version that has been replaced in the pick-up since is not to appear any more.
            to.source.require_unchanged()
            if self._still_whole(sftp, earlier):
                return self.publish(sftp, earlier)
            # First the checkpoint: without the file, "publishing" in it would mean that it has been published.
            aside = {} if earlier.aside is None else {"aside": earlier.aside}
            self.state = {"part": earlier.part, "etag": earlier.etag, **aside}
            to.journal.checkpoint(self.state)
            publisher.withdraw(sftp, self.state, to.path)
        return None

    def publish(self, sftp: SftpSession, new: Publication) -> Receipt:
        """From here on the recipient may have it. Raises as :meth:`Publisher.publish` does."""
        self.state = new.state()
        self.tools.stragglers.remove(sftp, self.to.path, self.to.job.source.etag, alone=self.alone)
        try:
            return self.tools.publisher.publish(sftp, new, self.to)
        except NotRepeatable:
            raise
        except SftpError:
            # Nothing has appeared, and the next attempt only has to try the rename again.
            new.refused = True
            self.to.journal.checkpoint(new.state())
            raise
        finally:
            self.state = new.state()  # an older file may have been moved aside meanwhile

    # -- directly ----------------------------------------------------------------------------------------------------

    def begin_directly(self, sftp: SftpSession, digest: Digest | None) -> bytes:
        """Open the file under its final name: from here on the recipient may see it.

        :param digest: of the content, where it is known already.
        """
        to, uri = self.to, self.tools.directory.uri(self.to.path)
        checksum = f"crc32c:{digest.crc32c}" if digest else ""
        new = Publication(to.path, to.job.source.etag, Receipt(uri, to.source.object.size, checksum, _DIRECT))
        self.state = new.state()
        to.journal.checkpoint(self.state)
        to.journal.confirm()
        try:
            return self.tools.creator.final(sftp, to.path)
        except (SftpError, TransferError):
            self._nothing_there()
            raise

    def withdraw_directly(self, sftp: SftpSession) -> None:
        """The server refused the rest: what is there is no file that anybody should see.

        Raises :class:`NotRepeatable` if it has been taken away: another half would follow it.
        """
        try:
            sftp.remove(self.to.path)
        except SftpError as error:
            if error.code == NO_SUCH_FILE:
                why = "the server refused the rest of it, and the bytes that had arrived are no longer there"
                raise self.tools.publisher.unknown(self.to.path, why) from error
        self._nothing_there()

    def proven_directly(self, sftp: SftpSession, digest: Digest, told: int | None) -> Receipt:
        """A file that is gone by now has been taken; more than that the server took all of it is not known then."""
        sent = proof.Sent(self.to.path, self.tools.directory.uri(self.to.path), digest, told)
        try:
            receipt = self.proven(sftp, sent)
        except SftpError as error:
            if error.code not in (NO_SUCH_FILE, FAILURE):
                raise
            checksum = f"crc32c:{digest.crc32c}"
            receipt = Receipt(sent.uri, digest.size, checksum, "acknowledged", crc64nvme=digest.crc64nvme)
        return replace(receipt, verified_by=f"{receipt.verified_by}, direct")

    def proven(self, sftp: SftpSession, sent: proof.Sent) -> Receipt:
        """As :func:`proof.proven`, as the configuration says."""
        return proof.proven(sftp, self.tools.server, sent, read_back=self.tools.config.verify == "read_back")

    def _nothing_there(self) -> None:
        self.state = {}
        self.to.journal.checkpoint({"etag": self.to.job.source.etag})

    # -- plumbing ----------------------------------------------------------------------------------------------------

    def _unless_stopped(self) -> None:
        """While nothing moves, the journal is still asked whether to go on."""
        self.to.journal.progress(0)

    def _still_whole(self, sftp: SftpSession, earlier: Publication) -> bool:
        """It was verified before; the server may have crashed since."""
        tools, receipt = self.tools, earlier.receipt
        try:
            size = proof.settled_size(sftp, tools.server, earlier.part, receipt.size)
        except SftpError:
            return False
        if size != receipt.size:
            return False
        synced = tools.server.has_file_system and sftp.syncs
        return synced or bool(proof.holds(sftp, earlier.part, self.to.source, receipt.checksum))

    def _read_through(self) -> Digest:
        digest, source = self.to.source.digest(), self.to.source
        for piece in source.read(0, source.object.size):
            digest.update(piece)
        source.require_same(digest)
        return digest
