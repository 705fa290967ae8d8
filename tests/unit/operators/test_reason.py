"""R3.8: the reason that somebody gave on the Deliveries page reaches the record."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from client_delivery.operators.run import run_in


@pytest.mark.parametrize(
    ("note", "conf", "kept"),
    [
        (None, {"reason": "Resend failed: mended"}, "Resend failed: mended"),
        ("a note", {"reason": "other"}, "a note"),
        (None, {"reason": {"no": "text"}}, None),
        (None, None, None),
    ],
)
def test_the_reason_is_kept_though_airflow_tells_its_tasks_no_note(note, conf, kept):
    dag_run = SimpleNamespace(
        dag_id="acme", run_id="manual__1", clear_number=0, triggering_user_name="olga", note=note, conf=conf
    )
    run = run_in({"dag_run": dag_run, "ti": None, "params": {}}, None)
    assert (run.asked_by, run.note) == ("olga", kept)
