"""Whether a server can be reached at all, told within seconds: before an engine's patience begins."""

from __future__ import annotations

import queue
import socket
import threading
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from client_delivery.transfer.finding import Findings

RESOLVE_SECONDS = 4.0
CONNECT_SECONDS = 9.0
"""Together with the name's under 15: nobody waits longer for the news of a firewall."""


def addresses_of(host: str, port: int) -> list[str]:
    """The addresses that a name has. Raises OSError, after some seconds if no name server responds."""
    found: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            told = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.put(list(dict.fromkeys(str(one[4][0]) for one in told)))
        except OSError as error:
            found.put(error)

    # The standard library cannot be told to give up on a name server.
    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        result = found.get(timeout=RESOLVE_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no name server responded within {RESOLVE_SECONDS:.0f} s") from None
    if isinstance(result, OSError):
        raise result
    return result


def find_address(host: str, port: int, findings: Findings, ask: str) -> list[str]:
    """The name as a finding; its addresses, none if there are none."""
    try:
        addresses = addresses_of(host, port)
    except OSError as error:
        findings.no("Name", f"{host}: {error.strerror or error}", ask)
        return []
    findings.yes("Name", host if addresses == [host] else f"{host} is {', '.join(addresses)}")
    return addresses


def each_address_may_take(addresses: list[str]) -> float:
    """Seconds, so that all of them together stay below :data:`CONNECT_SECONDS`."""
    return max(2.0, CONNECT_SECONDS / max(1, len(addresses)))


def reach_service(url: str, findings: Findings, what: str) -> bool:
    """Whether a web service takes a connection; as findings."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    if parts.scheme == "https" and not proxy_bypass_environment(host) and getproxies_environment().get("https"):
        findings.unknown(what, f"{host}:{port} is asked through this machine's proxy")
        return True
    ask = "Allow outbound connections to it: a firewall, a proxy, a NAT gateway, or a VPC endpoint may be in between."
    began = time.monotonic()
    try:
        seconds = each_address_may_take(addresses_of(host, port))
        with socket.create_connection((host, port), timeout=seconds) as connection:
            own = connection.getsockname()[0]
    except OSError as error:
        findings.no(what, f"{host}:{port}: {error.strerror or error}", ask, here=True)
        return False
    findings.yes(what, f"{host}:{port} in {milliseconds(began)}, from {own}")
    return True


def tell_clock(date: str | None, findings: Findings, whose: str, most: float) -> None:
    """Whether our clock and a web service's agree, by its response's ``Date``; as a finding.

    :param whose: the service, as in "S3's".
    :param most: seconds that they may differ by.
    """
    try:
        skew = time.time() - parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return  # it does not say, and nothing depends on it
    if abs(skew) > most:
        findings.no("Clock", f"ours and {whose} differ by {abs(skew):.0f} s", "Set the clock.", needed=False, here=True)
    else:
        findings.yes("Clock", f"ours and {whose} agree")


def milliseconds(began: float) -> str:
    """Since a moment of the monotonic clock."""
    return f"{(time.monotonic() - began) * 1000:.0f} ms"
