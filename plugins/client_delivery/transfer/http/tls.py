"""TLS over a socket that is read and written in large pieces.

Python's ``SSLSocket`` makes two reads of the kernel for every record of 16 KiB, its head and its body, and one write.
Here OpenSSL works on memory (``ssl.MemoryBIO``), so one read brings what a dozen records hold, and one write sends as
much: a fifth of the CPU of receiving, and less waiting for each other (``benchmarks/README.md``, *TLS*).
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress

_RECEIVED = 128 * 1024
"""Bytes that are read at once at most; each connection has a buffer of this size."""
_SENT = 128 * 1024
"""Bytes that are encrypted before they are sent."""


class TlsSocket:
    """The client's end of a TLS connection, as far as :class:`HttpConnection` needs a socket. For one thread at a time.

    Raises OSError, of which :class:`ssl.SSLError` is one.

    :param connected: a TCP connection, through a proxy or not; closed with this, or when the handshake fails.
    :param name: the server's name or address, which its certificate must have.
    """

    def __init__(self, connected: socket.socket, context: ssl.SSLContext, name: str) -> None:
        self._socket = connected
        self._arrived, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._arrived, self._to_send, server_hostname=name)
        self._buffer = memoryview(bytearray(_RECEIVED))
        try:
            self._shake_hands()
        except BaseException:
            self._socket.close()
            raise

    def recv_into(self, buffer: memoryview, nbytes: int = 0, flags: int = 0) -> int:
        """Wait for at least one byte, and put what there is into the buffer; 0 when the server has ended.

        ``nbytes`` and ``flags`` are those of a socket, and mean nothing here.
        """
        filled = 0
        while filled < len(buffer):
            try:
                count = self._tls.read(len(buffer) - filled, buffer[filled:])
            except ssl.SSLWantReadError:
                if filled:
                    break
                self._receive()
                continue
            except ssl.SSLEOFError:
                break  # without its farewell: whether anything is missing is for who knows the length
            if not count:
                break
            filled += int(count)
        return filled

    def sendall(self, data: bytes | memoryview) -> None:
        """Send all of it."""
        view = memoryview(data)
        for start in range(0, len(view), _SENT):
            self._write(view[start : start + _SENT])
            self._flush()

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        """Of the socket below."""
        self._socket.setsockopt(level, option, value)

    def settimeout(self, seconds: float | None) -> None:
        """Of the socket below."""
        self._socket.settimeout(seconds)

    def fileno(self) -> int:
        """Of the socket below, for ``select``."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._receive()
            except ssl.SSLError:
                with suppress(OSError):
                    self._flush()  # the alert: it tells the server's people what was wrong
                raise
            else:
                break
        self._flush()

    def _write(self, data: memoryview) -> None:
        while True:
            try:
                self._tls.write(data)
            except ssl.SSLWantReadError:  # the server wants to renegotiate
                self._receive()
            else:
                return

    def _receive(self) -> None:
        """Wait for more; before that, send what OpenSSL has to say."""
        self._flush()
        if count := self._socket.recv_into(self._buffer):
            self._arrived.write(self._buffer[:count])
        else:
            self._arrived.write_eof()

    def _flush(self) -> None:
        if self._to_send.pending:
            self._socket.sendall(self._to_send.read())
