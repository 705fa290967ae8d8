"""A payer who wants files compressed, encrypted and signed, for the demo: their key pair, ours, and how they read.

    PYTHONPATH=plugins .venv/bin/python -m local.demo_payer DIRECTORY FILE > compressed

The keys are made anew by each demo. The payer is GnuPG where it is installed, as most payers are; otherwise Sequoia,
and the line above does by hand what ``gpg --decrypt`` would.
"""

from __future__ import annotations

import gzip
import shlex
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from client_delivery.config import openpgp
from client_delivery.config.model import ClientConfig
from local.process import ROOT, start, stop
from local.stand_ins import StandIns
from local.wait import wait_until

CLIENT = "juniper_health"
KEY_FILE = f"{CLIENT}.asc"
_SIGN_WITH = "demo_pgp_key"
_OWNER = "Juniper Health, demo <edi@juniper-health.example.com>"
_WE = "File delivery, demo <deliveries@example.org>"
_PRIVATE, _OURS = "private.asc", "ours.asc"
_PROGRAMS = ("gpg", "gpg-agent", "gpgconf")
_ACKNOWLEDGEMENTS = f"{CLIENT}_acks"
EDITS: dict[str, dict[str, Any]] = {
    CLIENT: {
        "compress": "gzip",
        "encrypt": {"recipients": [f"keys/{KEY_FILE}"], "sign_with": _SIGN_WITH},
        "acknowledgement": {"pattern": "{delivered}.ok", "within": "30 min", "place": _ACKNOWLEDGEMENTS},
    }
}
"""What the client has beside the example."""


class Unreadable(Exception):
    """The payer cannot make anything of what arrived. The message says why."""


class Payer(Protocol):
    """Who the files are encrypted for."""

    program: str
    public_key: str
    directory: Path
    """Where their keys are, and our public one."""

    def decrypted(self, message: bytes) -> bytes:
        """What is in it, if it was signed by us. Raises :class:`Unreadable`."""

    def command(self, file: str) -> str:
        """The same by hand, to standard output."""


@contextmanager
def payer(directory: Path, stand_ins: StandIns) -> Iterator[Payer]:
    """Make both key pairs, keep the payer's in ``directory`` and store ours where Airflow looks for it."""
    import pysequoia  # not at the top: docker-compose's stand-ins, which import this module, are without

    ours = pysequoia.Tsk.generate(user_id=_WE, profile=pysequoia.Profile.RFC4880)
    public = ours.extract_certificate()
    stand_ins.store_connection(_SIGN_WITH, {"conn_type": "generic", "extra": {"private_key": str(ours)}})
    directory.mkdir(mode=0o700, parents=True)
    (directory / _OURS).write_text(str(public))
    with closing(_reader(directory, public.fingerprint.upper())) as reader:
        yield reader


def _reader(directory: Path, signer: str) -> GnuPg | Sequoia:
    if any(shutil.which(program) is None for program in _PROGRAMS):
        return Sequoia(directory, "no GnuPG is installed here")
    try:
        return GnuPg(directory, signer)
    except (Unreadable, subprocess.CalledProcessError, TimeoutError) as error:
        # Its agent's socket has 108 characters (unix(7)) where there is no /run/user: a deep directory is too long.
        return Sequoia(directory, f"GnuPG does not start here: {error}")


class GnuPg:
    """A payer with GnuPG; ``directory`` is its home."""

    def __init__(self, directory: Path, signer: str) -> None:
        self.directory = directory
        self._signer = signer
        # Whoever decrypts by hand is not told that nobody vouches for a key that is a minute old.
        (directory / "gpg.conf").write_text("trust-model always\n")
        # An agent that GnuPG starts by itself would outlive the demo. This one ends with what it was started with.
        agent = ["gpg-agent", "--homedir", str(directory), "--daemon", "sleep", "100000000"]
        self._agent = start(agent, log=directory / "agent.log")
        try:
            asked = ["gpgconf", "--homedir", str(directory), "--list-dirs", "agent-socket"]
            socket = Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
            wait_until(lambda: self._listens(socket), "GnuPG's agent listens", seconds=30)
            self.program = self._run("--version").stdout.decode().partition("\n")[0]
            self._run("--passphrase", "", "--quick-generate-key", _OWNER, "future-default", "default", "1y")
            self._run("--import", str(directory / _OURS))
            self.public_key = self._run("--armor", "--export", _OWNER).stdout.decode()
            private = self._run("--armor", "--passphrase", "", "--export-secret-keys", _OWNER).stdout
            _keep_private(directory / _PRIVATE, private)
        except BaseException:
            stop(self._agent)
            raise

    def close(self) -> None:
        """End its agent."""
        stop(self._agent)

    def decrypted(self, message: bytes) -> bytes:
        """See :class:`Payer`."""
        done = self._run("--status-fd", "2", "--decrypt", content=message)
        # Not all of it is text: a notation that Sequoia puts into signatures, as salt, is in it.
        lines = done.stderr.decode(errors="replace").splitlines()
        signed_by = [line.split()[-1] for line in lines if " VALIDSIG " in line]
        if signed_by != [self._signer]:
            raise Unreadable("it has no good signature of ours")
        return done.stdout

    def command(self, file: str) -> str:
        """See :class:`Payer`."""
        return f"gpg --homedir {_shown(self.directory)} --decrypt {file}"

    def _listens(self, socket: Path) -> bool:
        if self._agent.poll() is not None:
            raise Unreadable((self.directory / "agent.log").read_text(errors="replace").strip())
        return socket.exists()

    def _run(self, *arguments: str, content: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = ["gpg", "--homedir", str(self.directory), "--batch", "--quiet", "--no-tty", *arguments]
        done = subprocess.run(command, input=content, capture_output=True, check=False)
        if done.returncode:
            lines = done.stderr.decode(errors="replace").splitlines()
            said = " ".join(line for line in lines if not line.startswith("[GNUPG:]"))
            raise Unreadable(f"gpg says: {said or 'nothing'}")
        return done


class Sequoia:
    """A payer without GnuPG."""

    def __init__(self, directory: Path, why: str = "") -> None:
        import pysequoia

        self.program = f"Sequoia ({why})"
        self.directory = directory
        if not (directory / _PRIVATE).exists():
            made = pysequoia.Tsk.generate(user_id=_OWNER, profile=pysequoia.Profile.RFC4880)
            _keep_private(directory / _PRIVATE, str(made).encode())
        self._private = pysequoia.Tsk.from_file(str(directory / _PRIVATE))
        self._ours = pysequoia.Cert.from_file(str(directory / _OURS))
        self.public_key = str(self._private.extract_certificate())

    def decrypted(self, message: bytes) -> bytes:
        """See :class:`Payer`."""
        import pysequoia

        try:
            found = pysequoia.decrypt(message, decryptor=self._private.decryptor(), store=lambda _: [self._ours])
        except Exception as error:
            raise Unreadable(f"Sequoia says: {openpgp.said(error)}") from None
        if not found.valid_sigs:
            raise Unreadable("it has no good signature of ours")
        return found.bytes or b""

    def close(self) -> None:
        """Nothing runs."""

    def command(self, file: str) -> str:
        """See :class:`Payer`."""
        return f"PYTHONPATH=plugins .venv/bin/python -m local.demo_payer {_shown(self.directory)} {file}"


def reads(payer: Payer, config: ClientConfig) -> Callable[[bytes], bytes]:
    """How this client comes from what arrived to what was dropped: the function raises :class:`Unreadable`."""

    def read(arrived: bytes) -> bytes:
        content = payer.decrypted(arrived) if config.encrypt else arrived
        if config.compress is None:
            return content
        assert config.compress == "gzip", "the demo's client has nothing else"
        try:
            return gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise Unreadable(f"it is not gzip: {error}") from None

    return read


def acknowledge(root: Path, delivered: Iterable[str]) -> str:
    """Put back a file for each that has arrived, as the payer's system does; says where they are.

    :param root: the login directory of the payer's server.
    """
    place = root / _ACKNOWLEDGEMENTS
    for name in delivered:
        path = place / f"{name}.ok"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("taken\n")
    return _shown(place)


def where(payer: Payer) -> str:
    """Where the keys are, and how to open a file by hand."""
    home = _shown(payer.directory)
    return f"""OpenPGP       {CLIENT} gets gzip, encrypted and signed; its recipient is {payer.program}
              their key pair {home}/{_PRIVATE}, our public key {home}/{_OURS},
              our private key: connection {_SIGN_WITH!r} in Secrets Manager
              read one: {payer.command("FILE")} | gunzip"""


def by_hand(payer: Payer, file: Path, was: str, sha256: str) -> str:
    """One file that has arrived: what to type, and what must come of it."""
    return f"{payer.command(_shown(file))} | gunzip | sha256sum\n  must say {sha256}: {was} as it was dropped"


def _keep_private(path: Path, key: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(key)


def _shown(path: Path) -> str:
    return shlex.quote(str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path))


def main() -> int:
    """Decrypt a file of the demo to standard output; returns the exit code."""
    directory, file = map(Path, sys.argv[1:])
    try:
        sys.stdout.buffer.write(Sequoia(directory).decrypted(file.read_bytes()))
    except (Unreadable, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
