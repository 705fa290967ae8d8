"""Another client than ours: asyncssh's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncssh

from local.sftp_servers.family import Running


def ask(running: Running, work: Callable[[asyncssh.SFTPClient], Awaitable[Any]]) -> Any:
    """Log in with asyncssh, which verifies the host key, and do something."""
    server = running.server
    login: dict[str, Any] = {"password": server.password, "client_keys": None}
    if server.private_key and not server.password:
        login = {"client_keys": [asyncssh.import_private_key(server.private_key)]}
    known = asyncssh.import_known_hosts(f"[{server.host}]:{server.port} {server.host_key}\n")

    async def asked() -> Any:
        async with (
            asyncssh.connect(
                server.host, server.port, username=server.username, known_hosts=known, config=None, **login
            ) as connection,
            connection.start_sftp_client() as client,
        ):
            return await work(client)

    return asyncio.run(asyncio.wait_for(asked(), 30))
