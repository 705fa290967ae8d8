"""The demo is never silent, waits for as long as anything moves, ends what it started, and shows the ledger."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from local import demo_addresses, ledger_table
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
