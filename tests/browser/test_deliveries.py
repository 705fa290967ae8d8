"""The Deliveries page (R10), clicked in a real browser: each of a person's questions in one search or two clicks."""

from __future__ import annotations

import httpx
import pytest
from selenium.webdriver.common.keys import Keys

from local.demo_clients import recipient_files
from local.process import ROOT
from local.sample_files import SampleFile
from tests.browser.page import sign_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
MARCH = SampleFile("deliveries march 2026.csv", 48_000, 11)
TRAP = SampleFile("<img src=x onerror=document.title='obeyed'>.csv", 1_200, 12)
NOT_OURS = SampleFile("not for them.csv", 900, 14)
REFUSED = SampleFile("refused at first.csv", 1_200, 13)
CLIENT = "aurora_health"
AXE = ROOT / "tests" / "browser" / "axe" / "node_modules" / "axe-core" / "axe.min.js"


def open_page(page, airflow, path: str = "/plugin/deliveries") -> None:
    page.outside()
    page.open(airflow.url + path)
    page.enter_frame("Deliveries")


def search(page, words: str) -> None:
    page.type("input[name=q]", words)
    page.click("form[role=search] button")
    page.sees("What was found for")


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
    page.sees("1 file failed and waits since")
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


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_r10_axe_finds_nothing_to_complain_about(page, airflow, delivered, theme):
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
    page.link("Months, people, configuration in words, pause")
    page.sees("Runs with files")
    assert violations(page) == [], f"about, {theme}"
    page.screenshot(f"deliveries-about-{theme}")


def test_r10_a_question_is_answered_from_the_keyboard(page, airflow, delivered):
    """To the content by the first key; the search by the next ones; each focus is visible."""
    sign_in(page, airflow, "victor")
    open_page(page, airflow)
    page.sees("Needs a person")
    page.run_script("document.body.focus(); document.querySelector('.skip').focus()")
    assert page.run_script("return document.activeElement.textContent") == "To the content"
    page.press(Keys.TAB, Keys.TAB)
    assert page.run_script("return document.activeElement.id") == "q"
    assert page.run_script("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press(*MARCH.name, Keys.ENTER)
    page.sees("What was found for")
    page.sees("gs://example-gcs-landing/aurora_health/claims/")


def succeeds(airflow, run: str) -> None:
    """The run ends green; if not, what its tasks said."""
    if airflow.finished_run(CLIENT, run) != "success":
        logs = sorted((airflow.directory / "logs" / f"dag_id={CLIENT}" / f"run_id={run}").rglob("*.log"))
        errors = [line for log in logs for line in log.read_text().splitlines() if '"level":"error"' in line]
        raise AssertionError("\n".join(line[:2000] for line in errors))


def begun(page, airflow, note: str) -> str:
    """The run that the button has begun, by its note."""
    page.sees("A run has begun")
    runs = airflow.api("GET", f"/dags/{CLIENT}/dagRuns", params={"order_by": "-run_after", "limit": 1})["dag_runs"]
    assert runs[0]["note"] == note
    assert runs[0]["triggering_user_name"] == "olga"
    return str(runs[0]["dag_run_id"])


def test_r10_a_delivered_file_is_sent_again_in_two_clicks(page, airflow, stack, delivered):
    sign_in(page, airflow, "olga")
    page.theme("light")
    open_page(page, airflow, f"/dags/{CLIENT}/plugin/deliveries-of-client")
    page.click(f"input[name=files][aria-label='{MARCH.name}']")
    page.type("#reason-again", "lost at the recipient")
    page.click("//button[normalize-space()='Send again what is ticked']")
    run = begun(page, airflow, "Send again: lost at the recipient")
    succeeds(airflow, run)
    open_page(page, airflow)
    search(page, MARCH.name)
    page.sees("olga: Send again: lost at the recipient")
    page.link(MARCH.name)
    page.sees("e-mail 'Job finished'")
    open_page(page, airflow, f"/dags/{CLIENT}/runs/{run}/plugin/deliveries-of-run")
    page.link("Send all of this run again…")
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
    page.sees("Needs a person: 0")
    open_page(page, airflow, f"/dags/{CLIENT}/plugin/deliveries-of-client")
    page.link("Months, people, configuration in words, pause")
    page.sees("Dismiss: it was never meant for them")
    page.screenshot("deliveries-people")
