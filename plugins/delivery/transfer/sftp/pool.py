"""The connections to one server: opened when there is work for them, shared when there are no more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from delivery.transfer.contract import DestinationUnavailable
from delivery.transfer.sftp.connection import Connection
from delivery.transfer.sftp.session import SftpSession

_SHARED_BY = 8


class ConnectionPool:
    """At most ``most`` connections. For any number of threads.

    :param connect: opens one; raises :class:`DestinationUnavailable`.
    """

    def __init__(self, connect: Callable[[], Connection], most: int) -> None:
        self._connect = connect
        self._most = most
        self._users: dict[Connection, int] = {}
        self._opening = 0
        self._lock = threading.Lock()

    @contextmanager
    def session(self, *, shared: bool = False) -> Iterator[SftpSession]:
        """A session that nobody uses, or a new one while that is allowed, or the least used one.

        With ``shared``, for what mostly waits for answers: one that few others use counts as unused. Raises
        :class:`DestinationUnavailable` if there is none and none can be had.
        """
        connection = self._taken(_SHARED_BY if shared else 1)
        try:
            yield connection.sftp
        finally:
            with self._lock:
                self._users[connection] -= 1
                broken = connection.sftp.lost and not self._users[connection]
                if broken:
                    del self._users[connection]
            if broken:
                connection.close()

    def close(self) -> None:
        """Close them all."""
        with self._lock:
            connections, self._users = list(self._users), {}
        for connection in connections:
            connection.close()

    def _taken(self, shared_by: int) -> Connection:
        with self._lock:
            usable = [connection for connection in self._users if not connection.sftp.lost]
            free = [connection for connection in usable if self._users[connection] < shared_by]
            if usable and (free or len(usable) + self._opening >= self._most):
                return self._use(min(usable, key=self._users.__getitem__))
            self._opening += 1
        try:
            connection = self._connect()
        except DestinationUnavailable:
            with self._lock:
                usable = [connection for connection in self._users if not connection.sftp.lost]
                if not usable:
                    raise
                # A server that allows fewer connections than are configured: those that there are must do.
                self._most = len(usable)
                return self._use(min(usable, key=self._users.__getitem__))
        finally:
            with self._lock:
                self._opening -= 1
        with self._lock:
            self._users[connection] = 0
            return self._use(connection)

    def _use(self, connection: Connection) -> Connection:
        self._users[connection] += 1
        return connection
