"""A tour of trouble, for the demo: a file that fails and is cleared, two that are held, one that was sent before, and a
client whose files are overdue: the Deliveries page shows the last three.

These files are apart from the ones that are counted as verified.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from client_delivery.config.model import ClientConfig
from client_delivery.ledger.board import PARTITION as BOARD
from client_delivery.ledger.entry import Status
from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY
from client_delivery.runtime.events import as_json
from local.airflow import Airflow
from local.demo_clients import DemoClient, recipient_marks
from local.demo_progress import Look, Progress
from local.ledger_item import LedgerItem
from local.sample_files import SampleFile
from local.stack import Stack
from local.stand_ins import LEDGER_TABLE

_LATE = SampleFile("late-members.csv", 20_000, 41)
_HELD = SampleFile("claims\tmarch.csv", 3_000, 42)
"""A name with a control character: no attempt can help, only somebody who renames it."""
_REFUSED = SampleFile("refused-members.csv", 5_000, 43)
"""It stays failed, so that somebody can send it from the Deliveries page."""
_OVERDUE, _EXPECTED_DAYS, _DAYS_AGO = "meadow_dental", 31, 40
_CHAT, _WEBHOOK = "demo_chat", "demo_webhook"
_FAILING = "aurora_health"
_RULES = [
    {"to": ["client@aurora-health.example.com"], "on": ["finished"], "audience": "client"},
    {"via": "slack", "connection_id": _CHAT, "on": ["failed", "recovered"]},
    {"via": "webhook", "connection_id": _WEBHOOK, "on": ["finished"]},
]
EDITS: dict[str, dict[str, Any]] = {
    _OVERDUE: {"expected_every_days": _EXPECTED_DAYS},
    _FAILING: {"notify": _RULES},
}
"""What the demo's clients have beside the examples."""


def store_connections(stack: Stack) -> None:
    """What the rules' connections lead to: the mailbox's page."""
    key = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    hooks = f"{stack.mailbox.url}hooks"
    stack.store_connection(_CHAT, {"conn_type": "slackwebhook", "password": f"{hooks}/chat-of-the-team"})
    stack.store_connection(_WEBHOOK, {"conn_type": "http", "host": f"{hooks}/webhook-of-a-program", "password": key})


def tour(stack: Stack, airflow: Airflow, clients: list[DemoClient], progress: Progress) -> bool:
    """Make trouble, show what a person sees of it, solve what can be solved. Returns whether it went as it should."""
    named = {client.config.name: client for client in clients}
    failing, holding, repeating = named[_FAILING], named["harbor_benefits"], named["pinnacle_plan"]
    known = next(file for file in repeating.files if file.name == "claims/00000.csv")
    again = SampleFile("copy of 00000.csv", known.size, known.seed)
    before = recipient_marks(stack, repeating.config)

    progress.say(f"trouble: Google refuses {_LATE.name!r} of {failing.config.name}: 403 forbidden, three times")
    _refuse(stack, _LATE.name)
    failing.drop(stack, [_LATE])
    progress.say(f"trouble: {holding.config.name} gets a file whose name no destination takes: {as_json(_HELD.name)}")
    holding.drop(stack, [_HELD])
    progress.say(f"trouble: {repeating.config.name} gets {again.name!r}, which has the bytes of {known.name!r}")
    repeating.drop(stack, [again])

    _wait(progress, stack, failing.config, _LATE.name, "to fail", _is_held)
    entry = stack.ledger_entries(failing.config.delivery_key)[_LATE.name]
    run = entry.owned_by.run_id
    progress.say(f"trouble: {_LATE.name} failed: {entry.last_error}")
    progress.wait(lambda: _run_over(airflow, failing.config.name, run))
    progress.say(f"trouble: its run is red: {airflow.url}/dags/{failing.config.name}/runs/{run}")

    _refuse(stack, None)
    progress.say("trouble: the cause is gone, so the run is cleared, as DEXTR would in the UI")
    airflow.clear_run(failing.config.name, run)
    _wait(progress, stack, failing.config, _LATE.name, "to be delivered", lambda entry: entry.status is Status.SUCCESS)
    cleared = _same(stack, failing.config, _LATE)
    outcome = "delivered, checksum equal" if cleared else "NOT at its destination as it was dropped"
    progress.say(f"trouble: {_LATE.name} is {outcome}")
    told = _told(stack, progress)

    _wait(progress, stack, holding.config, _HELD.name, "to be held", _is_held)
    held = holding.config.pickup.prefix + _HELD.name in holding.waiting(stack)
    outcome = "it waits in the pick-up for somebody to rename it" if held else "but it is GONE from the pick-up"
    progress.say(f"trouble: {as_json(_HELD.name)} is held: {outcome}")

    def look() -> Look:
        left = repeating.waiting(stack)
        return Look(not left, f"waiting for {repeating.config.name}: {len(left)} left in the pick-up")

    progress.wait(look)
    unsent = recipient_marks(stack, repeating.config) == before
    outcome = "not sent: its content was sent before" if unsent else "SENT AGAIN"
    progress.say(f"trouble: {again.name!r} was removed from the pick-up and {outcome}")
    refused = _leave_refused(stack, failing, progress)
    _let_time_pass(stack, named[_OVERDUE].config)
    progress.say(f"trouble: {_OVERDUE} is overdue: its files are as if they had come {_DAYS_AGO} days ago")
    progress.say(f"trouble: who needs a person, and buttons to help: {airflow.url}/plugin/deliveries")
    return cleared and told and held and unsent and refused


def _told(stack: Stack, progress: Progress) -> bool:
    """Whether the team's chat has heard of the failure and of its end, once each; and the client in its own words."""

    def chat() -> list[str]:
        return [one.shown.partition("\n")[0] for one in stack.mailbox.posted() if one.where == "chat-of-the-team"]

    progress.wait(lambda: Look(len(chat()) >= 2, f"waiting for the team's chat: {len(chat())} of 2 messages"))
    for text in chat():
        progress.say(f"messages: the team's chat says: {text}")
    mails = [mail for mail in stack.mailbox.messages() if mail.recipients == ("client@aurora-health.example.com",)]
    for mail in mails[-2:]:
        progress.say(f"messages: the client reads: {mail.subject}")
    signed = [one for one in stack.mailbox.posted() if one.headers.get("webhook-signature", "").startswith("v1,")]
    progress.say(f"messages: {len(signed)} signed webhooks; all of it is at {stack.mailbox.url}")
    return len(chat()) == 2 and bool(mails) and bool(signed)


def _leave_refused(stack: Stack, client: DemoClient, progress: Progress) -> bool:
    """A file that failed, and the cause of it gone: *Send again* on the page helps."""
    _refuse(stack, _REFUSED.name)
    client.drop(stack, [_REFUSED])
    _wait(progress, stack, client.config, _REFUSED.name, "to fail", _is_held)
    _refuse(stack, None)
    progress.say(f"trouble: {_REFUSED.name!r} of {client.config.name} failed and is held; the cause is gone")
    return client.config.pickup.prefix + _REFUSED.name in client.waiting(stack)


def _let_time_pass(stack: Stack, config: ClientConfig) -> None:
    """As if the client's last delivery had been long ago."""
    then = (datetime.now(UTC) - timedelta(days=_DAYS_AGO)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for key, attribute in (
        ({PARTITION_KEY: BOARD, SORT_KEY: config.name}, "lastDelivery"),
        ({PARTITION_KEY: config.delivery_key, SORT_KEY: "mark#last-delivery"}, "deliveredAt"),
    ):
        stack.client("dynamodb").update_item(
            TableName=LEDGER_TABLE,
            Key={name: {"S": value} for name, value in key.items()},
            UpdateExpression=f"SET {attribute} = :then",
            ExpressionAttributeValues={":then": {"S": then}},
        )


def _is_held(entry: LedgerItem) -> bool:
    return entry.status is Status.FAIL and not entry.open


def _refuse(stack: Stack, name: str | None) -> None:
    """Let Google refuse every call about a file; None: no call any more."""
    rule = {"call": r"^(json|xml)\.", "path": name, "status": 403, "code": "forbidden", "times": 0}
    httpx.post(f"{stack.gcs_url}/_local/faults", json=[rule] if name else [], timeout=30).raise_for_status()


def _wait(
    progress: Progress,
    stack: Stack,
    config: ClientConfig,
    name: str,
    what: str,
    condition: Callable[[LedgerItem], bool],
) -> None:
    def look() -> Look:
        entry = stack.ledger_entries(config.delivery_key).get(name)
        if entry is None:
            return Look(False, f"waiting for {config.name}'s next run to find {as_json(name)}")
        text = f"waiting for {as_json(name)} {what}: {entry.status.value}, {entry.send_attempts} failed attempts"
        return Look(condition(entry), text, entry.timestamp)

    progress.wait(look)


def _run_over(airflow: Airflow, dag_id: str, run_id: str) -> Look:
    airflow.check_alive()
    state = airflow.dag_run(dag_id, run_id)["state"]
    return Look(state in ("failed", "success"), f"waiting for the run of {dag_id} to end: {state}")


def _same(stack: Stack, config: ClientConfig, file: SampleFile) -> bool:
    assert config.destination.type == "gcs"
    content = stack.gcs_contents(config.destination.bucket, config.destination.prefix + file.name)
    return [hashlib.sha256(found).hexdigest() for found in content.values()] == [file.sha256()]
