"""What a connection has learned about its server, even if it failed: for the test of a destination."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Learned:
    """Filled step by step: what is empty was not reached. No credential is in it."""

    address: str = ""
    """The server's, with the port."""
    own_address: str = ""
    """Ours, of this machine's network card: what the server sees may be another one."""
    algorithms: str = ""
    """Key exchange, cipher and checksum that both agreed on."""
    banner: str = ""
    """The SSH software version."""
    host_key: str = ""
    """``<type> <base64>`` as the server showed it."""
    offered: list[str] = field(default_factory=list)
    """The ways to log in, as the server offered them first."""
    accepted: list[str] = field(default_factory=list)
    """Those that it accepted, in their order."""
