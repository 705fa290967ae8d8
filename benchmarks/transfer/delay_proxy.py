"""A TCP proxy that holds every byte back for half a round trip each way: distance, for servers that are not ours.

python -m benchmarks.transfer.delay_proxy TARGET_PORT RTT_SECONDS
"""

from __future__ import annotations

import queue
import socket
import sys
import threading
import time
from contextlib import suppress

from local.process import announce_ready

_PIECE = 256 * 1024
_ON_THE_WAY = 512
"""Pieces under way; beyond, the sender waits as it would for a full window."""


def main() -> None:
    """Serve until ended."""
    port, delay = int(sys.argv[1]), float(sys.argv[2]) / 2
    server = socket.create_server(("127.0.0.1", 0), backlog=64)
    announce_ready(port=server.getsockname()[1])
    while True:
        client, _ = server.accept()
        target = socket.create_connection(("127.0.0.1", port))
        for one in (client, target):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _pump(client, target, delay)
        _pump(target, client, delay)


def _pump(source: socket.socket, sink: socket.socket, delay: float) -> None:
    under_way: queue.Queue[tuple[float, bytes]] = queue.Queue(_ON_THE_WAY)

    def take() -> None:
        with suppress(OSError):
            while data := source.recv(_PIECE):
                under_way.put((time.monotonic() + delay, data))
        under_way.put((time.monotonic() + delay, b""))

    def give() -> None:
        with suppress(OSError):
            while True:
                due, data = under_way.get()
                time.sleep(max(0.0, due - time.monotonic()))
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)

    for work in (take, give):
        threading.Thread(target=work, daemon=True).start()


if __name__ == "__main__":
    main()
