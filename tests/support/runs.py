"""Whole DAG runs in this process: the real operators against the real servers, without a scheduler.

The tasks are those of the DAG that the product builds, in its order and by its trigger rules; retries come without
their delays. What only a scheduler can show is left to tests/system.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, DownstreamTasksSkipped, TaskDeferred
from airflow.sdk.execution_time.context import OutletEventAccessors

from client_delivery.building.delivery import build_dag, build_error_dag, build_removed_dag
from client_delivery.config.model import ClientConfig
from client_delivery.config.problem import ConfigError, Problem
from client_delivery.operators.transfer_batch import TransferBatchOperator
from client_delivery.run.questions import QUESTIONS, answering_tasks

_numbers = itertools.count(1)


@dataclass
class RunResult:
    """What became of one life of a run: each task's state, and what failed tasks said."""

    run_id: str
    generation: int
    states: dict[str, str] = field(default_factory=dict)
    errors: dict[str, BaseException] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    batches: list[Any] = field(default_factory=list)
    pushed: dict[str, Any] = field(default_factory=dict)
    """What tasks pushed to XCom under a key of their own."""
    of_wrong_file: dict[str, str] = field(default_factory=dict)
    """The state of the task that only a wrong file's DAG has, where the run began while the file was wrong."""
    asset_events: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What Airflow tells other DAGs: the extra of each asset's event, by the asset's name."""
    xcoms: dict[tuple[str, str], Any] = field(default_factory=dict)
    """The same and what each task returned, by task and key."""

    @property
    def returned(self) -> dict[str, Any]:
        """What each task returned."""
        return {task: value for (task, key), value in self.xcoms.items() if key == "return_value"}

    @property
    def state(self) -> str:
        """The DAG run's colour: its leaves' states, a skipped one being green."""
        answers = {self.states.get(name, "skipped") for name in QUESTIONS.values()}
        return "success" if {self.states.get("report"), *answers} <= {"success", "skipped"} else "failed"

    @property
    def executed(self) -> list[str]:
        """The task instances that a worker had to run."""
        return [task for task, state in self.states.items() if state in ("success", "failed")]


class Runs:
    """Runs one configuration's DAG again and again."""

    def __init__(self, config: ClientConfig) -> None:
        self.config = config
        self.dag = build_dag(config)
        self.problem = ""
        """What is wrong with the client's file now, if anything."""
        self.under_way: set[tuple[str, str]] = set()
        """DAG id and run id of the runs that are not over."""

    def breaks(self) -> None:
        """The client's file becomes wrong, whatever is under way: its DAG is another one from the next task on."""
        self.problem = "acme.yaml:3:1: contacts: found nothing, expected a list."
        error = ConfigError([Problem("acme.yaml", 3, 1, "contacts", "nothing", "a list")])
        self.dag = build_error_dag(self.config.name, error)

    def removed(self) -> None:
        """The client's file is removed, whatever is under way."""
        self.problem = "removed"
        self.dag = build_removed_dag(self.config.name)

    def edited(self, config: ClientConfig) -> None:
        """The client's file is changed to another that is right, whatever is under way."""
        self.config, self.dag, self.problem = config, build_dag(config), ""

    def _state_of(self, dag_id: str, run_id: str) -> str:
        """Airflow's state of any other run: over, unless a test says that it is under way."""
        return "running" if (dag_id, run_id) in self.under_way else "failed"

    def run(self, *, of: RunResult | None = None, **params: Any) -> RunResult:
        """One scheduled or triggered run; with ``of``, that run cleared as a whole."""
        return self._go(self._begin(of), params)

    def clear_transfers(self, of: RunResult, **params: Any) -> RunResult:
        """Clear the transfer tasks of a run with everything downstream, as the UI's button on them does."""
        result = self._begin(of)
        result.batches = of.batches
        result.states |= dict.fromkeys(("register_files", "notify_started"), "success")
        self._transfer(result, params)
        self._wind_up(result, params)
        return result

    def clear_failed(self, of: RunResult, **params: Any) -> RunResult:
        """Clear only the failed tasks of a run, as the UI's dialog offers."""
        result = self._begin(of)
        result.batches, result.xcoms = of.batches, dict(of.xcoms)
        result.states |= {
            name: state for name, state in of.states.items() if state not in ("failed", "upstream_failed")
        }
        self._transfer(result, params)
        if "notify_finished" not in result.states:
            self._by_rule(result, "notify_finished", ["register_files", "notify_started", *_transfers(result)], params)
        self._by_rule(result, "report", ["register_files", "notify_finished", *_transfers(result)], params)
        return result

    def clear_task(self, of: RunResult, name: str, **params: Any) -> RunResult:
        """Clear one task of a run and nothing else."""
        result = self._begin(of)
        result.batches, result.xcoms, result.states = of.batches, dict(of.xcoms), dict(of.states)
        self._task(result, name, params)
        return result

    def only(self, name: str, **params: Any) -> RunResult:
        """One task of a new run and nothing else."""
        result = self._begin(None)
        self._task(result, name, params)
        return result

    def _begin(self, of: RunResult | None) -> RunResult:
        if of is not None:
            return RunResult(of.run_id, of.generation + 1)
        return RunResult(f"manual__2026-03-01T12:00:00.{next(_numbers):06d}+00:00", 0)

    def _go(self, result: RunResult, params: Mapping[str, Any]) -> RunResult:
        value = self._task(result, "register_files", params)
        if result.states["register_files"] == "failed":
            result.states["report"] = "upstream_failed"
            return result
        if value is DownstreamTasksSkipped:
            result.states["report"] = "skipped"
            for answering in answering_tasks(params):
                self._task(result, answering, params)
            return result
        result.batches = value
        self._task(result, "notify_started", params)
        self._transfer(result, params)
        self._wind_up(result, params)
        return result

    def _transfer(self, result: RunResult, params: Mapping[str, Any]) -> None:
        for number, batch in enumerate(result.batches):
            if result.states.get(f"transfer_batch[{number}]") == "success":
                continue
            config = None if self.problem else self.config
            task = TransferBatchOperator(
                task_id="transfer_batch", config=config, problem=self.problem, batch=batch, retries=3
            )
            self._task(result, f"transfer_batch[{number}]", params, task)

    def _wind_up(self, result: RunResult, params: Mapping[str, Any]) -> None:
        self._by_rule(result, "notify_finished", ["register_files", "notify_started", *_transfers(result)], params)
        announces = ["announce"] if "announce" in self.dag.task_ids else []
        for name in announces:
            self._by_rule(result, name, ["register_files", "notify_started", *_transfers(result)], params)
        before = ["register_files", "notify_finished", *announces, *_transfers(result)]
        self._by_rule(result, "report", before, params)

    def _by_rule(self, result: RunResult, name: str, upstream: list[str], params: Mapping[str, Any]) -> None:
        """As Airflow does by ALL_DONE_MIN_ONE_SUCCESS: one that was skipped skips it."""
        states = {result.states[one] for one in upstream}
        if "skipped" in states or not result.batches:
            result.states[name] = "skipped"
        elif "success" in states:
            self._task(result, name, params)
        else:
            result.states[name] = "upstream_failed"

    @staticmethod
    def _resumed(task: Any, context: Mapping[str, Any], deferred: TaskDeferred) -> Any:
        """As the triggerer does: wait for the trigger, and go on with what it found."""
        while True:
            event = asyncio.run(_first_event(deferred.trigger))
            try:
                return getattr(task, deferred.method_name)(context, event=event, **(deferred.kwargs or {}))
            except TaskDeferred as again:
                deferred = again

    def _task(self, result: RunResult, name: str, params: Mapping[str, Any], task: Any = None) -> Any:
        task = task or self.dag.get_task(name)

        def push(key: str, value: Any) -> None:
            result.pushed[key] = result.xcoms[name, key] = value

        context: dict[str, Any] = {
            "dag_run": SimpleNamespace(
                dag_id=self.config.name,
                run_id=result.run_id,
                clear_number=result.generation,
                run_type="manual",
                conf=dict(params),
            ),
            "params": {**self.dag.params.dump(), **params},
            "outlet_events": (outlets := OutletEventAccessors()),
            "ti": SimpleNamespace(
                xcom_pull=lambda task_ids, key="return_value": result.xcoms.get((task_ids, key)),
                xcom_push=push,
                try_number=1,
                max_tries=0,
                get_dagrun_state=self._state_of,
                get_task_states=lambda dag_id, task_ids, run_ids: {result.run_id: result.of_wrong_file},
                dag_id=self.config.name,
                task_id=name,
                run_id=result.run_id,
                map_index=int(number[1]) if (number := re.search(r"\[(\d+)\]", name)) else -1,
            ),
        }
        context["ti"].max_tries = task.retries
        for attempt in range(1, task.retries + 2):
            result.tries[name] = context["ti"].try_number = attempt
            # Airflow forgets what the try before has pushed (``ti_run`` of its Execution API, 3.2.1).
            result.xcoms = {at: value for at, value in result.xcoms.items() if at[0] != name}
            try:
                value = _execute(task, context)
            except DownstreamTasksSkipped as skipped:
                result.states[name] = "success"
                return type(skipped)
            except AirflowSkipException:
                result.states[name] = "skipped"
                return None
            except TaskDeferred as deferred:
                try:
                    value = self._resumed(task, context, deferred)
                except AirflowFailException as error:
                    result.states[name], result.errors[name] = "failed", error
                    return None
                except Exception as error:
                    result.states[name], result.errors[name] = "failed", error
                    continue
            except AirflowFailException as error:
                result.states[name], result.errors[name] = "failed", error
                return None
            except Exception as error:
                result.states[name], result.errors[name] = "failed", error
                continue
            result.states[name], result.xcoms[name, "return_value"] = "success", value
            result.errors.pop(name, None)
            # By what the task has as its outlets when it ends (``_handle_current_task_success`` of 3.2.1).
            result.asset_events |= {outlet.name: outlets[outlet].extra for outlet in task.outlets}
            return value
        return None


def _transfers(result: RunResult) -> list[str]:
    return [name for name in result.states if name.startswith("transfer_batch")]


async def _first_event(trigger: Any) -> Any:
    async for event in trigger.run():
        return event.payload
    raise AssertionError("the trigger ended without an event")


def _execute(task: Any, context: Mapping[str, Any]) -> Any:
    """Airflow wraps ``execute`` to warn when no task runner calls it; here that is intended."""
    function = type(task).execute
    return getattr(function, "__wrapped__", function)(task, context)
