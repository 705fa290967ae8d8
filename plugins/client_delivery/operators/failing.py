"""What a step of a run says, in the exceptions by which Airflow retries a task or does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from client_delivery.run.errors import CannotGoOn


@contextmanager
def failing_as_airflow_does() -> Iterator[None]:
    """Raises AirflowException where a retry helps, and AirflowFailException where none does."""
    try:
        yield
    except CannotGoOn as error:
        raise (AirflowException if error.retry_helps else AirflowFailException)(str(error)) from None
