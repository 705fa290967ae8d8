"""Keys of a recipient and of ours, and the recipient's own program, GnuPG, to read what arrives."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

KEYS = Path(__file__).resolve().parents[1] / "fixtures" / "openpgp"


def key(name: str) -> str:
    """One of the keys in ``tests/fixtures/openpgp``: ``good``, ``ours.private``."""
    return (KEYS / f"{name}.asc").read_text()


@dataclass
class Read:
    """What the recipient has got."""

    content: bytes
    signed_by: str | None
    """The user id of a good signature; None without one."""


class Recipient:
    """Somebody with GnuPG, the private keys ``good`` and ``rsa3072``, and our public key."""

    def __init__(self, home: Path) -> None:
        self._home = home
        for name in ("good.private", "rsa3072.private", "ours", "ours-locked"):
            self._run("--import", str(KEYS / f"{name}.asc"))

    def reads(self, message: bytes) -> Read:
        """Decrypt, and look at the signature."""
        done = self._run("--status-fd", "2", "--decrypt", content=message)
        good = [line for line in done.stderr.decode(errors="replace").splitlines() if "GOODSIG" in line]
        return Read(done.stdout, good[0].split(" ", 3)[3] if good else None)

    def close(self) -> None:
        """End the agent that GnuPG has started."""
        subprocess.run(["gpgconf", "--homedir", str(self._home), "--kill", "gpg-agent"], check=False)

    def _run(self, *arguments: str, content: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = ["gpg", "--homedir", str(self._home), "--batch", "--quiet", "--no-tty", *arguments]
        done = subprocess.run(command, input=content, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done


@pytest.fixture(scope="session")
def recipient() -> Iterator[Recipient]:
    """The recipient of encrypted files, as Debian's GnuPG makes them."""
    if shutil.which("gpg") is None:
        pytest.skip("GnuPG is not installed (apt-get install gnupg)")
    # Short: GnuPG's agent listens on a socket in it.
    with tempfile.TemporaryDirectory(prefix="gpg") as home:
        someone = Recipient(Path(home))
        yield someone
        someone.close()


class RnpRecipient:
    """Somebody with RNP, which Thunderbird reads OpenPGP with: neither GnuPG nor Sequoia, which writes here."""

    def __init__(self, home: Path) -> None:
        self._home = home
        for name in ("good.private", "rsa3072.private", "ours"):
            self._run("rnpkeys", "--import", str(KEYS / f"{name}.asc"))

    def reads(self, message: bytes) -> Read:
        """Decrypt, and look at the signature."""
        there = self._home / "message"
        there.write_bytes(message)
        done = self._run("rnp", "--decrypt", "--output", "-", str(there))
        told = done.stderr.decode(errors="replace").splitlines()
        signed = any(line.startswith("Good signature") for line in told)
        users = [line.split(None, 1)[1] for line in told if line.startswith("uid ")]
        return Read(done.stdout, users[0].strip() if signed else None)

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run([program, "--homedir", str(self._home), *arguments], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done


@pytest.fixture(scope="session")
def rnp_recipient(tmp_path_factory: pytest.TempPathFactory) -> RnpRecipient:
    """The recipient with RNP, as Debian has it."""
    if shutil.which("rnp") is None:
        pytest.skip("NO SECOND READER OF OpenPGP: RNP is not installed (apt-get install rnp)")
    return RnpRecipient(tmp_path_factory.mktemp("rnp"))
