"""Public keys that stand in files of their own, in ``keys/`` beside the configurations: read when these are.

From then on a configuration has the keys themselves: the container, and a run under way, have no such files.
"""

from __future__ import annotations

import os
from pathlib import Path

from client_delivery.config.document import Document
from client_delivery.config.problem import quoted, visible
from client_delivery.config.treatment import KEYS, LONGEST_KEY, is_key_file


def read_key_files(document: Document, directory: Path) -> None:
    """Put the text of each key's file in the place of its name; report one that cannot be read.

    :param directory: where the configurations are.
    """
    encrypt = document.data.get("encrypt")
    recipients = encrypt.get("recipients") if isinstance(encrypt, dict) else None
    if not isinstance(recipients, list):
        return
    for index, name in enumerate(recipients):
        if not is_key_file(name):
            continue
        path = ("encrypt", "recipients", index)
        try:
            recipients[index] = _read(Path(os.path.realpath(directory / KEYS)), name)
        except _NoKey as error:
            document.refused.add(path)
            document.report(path, f"{quoted(name)}, {error}", "a file with a public key", _HOW)


class _NoKey(Exception):
    """There is no such file, or it is none that could hold a key."""


def _read(root: Path, name: str) -> str:
    file = Path(os.path.realpath(root / name.removeprefix(f"{KEYS}/")))
    if not file.is_relative_to(root):
        raise _NoKey("a link that leads elsewhere")
    try:
        if not file.is_file():
            raise _NoKey("which is not there")
        with file.open("rb") as opened:
            raw = opened.read(LONGEST_KEY + 1)
    except OSError as error:
        raise _NoKey(f"which cannot be read ({visible(str(error.strerror))})") from None
    if len(raw) > LONGEST_KEY:
        raise _NoKey(f"which is larger than {LONGEST_KEY // 1024} KiB")
    try:
        return raw.decode("ascii").strip()
    except UnicodeDecodeError:
        raise _NoKey("which is binary") from None


_HOW = "Write it with `gpg --armor --export <fingerprint> > include/client_configs/keys/<name>.asc`."
