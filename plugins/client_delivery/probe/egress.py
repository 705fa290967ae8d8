"""The address of ours that a partner sees: its firewall has to let it in."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from client_delivery.runtime.settings import read
from client_delivery.transfer.finding import Findings
from client_delivery.transfer.http.connection import Request
from client_delivery.transfer.http.pool import BrokenOff, HttpPool, Unreachable
from client_delivery.transfer.reach import addresses_of

ASKED = "https://checkip.amazonaws.com/"
"""Responds with the address of the caller
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/authorizing-access-to-an-instance.html)."""
_SECONDS = 3


def tell_own_address(host: str, findings: Findings) -> None:
    """Adds a finding, unless the destination is in our own network or on this machine."""
    if not _is_public(urlsplit(host).hostname or host if "://" in host else host):
        return
    known = read()[0].outgoing_addresses
    seen = _seen()
    if seen is None:
        shown = f"the known ones are {', '.join(known)}" if known else f"{ASKED} cannot be reached"
        findings.unknown("Our address", f"it is not known which one the partner sees; {shown}")
    elif known and seen not in known:
        findings.unknown("Our address", f"{seen}, which is not one of our known addresses ({', '.join(known)})")
    else:
        findings.yes("Our address", f"{seen}: the partner's firewall has to let it in")


def _is_public(host: str) -> bool:
    try:
        return all(ipaddress.ip_address(one.partition("%")[0]).is_global for one in addresses_of(host, 0))
    except (OSError, ValueError):
        return False


def _seen() -> str | None:
    pool = HttpPool()
    try:
        with pool.send(Request("GET", ASKED, {"User-Agent": "client-file-delivery"}, patience=_SECONDS)) as response:
            text = response.read().decode("ascii", "replace").strip() if response.status == 200 else ""
    except (Unreachable, BrokenOff):
        return None
    finally:
        pool.close()
    return text if re.fullmatch(r"[0-9a-f.:]{3,45}", text) else None
