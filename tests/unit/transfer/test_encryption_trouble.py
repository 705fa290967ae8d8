"""Encryption that cannot begin, or fails in the middle: said so, with the reason, and nothing is left open."""

from __future__ import annotations

import base64
import json
import os
import runpy
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from client_delivery.config.openpgp import RecipientKey, read_recipient
from client_delivery.transfer.contract import TransferError
from client_delivery.transfer.secret import Secret
from client_delivery.transfer.treatment import encryption as module
from client_delivery.transfer.treatment.encryption import Encryption, KeyTrouble, read_signer
from tests.support.openpgp import key

SPOILED = Encryption((RecipientKey("F" * 40, "someone", None, b"no key at all"),), None, armor=False)


def good() -> Encryption:
    return Encryption((read_recipient(key("good")),), None, armor=False)


def open_pipes() -> set[str]:
    """By their inodes: what other tests have left open may close meanwhile."""
    found = set()
    for number in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the listing's own is gone by now
            found.add(str(number.readlink()))
    return {one for one in found if one.startswith("pipe:")}


@pytest.mark.parametrize(
    "act", [lambda how: how.whole(b"x"), lambda how: list(how.stream([b"x"]))], ids=["whole", "stream"]
)
def test_what_sequoia_refuses_is_told_in_its_own_words(act):
    with pytest.raises(TransferError, match=r"could not be encrypted: (?!code).{10,}\. It will be retried") as refused:
        act(SPOILED)
    assert "backtrace" not in str(refused.value)
    assert refused.value.retry_helps


@pytest.mark.parametrize(
    ("error", "raised", "why"),
    [
        (OSError(11, "Resource temporarily unavailable"), TransferError, "process.*Resource temporarily unavailable"),
        (MemoryError("no memory"), MemoryError, "no memory"),
    ],
)
def test_a_process_that_cannot_be_started_is_told_and_leaves_no_pipe(monkeypatch, error, raised, why):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(module.subprocess, "Popen", refuse)
    how, before = good(), open_pipes()
    with pytest.raises(raised, match=why):
        list(how.stream([b"x"]))
    assert open_pipes() <= before


def test_a_stream_leaves_no_pipe_however_it_ends():
    how, before = good(), open_pipes()
    assert b"".join(how.stream([os.urandom(1000)] * 10))
    begun = how.stream(os.urandom(100_000) for _ in range(1000))
    next(begun)
    begun.close()
    with pytest.raises(TransferError):
        list(SPOILED.stream([b"x"] * 1000))
    assert open_pipes() <= before


@pytest.mark.parametrize(
    ("name", "now", "why"),
    [
        (
            "ours-expiring",
            datetime(2026, 1, 1, tzinfo=UTC),
            r"its key \w{40} expired on 2026-01-01\. Store a valid",
        ),
        ("ours-revoked", datetime(2025, 6, 1, tzinfo=UTC), r"its key \w{40} is revoked\. Store the one in use now"),
    ],
)
def test_a_signing_key_that_is_not_valid_now_signs_nothing(name, now, why):
    stored = Secret("ours", password=key(f"{name}.private"))
    with pytest.raises(KeyTrouble, match=r"The connection 'ours' \(encrypt\.sign_with\): " + why):
        read_signer(stored, now)


def test_a_signing_key_in_spoiled_base64_is_no_key_and_not_quoted():
    spoiled = base64.b64encode(key("ours.private").encode()).decode()[:-3] + "%%%"
    with pytest.raises(KeyTrouble, match="holds a password, but no OpenPGP private key") as refused:
        read_signer(Secret("ours", password=spoiled))
    assert spoiled[:20] not in str(refused.value)


def test_where_the_package_is_missing_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pysequoia", None)
    with pytest.raises(KeyTrouble, match="The package pysequoia, which encrypts, is not installed here"):
        read_signer(Secret("ours", password=key("ours.private")))


# -- the child process by itself ---------------------------------------------------------------------------------------


@pytest.fixture
def child(tmp_path, monkeypatch):
    """The program, run in this process: its exit code, and what it wrote to its standard output."""

    def run(order: dict[str, object], content: bytes) -> tuple[int, bytes]:
        import pysequoia

        given, sink = os.pipe()
        os.write(sink, json.dumps(order).encode())
        os.close(sink)
        read, written = tmp_path / "in", tmp_path / "out"
        read.write_bytes(content)
        monkeypatch.setattr(sys, "argv", ["child", str(given), str(Path(pysequoia.__file__).parents[1])])
        monkeypatch.setattr(sys, "path", [*sys.path])
        ours = [os.dup(0), os.dup(1)]
        try:
            for fd, path, flags in ((0, read, os.O_RDONLY), (1, written, os.O_RDWR | os.O_CREAT)):
                opened = os.open(path, flags)
                os.dup2(opened, fd)
                os.close(opened)
            with pytest.raises(SystemExit) as ended:
                runpy.run_path(str(module._CHILD), run_name="__main__")
        finally:
            for fd, kept in enumerate(ours):
                os.dup2(kept, fd)
                os.close(kept)
        return int(ended.value.code), written.read_bytes()

    return run


def order(*recipients: bytes, signer: str | None = None) -> dict[str, object]:
    encoded = [base64.b64encode(one).decode() for one in recipients]
    ours = None if signer is None else base64.b64encode(key(signer).encode()).decode()
    return {"recipients": encoded, "signer": ours, "password": None, "armor": False}


@pytest.mark.parametrize(("signer", "signed_by"), [("ours.private", "ours@example.org"), (None, None)])
def test_the_child_encrypts_its_input_and_signs_it_if_it_is_to(child, recipient, signer, signed_by):
    code, message = child(order(read_recipient(key("good")).material, signer=signer), b"12345678;SMITH\n" * 1000)
    assert code == 0
    read = recipient.reads(message)
    assert (read.content, read.signed_by) == (b"12345678;SMITH\n" * 1000, signed_by)


def test_the_child_says_in_one_line_why_it_could_not(child, capsys):
    code, message = child(order(b"no key at all", signer="ours.private"), b"12345678;SMITH\n")
    complaint = capsys.readouterr().err
    assert (code, message) == (1, b"")
    assert ": " in complaint
    for secret in ("SMITH", "no key at all", "backtrace", key("ours.private").splitlines()[3]):
        assert secret not in complaint
