"""What Airflow retries: a step's error says whether a retry helps, and its message stands alone."""

from __future__ import annotations

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from client_delivery.operators.failing import failing_as_airflow_does
from client_delivery.operators.task_log import without_traceback
from client_delivery.run.detection import FormRefused
from client_delivery.run.first_steps import FileWasWrong
from client_delivery.run.health import AnotherClient, AnotherRunUnderWay
from client_delivery.run.transfer import FailedForGood, NotFinished


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (NotFinished, AirflowException),
        (AnotherRunUnderWay, AirflowException),
        (FailedForGood, AirflowFailException),
        (AnotherClient, AirflowFailException),
        (FormRefused, AirflowFailException),
        (FileWasWrong, AirflowFailException),
    ],
)
def test_an_error_of_a_step_is_retried_only_where_that_helps(error, raised):
    with pytest.raises(AirflowException) as found, failing_as_airflow_does():
        raise error("what is the matter")
    assert type(found.value) is raised
    event = without_traceback(None, "error", {"event": "Task failed", "exc_info": found.value})
    assert event == {"event": "Failed: what is the matter"}


def test_what_is_no_error_of_a_step_passes():
    with pytest.raises(LookupError), failing_as_airflow_does():
        raise LookupError
