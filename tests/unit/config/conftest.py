"""Configurations to break: a good one for each destination, and what is said about a changed one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from client_delivery.config.loader import load_file
from client_delivery.config.model import ClientConfig
from client_delivery.config.problem import ConfigError

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILVdQtv+afoL6YtH1WiRrcuE38wHlJUME/emUJiJPT2l"

_TOP = {
    "name": "acme",
    "client_h_number": "H1234",
    "contacts": "[jane@example.com]",
    "send_notifications": "true",
}
_PICKUP = {"bucket": "example-pickup", "prefix": "acme/"}
_DESTINATIONS = {
    "gcs": {"type": "gcs", "bucket": "example-landing", "prefix": "out/", "connection_id": "acme_gcs"},
    "sftp": {
        "type": "sftp",
        "host": "sftp.example.org",
        "username": "acme",
        "directory": "/incoming",
        "connection_id": "acme_sftp",
        "host_keys": f"[{ED25519}]",
    },
    "s3": {"type": "s3", "bucket": "example-landing", "prefix": "out/", "region": "us-east-1"},
}
_END = {"bypass_file_checks": "false", "trigger_on_done_file": "false"}


@pytest.fixture
def text() -> Callable[..., str]:
    """The YAML of a good configuration, with some fields replaced, added or (None) removed.

    ``text("sftp", {"pickup.prefix": "in/", "destination.port": "2222", "paused": None})``; values are YAML.
    """

    def text(destination: str = "gcs", changes: Mapping[str, str | None] | None = None) -> str:
        sections = {"": dict(_TOP), "pickup": dict(_PICKUP), "destination": dict(_DESTINATIONS[destination])}
        end = dict(_END)
        for path, value in (changes or {}).items():
            section, _, field = path.rpartition(".")
            fields = sections[section] if section or field in _TOP else end
            if value is None:
                del fields[field]
            else:
                fields[field] = value
        lines = [f"{name}: {value}" for name, value in sections[""].items()]
        for section in ("pickup", "destination"):
            lines += [f"{section}:", *(f"  {name}: {value}" for name, value in sections[section].items())]
        return "\n".join([*lines, *(f"{name}: {value}" for name, value in end.items())]) + "\n"

    return text


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., ClientConfig]:
    """Load a text as the configuration file ``acme.yaml``, or under another name."""

    def load(text: str | bytes, name: str = "acme.yaml") -> ClientConfig:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return load_file(path)

    return load


@pytest.fixture
def complaints(tmp_path: Path, load: Callable[..., ClientConfig]) -> Callable[..., list[str]]:
    """What is said about a text as the file ``acme.yaml``: one line for each problem, paths relative."""

    def complaints(text: str | bytes, name: str = "acme.yaml") -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, name)
        return str(caught.value).replace(f"{tmp_path}/", "").splitlines()

    return complaints
