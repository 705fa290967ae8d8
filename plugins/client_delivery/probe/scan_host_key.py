"""The host keys of an SFTP server as YAML, with the fingerprints to compare before they are used (R2.3).

``python -m client_delivery.probe.scan_host_key HOST [--port 22] [--json]``, or ``make scan-host-key``. Exit code: 0 if
the server presents a key that a configuration accepts, 1 if not, 2 if the command line is wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from client_delivery.config.host_keys import KEY_TYPES, HostKey
from client_delivery.config.names import Host
from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.sftp.handshake import fingerprint, md5_fingerprint
from client_delivery.transfer.sftp.host_key_scan import Scanned, scan

COMPARE = "compare by telephone before use"
"""An attacker between us and the client can show any key: only the server's owner can say whose it is."""


class ShownKey(NamedTuple):
    """One key that a server shows."""

    key: str
    sha256: str
    md5: str
    refused: str
    """Why no configuration accepts it; empty if one does."""


def shown_keys(scanned: Scanned) -> list[ShownKey]:
    """The keys with what people compare them by."""
    return [ShownKey(key, fingerprint(key), md5_fingerprint(key), _refusal(key)) for key in scanned.keys]


def as_yaml(keys: Sequence[ShownKey], where: str) -> Iterator[str]:
    """The lines for a configuration's ``destination``."""
    yield f"# Host keys that {where} shows: {COMPARE}."
    yield "# Call the server's owner on a number that you have from elsewhere; have them read their fingerprints out."
    yield "host_keys:"
    for one in keys:
        yield f"  # {one.sha256}"
        yield f"  # {one.md5}"
        yield f"  # not accepted: {one.refused}" if one.refused else f"  - {one.key}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the keys; return the exit code."""
    parser = argparse.ArgumentParser(prog="scan-host-key", description="Shows the host keys of an SFTP server.")
    parser.add_argument("host", type=_host, nargs="?", help="the server's name or IP address")
    parser.add_argument("--port", type=int, default=22, help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    if not options.host:
        parser.error("say which server: make scan-host-key HOST=sftp.acme.example PORT=22")
    where = f"[{options.host}]:{options.port}" if ":" in options.host else f"{options.host}:{options.port}"
    try:
        scanned = scan(options.host, options.port, KEY_TYPES)
    except DestinationUnavailable as error:
        sys.stderr.write(f"scan-host-key: {error}\n")
        return 1
    keys = shown_keys(scanned)
    if options.json:
        told: dict[str, Any] = {"host": options.host, "port": options.port, "software": scanned.banner, "note": COMPARE}
        sys.stdout.write(json.dumps({**told, "host_keys": [one._asdict() for one in keys]}, indent=2) + "\n")
    elif keys:
        sys.stdout.write("\n".join(as_yaml(keys, f"{where} ({scanned.banner or 'no banner'})")) + "\n")
    if any(not one.refused for one in keys):
        return 0
    sys.stderr.write(
        f"scan-host-key: {where} presents no key that a configuration accepts ({', '.join(KEY_TYPES)}). Ask the "
        "server's owner for an ed25519 key.\n"
    )
    return 1


def _host(text: str) -> str:
    try:
        return str(TypeAdapter(Host).validate_python(text))
    except ValidationError as error:
        raise argparse.ArgumentTypeError(f"{text!a}: {_words_of(error)}") from None


def _refusal(key: str) -> str:
    try:
        TypeAdapter(HostKey).validate_python(key)
    except ValidationError as error:
        return _words_of(error)
    return ""


def _words_of(error: ValidationError) -> str:
    about = error.errors(include_url=False, include_input=False)[0].get("ctx", {})
    return " ".join(word for word in (f"expected {about.get('expected')}.", about.get("hint")) if word)


if __name__ == "__main__":
    sys.exit(main())
