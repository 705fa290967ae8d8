"""The standard deliveries that the campaign troubles, and where it notes what it tried."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from client_delivery.ledger.entry import Status
from client_delivery.operators.idle import HeldFiles
from local.process import ROOT
from tests.faults import invariants
from tests.faults.crash import ResumableRuns, die_at_call
from tests.support.openpgp import key
from tests.support.runs import RunResult
from tests.support.scenario import MakeScenario, Scenario

MIB = 1024**2
BIG = os.urandom(17 * MIB)
LONGEST_LAG = 3.0
"""Seconds by which the ledger's index is behind at most, where a test lets it lag."""
WATCHED_BUCKET = "example-partner-versions"
"""The recipient's bucket in S3: its versions tell whatever could be seen there."""
REFUSAL = {"call": r"(Upload|PutObject)", "status": 403, "code": "forbidden", "times": 0}
"""Google lets nobody write any more."""


@dataclass(frozen=True)
class Kind:
    """One standard delivery."""

    destination: str
    changes: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    done_file: bool = False
    big: bool = True
    history: str = ""
    """What happened before: see :data:`LONG_AGO` and :data:`JUST_NOW`."""
    server: str | None = None
    """An SFTP server of the bench; None for OpenSSH."""
    guarded: bool = False
    """Whether guards hold two of the files: one is empty, one has another checksum than the file beside it says."""

    named: bool = False
    """Whether files arrive under other names, with checksum files, and a completion file after them."""

    def __str__(self) -> str:
        guarded = "named" if self.named else "guarded" if self.guarded else ""
        return "-".join(filter(None, [self.destination, self.server, *self.changes, self.history, guarded]))


@dataclass
class Delivery:
    """A client with its files dropped, for the run that gets into trouble."""

    client: Scenario
    kind: Kind
    files: dict[str, bytes]
    """What must be at the destination in the end."""
    announced: set[str]
    """What the e-mails of this run and the later ones are about."""
    duplicates: set[str] = field(default_factory=set)
    """What must be reported as sent before under another name (R5.7)."""
    mails_before: int = 0
    """How many there were when the run in question began."""
    clears: int = 0
    """How many red runs were cleared."""
    held: dict[str, bytes] = field(default_factory=dict)
    """What guards hold: no byte of it goes, and it stays in the pick-up."""
    expected: invariants.Expected = field(default_factory=invariants.Expected)
    """What the files are called at the destination, and what arrives beside them."""
    elsewhere: set[str] = field(default_factory=set)
    """What is at the destination outside of the client's place: nothing comes or goes there."""
    not_announced: int = 0
    """How many runs could not send the start e-mail in any try: that task is red, and the delivery goes on (R7.3)."""
    lag_seed: int | None = None
    """Draws how far the ledger's index is behind; None: it is up to date."""

    def let_index_lag(self, seed: int) -> None:
        """From now on the ledger's index knows of each change 0 to 3 s later, until :meth:`let_index_catch_up`."""
        self.lag_seed = seed
        self.client.stack.order_index_lag(LONGEST_LAG, seed=seed)

    def let_index_catch_up(self) -> None:
        """The index is up to date from now on."""
        self.lag_seed = None
        self.client.stack.order_index_lag(0)

    def _minutes_pass(self) -> None:
        """As between two runs by schedule: the index has caught up with all that has been, and lags again."""
        if (seed := self.lag_seed) is not None:
            self.let_index_catch_up()
            self.let_index_lag(seed + 1)

    def until_quiet(self, *, may_be_red: bool = False) -> None:
        """The next scheduled runs, until they find nothing to do; a red one is cleared, as an operator would."""
        for _ in range(5):
            self._minutes_pass()
            run = self.client.run(**self.kind.params)
            self.went(run)
            if run.executed == ["register_files"] and (
                run.state == "success" or isinstance(run.errors["register_files"], HeldFiles)
            ):
                break
            if run.state == "failed" and not self._red_for_held_files(run):
                assert may_be_red, run.errors
                self.clear(run)
        else:
            raise AssertionError(
                f"there is always something to do: {invariants.states(self.client)}, {self.client.waiting()}"
            )
        if self.kind.done_file:
            # What was sent waits for the next done file to be removed.
            self._minutes_pass()
            self.client.drop_done(DONE)
            assert self.client.run(**self.kind.params).state == "success"

    def _red_for_held_files(self, run: RunResult) -> bool:
        """Whether all that is wrong is what a person has to look at: only the last task is red, and nothing failed."""
        red = [task for task, state in run.states.items() if state == "failed"]
        return bool(self.held) and red == ["report"] and not invariants.failed_otherwise(self.client)

    @property
    def ends(self) -> str:
        """The colour of a run that does all it can."""
        return "failed" if self.held else "success"

    def clear(self, run: RunResult) -> None:
        """Clear a red run: from here on it is another delivery, with e-mails of its own."""
        self.clears += 1
        self.went(self.client.clear(run, **self.kind.params))

    def went(self, run: RunResult) -> None:
        """Keep what the end has to know of a run."""
        self.not_announced += run.states.get("notify_started") == "failed"

    def resend_failed(self) -> None:
        """What failed in a run that nobody cleared is held (R5.4): it goes when an operator asks for it."""
        self._minutes_pass()
        if self.client.ledger.held_entries():
            self.clears += 1
            self.went(self.client.run(**self.kind.params | {"resend_failed": True, "ignore_done_file": True}))

    def check_at_any_moment(self) -> None:
        """The invariants that hold even now, with a process dead or a run red."""
        invariants.check_at_any_moment(self.client, self.files, self.held, self.expected)

    def check(self, *, most: int | None = 2, mail_may_be_lost: bool = False, disk_garbles: bool = False) -> None:
        """The invariants, when the next runs find nothing to do.

        Each file became visible ``most`` times at most: once, and once more where an attempt was cut off unseen. What
        the recipient's disk garbles is visible for a moment, until the attempt has looked at its checksum.
        """
        if most is not None and self.kind.history == "resumed":
            most += 1  # that run died: a file may have been visible that its ledger did not know yet
        there = self.expected.there(self.files)
        invariants.check(self.client, there, self.held)
        assert self.client.elsewhere() == self.elsewhere, "something was delivered to the wrong place"
        if not disk_garbles:
            invariants.check_what_became_visible(self.client, there, most=most)
        mails = self.client.mails()[self.mails_before :]
        invariants.check_mails(mails, self.announced, most=1 + self.clears, may_be_lost=mail_may_be_lost)
        invariants.check_duplicates_are_reported(mails, self.duplicates, may_be_lost=mail_may_be_lost)
        self.client.forget()


def _duplicate(delivery: Delivery, _: Path) -> None:
    """Sent long ago: one file comes again, its content also under another name, and there is a new file."""
    client = delivery.client
    client.drop("sent before.csv", b"sent before")
    for _ in range(2):
        assert client.run().state == "success"
    delivery.mails_before = len(client.mails())
    client.drop("sent before.csv", b"sent before")
    client.drop("copy.csv", b"sent before")
    delivery.duplicates = {"copy.csv"}
    delivery.files["sent before.csv"] = b"sent before"


def _failed(delivery: Delivery, _: Path) -> None:
    """All files failed in an earlier run; now the operator asks for them again (R5.4)."""
    client = delivery.client
    client.gcs_faults(REFUSAL)
    assert client.run().state == "failed"
    client.gcs_faults()
    assert {entry.status for entry in client.entries().values()} == {Status.FAIL}
    delivery.mails_before = len(client.mails())


def _resumed(delivery: Delivery, directory: Path) -> None:
    """A run died in the middle of the large file (R6.7)."""
    client = delivery.client
    death = die_at_call(
        r"PUT .*big\.bin.*partNumber=2", "after", ResumableRuns(client.config, directory / "run"), directory / "call"
    )
    assert death.killed
    assert client.entries()["big.bin"].status is Status.PROCESSING
    assert invariants.leftovers(client)


_History = Callable[[Delivery, Path], None]
LONG_AGO: Mapping[str, _History] = {"duplicate": _duplicate}
"""Before the files are dropped."""
JUST_NOW: Mapping[str, _History] = {"failed": _failed, "resumed": _resumed}
"""Since they have been."""

KINDS = [
    Kind("gcs"),
    Kind("gcs", {"trigger_on_done_file": True}, done_file=True, big=False),
    Kind("gcs", {"offload_threshold": MIB}),
    Kind("gcs", params={"resend_failed": True}, big=False, history="failed"),
    Kind("gcs", history="resumed"),
    Kind("sftp"),
    Kind("sftp", server="rclone"),
    Kind("s3"),
    Kind("s3", {"bypass_file_checks": True}),
    Kind("s3", big=False, history="duplicate"),
    Kind("gcs", {"compress": "gzip"}),
    Kind("s3", {"compress": "gzip", "encrypt": {"recipients": [key("good")]}}),
    Kind("s3", big=False, guarded=True),
    Kind("gcs", done_file=True, big=False, named=True),
    Kind("sftp", {"compress": "gzip", "encrypt": {"recipients": [key("good")]}}),
]
_FEATURES = {"gcs-compress", "s3-guarded", "gcs-named", "sftp-compress-encrypt"}
SAMPLED = [kind for kind in KINDS if str(kind) != "sftp-compress-encrypt"]
"""Those of which every test run tries a sample of crash points: what is treated is among them for two other servers."""
TAKING_TURNS = [
    pytest.param(kind, id=str(kind), marks=[pytest.mark.slow] if str(kind) in _FEATURES else []) for kind in KINDS
]
"""The same, for what every test run does not do with all of them: the gate has 30 minutes. Each kind is among the
crash points of every run, and each trouble meets all of them in the slow tests."""
_AT_RANDOM = {"gcs-offload_threshold", "sftp-rclone", "s3-compress-encrypt"}
SOAKED = [
    pytest.param(kind, id=str(kind), marks=[] if str(kind) in _AT_RANDOM else [pytest.mark.slow]) for kind in KINDS
]
"""Those of which every test run plays a round of random trouble, half a minute each: one of each way and place."""
DONE = b"to\n"
"""What done files say."""
NAMED = {
    "trigger_on_done_file": True,
    "deliver_as": "{folder}{done_file} {stem}{ext}",
    "sidecar": "sha256",
    "completion_file": {"name": "complete", "content": "names"},
}
GUARDS = {"not_empty": True, "max_size": "1 GiB", "size_within": "50%", "checksum_files": "sha256"}


def prepare(scenario: MakeScenario, kind: Kind, directory: Path) -> Delivery:
    """A client with its files dropped; every content is its own, so that every file has its own ETag."""
    place = {"bucket": WATCHED_BUCKET} if kind.destination == "s3" else {}
    besides = {"guards": GUARDS} if kind.guarded else NAMED if kind.named else {}
    client = scenario(kind.destination, place=place, server=kind.server, **besides, **kind.changes)
    client.watch()
    if kind.changes.get("offload_threshold"):
        share_connection(client)
    files = {"a.csv": os.urandom(100), "sub/b c.csv": os.urandom(5000), "empty.csv": b""}
    if kind.big:
        # A server of the bench takes 32 KiB at a time: every piece of a file is a call.
        files["big.bin"] = BIG if kind.server is None else BIG[: 5 * MIB]
    held = {}
    if kind.guarded:
        files |= {f"{name}.sha256": _sum_of(content) for name, content in files.items() if content}
        held = {"empty.csv": files.pop("empty.csv"), "wrong.csv": os.urandom(100)}
        files["wrong.csv.sha256"] = _sum_of(b"another content")
    delivery = Delivery(client, kind, dict(files), set(files), held=held, elsewhere=client.elsewhere())
    if kind.named:
        delivery.expected = _expected(files)
    if happened := LONG_AGO.get(kind.history):
        happened(delivery, directory)
    for name, content in (files | held).items():
        client.drop(name, content)
    if kind.done_file:
        client.drop_done(DONE)
    if happened := JUST_NOW.get(kind.history):
        happened(delivery, directory)
    return delivery


def _expected(files: Mapping[str, bytes]) -> invariants.Expected:
    """What `NAMED` makes of the files."""
    names = {name: "/".join([*name.split("/")[:-1], f"to {name.split('/')[-1]}"]) for name in files}
    there = {names[name]: content for name, content in files.items()}
    sums = {
        f"{name}.sha256": f"{hashlib.sha256(content).hexdigest()}  {name.split('/')[-1]}\n".encode()
        for name, content in there.items()
    }
    completion = "".join(f"{name}\n" for name in sorted(there)).encode()
    return invariants.Expected(names, sums, {"complete": completion})


def _sum_of(content: bytes) -> bytes:
    """As ``sha256sum`` writes it."""
    return f"{hashlib.sha256(content).hexdigest()}  file\n".encode()


def share_connection(client: Scenario) -> None:
    """The container finds it where MWAA's Airflow does."""
    name = client.config.name
    client.stack.store_connection(name, json.loads(os.environ[f"AIRFLOW_CONN_{name.upper()}"]))


def drawn_for(what: object) -> random.Random:
    """What draws a sample: the same in every test run, so that a red one is the change's; CRASH_SEED draws another."""
    return random.Random(f"{os.environ.get('CRASH_SEED', 'the usual')} {what}")


def note(line: str) -> None:
    """For the report of a campaign: .local/faults.txt."""
    report = ROOT / ".local" / "faults.txt"
    report.parent.mkdir(exist_ok=True)
    with report.open("a") as file:
        file.write(line + "\n")
