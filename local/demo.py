"""The main job on real input, on this machine: `make demo`.

Starts the stand-ins and a real Airflow, drops files for the example clients, lets the scheduler deliver them, and
proves what arrived, byte by byte. A second round drops the same files again. Then it stays up for playing, until
Ctrl-C; with ``--once`` it ends, with exit code 0 only if everything was delivered, verified and sent once.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections import Counter

from client_delivery.ledger.entry import Status
from client_delivery.notify.sizes import human_size
from local.airflow import Airflow
from local.demo_clients import DemoClient, prepare_clients, recipient_files
from local.outcome import compare, print_mails, print_table, write_report
from local.process import ROOT
from local.stack import Stack
from local.wait import wait_until

_WORK = ROOT / ".local" / "demo"
_OFFLOAD_THRESHOLD = 90 * 1024**2
_PATIENCE = 900.0
_began = time.monotonic()


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--once", action="store_true", help="end after the second round")
    arguments = parser.parse_args()
    if _WORK.exists():
        shutil.rmtree(_WORK)
    say("starting the stand-ins: AWS, Google Cloud Storage, SFTP servers, a mailbox")
    with Stack(_WORK) as stack:
        kind = {"openssh": "OpenSSH's sshd", "asyncssh": "asyncssh (no sshd is installed here)"}[stack.sftp.kind]
        say(f"SFTP by key is served by {kind}, SFTP by password by asyncssh")
        clients = prepare_clients(stack, _WORK / "client_configs")
        environment = stack.environment() | {
            "AIRFLOW__DELIVERY__CONFIGS_DIRECTORY": str(_WORK / "client_configs"),
            "AIRFLOW__DELIVERY__ENVIRONMENT": "demo",
            "AIRFLOW__DELIVERY__RETRY_DELAY": "5",
            # So low that the large files of the demo go by ECS containers; here these are processes.
            "AIRFLOW__DELIVERY__OFFLOAD_THRESHOLD": str(_OFFLOAD_THRESHOLD),
        }
        say("starting Airflow: database, API server, scheduler, DAG processor, triggerer")
        with Airflow(_WORK / "airflow", environment) as airflow:
            say(f"Airflow is up: {airflow.url}")
            succeeded = deliver(stack, airflow, clients) and deliver_again(stack, clients)
            print_addresses(stack, airflow, clients)
            if not arguments.once:
                stay(airflow)
    say("all delivered, verified, and sent once" if succeeded else "NOT everything is as it should be, see above")
    return 0 if succeeded else 1


def deliver(stack: Stack, airflow: Airflow, clients: list[DemoClient]) -> bool:
    """The first round: drop, wait for the scheduler, compare."""
    wanted = {client.config.name for client in clients}
    airflow.wait_until(lambda: wanted <= airflow.dags().keys(), "every client has its DAG", seconds=120)
    say(f"{len(wanted)} clients, one DAG each: {', '.join(sorted(wanted))}")
    total = sum(len(client.files) for client in clients)
    size = sum(file.size for client in clients for file in client.files)
    say(f"round 1: dropping {total:,} files, {human_size(size)}, into the pick-ups")
    for client in clients:
        client.drop(stack, client.files)
    watch(stack, clients)
    rows = [row for client in clients for row in compare(stack, client)]
    report = _WORK / "report.csv"
    write_report(rows, report)
    print_table(rows)
    print(f"\nAll of it: {report.relative_to(ROOT)}\n")
    print_mails(stack)
    wrong = [row for row in rows if not row.right]
    say(f"round 1: {len(rows) - len(wrong):,} of {len(rows):,} files are at their destinations, checksums equal")
    return not wrong and bool(rows)


def deliver_again(stack: Stack, clients: list[DemoClient]) -> bool:
    """The second round: the same files once more; they must be removed from the pick-ups and not be sent again."""
    clients = [client for client in clients if not client.config.bypass_file_checks]
    say("round 2: waiting until the delivered files are removed from the pick-ups, then dropping the small ones again")
    for client in clients:
        # Files of a client that goes by its done file wait for the next one: it comes with the second round.
        if not client.config.trigger_on_done_file:
            wait_empty(stack, client)
    before = {client.config.name: marks(stack, client) for client in clients}
    mails = len(stack.mailbox.messages())
    again = 0
    for client in clients:
        small = [file for file in client.files if file.size < 1024**2]
        client.drop(stack, small)
        again += len(small)
    say(f"round 2: {again:,} files dropped again")
    for client in clients:
        wait_empty(stack, client)
        say(f"round 2: {client.config.name}: duplicates removed from the pick-up")
    sent_again = [
        f"{client.config.name}: {name}"
        for client in clients
        for name, mark in marks(stack, client).items()
        if before[client.config.name].get(name) != mark
    ]
    new_mails = len(stack.mailbox.messages()) - mails
    say(f"round 2: {len(sent_again)} files sent twice, {new_mails} e-mails about duplicates")
    for line in sent_again[:20]:
        say(f"  SENT TWICE {line}")
    return not sent_again and not new_mails


def watch(stack: Stack, clients: list[DemoClient]) -> None:
    """Show how the ledger fills, until every file has an outcome and is closed."""
    expected = sum(len(client.files) for client in clients)
    shown = ""

    def all_closed() -> bool:
        nonlocal shown
        entries = [entry for client in clients for entry in stack.ledger_entries(client.config.delivery_key).values()]
        counts = Counter(entry.status for entry in entries)
        moved = human_size(sum(entry.size for entry in entries if entry.status is Status.SUCCESS))
        line = f"{counts[Status.SUCCESS]:,} of {expected:,} files delivered ({moved})"
        line += f", {counts[Status.PROCESSING]:,} under way" * bool(counts[Status.PROCESSING])
        line += f", {counts[Status.FAIL]:,} failed" * bool(counts[Status.FAIL])
        if line != shown:
            say(f"round 1: {line}")
            shown = line
        return len(entries) >= expected and not any(entry.open for entry in entries)

    wait_until(all_closed, "every file is delivered", seconds=_PATIENCE, interval=3)


def wait_empty(stack: Stack, client: DemoClient) -> None:
    """Until nothing waits in the client's pick-up."""
    wait_until(
        lambda: not client.waiting(stack), f"{client.config.name}'s pick-up is empty", seconds=_PATIENCE, interval=1
    )


def marks(stack: Stack, client: DemoClient) -> dict[str, str]:
    """For each file at the destination a mark that changes when it is delivered again."""
    return {name: mark for name, (_, mark) in recipient_files(stack, client.config).items()}


def print_addresses(stack: Stack, airflow: Airflow, clients: list[DemoClient]) -> None:
    """Where to look and what to play with."""
    pickup = clients[0].config.pickup
    print(
        f"""
Airflow UI   {airflow.url}   (no login needed)
Mailbox      {stack.mailbox.url}
Drop a file  .venv/bin/python -m local.drop {stack.aws_url} README.md {pickup.bucket} {pickup.prefix}
             and watch the DAG {clients[0].config.name!r}: it looks every minute
Add a client put a YAML file into {(_WORK / "client_configs").relative_to(ROOT)}
"""
    )


def stay(airflow: Airflow) -> None:
    """Until Ctrl-C, or until Airflow dies."""
    say("staying up for playing; Ctrl-C ends everything")
    try:
        airflow.wait_until(lambda: False, "Ctrl-C", seconds=float("inf"))
    except KeyboardInterrupt:
        say("ending")


def say(text: str) -> None:
    """Progress, with the seconds since the start."""
    print(f"[{time.monotonic() - _began:5.0f} s] {text}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("ended by Ctrl-C")
        sys.exit(130)
