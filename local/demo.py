"""The main job on real input, on this machine: `make demo`.

Starts the stand-ins and a real Airflow, drops files for the example clients, lets the scheduler deliver them, and
proves what arrived, byte by byte; a payer decrypts and decompresses it first. A second round drops the same files
again; a tour of trouble shows a file that fails and is cleared, two that are held, one that was sent before, and a
client that is overdue. Then it stays up for playing, until Ctrl-C or SIGTERM; with ``--once`` it ends, with exit code 0
only if everything was delivered, verified and sent once.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from collections import Counter
from types import FrameType
from typing import NoReturn

from client_delivery.ledger.entry import Status
from client_delivery.notify.sizes import human_size
from local import demo_addresses, demo_payer, demo_trouble
from local.airflow import Airflow
from local.demo_clients import DemoClient, prepare_clients, recipient_marks, sftp_root
from local.demo_payer import Payer
from local.demo_progress import STALLED, Look, Progress, StalledError
from local.outcome import compare, mails_sent, table, write_report
from local.process import ROOT
from local.stack import Stack

_WORK = demo_addresses.WORK
_OFFLOAD_THRESHOLD = 90 * 1024**2


class EndedError(BaseException):
    """Somebody wants the demo to end. Like KeyboardInterrupt it is no Exception: botocore and others catch those."""


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--once", action="store_true", help="end after the tour")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    with Progress() as progress:
        try:
            return run(progress, once=arguments.once)
        except EndedError as ended:
            progress.say(f"ended by {ended}; nothing is left running")
            return 130
        except StalledError as stalled:
            progress.say(f"{stalled} Airflow's logs are in {(_WORK / 'airflow').relative_to(ROOT)}")
            return 1
        finally:
            demo_addresses.forget()


def run(progress: Progress, *, once: bool) -> int:
    """Everything, from start to end; returns the exit code."""
    if _WORK.exists():
        shutil.rmtree(_WORK)
    progress.say("starting the stand-ins: AWS, Google Cloud Storage, SFTP servers, a mailbox")
    progress.doing("starting the stand-ins")
    with Stack(_WORK) as stack, demo_payer.payer(_WORK / "payer", stack) as payer:
        kind = {"openssh": "OpenSSH's sshd", "asyncssh": "asyncssh (no sshd is installed here)"}[stack.sftp.kind]
        progress.say(f"SFTP by key is served by {kind}, SFTP by password by asyncssh")
        demo_trouble.store_connections(stack)
        edits = demo_trouble.EDITS | demo_payer.EDITS
        clients = prepare_clients(stack, _WORK / "client_configs", edits=edits, payer=payer)
        environment = stack.environment() | {
            "AIRFLOW__DELIVERY__CONFIGS_DIRECTORY": str(_WORK / "client_configs"),
            "AIRFLOW__DELIVERY__ENVIRONMENT": "demo",
            "AIRFLOW__DELIVERY__RETRY_DELAY": "5",
            # So low that the large files of the demo go by ECS containers; here these are processes.
            "AIRFLOW__DELIVERY__OFFLOAD_THRESHOLD": str(_OFFLOAD_THRESHOLD),
        }
        progress.say("starting Airflow: database, API server, scheduler, DAG processor, triggerer")
        progress.doing("starting Airflow: it makes its database first, then its components become healthy")
        with Airflow(_WORK / "airflow", environment, patience=STALLED) as airflow:
            demo_addresses.keep(stack)
            progress.say("everything is up; round 1 begins, and you may look around meanwhile")
            progress.show(demo_addresses.addresses(stack, airflow, clients, payer))
            succeeded = (
                deliver(stack, airflow, clients, payer, progress)
                and deliver_again(stack, airflow, clients, progress)
                and demo_trouble.tour(stack, airflow, clients, progress)
            )
            verdict = (
                "all delivered, verified, and sent once"
                if succeeded
                else "NOT everything is as it should be, see above"
            )
            progress.say(verdict)
            if not once:
                stay(airflow, stack, clients, payer, progress)
            progress.say("ending Airflow and the stand-ins")
            progress.doing("ending Airflow and the stand-ins")
    progress.say("everything has ended")
    return 0 if succeeded else 1


def deliver(stack: Stack, airflow: Airflow, clients: list[DemoClient], payer: Payer, progress: Progress) -> bool:
    """The first round: drop, wait for the scheduler, compare."""
    wanted = {client.config.name for client in clients}

    def look() -> Look:
        airflow.check_alive()
        missing = wanted - airflow.dags().keys()
        return Look(not missing, f"waiting for the DAGs of {', '.join(sorted(missing))}")

    progress.wait(look)
    progress.say(f"{len(wanted)} clients, one DAG each: {', '.join(sorted(wanted))}")
    total = sum(len(client.files) for client in clients)
    size = sum(file.size for client in clients for file in client.files)
    progress.say(f"round 1: dropping {total:,} files, {human_size(size)}, into the pick-ups")
    for client in clients:
        progress.doing(f"dropping {len(client.files):,} files for {client.config.name}")
        client.drop(stack, client.files)
    watch(stack, airflow, clients, progress)
    rows = [row for client in clients for row in compare(stack, client, progress.doing)]
    report = _WORK / "report.csv"
    write_report(rows, report)
    progress.show(table(rows) + f"\nAll of it: {report.relative_to(ROOT)}\n\n{mails_sent(stack)}")
    named = {client.config.name: client for client in clients}
    by_hand(stack, named[demo_payer.CLIENT], payer, progress)
    acknowledge(stack, named[demo_payer.CLIENT], progress)
    wrong = [row for row in rows if not row.right]
    progress.say(
        f"round 1: {len(rows) - len(wrong):,} of {len(rows):,} files are at their destinations, checksums equal"
    )
    return not wrong and bool(rows)


def by_hand(stack: Stack, client: DemoClient, payer: Payer, progress: Progress) -> None:
    """How to look into one of the encrypted files, as the recipient has it."""
    file = next(file for file in client.files if file.size > 1)
    entry = stack.ledger_entries(client.config.delivery_key).get(file.name)
    if entry is not None and (name := entry.item.get("deliveredName")):
        path = sftp_root(stack, client.config) / str(name)
        progress.show(f"{client.config.name}, read by {payer.program}; one of them by hand:")
        progress.show(demo_payer.by_hand(payer, path, file.name, file.sha256()) + "\n")


def acknowledge(stack: Stack, client: DemoClient, progress: Progress) -> None:
    """The payer's system puts back a file for each that has arrived."""
    entries = stack.ledger_entries(client.config.delivery_key).values()
    arrived = [str(name) for entry in entries if (name := entry.item.get("deliveredName"))]
    place = demo_payer.acknowledge(stack.sftp.root, arrived)
    progress.say(
        f"{client.config.name} has put back {len(arrived)} acknowledgements into {place}: the first run five minutes "
        "after a delivery finds them, and the Deliveries page shows them"
    )


def deliver_again(stack: Stack, airflow: Airflow, clients: list[DemoClient], progress: Progress) -> bool:
    """The second round: the same files once more; they must be removed from the pick-ups and not be sent again."""
    clients = [client for client in clients if not client.config.bypass_file_checks]
    progress.say("round 2: when the next runs have removed what is delivered, the small files are dropped again")
    # Files of a client that goes by its done file wait for the next one: it comes with the second round.
    wait_empty(stack, airflow, [client for client in clients if not client.config.trigger_on_done_file], progress)
    before = {client.config.name: recipient_marks(stack, client.config) for client in clients}
    mails = len(stack.mailbox.messages())
    again = 0
    for client in clients:
        small = [file for file in client.files if file.size < 1024**2]
        progress.doing(f"dropping {len(small):,} files again for {client.config.name}")
        client.drop(stack, small)
        again += len(small)
    progress.say(f"round 2: {again:,} files dropped again")
    wait_empty(stack, airflow, clients, progress, say="round 2: {}: duplicates removed from the pick-up")
    sent_again = [
        f"{client.config.name}: {name}"
        for client in clients
        for name, mark in recipient_marks(stack, client.config).items()
        if before[client.config.name].get(name) != mark
    ]
    new_mails = len(stack.mailbox.messages()) - mails
    progress.say(f"round 2: {len(sent_again)} files sent twice, {new_mails} e-mails about duplicates")
    for line in sent_again[:20]:
        progress.say(f"  SENT TWICE {line}")
    return not sent_again and not new_mails


def watch(stack: Stack, airflow: Airflow, clients: list[DemoClient], progress: Progress) -> None:
    """Show how the ledger fills, until every file has an outcome and is closed."""
    expected = sum(len(client.files) for client in clients)
    shown = ""

    def look() -> Look:
        nonlocal shown
        airflow.check_alive()
        entries = [entry for client in clients for entry in stack.ledger_entries(client.config.delivery_key).values()]
        counts = Counter(entry.status for entry in entries)
        moved = human_size(sum(entry.size for entry in entries if entry.status is Status.SUCCESS))
        line = f"{counts[Status.SUCCESS]:,} of {expected:,} files delivered ({moved})"
        line += f", {counts[Status.PROCESSING]:,} under way" * bool(counts[Status.PROCESSING])
        line += f", {counts[Status.FAIL]:,} failed" * bool(counts[Status.FAIL])
        if line != shown:
            progress.say(f"round 1: {line}")
            shown = line
        open_ones = Counter(entry.configuration for entry in entries if entry.open)
        busy = ", ".join(f"{name} {count:,}" for name, count in sorted(open_ones.items()))
        text = f"files in hand: {busy}" if busy else "waiting for the scheduler's next minute"
        newest = max((entry.timestamp for entry in entries), default="")
        return Look(len(entries) >= expected and not open_ones, text, (line, newest))

    progress.wait(look, interval=3)


def wait_empty(stack: Stack, airflow: Airflow, clients: list[DemoClient], progress: Progress, *, say: str = "") -> None:
    """Until nothing waits in the clients' pick-ups; ``say`` is said of each client that is done."""
    told: set[str] = set()

    def look() -> Look:
        airflow.check_alive()
        left = {client.config.name: len(client.waiting(stack)) for client in clients}
        for name in (name for name, count in left.items() if say and not count and name not in told):
            told.add(name)
            progress.say(say.format(name))
        waiting = ", ".join(f"{name}: {count:,} left" for name, count in left.items() if count)
        return Look(not waiting, f"waiting for the pick-ups to be emptied, {waiting}")

    progress.wait(look, interval=2)


def stay(airflow: Airflow, stack: Stack, clients: list[DemoClient], payer: Payer, progress: Progress) -> None:
    """Until somebody ends it, or Airflow dies."""
    progress.show(demo_addresses.addresses(stack, airflow, clients, payer))
    progress.say("staying up for playing; Ctrl-C ends everything")
    progress.doing("")
    try:
        airflow.wait_until(lambda: False, "Ctrl-C", seconds=float("inf"))
    except EndedError as ended:
        progress.say(f"{ended}")


def _end(number: int, _: FrameType | None) -> NoReturn:
    """Ctrl-C, SIGTERM and a closed terminal end everything that was started; a second one does not interrupt that."""
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    raise EndedError("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)


if __name__ == "__main__":
    sys.exit(main())
