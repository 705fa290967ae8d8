"""The Deliveries page (R10), clicked in a real browser: each of a person's questions in one search or two clicks."""

from __future__ import annotations

import json

import httpx
import pytest

from local.demo_clients import recipient_files
from local.sample_files import SampleFile

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
MARCH = SampleFile("deliveries march 2026.csv", 48_000, 11)
TRAP = SampleFile("<img src=x onerror=document.title='obeyed'>.csv", 1_200, 12)
REFUSED = SampleFile("refused at first.csv", 1_200, 13)
CLIENT = "aurora_health"


def sign_in(page, airflow, name: str) -> None:
    passwords = json.loads((airflow.directory / "passwords.json").read_text())
    page.open(airflow.url)
    page.forget()
    page.open(airflow.url)
    page.type("input[name=username]", name)
    page.type("input[name=password]", passwords[name])
    page.click("button[type=submit]")
    page.sees("Dags")


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
    page.sees("In hand")
    page.sees(REFUSED.name)
    page.sees(TRAP.name)
    page.screenshot("deliveries-client-dark")
    assert page.colour("body", "background-color") != light, "the page follows Airflow's theme"


def test_r10_a_held_file_is_sent_by_one_button_and_the_reason_is_kept(page, airflow, stack, delivered):
    sign_in(page, airflow, "olga")
    page.theme("light")
    open_page(page, airflow, f"/dags/{CLIENT}/plugin/deliveries-of-client")
    page.type("#reason-resend-failed", "the partner has opened the bucket")
    page.screenshot("deliveries-actions")
    page.click("form[action$=resend-failed] button")
    page.sees("A run has begun")
    runs = airflow.api("GET", f"/dags/{CLIENT}/dagRuns", params={"order_by": "-run_after", "limit": 1})["dag_runs"]
    assert runs[0]["note"] == "Resend failed: the partner has opened the bucket"
    assert runs[0]["triggering_user_name"] == "olga"
    assert airflow.finished_run(CLIENT, runs[0]["dag_run_id"]) == "success"
    assert recipient_files(stack, delivered.config)[REFUSED.name][0] == REFUSED.content()
    open_page(page, airflow)
    search(page, REFUSED.name)
    page.sees("olga: Resend failed: the partner has opened the bucket")
    page.link(REFUSED.name)
    page.sees("failed for good")
    page.sees("asked for by olga: Resend failed: the partner has opened the bucket")
    page.screenshot("deliveries-life")
    page.link(runs[0]["dag_run_id"])
    page.outside()
    page.until(lambda _: f"/dags/{CLIENT}/runs/" in page.address(), "Airflow's own page of the run", 30)
    open_page(page, airflow, f"/dags/{CLIENT}/runs/{runs[0]['dag_run_id']}/plugin/deliveries-of-run")
    page.sees(REFUSED.name)
    page.screenshot("deliveries-run")
