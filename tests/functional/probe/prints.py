"""What `make check-destination` prints on every server: the suite compares, and the documentation shows it.

python -m tests.functional.probe.prints      writes docs/developers/probe-prints.md (`make probe-prints`)
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.functional.probe.cases import CASES, Ground, Printed, clear_environment
from tests.functional.transfer.conftest import Servers
from tests.support.sftp import Bench

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "developers" / "probe-prints.md"
_HEAD = """\
# What a test of a destination prints

`make check-destination NAME=…` on every server of the [SFTP bench](sftp-servers.md), on the stand-ins for Google Cloud
Storage and S3, and where something is wrong.
What it means, and what to do with it, is in [Onboarding](../operators/onboarding.md).

The suite compares all of it with what happens (`tests/functional/probe`); `make probe-prints` writes it anew.
Addresses, versions, fingerprints and times are made alike.
"""
_ALIKE = (
    (r"127\.0\.0\.1:\d+|localhost:\d+", "sftp.example.org:22"),
    (r"127\.0\.0\.1", "203.0.113.7"),
    (r"\b\d+ ms\b", "12 ms"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "2026-03-02 09:30:00 UTC"),
    (r"until \d{4}-\d\d-\d\d(T[\d:]+Z)?", "until 2026-04-01"),
    (r"delivery-test-[0-9a-f]{12}", "delivery-test-5d1c0f2b7a90"),
    (r"SHA256:[A-Za-z0-9+/]{43}", "SHA256:…"),
    (r"MD5:[0-9a-f:]{47}", "MD5:…"),
    (r"AAAA[A-Za-z0-9+/=]{40,}", "AAAA…"),
    (r"\b\d+ [MGT]iB are left", "75 GiB are left"),
    (r"sftp.example.org:22(/?) in", r"storage.example.org:443\1 in"),
    (r"\.[0-9a-f]{12}\.1\.part", ".82e863aa4d47.1.part"),
    (r"before any login: .*?\. It may", "before any login: …. It may"),
    (r"'root'|'client'", "'acme'"),
    (r"sftp://(root|client)@", "sftp://acme@"),
)


def alike(printed: Printed) -> str:
    """The print, without what differs from machine to machine."""
    text = printed.text
    for pattern, instead in _ALIKE:
        text = re.sub(pattern, instead, text)
    text = re.sub(r"(Secure connection  )([A-Za-z]+)[^:\n]*: .*", r"\1\2…: curve25519-sha256, …", text)
    return "\n".join(map(_wrapped, text.rstrip().splitlines())) + f"\n\n(exit code {printed.code})"


def _wrapped(line: str) -> str:
    """As on a terminal."""
    if line.startswith("    # "):
        return textwrap.fill(line, 110, subsequent_indent="    # ")
    head = re.match(r"  [✓✗–] .{18}", line)  # noqa: RUF001 - the signs of the table
    indent = " " * (len(head[0]) if head else 4)
    return textwrap.fill(line, 110, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def sections() -> Mapping[str, str]:
    """What the documentation says, by the cases' names."""
    found = re.findall(
        r"<!-- (\S+) -->\n+## [^\n]*\n+```text\n(.*?)\n```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL
    )
    return dict(found)


def document(texts: Mapping[str, str]) -> str:
    """The whole document."""
    parts = [f"<!-- {name} -->\n\n## {CASES[name].title}\n\n```text\n{text}\n```\n" for name, text in texts.items()]
    return _HEAD + "\n" + "\n".join(parts)


def main() -> int:
    """Returns the exit code."""
    old = sections() if DOCUMENT.exists() else {}
    with tempfile.TemporaryDirectory() as scratch:
        servers, bench = Servers(Path(scratch) / "stand-ins"), Bench(Path(scratch) / "bench")
        try:
            texts = {name: _text(name, Path(scratch) / name, bench, servers) or old.get(name, "") for name in CASES}
        finally:
            bench.stop()
            servers.s3.stop()
            servers.gcs.stop()
    DOCUMENT.write_text(document(texts), encoding="utf-8")
    return 0


def _text(name: str, directory: Path, bench: Bench, servers: Servers) -> str:
    directory.mkdir()
    clear_environment(os.environ.__setitem__)
    os.environ["AWS_ENDPOINT_URL"] = servers.s3_url
    ground = Ground(directory, bench, servers, os.environ.__setitem__)
    with ground.exit:
        try:
            return alike(CASES[name].run(ground))
        except pytest.skip.Exception as why:
            print(f"{name} stays as it was: {why}")
            return ""


if __name__ == "__main__":
    sys.exit(main())
