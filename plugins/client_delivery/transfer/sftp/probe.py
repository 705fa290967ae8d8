"""Tries an SFTP server before the first file: by the connection, the login and the deliveries of the engine itself.

What a delivery does is tried by delivering: one small file, and another that replaces it. What only decides how fast
or how well it goes (:mod:`client_delivery.transfer.sftp.abilities`) is asked of the server step by step.
"""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

from client_delivery.transfer.contract import DestinationUnavailable, Receipt, TransferError
from client_delivery.transfer.finding import DELIVERED, Findings
from client_delivery.transfer.naming import remote_path
from client_delivery.transfer.reach import milliseconds
from client_delivery.transfer.reading.held import HeldFiles, NoJournal
from client_delivery.transfer.sftp.abilities import Abilities, connected_again
from client_delivery.transfer.sftp.destination import SftpDestination
from client_delivery.transfer.sftp.directory import RemoteDirectory, is_full
from client_delivery.transfer.sftp.packets import NO_SUCH_FILE, PERMISSION_DENIED, ConnectionLost, SftpError
from client_delivery.transfer.sftp.probe_leftovers import Leftovers
from client_delivery.transfer.sftp.probe_way import Way
from client_delivery.transfer.sftp.server import Server
from client_delivery.transfer.sftp.temporary import TemporaryNames

if TYPE_CHECKING:
    from client_delivery.config.model import SftpSection
    from client_delivery.transfer.secret import Secret
    from client_delivery.transfer.sftp.session import SftpSession

_DIRECTORIES = {
    "directory": ("Directory", "where files are to go"),
    "staging_directory": ("Staging directory", "where files may rest until they are complete"),
}
"""By the field that names it: what it is called, and what to ask if it is missing."""
_OR_LEAVE = (
    " Or agree that a test file stays, and test again with LEAVE=1. Whether files can be created and renamed is not "
    "known until then."
)
_ASK = {
    "open": "Let {user} create files in {directory}. If it takes certain names only, say which.",
    "write": "Let {user} write files in {directory}, and make room there.",
    "fsync": "Check the disk of {directory}.",
    "close": "Say why the server refuses a file at its end: a virus scanner, a quota?",
    "rename": "Let {user} rename files in {directory}.",
    "mkdir": "Create {directory}, or let {user} do it.",
    "read": "Let {user} read files in {directory}.",
    "stat": "Let {user} look at files in {directory}.",
    "remove": "Let {user} remove files in {directory}.",
}


class SftpProbe:
    """One test of one server.

    :param name: of the probe file; nobody else has a file of that name.
    :param leave: whether to write a file although the account says that it may not remove it.
    """

    def __init__(
        self, config: SftpSection, secret: Secret, findings: Findings, *, name: str, leave: bool = False
    ) -> None:
        self._config = config
        self._secret = secret
        self._findings = findings
        self._name = name
        self._leave = leave
        self._path = remote_path(config.directory, name)
        self._user = repr(config.username)
        self._leftovers = Leftovers(config, secret, findings, path=self._path, ask=self._asked("remove"))
        self._handed_over = False
        """Whether the recipient's side has taken a file away."""

    def run(self, *, write: bool) -> None:
        """Try it. With ``write`` false, no file is written. Raises nothing that a server can cause."""
        connection = Way(self._config, self._secret, self._findings).connected()
        if connection is None:
            return
        looked = may_write = may_remove = False
        try:
            looked = self._look(connection.sftp)
            if looked and write:
                may_remove = self._may_remove(connection.sftp)
                # Servers that create what they are to open need not be asked where the delivery itself tells.
                may_write = may_remove or self._may_write(connection.sftp)
        except ConnectionLost as error:
            self._hung_up(error)
            return
        finally:
            # Deliveries make connections of their own, and a server may allow one at a time.
            connection.close()
        if looked and write:
            self._try_files(may_write=may_write, may_remove=may_remove)

    def _hung_up(self, error: ConnectionLost) -> None:
        told = f"it was lost in the middle of the test: {error}"
        self._findings.no("Connection", told, "Say why the server hangs up.")

    # -- the directory -----------------------------------------------------------------------------------------------

    def _look(self, sftp: SftpSession) -> bool:
        """Whether the directory is there, as far as the server tells."""
        there = [
            self._is_directory(sftp, name, field) for field, name in RemoteDirectory(self._config).configured.items()
        ]
        if not all(there):
            return False
        self._tell_listing(sftp)
        return True

    def _is_directory(self, sftp: SftpSession, directory: str, field: str) -> bool:
        """False if it is known not to be there."""
        what, use = _DIRECTORIES[field]
        began = time.monotonic()
        try:
            RemoteDirectory(self._config).require_one(sftp, directory, field)
        except DestinationUnavailable as error:
            ask = f"Create the directory {directory!r} for {self._user}, or say {use}."
            self._findings.no(what, str(error), ask)
            return False
        try:
            sftp.stat(directory)
        except SftpError as error:
            self._findings.unknown(what, f"the server does not let us look at {directory!r}: {error}")
        else:
            self._findings.yes(what, f"{directory!r} is there; a response takes {milliseconds(began)}")
        return True

    def _tell_listing(self, sftp: SftpSession) -> None:
        try:
            sftp.list_names(self._config.directory, 1)
        except SftpError as error:
            self._findings.unknown("Listing", f"refused ({error}); deliveries do without it")
        else:
            self._findings.yes("Listing", "the directory can be listed")

    # -- files -------------------------------------------------------------------------------------------------------

    def _try_files(self, *, may_write: bool, may_remove: bool) -> None:
        if not may_write:
            ask = f"Let {self._user} create, write and rename files in {self._config.directory!r}."
            self._findings.no("Writing", f"{self._user} may not write files", ask)
        if not may_remove and not self._leave:
            self._findings.no(
                "Removing",
                f"{self._user} may not remove files, so a test file would stay. None was written",
                self._asked("remove") + (_OR_LEAVE if may_write else ""),
                needed=False,
            )
            return
        if not may_write:
            return
        server = self._try_deliveries()
        try:
            with closing(connected_again(self._config, self._secret)) as connection:
                self._try_abilities(connection.sftp, server, files=may_remove)
        except ConnectionLost as error:
            self._hung_up(error)
        except DestinationUnavailable as error:
            self._leftovers.may_be_there(error)

    def _try_abilities(self, sftp: SftpSession, server: Server | None, *, files: bool) -> None:
        """What else the server can do, if a delivery arrived; nothing of the test is there afterwards."""
        made: list[str] = []
        try:
            if server is not None:
                abilities = Abilities(
                    self._config,
                    self._secret,
                    self._findings,
                    names=TemporaryNames(self._config),
                    server=server,
                    path=self._path,
                )
                made = abilities.made
                abilities.try_all(sftp, files=files)
        finally:
            self._leftovers.remove(sftp, made, handed_over=self._handed_over)

    def _may_remove(self, sftp: SftpSession) -> bool:
        """False if the server says so of a file that nobody has."""
        try:
            sftp.remove(self._path)
        except SftpError as error:
            return error.code != PERMISSION_DENIED
        return True

    def _may_write(self, sftp: SftpSession) -> bool:
        """False if the server says so when a file that nobody has is opened for writing, and not to be created.

        OpenSSH refuses every such open where the account is read-only (``sftp-server -R``), and others know no such
        file.
        """
        try:
            handle = sftp.open_existing(self._path, write=True)
        except SftpError as error:
            return error.code != PERMISSION_DENIED
        sftp.close(handle)
        self._findings.left.append(f"{self._path}: the server made it, empty, when it was asked whether files can be")
        return True

    def _try_deliveries(self) -> Server | None:
        """What deliveries have found out about the server; None if none arrived."""
        files, findings, config = HeldFiles(), self._findings, self._config
        target = SftpDestination(config, self._secret, files)
        try:
            with target:
                receipt = target.deliver(files.job(self._name, _CONTENT, 1), NoJournal())
                findings.yes(DELIVERED, f"a file of {len(_CONTENT)} bytes {self._how(receipt)}")
                if self._is_there(target):
                    self._try_replacing(target, files)
                    self._tell_form(target.server)
                else:
                    self._handed_over = True
                    findings.unknown(
                        "Taken away",
                        f"the recipient's side has taken {self._path!r} away: tell them that it was a test",
                    )
        except TransferError as error:
            self._failed(DELIVERED, error)
            return None
        return target.server

    def _try_replacing(self, target: SftpDestination, files: HeldFiles) -> None:
        try:
            target.deliver(files.job(self._name, _SECOND, 2), NoJournal())
            with target.session() as sftp:
                replaces = sftp.replaces
        except TransferError as error:
            self._failed("Replacing", error)
            return
        at_once = "at once" if replaces else "without posix-rename there may be a moment without either"
        how = "it is emptied first" if self._config.appear == "direct" else at_once
        self._findings.yes("Replacing", f"a file of the same name is replaced ({how})")

    def _how(self, receipt: Receipt) -> str:
        how = {"direct": "written under its own name", "staging": "moved from the staging directory"}
        return f"arrived: {how.get(self._config.appear, 'renamed into its place')}, verified by {receipt.verified_by}"

    def _tell_form(self, server: Server) -> None:
        """Under which temporary names."""
        forms = TemporaryNames(self._config).forms
        form = forms[server.form]
        shown = f"{form.prefix}<name>…{form.suffix}"
        if self._config.appear == "direct":
            self._findings.unknown("Temporary names", "not used: appear: direct")
        elif server.form:
            self._findings.unknown(
                "Temporary names", f"{forms[0].prefix}…{forms[0].suffix} is refused; {shown} is taken"
            )
            self._findings.fit("temporary_prefix", form.prefix, "so that the first form is not tried in vain")
            self._findings.fit("temporary_suffix", form.suffix, "so that the first form is not tried in vain")
        else:
            self._findings.yes("Temporary names", f"{shown} is taken")

    def _failed(self, what: str, error: TransferError) -> None:
        cause = error.__cause__
        operation = cause.operation if isinstance(cause, SftpError) else ""
        ask = self._asked(operation) if operation else "Follow the message above."
        if "as soon as it was closed" in str(error):
            self._handed_over = True
            ask = (
                "Leave files with temporary names alone until they are renamed, or give us a directory in which they "
                "rest. And: the test file was taken; it holds no data."
            )
            self._findings.fit("appear", "direct", "the server takes every file that is closed, whatever its name")
        elif operation == "rename" and self._config.appear == "staging":
            ask = (
                f"Is {self._config.staging_directory!r} on the same file system as {self._config.directory!r}? No "
                f"server moves a file from one to another. If it is, let {self._user} move files between the two; if "
                "not, give us a directory on the same one."
            )
            self._findings.fit(
                "appear",
                "rename",
                "files are then written in their own directories; no file has to be moved between systems",
            )
        elif operation == "rename":
            self._findings.fit("appear", "direct", "if no rename is allowed: the partner may see unfinished files")
        elif isinstance(cause, SftpError) and is_full(cause):
            ask = f"Make room in {self._config.directory!r}, or raise the quota of {self._user}."
        self._findings.no(what, str(error), ask, needed=what == DELIVERED)

    def _asked(self, operation: str) -> str:
        directory = repr(self._config.directory)
        return _ASK.get(operation, "Follow the message above.").format(user=self._user, directory=directory)

    def _is_there(self, target: SftpDestination) -> bool:
        """False only if the server says that it is gone."""
        try:
            with target.session() as sftp:
                sftp.stat(self._path, follow=False)
        except SftpError as error:
            return error.code != NO_SUCH_FILE
        except ConnectionLost:
            return True
        return True


_CONTENT = b"This is a test of the file delivery. It holds no data and may be removed.\n"
_SECOND = b"This is the second test of the file delivery. It holds no data and may be removed.\n"
