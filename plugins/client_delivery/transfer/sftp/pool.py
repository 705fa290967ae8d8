"""The connections to one server: opened when there is work for them, shared when there are no more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from client_delivery.runtime.backoff import Backoff
from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.sftp.connection import SftpConnection, Unreached
from client_delivery.transfer.sftp.session import SftpSession

_SHARED_BY = 8
_LONELY = 60.0
"""Seconds after which a connection that nobody uses is not waited for any longer."""
_BACKOFF = Backoff(first=1.0, longest=3.0, jitter=False)
_TRIES = 3
"""Of the first connection: load balancers and busy servers drop some."""


class ConnectionPool:
    """At most ``most`` connections. For any number of threads.

    :param connect: opens one; raises :class:`DestinationUnavailable`.
    """

    def __init__(self, connect: Callable[[], SftpConnection], most: int) -> None:
        self._connect = connect
        self._most = most
        self._users: dict[SftpConnection, int] = {}
        self._reserved: set[SftpConnection] = set()
        self._opening = 0
        self._failure: tuple[float, DestinationUnavailable] | None = None
        self._changed = threading.Condition()

    @contextmanager
    def session(self, *, shared: bool = False, alone: bool = False) -> Iterator[SftpSession]:
        """A session that nobody uses, or a new one while that is allowed, or the least used one.

        With ``shared``, for what mostly waits for responses: one that few others use counts as unused. With ``alone``,
        for what may cost the connection: nobody else uses it meanwhile, and this waits for that. Raises
        :class:`DestinationUnavailable` if there is none and none can be had.
        """
        connection = self._taken(_SHARED_BY if shared else 1, alone=alone)
        try:
            yield connection.sftp
        finally:
            with self._changed:
                self._users[connection] -= 1
                self._reserved.discard(connection)
                broken = connection.sftp.lost and not self._users[connection]
                if broken:
                    del self._users[connection]
                self._changed.notify_all()
            if broken:
                connection.close()

    def close(self) -> None:
        """Close them all."""
        with self._changed:
            connections, self._users = list(self._users), {}
        for connection in connections:
            connection.close()

    def _taken(self, shared_by: int, *, alone: bool) -> SftpConnection:
        began = time.monotonic()
        while True:
            with self._changed:
                if self._failure is not None and self._failure[0] >= began:
                    raise self._failure[1]  # those who waited for it need not find out again
                usable = [connection for connection in self._users if not connection.sftp.lost]
                open_to_us = [connection for connection in usable if connection not in self._reserved]
                free = [connection for connection in open_to_us if self._users[connection] < shared_by]
                alone = alone and time.monotonic() - began < _LONELY
                if alone:
                    free = [connection for connection in open_to_us if not self._users[connection]]
                if free:
                    return self._use(min(free, key=self._users.__getitem__), alone=alone)
                full = len(usable) + self._opening >= self._most
                if full and open_to_us and not alone:
                    return self._use(min(open_to_us, key=self._users.__getitem__), alone=False)
                if full:
                    self._changed.wait(1.0)
                    continue
                self._opening += 1
            opened = self._opened()
            if opened is None:
                continue
            with self._changed:
                self._users[opened] = 0
                return self._use(opened, alone=alone)

    def _opened(self) -> SftpConnection | None:
        """A new one; None if those that there are must do."""
        try:
            tried = 0
            while True:
                tried += 1
                try:
                    return self._connect()
                except DestinationUnavailable as error:
                    with self._changed:
                        usable = [connection for connection in self._users if not connection.sftp.lost]
                        if usable:
                            # A server that allows fewer connections than are configured.
                            self._most = len(usable)
                            return None
                        if tried == _TRIES or not isinstance(error, Unreached):
                            self._failure = (time.monotonic(), error)
                            raise
                    _BACKOFF.wait(tried)
        finally:
            with self._changed:
                self._opening -= 1
                self._changed.notify_all()

    def _use(self, connection: SftpConnection, *, alone: bool) -> SftpConnection:
        self._users[connection] += 1
        if alone:
            self._reserved.add(connection)
        return connection
