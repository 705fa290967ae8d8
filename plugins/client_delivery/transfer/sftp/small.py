"""A small file: held whole, three round trips, on a connection that it shares with others."""

from __future__ import annotations

import contextlib

from client_delivery.transfer.contract import Interrupted, Receipt
from client_delivery.transfer.integrity import Digest
from client_delivery.transfer.sftp import proof
from client_delivery.transfer.sftp.packets import NO_SUCH_FILE, ConnectionLost, SftpError
from client_delivery.transfer.sftp.publication import Publication
from client_delivery.transfer.sftp.sending import Sending
from client_delivery.transfer.sftp.session import SftpSession


class SmallFile(Sending):
    """Sent by one writer, again from its beginning after every break."""

    def attempt(self) -> Receipt:
        """Raises :class:`SftpError`, :class:`ConnectionLost`, and what the source and the journal raise."""
        if receipt := self.published_before():
            return receipt
        content, digest = self.to.source.whole(self.tools.throttle)
        with self.tools.pool.session(shared=True, alone=self.alone) as sftp:
            self.tools.recipient.require_plain(sftp, self.to.job.name, self.tools.config.directory)
            send = self._directly if self._direct else self._aside
            receipt = send(sftp, content, digest)
        self.to.journal.progress(len(content))
        return receipt

    def _aside(self, sftp: SftpSession, content: bytes, digest: Digest) -> Receipt:
        tools, to = self.tools, self.to
        tools.publisher.require_temporary_names()
        tools.creator.remove_earlier(sftp, to.path, to.job.source.etag, to.job.token, self.state)
        tools.stragglers.look(to.path)
        created = tools.creator.temporary(sftp, to.path, to.job.source.etag, to.job.token)
        try:
            told = sftp.write_whole(created.handle, content, tools.mode, self._unless_stopped).size
            tools.recipient.require_own_place(sftp, to.path, created.path, occupied=created.occupied)
            sent = proof.Sent(created.path, tools.directory.uri(to.path), digest, told)
            try:
                receipt = self.proven(sftp, sent)
            except SftpError as error:
                if error.code == NO_SUCH_FILE:
                    raise tools.publisher.gone(created.path, to) from error
                raise
            return self.publish(sftp, Publication(created.path, to.job.source.etag, receipt))
        except ConnectionLost:
            raise
        except Interrupted:
            if "publishing" not in self.state:
                sftp.remove_if_quick(created.path)
            raise
        except BaseException:
            # No attempt can use it: it is not left on the client's server. Once "publishing" is in the checkpoint, a
            # temporary file that is gone would mean that it has been published.
            if "publishing" not in self.state:
                with contextlib.suppress(SftpError, ConnectionLost):
                    sftp.remove(created.path)
            raise

    def _directly(self, sftp: SftpSession, content: bytes, digest: Digest) -> Receipt:
        self.tools.recipient.require_own_place(sftp, self.to.path, self.to.path, occupied=False)
        handle = self.begin_directly(sftp, digest)
        try:
            told = sftp.write_whole(handle, content, self.tools.mode, self._unless_stopped).size
        except SftpError:
            self.withdraw_directly(sftp)
            raise
        return self.proven_directly(sftp, digest, told)
