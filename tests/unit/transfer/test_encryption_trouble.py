"""Encryption that cannot begin, or fails in the middle: said so, with the reason, and nothing is left open."""

from __future__ import annotations

import base64
import os
import sys
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


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


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
    how, before = good(), open_files()
    with pytest.raises(raised, match=why):
        list(how.stream([b"x"]))
    assert open_files() == before


def test_a_stream_leaves_no_pipe_however_it_ends():
    how, before = good(), open_files()
    assert b"".join(how.stream([os.urandom(1000)] * 10))
    begun = how.stream(os.urandom(100_000) for _ in range(1000))
    next(begun)
    begun.close()
    with pytest.raises(TransferError):
        list(SPOILED.stream([b"x"] * 1000))
    assert open_files() == before


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
