"""Attempts at an older version of a file that may still sleep right before their rename (R3.5).

The ledger cannot stop them any more, and SFTP knows no condition for a rename. But without its temporary file, a rename
does nothing: so a newer version's attempt removes those of older ones before it puts its own in place. Where they are
is asked once for each directory, beside the sending; what comes later has asked the ledger later, too.
"""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.sftp.packets import ConnectionLost, SftpError
from client_delivery.transfer.sftp.pool import ConnectionPool
from client_delivery.transfer.sftp.session import SftpSession
from client_delivery.transfer.sftp.temporary import TemporaryNames

_MOST_LISTED = 20_000
_AT_ONCE = 2

_Found = Mapping[str, list[tuple[str, str]]]


class Stragglers:
    """Temporary files of other versions, by the names of the files."""

    def __init__(self, names: TemporaryNames, pool: ConnectionPool) -> None:
        self._names = names
        self._pool = pool
        self._lookers = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="sftp-stragglers")
        self._listings: dict[str, Future[_Found]] = {}
        self._lock = threading.Lock()

    def look(self, path: str) -> None:
        """Begin to look for them, if nobody has."""
        directory = self._names.directory_of(path)
        with self._lock:
            if directory not in self._listings:
                self._listings[directory] = self._lookers.submit(self._listed, directory)

    def remove(self, sftp: SftpSession, path: str, etag: str, *, alone: bool) -> None:
        """Remove those of other contents under the same final name.

        :param alone: nobody else may have a connection now, so the look must not be waited for.
        """
        self.look(path)
        directory = self._names.directory_of(path)
        listing = self._listings[directory]
        listed = self._list(sftp, directory) if alone and not listing.done() else listing.result()
        for name, other in listed.get(self._names.key_of(path), ()):
            if other != etag[:12]:
                with contextlib.suppress(SftpError):
                    sftp.remove(f"{directory.rstrip('/')}/{name}" if directory != "." else name)

    def close(self) -> None:
        """No more looks."""
        self._lookers.shutdown(cancel_futures=True)

    def _listed(self, directory: str) -> _Found:
        with contextlib.suppress(ConnectionLost, DestinationUnavailable), self._pool.session(shared=True) as sftp:
            return self._list(sftp, directory)
        return {}

    def _list(self, sftp: SftpSession, directory: str) -> _Found:
        found: dict[str, list[tuple[str, str]]] = defaultdict(list)
        with contextlib.suppress(SftpError):
            for name in sftp.list_names(directory, _MOST_LISTED):
                if (parsed := self._names.parsed(name)) is not None:
                    key, etag = parsed
                    found[key].append((name, etag))
        return found
