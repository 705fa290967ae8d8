"""Names as the recipient's server understands them: Windows' own, and names that differ in case only (R6.8)."""

from __future__ import annotations

import re
import threading

from client_delivery.transfer.contract import UnsafeName
from client_delivery.transfer.sftp.packets import SftpError
from client_delivery.transfer.sftp.server import Server
from client_delivery.transfer.sftp.session import SftpSession

_SPECIAL = re.compile(
    r'[\\:<>|*?"]|[. ](?:/|$)|(?:^|/)(?:con|prn|aux|nul|com\d|lpt\d)(?:\.[^/]*)?(?:/|$)', re.IGNORECASE
)
"""What Windows takes for a separator, a drive, a stream, a pattern or a device, and ends that it drops."""
_MOST_LISTED = 20_000


class Recipient:
    """The names that one destination has got in this batch, checked against what the server makes of them."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._taken: dict[str, str] = {}
        self._lock = threading.Lock()

    def require_plain(self, sftp: SftpSession, name: str, directory: str) -> None:
        """Refuse what a Windows server would take for something else. Raises :class:`UnsafeName`.

        Whether it is one is found out by a look at ``.\\.``: only where ``\\`` separates names, that is the directory.
        """
        found = _SPECIAL.search(name)
        if found is None:
            return
        if self._server.windows is None:
            try:
                sftp.stat(f"{directory.rstrip('/')}/.\\." if directory else ".\\.")
            except SftpError:
                # Where no stat succeeds, this one says nothing; then the worst is assumed.
                self._server.windows = not self._tells(sftp, directory)
            else:
                self._server.windows = True
        if self._server.windows:
            raise UnsafeName(
                f"The name {name!a} has {found.group()!a}, which means something else on a Windows server. This "
                "server runs Windows, or does not say. Rename the file."
            )

    def require_own_place(self, sftp: SftpSession, path: str, part: str, *, occupied: bool) -> None:
        """Refuse a name that the server does not tell from another one's. Raises :class:`UnsafeName`.

        :param part: a temporary file that is there.
        :param occupied: whether there is a file under the final name already.
        """
        with self._lock:
            first = self._taken.setdefault(path.casefold(), path)
        if first == path and not occupied:
            return
        if self._server.folds_case is None:
            self._server.folds_case = self._is_there(sftp, part.swapcase())
        if not self._server.folds_case:
            return
        other = first if first != path else self._spelling(sftp, path)
        if other is not None:
            raise UnsafeName(
                f"The server does not distinguish upper from lower case, and {other!a} is there in place of {path!a}. "
                "Nothing was overwritten. Rename the file, or ask the client to remove the other one."
            )

    @staticmethod
    def _spelling(sftp: SftpSession, path: str) -> str | None:
        """How the file that is in the way is written, if not like this."""
        directory, _, base = path.rpartition("/")
        try:
            names = sftp.list_names(directory or ("/" if path.startswith("/") else "."), _MOST_LISTED)
        except SftpError:
            return None
        if base in names:
            return None
        return next((name for name in names if name.casefold() == base.casefold()), None)

    def _tells(self, sftp: SftpSession, directory: str) -> bool:
        return self._server.tells or self._is_there(sftp, directory or ".")

    @staticmethod
    def _is_there(sftp: SftpSession, path: str) -> bool:
        try:
            sftp.stat(path, follow=False)
        except SftpError:
            return False
        return True
