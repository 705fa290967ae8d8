"""The demo is never silent, waits for as long as anything moves, ends what it started, and shows the ledger."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pysequoia
import pytest
import yaml

from client_delivery.config.loader import load_file
from client_delivery.config.openpgp import read_recipient
from local import demo_addresses, demo_payer, ledger_table
from local.demo_clients import EXAMPLES
from local.demo_progress import Look, Progress, StalledError
from local.ledger_item import LedgerItem
from local.process import PYTHON_PATH, ROOT, dying_with_parent
from local.wait import wait_until


def test_a_silence_is_filled_with_what_is_waited_for(capsys):
    with Progress(quiet=0.3) as progress:
        progress.say("begun")
        progress.doing("comparing, 312 left")
        time.sleep(1.5)
    lines = capsys.readouterr().out.splitlines()
    assert "begun" in lines[0]
    assert 1 <= len(lines[1:]) <= 4
    assert all(line.endswith("… comparing, 312 left") for line in lines[1:])


def test_nothing_is_filled_in_where_there_is_nothing_to_wait_for(capsys):
    with Progress(quiet=0.1) as progress:
        progress.say("staying up")
        time.sleep(0.5)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_patience_lasts_as_long_as_anything_moves():
    left = iter(range(30, 0, -1))
    with Progress() as progress:
        progress.wait(lambda: Look(not (n := next(left, 0)), f"{n} left"), interval=0.05, stalled=0.5)
        with pytest.raises(StalledError, match="3 left"):
            progress.wait(lambda: Look(False, "3 left"), interval=0.05, stalled=0.3)


def test_what_the_demo_starts_ends_with_it_even_if_it_is_killed():
    code = (
        "import subprocess, sys, time; from local.process import dying_with_parent; "
        "child = subprocess.Popen(dying_with_parent(['sleep', '300']), start_new_session=True); "
        "print(child.pid, flush=True); time.sleep(300)"
    )
    environment = {**os.environ, "PYTHONPATH": PYTHON_PATH}
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    child = int(parent.stdout.readline())
    wait_until(lambda: command_of(child).startswith("sleep"), "the child runs", seconds=30)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until(lambda: not command_of(child), "the child has ended", seconds=30)
    assert dying_with_parent(["x"])[-1] == "x"


def command_of(pid: int) -> str:
    """Empty if there is no such process, or only its remains."""
    done = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return "" if "<defunct>" in done.stdout else done.stdout.strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_signal_ends_the_demo_in_order(number, tmp_path, monkeypatch, capsys):
    """And what is being ended is not interrupted by a second one."""
    from local import demo

    kept = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    ended = []

    def run(progress, *, once):
        try:
            threading.Timer(0.2, os.kill, (os.getpid(), number)).start()
            time.sleep(30)
        except Exception as swallowed:  # as botocore does around each request
            raise RuntimeError("the end is taken for trouble") from swallowed
        finally:
            os.kill(os.getpid(), number)
            ended.append(True)

    monkeypatch.setattr(demo, "run", run)
    monkeypatch.setattr(demo_addresses, "_KEPT", tmp_path / "addresses.json")
    monkeypatch.setattr(sys, "argv", ["demo"])
    try:
        assert demo.main() == 130
    finally:
        for one, handler in kept.items():
            signal.signal(one, handler)
    assert ended
    assert "ended by" in capsys.readouterr().out


def entry(name: str, status: str, **changes) -> LedgerItem:
    return LedgerItem(
        {
            "clientHNumber": "H1",
            "etag": name,
            "fileName": name,
            "status": status,
            "active": False,
            "sendAttempts": 0,
            "timestamp": "2026-01-01T00:00:00.000Z",
            "sizeBytes": 10,
            **changes,
        }
    )


def test_the_ledger_as_a_table_shows_first_what_needs_a_person():
    entries = [entry(f"good-{n}.csv", "success") for n in range(20)]
    entries += [entry("bad\n.csv", "fail", sendAttempts=3, lastError="refused\nby them", openKey="held:H1")]
    entries += [entry("big.csv", "processing", active=True, openKey="H1")]
    lines = ledger_table.table("H1", entries, 8).splitlines()
    assert lines[0] == "H1: 1 fail, held, 1 processing, active, 20 success"
    assert lines[1].split() == [
        "fail,",
        "held",
        "3",
        "failed",
        "10",
        "bytes",
        "2026-01-01T00:00:00.000Z",
        "bad\\u000a.csv",
    ]
    assert lines[2].strip() == "refused\\u000aby them"
    assert lines[3].startswith("  processing, active")
    assert lines[-1] == "  and 14 more (ALL=1)"
    assert "more" not in ledger_table.table("H1", entries, None)


def test_without_a_demo_the_ledger_says_how_to_start_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo_addresses, "_KEPT", tmp_path / "addresses.json")
    monkeypatch.setattr(sys, "argv", ["ledger_table"])
    assert ledger_table.main() == 1
    assert "make demo" in capsys.readouterr().err


class Connections:
    """Of the stand-ins, what the payer's keys need."""

    def __init__(self) -> None:
        self.stored: dict[str, dict] = {}

    def store_connection(self, name: str, connection: dict) -> None:
        self.stored[name] = connection


@pytest.fixture(params=["gpg", "sequoia", "deep"])
def someone(request, tmp_path, monkeypatch):
    """The demo's payer, and our key as Airflow has it."""
    if request.param == "sequoia":
        monkeypatch.setattr(shutil, "which", lambda _: None)
    elif shutil.which("gpg") is None:
        pytest.skip("GnuPG is not installed (apt-get install gnupg)")
    connections = Connections()
    # Short: GnuPG's agent listens on a socket in it.
    with (
        tempfile.TemporaryDirectory(prefix="gpg") as home,
        demo_payer.payer(Path(home) / "payer", connections) as payer,
    ):
        [stored] = connections.stored.values()
        yield payer, pysequoia.Tsk.from_bytes(stored["extra"]["private_key"].encode()).signer()


def sent_to(payer, signer, content: bytes) -> bytes:
    key = read_recipient(payer.public_key).material
    return pysequoia.encrypt(content, recipients=[pysequoia.Cert.from_bytes(key)], signer=signer, armor=False)


def test_the_payer_reads_what_we_have_signed_and_nothing_else(someone, tmp_path):
    payer, signer = someone
    fields = yaml.safe_load((EXAMPLES / f"{demo_payer.CLIENT}.yaml").read_text()) | demo_payer.EDITS[demo_payer.CLIENT]
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / demo_payer.KEY_FILE).write_text(payer.public_key)
    written = tmp_path / f"{demo_payer.CLIENT}.yaml"
    written.write_text(yaml.safe_dump(fields))
    read = demo_payer.reads(payer, load_file(written))
    assert read(sent_to(payer, signer, gzip.compress(b"a;b"))) == b"a;b"
    other = pysequoia.Tsk.generate(user_id="other", profile=pysequoia.Profile.RFC4880)
    for arrived, why in [
        (sent_to(payer, None, gzip.compress(b"a;b")), "signature"),
        (sent_to(payer, other.signer(), gzip.compress(b"a;b")), "signature"),
        (sent_to(payer, signer, b"a;b"), "not gzip"),
        (gzip.compress(b"a;b"), "says"),
    ]:
        with pytest.raises(demo_payer.Unreadable, match=why):
            read(arrived)


def test_one_file_is_read_by_hand_as_the_demo_says(someone, tmp_path):
    payer, signer = someone
    arrived = tmp_path / "a b.csv.gz.pgp"
    arrived.write_bytes(sent_to(payer, signer, gzip.compress(b"a;b")))
    digest = hashlib.sha256(b"a;b").hexdigest()
    told = demo_payer.by_hand(payer, arrived, "a.csv", digest).partition("\n")[0]
    told = told.replace(".venv/bin/python", sys.executable)
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(told, shell=True, capture_output=True, text=True, check=True, cwd=ROOT, env=bare)
    assert done.stdout.split()[0] == digest
    told = demo_payer.where(payer)
    for key in ("private.asc", "ours.asc"):
        assert f"{payer.directory}/{key}" in told
        assert "BEGIN PGP" in (payer.directory / key).read_text()
    assert (payer.directory / "private.asc").stat().st_mode & 0o077 == 0
