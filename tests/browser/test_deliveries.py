"""The Deliveries page (R10), clicked in a real browser: each of a person's questions in one search or two clicks."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import httpx
import pytest
from selenium.webdriver.common.keys import Keys

from client_delivery.calendar.expectation import State
from client_delivery.ledger.expectations import Expectations, Known
from local.demo_clients import recipient_files
from local.process import ROOT
from local.sample_files import SampleFile
from local.stand_ins import LEDGER_TABLE
from tests.browser.page import sign_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
MARCH = SampleFile("deliveries march 2026.csv", 48_000, 11)
TRAP = SampleFile("<img src=x onerror=document.title='obeyed'>.csv", 1_200, 12)
NOT_OURS = SampleFile("not for them.csv", 900, 14)
REFUSED = SampleFile("refused at first.csv", 1_200, 13)
EMPTY = SampleFile("empty.csv", 0, 15)
CLIENT, LOOKED_AT = "aurora_health", "meadow_dental"
ABOUT = "Months, people, configuration in words, pause"
AXE = ROOT / "tests" / "browser" / "axe" / "node_modules" / "axe-core" / "axe.min.js"


def open_page(page, airflow, path: str = "/plugin/deliveries") -> None:
    page.outside()
    page.open(airflow.url + path)
    page.enter_frame("Deliveries")


def search(page, words: str) -> None:
    page.type("input[name=q]", words)
    page.click("form[role=search] button")
    page.sees("Results for")


@pytest.fixture(scope="module")
def delivered(airflow, stack, clients):
    """Two files have arrived, one is held."""
    client = clients[CLIENT]
    client.drop(stack, [MARCH, TRAP])
    assert airflow.finished_run(CLIENT, airflow.trigger(CLIENT)) == "success"
    refuse = {"call": r"^(json|xml)\.", "status": 403, "code": "forbidden", "times": 0}
    httpx.post(f"{stack.gcs_url}/_local/faults", json=[refuse], timeout=10).raise_for_status()
    client.drop(stack, [REFUSED])
    assert airflow.finished_run(CLIENT, airflow.trigger(CLIENT)) == "failed"
    httpx.post(f"{stack.gcs_url}/_local/faults", json=[], timeout=10).raise_for_status()
    return client


def test_r10_did_the_file_reach_the_client_and_who_needs_a_person(page, airflow, delivered):
    sign_in(page, airflow, "victor")
    page.theme("light")
    open_page(page, airflow)
    page.sees("Needs a person: 1")
    page.sees("1 file failed and has waited since")
    page.screenshot("deliveries-board")
    light = page.colour("body", "background-color")
    search(page, MARCH.name)
    page.sees("gs://example-gcs-landing/aurora_health/claims/")
    page.sees("crc32c")
    page.screenshot("deliveries-search")
    page.link(MARCH.name)
    page.sees("put into the pick-up")
    page.sees("verified by")
    page.screenshot("deliveries-file")
    assert "Actions" not in page.text(), "a viewer has no buttons"
    page.link("log")
    page.outside()
    page.sees("batch 1 of 1: 2 files")
    page.theme("dark")
    open_page(page, airflow, f"/dags/{CLIENT}/plugin/deliveries-of-client")
    page.sees("Held")
    page.sees(REFUSED.name)
    page.sees(TRAP.name)
    page.screenshot("deliveries-client-dark")
    assert page.colour("body", "background-color") != light, "the page follows Airflow's theme"


def violations(page) -> list[str]:
    """What axe-core finds on the page that is in the frame: WCAG 2.2 A and AA, and its best practices."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed (make setup): nothing judges the page's accessibility")
    page.run_script(AXE.read_text())
    found = page.run_async(
        "var done = arguments[arguments.length - 1]; axe.run(document, {resultTypes: ['violations']})"
        ".then(function (result) { done(result.violations.map(function (one) {"
        " return one.id + ': ' + one.nodes.map(function (node) { return node.html; }).join(' | '); })); });"
    )
    assert isinstance(found, list)
    return found


@pytest.fixture(scope="module")
def looked_at(airflow, stack, clients):
    """One client's files are late, and an empty one is held by a guard; its window is closed."""
    client = clients[LOOKED_AT]
    (line,) = client.config.expectations
    now = datetime.now(UTC)
    due = line.due.before(line.due.before(now) - timedelta(seconds=1))
    # As if a run had looked an hour ago, before the line was due.
    kept = Expectations(stack.client("dynamodb"), LEDGER_TABLE, client.config.delivery_key)
    assert kept.keep(Known(), now - timedelta(hours=1), {line.key: State(since=due, due=due)})
    client.drop(stack, [EMPTY])
    assert airflow.finished_run(LOOKED_AT, airflow.trigger(LOOKED_AT, ignore_window=True)) == "failed"
    assert airflow.finished_run(LOOKED_AT, airflow.trigger(LOOKED_AT)) == "failed"
    return client


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_r10_axe_finds_nothing_to_complain_about(page, airflow, delivered, looked_at, theme):
    sign_in(page, airflow, "olga")
    page.theme(theme)
    for path in (
        "/plugin/deliveries",
        f"/dags/{CLIENT}/plugin/deliveries-of-client",
        "",
    ):
        if path:
            open_page(page, airflow, path)
            page.sees("Client, H number, file or checksum")
        else:
            page.link(MARCH.name)
            page.sees("What happened")
        assert violations(page) == [], f"{path or 'a file'}, {theme}"
    page.link("H1001 aurora_health")
    page.link(ABOUT)
    page.sees("Runs with files")
    assert violations(page) == [], f"about, {theme}"
    page.screenshot(f"deliveries-about-{theme}")
    (run, *_) = airflow.api("GET", f"/dags/{CLIENT}/dagRuns", params={"order_by": "run_after"})["dag_runs"]
    query = urlencode({"run_id": run["dag_run_id"]})
    # Airflow's frame has only three addresses of the page's; the others are opened as the frame would.
    for path, says in (
        (f"runs/{CLIENT}?{query}", "Files of the run"),
        (f"clients/{CLIENT}/again?begins=d", "Send these again"),
        (f"clients/{CLIENT}/again?{query}", "Send again what the run"),
        (f"clients/{CLIENT}/before", "Before there was a record"),
        (f"clients/{LOOKED_AT}", "Held by a guard"),
        (f"clients/{LOOKED_AT}/about", "How the configuration has changed"),
        ("?q=csv&show=needs", "Results for"),
        ("clients/nobody", "404"),
    ):
        page.outside()
        page.open(f"{airflow.url}/deliveries/{path}")
        page.sees(says)
        assert violations(page) == [], f"{path}, {theme}"


def test_r10_a_question_is_answered_from_the_keyboard(page, airflow, delivered):
    """To the content by the first key; the search by the next ones; each focus is visible."""
    sign_in(page, airflow, "victor")
    open_page(page, airflow)
    page.sees("Needs a person")
    page.run_script("document.body.focus(); document.querySelector('.skip').focus()")
    assert page.run_script("return document.activeElement.textContent") == "Skip to the content"
    page.press(Keys.TAB, Keys.TAB)
    assert page.run_script("return document.activeElement.id") == "q"
    assert page.run_script("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press(*MARCH.name, Keys.ENTER)
    page.sees("Results for")
    page.sees("gs://example-gcs-landing/aurora_health/claims/")


def succeeds(airflow, run: str, client: str = CLIENT) -> None:
    """The run ends green; if not, what its tasks said."""
    if airflow.finished_run(client, run) != "success":
        logs = sorted((airflow.directory / "logs" / f"dag_id={client}" / f"run_id={run}").rglob("*.log"))
        errors = [line for log in logs for line in log.read_text().splitlines() if '"level":"error"' in line]
        raise AssertionError("\n".join(line[:2000] for line in errors))


def begun(page, airflow, note: str, client: str = CLIENT) -> str:
    """The run that the button has begun, by its note."""
    page.sees("A run has begun")
    runs = airflow.api("GET", f"/dags/{client}/dagRuns", params={"order_by": "-run_after", "limit": 1})["dag_runs"]
    assert runs[0]["note"] == note
    assert runs[0]["triggering_user_name"] == "olga"
    return str(runs[0]["dag_run_id"])


def test_r10_a_delivered_file_is_sent_again_in_two_clicks(page, airflow, stack, delivered):
    sign_in(page, airflow, "olga")
    page.theme("light")
    open_page(page, airflow, f"/dags/{CLIENT}/plugin/deliveries-of-client")
    page.click(f"input[name=files][aria-label='{MARCH.name}']")
    page.type("#reason-again", "lost at the recipient")
    page.click("//button[normalize-space()='Send the ticked files again']")
    run = begun(page, airflow, "Send again: lost at the recipient")
    succeeds(airflow, run)
    open_page(page, airflow)
    search(page, MARCH.name)
    page.sees("olga: Send again: lost at the recipient")
    page.link(MARCH.name)
    page.sees("e-mail 'Job finished'")
    open_page(page, airflow, f"/dags/{CLIENT}/runs/{run}/plugin/deliveries-of-run")
    page.link("Send all files of this run again…")
    page.sees("1 file, 46.9 KiB")
    page.screenshot("deliveries-again")


def test_r10_a_held_file_is_sent_by_one_button_and_the_reason_is_kept(page, airflow, stack, delivered):
    sign_in(page, airflow, "olga")
    page.theme("light")
    open_page(page, airflow, f"/dags/{CLIENT}/plugin/deliveries-of-client")
    page.click(f"input[name=files][id^=held][aria-label='{REFUSED.name}']")
    page.type("#reason-held", "the partner has opened the bucket")
    page.screenshot("deliveries-actions")
    page.click("form[action$=dismiss] button[formaction$=send-again]")
    run = begun(page, airflow, "Send again: the partner has opened the bucket")
    succeeds(airflow, run)
    assert recipient_files(stack, delivered.config)[REFUSED.name][0] == REFUSED.content()
    open_page(page, airflow)
    search(page, REFUSED.name)
    page.sees("olga: Send again: the partner has opened the bucket")
    page.link(REFUSED.name)
    page.sees("failed for good")
    page.sees("asked for by olga: Send again: the partner has opened the bucket")
    page.screenshot("deliveries-life")
    page.link(run)
    page.outside()
    page.until(lambda _: f"/dags/{CLIENT}/runs/" in page.address(), "Airflow's own page of the run", 30)
    open_page(page, airflow, f"/dags/{CLIENT}/runs/{run}/plugin/deliveries-of-run")
    page.sees(REFUSED.name)
    page.screenshot("deliveries-run")


def test_r10_a_held_file_is_dismissed(page, airflow, stack, delivered):
    refuse = {"call": r"^(json|xml)\.", "status": 403, "code": "forbidden", "times": 0}
    httpx.post(f"{stack.gcs_url}/_local/faults", json=[refuse], timeout=10).raise_for_status()
    delivered.drop(stack, [NOT_OURS])
    assert airflow.finished_run(CLIENT, airflow.trigger(CLIENT)) == "failed"
    httpx.post(f"{stack.gcs_url}/_local/faults", json=[], timeout=10).raise_for_status()
    sign_in(page, airflow, "olga")
    open_page(page, airflow, f"/dags/{CLIENT}/plugin/deliveries-of-client")
    page.click(f"input[name=files][id^=held][aria-label='{NOT_OURS.name}']")
    page.type("#reason-held", "it was never meant for them")
    page.click("//button[normalize-space()='Dismiss']")
    succeeds(airflow, begun(page, airflow, "Dismiss: it was never meant for them"))
    open_page(page, airflow)
    page.sees("Needs a person: 1")
    open_page(page, airflow, f"/dags/{CLIENT}/plugin/deliveries-of-client")
    page.link(ABOUT)
    page.sees("Dismiss: it was never meant for them")
    page.screenshot("deliveries-people")


def test_r10_late_files_are_acknowledged_on_the_page(page, airflow, looked_at):
    sign_in(page, airflow, "victor")
    page.theme("light")
    open_page(page, airflow, f"/dags/{LOOKED_AT}/plugin/deliveries-of-client")
    page.sees("not yet")
    assert "Acknowledge" not in page.text(), "a viewer has no buttons"
    sign_in(page, airflow, "olga")
    open_page(page, airflow, f"/dags/{LOOKED_AT}/plugin/deliveries-of-client")
    page.sees("1 file like elig_*.csv by yearly, day 1, 00:00 (UTC)")
    page.screenshot("deliveries-expected")
    page.click("//button[normalize-space()='Acknowledge']")
    assert "A run has begun" not in page.text(), "nothing is acknowledged without a reason"
    page.type("#reason-acknowledge", "the payer is closed until Monday")
    page.click("//button[normalize-space()='Acknowledge']")
    note = "Acknowledge: the payer is closed until Monday"
    assert airflow.finished_run(LOOKED_AT, begun(page, airflow, note, LOOKED_AT)) == "failed", "a file is held still"
    open_page(page, airflow, f"/dags/{LOOKED_AT}/plugin/deliveries-of-client")
    page.sees("not yet (acknowledged)")
    assert "Late: 1 file" not in page.text()
    assert "Acknowledge" not in page.text()
    page.link(ABOUT)
    page.sees(note)
    page.sees("late 1 of 1 times")


def test_r10_what_a_guard_holds_is_let_through_outside_the_window(page, airflow, stack, looked_at):
    sign_in(page, airflow, "olga")
    open_page(page, airflow, f"/dags/{LOOKED_AT}/plugin/deliveries-of-client")
    page.click(f"input[name=files][aria-label='{EMPTY.name}']")
    page.type("#reason-guarded", "a month without members")
    page.click("#outside-guarded")
    page.click("//button[normalize-space()='Let through']")
    succeeds(airflow, begun(page, airflow, "Let through: a month without members", LOOKED_AT), LOOKED_AT)
    assert recipient_files(stack, looked_at.config)[EMPTY.name][0] == b""


@pytest.mark.parametrize(
    ("button", "task", "says"),
    [
        ("Test destination", "test_destination", "Files can be delivered."),
        ("What would happen", "say_plan", "1 file waits: 1 left."),
    ],
)
def test_r10_a_question_is_asked_on_the_page_and_answered_in_a_log(page, airflow, looked_at, button, task, says):
    sign_in(page, airflow, "olga")
    open_page(page, airflow, f"/dags/{LOOKED_AT}/plugin/deliveries-of-client")
    page.type(f"#reason-{button.lower().replace(' ', '-')}", "before the month's end")
    page.click(f"//button[normalize-space()='{button}']")
    run = begun(page, airflow, f"{button}: before the month's end", LOOKED_AT)
    succeeds(airflow, run, LOOKED_AT)
    page.link(f"the log of {task}")
    page.outside()
    page.sees(says)


@pytest.mark.parametrize("user", ["victor", "olga", "admin"])
def test_r10_each_role_has_the_buttons_that_airflow_gives_it(page, airflow, looked_at, user):
    sign_in(page, airflow, user)
    open_page(page, airflow, f"/dags/{LOOKED_AT}/plugin/deliveries-of-client")
    page.sees("Files")
    assert ("Resend failed" in page.text().splitlines()) == (user != "victor")
    page.link(ABOUT)
    page.sees("How the configuration has changed")
    assert ("Pause" in page.text().splitlines()) == (user != "victor")


JOBS = {
    "Who needs a person now?": [],
    "Did this file reach the client, when, with which checksum, and who asked for it?": [("search", MARCH.name)],
    "What has happened to this file?": [("search", MARCH.name), ("link", MARCH.name)],
    "How does this client stand, and when are its files due next?": [("link", LOOKED_AT)],
    "Who did what to this client, and why?": [("link", LOOKED_AT), ("link", ABOUT)],
    "What did this client get, month by month?": [("link", LOOKED_AT), ("link", ABOUT)],
    "How has this configuration changed?": [("link", LOOKED_AT), ("link", ABOUT)],
    "Which clients are held?": [("link", "held")],
}
"""What a person asks, what they do on the board for it, and what they then see."""
SEEN = [
    "Needs a person",
    "crc32c",
    "put into the pick-up",
    "Next due",
    "People",
    "Months",
    "has changed",
    "How it stands",
]


@pytest.mark.parametrize("user", ["victor", "olga", "admin"])
def test_r10_each_of_a_persons_questions_takes_two_clicks_and_ten_seconds(page, airflow, delivered, looked_at, user):
    sign_in(page, airflow, user)
    page.theme("light")
    for (question, steps), seen in zip(JOBS.items(), SEEN, strict=True):
        open_page(page, airflow)
        page.sees("Needs a person")
        page.clicks, began = 0, time.monotonic()
        for what, words in steps:
            search(page, words) if what == "search" else page.link(words)
        page.sees(seen)
        took = time.monotonic() - began
        print(f"{user}: {question} {page.clicks} clicks, {took:.1f} s")
        assert page.clicks <= 2, question
        assert took < 10, question
