"""A model of what a client must receive, against the real code and real servers (R3.5, R4, R5, R6).

Hypothesis plays clients, operators and accidents: files come, are overwritten, withdrawn, come again under other names;
done files come or do not; runs succeed, fail, are cleared, die at any call (their containers live on), overlap; the
YAML is edited between them, and all the while the ledger's index is 0 to 3 s behind. At the end all trouble is over,
and runs go on until they find nothing to do; then what arrived is compared with what was dropped.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.faults import invariants
from tests.faults.crash import ResumableRuns, die_at
from tests.faults.deliveries import LONGEST_LAG, MIB, REFUSAL, share_connection
from tests.support.runs import RunResult
from tests.support.scenario import MakeScenario

NAMES = ("a.csv", "b c.csv", "sub/ü.csv")
CONTENTS = (b"", b"one", b"two" * 1000, b"three" * 300_000)
LAG_SEED = 13
EDITS: tuple[dict[str, Any], ...] = (
    {"bypass_file_checks": True},
    {"bypass_file_checks": False},
    {"trigger_on_done_file": True},
    {"trigger_on_done_file": False},
    {"dedupe_by": "content"},
    {"dedupe_by": "content_and_name"},
    {"prefix": "moved/"},
    {"prefix": ""},
)


def machine(scenario: MakeScenario, directory: Path, changes: dict[str, Any]) -> type[RuleBasedStateMachine]:
    """The state machine for one kind of client."""

    class Client(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.client = scenario("gcs", **changes)
            share_connection(self.client)
            self.prefix = self.client.config.destination.prefix
            self.client.stack.order_index_lag(LONGEST_LAG, seed=LAG_SEED)
            self.by_content = False
            """Whether content alone ever counted: then a second name of it need not arrive."""
            self._see_how_it_counts()
            self.ever: dict[str, set[bytes]] = {}
            """All contents that each name ever had in the pick-up."""
            self.required: set[tuple[str, bytes]] = set()
            """Names and contents that must arrive: dropped, and not taken back before they were dealt with."""
            self.failed: RunResult | None = None
            self.rearmings = 0
            """How often somebody asked for something to be sent again, or an attempt was cut off unseen."""

        @rule(name=st.sampled_from(NAMES), content=st.sampled_from(CONTENTS))
        def drop(self, name: str, content: bytes) -> None:
            self._taken_back(name)
            self.client.drop(name, content)
            self.required.add((name, content))
            self.ever.setdefault(name, set()).add(content)

        @rule(name=st.sampled_from(NAMES))
        def withdraw(self, name: str) -> None:
            self._taken_back(name)
            self.client.withdraw(name)

        @precondition(lambda self: self.client.config.trigger_on_done_file)
        @rule()
        def drop_done(self) -> None:
            self.client.drop_done()

        @rule()
        def run(self) -> None:
            self._note(self.client.run())

        @rule()
        def run_with_bypass(self) -> None:
            self.rearmings += 1
            self._note(self.client.run(bypass_file_checks=True))

        @rule()
        def resend_failed(self) -> None:
            self.rearmings += 1
            self._note(self.client.run(resend_failed=True))

        @rule()
        def run_while_the_destination_refuses(self) -> None:
            self.client.gcs_faults(REFUSAL)
            self._note(self.client.run())
            self.client.gcs_faults()

        @precondition(lambda self: self.failed is not None)
        @rule(whole=st.booleans())
        def clear(self, whole: bool) -> None:
            self.rearmings += 1
            failed, self.failed = self.failed, None
            assert failed is not None
            self._note(self.client.clear(failed) if whole else self.client.clear_transfers(failed))

        @rule(at=st.integers(1, 45), when=st.sampled_from(["before", "after"]), tried_again=st.booleans())
        def die(self, at: int, when: Any, tried_again: bool) -> None:
            self.rearmings += 1
            runs = ResumableRuns(self.client.config, directory / "run")
            death = die_at(at, when, runs, directory / "call")
            if death.killed and tried_again:
                self._note(runs.go_on())

        @rule(change=st.sampled_from(EDITS))
        def edit_yaml(self, change: dict[str, Any]) -> None:
            # What is known by its content is not known by content and name, so all of it may be sent once more.
            self.rearmings += 1
            if "prefix" in change:
                place = self.client.config.destination.model_dump() | {"prefix": self.prefix + change["prefix"]}
                self.client.edit(destination=place)
            else:
                self.client.edit(**change)
            self._see_how_it_counts()

        @rule()
        def overlap(self) -> None:
            """What max_active_runs forbids, and a container that outlives its run does all the same."""
            self.rearmings += 1
            threads = [threading.Thread(target=self._run_in_thread) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(120)
                assert not thread.is_alive()

        def teardown(self) -> None:
            client = self.client
            client.gcs_faults()
            for _ in range(6):
                # Runs by schedule are minutes apart: the index has caught up with what was before.
                client.stack.order_index_lag(0)
                client.stack.order_index_lag(LONGEST_LAG, seed=LAG_SEED)
                if client.config.trigger_on_done_file:
                    client.drop_done()
                self._note(client.run(resend_failed=True))
                if not self._waiting():
                    break
            client.stack.order_index_lag(0)
            self.check()

        def _waiting(self) -> list[str]:
            """What is in the pick-up; a done file that nobody goes by any more stays."""
            done = "" if self.client.config.trigger_on_done_file else self.client.config.done_file_key
            return [name for name in self.client.waiting() if not done.endswith("/" + name)]

        def _visible(self) -> list[tuple[str, int]]:
            """Name and size of everything that ever became visible to the recipient, wherever the YAML said."""
            events = [one for one in self.client.stack.gcs("events") if one["event"] == "visible"]
            return [
                (one["name"].removeprefix(self.prefix).removeprefix("moved/"), one["size"])
                for one in events
                if one["name"].startswith(self.prefix)
            ]

        def _see_how_it_counts(self) -> None:
            self.by_content |= self.client.config.dedupe_by == "content"

        def check(self) -> None:
            client = self.client
            assert self._waiting() == [], f"never removed: {invariants.states(client)}"
            assert not client.ledger.open_entries()
            assert invariants.leftovers(client, self.prefix) == []
            found = client.stack.gcs_contents(client.config.destination.bucket, self.prefix)
            for path, content in found.items():
                name = path.removeprefix(self.prefix).removeprefix("moved/")
                assert content in self.ever.get(name, set()), f"{name}: not what was dropped under that name"
            known = {entry.source_etag: entry.status.value for entry in client.entries().values()}
            assert set(known.values()) <= {"success", "fail"}, known
            self._check_nothing_is_lost()
            # Each content is sent once, and once more only where somebody asked for it or a process died unseen.
            contents = len({content for contents in self.ever.values() for content in contents})
            most = contents if self.by_content else sum(len(contents) for contents in self.ever.values())
            assert len(self._visible()) <= most + self.rearmings * len(NAMES) * len(CONTENTS), self._visible()

        def _check_nothing_is_lost(self) -> None:
            """What was required became visible: under its name, or under any name where content is what counts."""
            arrived = set(self._visible())
            sizes = {size for _, size in arrived}
            for name, content in self.required:
                there = len(content) in sizes if self.by_content else (name, len(content)) in arrived
                assert there, f"lost: {name} with {len(content)} bytes; arrived: {arrived}"

        def _taken_back(self, name: str) -> None:
            """The client takes back, or overwrites, what still waits there: whether it arrives is open."""
            if name in self.client.waiting():
                self.required -= {(name, content) for content in CONTENTS}

        def _run_in_thread(self) -> None:
            self.client.run()

        def _note(self, run: RunResult) -> None:
            if run.state == "failed":
                self.failed = run

    return Client


def play(scenario: MakeScenario, directory: Path, changes: dict[str, Any], examples: int, *, anew: bool = True) -> None:
    run_state_machine_as_test(
        machine(scenario, directory, changes),
        settings=settings(
            max_examples=examples,
            derandomize=not anew,
            stateful_step_count=12,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


CHANGES = [
    {},
    {"trigger_on_done_file": True},
    {"dedupe_by": "content_and_name", "send_notifications": False},
    {"offload_threshold": MIB},
]


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_what_must_arrive_arrives(scenario, tmp_path, changes):
    play(scenario, tmp_path, changes, int(os.environ.get("MODEL_EXAMPLES", "3")), anew="CRASH_SEED" in os.environ)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_what_must_arrive_arrives_whatever_happens(scenario, tmp_path, changes):
    play(scenario, tmp_path, changes, int(os.environ.get("MODEL_EXAMPLES", "60")))
