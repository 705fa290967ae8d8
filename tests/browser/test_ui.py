"""DEXTR's day in the Airflow UI (R9.1), clicked in a real browser; `make screenshots` puts them into the docs."""

from __future__ import annotations

import httpx
import pytest

from local.demo_clients import recipient_files
from local.sample_files import SampleFile
from tests.browser.page import sign_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
GOOD, LATE = SampleFile("claims 2026.csv", 48_000, 1), SampleFile("eligibility <b>.csv", 1_200, 2)
ASKED = SampleFile("asked about.csv", 700, 3)


@pytest.fixture(scope="module")
def signed_in(page, airflow):
    sign_in(page, airflow, "admin")
    return page


def open_dag(page, airflow, tag: str, name: str) -> None:
    page.open(f"{airflow.url}/dags")
    page.sees("Sort by")
    shown = f"{tag} {name}"
    if page.shows("[data-testid=dag-id]") != [shown]:  # the UI remembers the filter
        page.type("[aria-label='Filter Dags by tag']", tag, enter=True)
    page.until(lambda _: page.shows("[data-testid=dag-id]") == [shown], f"only {shown} in the list", 30)


def trigger(page, *, bypass: bool = False, only: str | None = None) -> None:
    page.click("[data-testid=trigger-dag-button]")
    page.sees("Bypass file checks")
    assert not page.is_on("input[name=element_bypass_file_checks]"), "the form begins with what the YAML says"
    if bypass:
        page.click("[id='switch:element_bypass_file_checks']")
        assert page.is_on("input[name=element_bypass_file_checks]")
    if only is not None:
        page.click(f"[id='switch:element_{only}']")
        assert page.is_on(f"input[name=element_{only}]")
    else:
        page.screenshot("trigger-form")
    page.click("[data-testid=trigger-dag-submit]")
    page.sees("Triggering User")


def test_r9_1_find_a_client_trigger_it_with_bypass_and_read_the_files_line(signed_in, airflow, stack, clients):
    page, client = signed_in, clients["aurora_health"]
    client.drop(stack, [GOOD])
    open_dag(page, airflow, "H1001", "aurora_health")
    page.screenshot("dag-list")
    page.link("H1001 aurora_health")
    page.click("[data-testid=markdown-button]")
    page.sees("gs://example-gcs-landing/aurora_health/claims/")
    page.screenshot("dag-docs")
    page.click("[aria-label=Close]")
    trigger(page, bypass=True)
    page.sees("Success", seconds=30)
    page.until(lambda _: page.text().count("Success") >= 5, "all tasks and the run are green", 180)
    page.screenshot("run-green")
    page.link("transfer_batch")
    page.sees('"event": "file_delivered"')
    page.sees(GOOD.name)
    page.screenshot("task-log")
    assert recipient_files(stack, client.config)[GOOD.name][0] == GOOD.content()
    assert client.waiting(stack) == [], "bypass removes what it has delivered (R5.6)"


def test_r8_3_a_broken_destination_is_red_with_file_and_reason_and_clearing_makes_it_green(
    signed_in, airflow, stack, clients
):
    page, client = signed_in, clients["aurora_health"]
    refuse = {"call": r"^(json|xml)\.", "status": 403, "code": "forbidden", "times": 0}
    httpx.post(f"{stack.gcs_url}/_local/faults", json=[refuse], timeout=10).raise_for_status()
    client.drop(stack, [LATE])
    open_dag(page, airflow, "H1001", "aurora_health")
    page.link("H1001 aurora_health")
    trigger(page, bypass=False)
    page.until(lambda _: "Failed" in page.text() and "Running" not in page.text(), "the run is red", 240)
    page.screenshot("run-red")
    page.link("report")
    page.sees(LATE.name)
    page.sees("forbidden")
    page.screenshot("report-red")
    httpx.post(f"{stack.gcs_url}/_local/faults", json=[], timeout=10).raise_for_status()
    page.link(run_of(page))
    page.click("[aria-label='Clear Dag Run']")
    page.sees("Affected Tasks: 7")  # the two that answer questions are among them
    page.screenshot("clear-run")
    page.click("//button[normalize-space()='Confirm']")
    page.until(lambda _: "Running" in page.text() or "Queued" in page.text(), "the run has begun again", 60)
    page.until(lambda _: "Failed" not in page.text() and page.text().count("Success") >= 5, "the run is green", 240)
    page.screenshot("run-green-again")
    assert recipient_files(stack, client.config)[LATE.name][0] == LATE.content()


def test_r7_1_the_finish_e_mail_of_the_red_run_names_file_and_reason(signed_in, stack):
    """After the test above."""
    page = signed_in
    page.open(stack.mailbox.url)
    page.click("//a[normalize-space()='[H1001] Job finished: 1 FAILED']")  # the newest is the first
    page.sees(LATE.name)
    page.sees("forbidden")
    page.screenshot("email-job-finished")


def run_of(page) -> str:
    """The run's id, as the path above the page shows it."""
    return next(line for line in page.text().splitlines() if line.startswith("manual__"))


@pytest.mark.parametrize(
    ("switch", "task", "says"),
    [
        ("only_test_destination", "test_destination", "Files can be delivered."),
        ("only_plan", "say_plan", "2 files wait: 1 send, 1 removed."),
    ],
)
def test_r9_1_a_run_that_only_answers_delivers_nothing(signed_in, airflow, stack, clients, switch, task, says):
    page, client = signed_in, clients["aurora_health"]
    client.drop(stack, [ASKED])
    before = {*recipient_files(stack, client.config)}
    open_dag(page, airflow, "H1001", "aurora_health")
    page.link("H1001 aurora_health")
    trigger(page, only=switch)
    page.until(lambda _: "Skipped" in page.text() and "Running" not in page.text(), "the run has ended", 180)
    page.link(task)
    page.sees(says)
    page.screenshot(task.replace("_", "-"))
    assert {*recipient_files(stack, client.config)} == before
    # The one that was delivered before stays until a run that sends finds it.
    assert sorted(client.waiting(stack)) == [client.config.pickup.prefix + file.name for file in (ASKED, LATE)]
