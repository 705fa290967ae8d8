"""What can be wrong with a container: in words for ledger and e-mail, and its consequences."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

from client_delivery.run.offloaded import Trouble
from client_delivery.run.order import ExitCode

_EXPECTED = frozenset({ExitCode.DELIVERED, ExitCode.UNFINISHED, ExitCode.FAILED})
"""With these exit codes, the ledger has the files' outcomes."""

_NO_ROOM = re.compile(
    r"capacity is unavailable|\bRESOURCE:|reached the limit on the number of|request ?limit ?exceeded|rate exceeded",
    re.IGNORECASE,
)
"""ECS's messages for causes that only time fixes: no capacity, the quota of tasks or vCPUs used up, too many requests.

They are in RunTask's list ``failures`` (with status 200), in an error, and in the reason of a task that stopped.
"""
_NOT_NOW = frozenset(
    {"ThrottlingException", "Throttling", "RequestLimitExceeded", "ServerException", "ServiceUnavailableException"}
)
_FROM_OUTSIDE = frozenset({"UserInitiated", "SpotInterruption", "TerminationNotice"})
"""ECS's ``stopCode`` of a task that was stopped by hand, or whose host was reclaimed."""
_ADVICE = {
    "AccessDeniedException": "Airflow's role needs ecs:RunTask on the task definition and iam:PassRole on its roles",
    "ClusterNotFoundException": "check delivery.ecs_cluster",
    "ClientException": "check delivery.ecs_task_definition, its roles and delivery.ecs_container",
    "InvalidParameterException": "check delivery.ecs_subnets, delivery.ecs_security_groups and delivery.ecs_container",
    "MISSING": "check delivery.ecs_cluster and delivery.ecs_task_definition",
}


def refused(failures: Sequence[Mapping[str, Any]]) -> Trouble:
    """Why ECS did not accept a container, from RunTask's list ``failures``."""
    reasons = [str(failure.get("reason") or "no reason given") for failure in failures]
    details = [f" ({failure['detail']})" if failure.get("detail") else "" for failure in failures]
    told = "; ".join(reason + detail for reason, detail in zip(reasons, details, strict=True))
    return _refused(told, waits=_NO_ROOM.search(told) is not None, code=reasons[0] if reasons else "")


def not_started(error: Exception, *, tells: bool = False) -> Trouble:
    """Why ECS did not accept a container, from an error on the way there.

    :param tells: whether the error's text is always safe to show.
    """
    if isinstance(error, ClientError):
        refusal, status = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
        code, said = refusal.get("Code", ""), refusal.get("Message", "")
        busy = code in _NOT_NOW or status.get("HTTPStatusCode", 0) >= 500 or _NO_ROOM.search(said) is not None
        return _refused(f"{said} [{code}]", waits=busy, code=code)
    if isinstance(error, (ConnectionError, HTTPClientError)):
        return _refused(f"ECS cannot be reached ({error})", waits=True)
    if tells or isinstance(error, BotoCoreError):
        return _refused(str(error), waits=False)
    # It may quote anything: only its kind is shown, the rest is in the log.
    return _refused(f"unexpected {type(error).__name__}; see the task's log", waits=False)


def how_it_ended(client: Any, cluster: str, task: str, why: str | None) -> Trouble | None:
    """What is wrong with how a container ended, as ECS says now; None if the ledger says all there is to say.

    :param client: ECS.
    :param why: as :func:`as_described`.
    """
    try:
        tasks = client.describe_tasks(cluster=cluster, tasks=[task])["tasks"]
    except (BotoCoreError, ClientError) as error:
        return end_unknown(str(error))
    return as_described(tasks, why)


def as_described(tasks: Sequence[Mapping[str, Any]], why: str | None) -> Trouble | None:
    """The problem with a container's end, from ECS's description; None if the ledger says everything.

    :param tasks: the container's task, or nothing if ECS has forgotten it.
    :param why: what the waiting trigger knows, if it is not known whether the container ended.
    """
    if not tasks:
        return end_unknown(why or "ECS no longer knows it")
    if tasks[0].get("lastStatus") != "STOPPED":
        return end_unknown(why or "ECS says that it runs")
    return ended(tasks[0])


def end_unknown(why: str) -> Trouble:
    """ECS does not say how the container ended."""
    return Trouble(
        (f"It is not known how the container ended ({why}). The ledger has what it delivered; the next try resumes."),
        counts=False,
    )


def ended(task: Mapping[str, Any]) -> Trouble | None:
    """The problem with a task's end; None if the ledger says everything."""
    container = task["containers"][0] if task.get("containers") else {}
    code = container.get("exitCode")
    reason = container.get("reason") or task.get("stoppedReason") or "no reason given"
    never_began = task.get("stopCode") == "TaskFailedToStart"
    if code in _EXPECTED and not never_began:
        return None
    if code is None or never_began:
        if task.get("stopCode") in _FROM_OUTSIDE:
            return Trouble(f"The container was stopped: {reason}. The next try resumes.", counts=False)
        return _refused(reason, waits=_NO_ROOM.search(reason) is not None)
    if code == ExitCode.STOPPED:
        how = "was told to stop, or had no time left"
    elif code in (137, 139, 143) or "OutOfMemory" in reason:
        how = f"was killed (exit code {code})"
    else:
        return Trouble(f"The container ended with exit code {code}: {reason}. See its log.", counts=True)
    return Trouble(f"The container {how}: {reason}. The next try resumes.", counts=False)


def _refused(told: str, *, waits: bool, code: str = "") -> Trouble:
    advice = f". What to do: {_ADVICE[code]}." if code in _ADVICE and not waits else ""
    return Trouble(f"The container could not be started: {told}{advice}", counts=not waits, waits=waits)
