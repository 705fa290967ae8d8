"""How a complete file gets its name (R6.5), so that the recipient gets it once and never loses what it has.

1. "Publishing" is in the checkpoint before anything is renamed; that write also is the last look at who owns the file.
2. The rename replaces an older file at once (``posix-rename@openssh.com``), or is refused where there is one. Then the
   older file is moved aside, and back if the rename fails. Nothing is deleted before the new file is in place.
3. When the response to a rename is lost, a later connection, or attempt, renames the temporary file to a name of its
   own. If that works, the rename had not taken effect, and cannot any more. If there is no such file, it had.
4. What cannot be known is not repeated: :class:`~client_delivery.transfer.contract.NotRepeatable` tells a person what
to ask.
"""

from __future__ import annotations

import contextlib
import stat
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from client_delivery.transfer.contract import (
    DestinationUnavailable,
    NotRepeatable,
    Receipt,
    SourceChanged,
    TransferError,
)
from client_delivery.transfer.sftp import proof
from client_delivery.transfer.sftp.directory import RemoteDirectory
from client_delivery.transfer.sftp.packets import FAILURE, NO_SUCH_FILE, Attributes, SftpError
from client_delivery.transfer.sftp.publication import Delivery, Publication
from client_delivery.transfer.sftp.server import Server
from client_delivery.transfer.sftp.session import SftpSession
from client_delivery.transfer.sftp.temporary import TemporaryNames

if TYPE_CHECKING:
    from client_delivery.config.model import SftpSection

_COPIES = 64 * 1024**2
"""Bytes per second at which a server that copies for a rename may still be at it when its connection broke."""
_SETTLES = 2.0


class Publisher:
    """Puts files in place, and finds out whether an earlier attempt did."""

    def __init__(self, config: SftpSection, directory: RemoteDirectory, names: TemporaryNames, server: Server) -> None:
        self._config = config
        self._directory = directory
        self._names = names
        self._server = server

    def publish(self, sftp: SftpSession, new: Publication, to: Delivery) -> Receipt:
        """Give a complete file its name. Raises :class:`SftpError` for a refusal after which nothing has changed."""
        new.refused = False
        to.journal.checkpoint(new.state())
        to.journal.confirm()
        earlier = new.aside
        seen = self._put_in_place(sftp, new, to)
        # An earlier try moved it aside and lost its connection: there was nothing left to replace.
        self._remove_aside(sftp, earlier)
        self._require_in_place(sftp, new.receipt, to.path, seen)
        return new.receipt

    def look_up(self, sftp: SftpSession, earlier: Publication, to: Delivery) -> Receipt | None:
        """Whether a rename whose response nobody has got took effect: its receipt, or None if it did not.

        Then ``earlier.part`` is the temporary file's name, and no straggler can rename it any more. Raises
        :class:`NotRepeatable` if it cannot be known.
        """
        self._let_settle(sftp, earlier)
        names = [earlier.part, *earlier.claimed]
        mine = self._names.path(to.path, earlier.etag, f"{to.job.token}.{len(names)}", self._server.form)
        earlier.claimed.append(mine)
        to.journal.checkpoint(earlier.state())
        for name in reversed(names):
            try:
                sftp.rename(name, mine, size=earlier.receipt.size)
            except SftpError as error:
                there = False if error.code == NO_SUCH_FILE else self.is_there(sftp, name)
                if there is None:
                    why = f"the server does not tell whether {name!r} is still there"
                    raise self.unknown(to.path, why) from error
                if there:
                    earlier.part, earlier.claimed = name, []
                    return None
            else:
                earlier.part, earlier.claimed = mine, []
                return None
        if not self._is_ours(sftp, earlier.receipt, to):
            try:
                to.source.require_unchanged()
            except SourceChanged as error:
                # An attempt at the newer version may have removed the temporary file before its rename.
                why = "its temporary file is gone, and there is a newer version of it since"
                raise self.unknown(to.path, why) from error
        self._remove_aside(sftp, earlier.aside)
        return earlier.receipt

    def look_up_direct(self, sftp: SftpSession, earlier: Publication, to: Delivery) -> Receipt | None:
        """As :meth:`look_up`, for a file that was being written under its own name."""
        path, receipt = to.path, earlier.receipt
        try:
            size = proof.settled_size(sftp, self._server, path, receipt.size)
        except SftpError as error:
            why = "it is not there: the recipient may have taken it, or nothing may have arrived"
            raise self.unknown(path, why) from error
        if size is None:
            raise self.unknown(path, "the server does not say what it has there")
        if size != receipt.size:
            return None
        held = proof.holds(sftp, path, to.source, receipt.checksum)
        if held is None:
            raise self.unknown(path, "a file of its size is there, which the server does not let us read")
        return receipt if held else None

    def withdraw(self, sftp: SftpSession, state: Mapping[str, Any], path: str) -> None:
        """No attempt follows: give an older file that was moved aside its name back, and remove the temporary one.

        Where there is a newer one by now, the older one has been replaced.
        """
        aside = state.get("aside")
        if aside is not None:
            there = self.is_there(sftp, path)
            if there is False:
                with contextlib.suppress(SftpError):
                    sftp.rename(aside, path)
            elif there:
                self._remove_aside(sftp, aside)
        for name in (state["part"], *state.get("claimed", ())):
            if name != path:
                with contextlib.suppress(SftpError):
                    sftp.remove(name)

    def is_there(self, sftp: SftpSession, path: str) -> bool | None:
        """Whether a name exists; None if the server does not tell."""
        try:
            sftp.stat(path, follow=False)
        except SftpError as error:
            missing = error.code == NO_SUCH_FILE or (error.code == FAILURE and self._server.tells)
            return False if missing else None
        self._server.tells = True
        return True

    def unknown(self, path: str, why: str) -> NotRepeatable:
        """It cannot be known whether the recipient has the file."""
        return NotRepeatable(
            f"{self._directory.uri(path)}: it is not known whether the recipient has this file: {why}. It will not "
            "be sent again automatically. Ask the client: if it has the file, remove the file from the pick-up; "
            "if not, clear the run, and the file is sent again."
        )

    def gone(self, part: str, to: Delivery) -> TransferError:
        """The temporary file is gone after it was closed: a newer attempt's by now, which ends this one here, or taken
        away by the server."""
        to.journal.checkpoint({"etag": to.job.source.etag, "vanished": part})
        self._server.takes_closed = part
        return self.vanished(part, to.path)

    def vanished(self, part: str, path: str) -> TransferError:
        """The server has taken the temporary file away."""
        return NotRepeatable(
            f"{self._directory.uri(path)}: the server took the file away under its temporary name, {part!r}, as "
            "soon as it was closed. The recipient may have it under that name. It will not be sent again "
            "automatically. If a server takes every file as soon as it is closed, set destination.appear: direct, "
            "or staging with a staging_directory that it leaves alone. Then ask the client what became of this "
            "file: if it has the file, remove the file from the pick-up; if not, clear the run, and the file is "
            "sent again."
        )

    def require_temporary_names(self) -> None:
        """Nothing more is handed to a server that takes files by their temporary names."""
        if self._server.takes_closed is not None:
            raise DestinationUnavailable(
                f"{self._directory.where}: the server took {self._server.takes_closed!r} away as soon as it was "
                "closed, under its temporary name. No more files are sent that way: set destination.appear: direct, "
                "or staging with a staging_directory that the server leaves alone."
            )

    # -- plumbing ----------------------------------------------------------------------------------------------------

    def _put_in_place(self, sftp: SftpSession, new: Publication, to: Delivery) -> Attributes | SftpError:
        """Returns what was seen at the final name. Raises :class:`SftpError` if the rename is refused."""
        try:
            return self._rename(sftp, new, to.path)
        except SftpError as error:
            refused = error
        there = self.is_there(sftp, new.part)
        if refused.code == NO_SUCH_FILE and there is not False and self._directory.forget(to.path):
            # The directory may have been removed meanwhile, with the last file that was taken from it.
            try:
                return self._directory.within(sftp, to.path, lambda: self._rename(sftp, new, to.path))
            except SftpError as error:
                refused = error
        if (refused.code == NO_SUCH_FILE and not there) or (refused.code == FAILURE and there is False):
            raise self.gone(new.part, to)
        if self._is_directory(sftp, to.path):
            raise SftpError(refused.code, "the recipient has a directory of that name", refused.operation)
        if self.is_there(sftp, to.path) is not False:
            return self._replace_by_moving(sftp, new, to, refused)
        raise refused

    @staticmethod
    def _is_directory(sftp: SftpSession, path: str) -> bool:
        """Whether the server says so. Nobody's directory is moved aside, for it would not come back."""
        try:
            mode = sftp.stat(path, follow=False).mode
        except SftpError:
            return False
        return mode is not None and stat.S_ISDIR(mode)

    @staticmethod
    def _rename(sftp: SftpSession, new: Publication, path: str) -> Attributes | SftpError:
        size = new.receipt.size
        if sftp.replaces:
            try:
                return sftp.rename(new.part, path, replace=True, size=size)
            except SftpError as error:
                if error.code == NO_SUCH_FILE:
                    raise
        return sftp.rename(new.part, path, size=size)

    def _replace_by_moving(
        self, sftp: SftpSession, new: Publication, to: Delivery, refused: SftpError
    ) -> Attributes | SftpError:
        """Where nothing renames over a file: the older one makes way, and comes back if ours cannot take its place."""
        new.aside = aside = self._names.path(to.path, new.etag, f"{to.job.token}.old", self._server.form)
        to.journal.checkpoint(new.state())
        try:
            sftp.rename(to.path, aside)
        except SftpError:
            raise refused from None
        try:
            seen = sftp.rename(new.part, to.path, size=new.receipt.size)
        except SftpError as error:
            try:
                sftp.rename(aside, to.path)
            except SftpError as stuck:
                raise NotRepeatable(
                    f"{self._directory.uri(to.path)}: the server refuses to rename the new file ({error}), and to give "
                    f"the older one its name back ({stuck}): it is {aside!r} now, and the new one {new.part!r}. Ask "
                    "the client to rename one of them."
                ) from error
            raise
        self._remove_aside(sftp, aside)
        return seen

    @staticmethod
    def _remove_aside(sftp: SftpSession, aside: str | None) -> None:
        if aside is not None:
            with contextlib.suppress(SftpError):
                sftp.remove(aside)

    def _require_in_place(self, sftp: SftpSession, receipt: Receipt, path: str, seen: Attributes | SftpError) -> None:
        """The final name is looked at again. It may be gone: the recipient takes files away."""
        if isinstance(seen, SftpError) or seen.size in (None, receipt.size):
            return
        try:
            size = proof.settled_size(sftp, self._server, path, receipt.size, exactly=True)
        except SftpError:
            return
        if size not in (None, receipt.size):
            raise self.unknown(path, f"it was renamed, but has {size} bytes there and not {receipt.size}")

    def _is_ours(self, sftp: SftpSession, receipt: Receipt, to: Delivery) -> bool:
        """Whether what was renamed is still there. Raises :class:`NotRepeatable` if something else is."""
        path = to.path
        try:
            size = proof.settled_size(sftp, self._server, path, receipt.size)
        except SftpError:
            return False  # taken away already
        if size is None:
            return False
        held = proof.holds(sftp, path, to.source, receipt.checksum) if size == receipt.size else False
        if held is False:
            raise self.unknown(path, "the temporary file is gone, but what is there has another content")
        return bool(held)

    def _let_settle(self, sftp: SftpSession, earlier: Publication) -> None:
        """A server that copies for a rename goes on with it when its connection is gone."""
        if self._server.has_file_system:
            return
        deadline = time.monotonic() + _SETTLES + earlier.receipt.size / _COPIES
        while self.is_there(sftp, earlier.part) and time.monotonic() < deadline:
            time.sleep(0.5)
