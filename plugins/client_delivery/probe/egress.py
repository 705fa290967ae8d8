"""Which address of ours a partner sees: the one that its firewall has to let in."""

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
"""Answers with the address from which it was asked
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/authorizing-access-to-an-instance.html)."""
_SECONDS = 3


def tell_own_address(host: str, findings: Findings) -> None:
    """As a finding; nothing where the destination is in our own network, or on this machine."""
    if not _is_public(urlsplit(host).hostname or host if "://" in host else host):
        return
    known = read()[0].outgoing_addresses
    seen = _seen()
    if seen is None:
        shown = f"known are {', '.join(known)}" if known else f"{ASKED} cannot be asked"
        findings.unknown("Our address", f"which one the partner sees was not found out; {shown}")
    elif known and seen not in known:
        findings.unknown("Our address", f"{seen}, which is none of deliveries' own ({', '.join(known)})")
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
