"""R4.2: what a run that died left active; and whether the pick-up still belongs to this client."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from client_delivery.operators.base import DeliveryOperator
from client_delivery.run.leftovers import let_go
from client_delivery.runtime.packages import missing_packages, refusal_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.ledger.entry import Entry
    from client_delivery.run.context import Run


ERROR_TASK = "configuration_error"
"""The task that only a wrong file's DAG has (:class:`~client_delivery.operators.configuration_error`)."""


class HealthCheckOperator(DeliveryOperator):
    """Sets inactive, and logs as an error, every entry of this client that is still active (R4.2).

    What is active belongs to a run that died, unless Airflow says that the run is under way: then this one waits for
    it by its retries, and ends red. Setting an entry inactive locks out whoever of a dead run may still be alive
    (R3.5); the next tasks resume what is unfinished (R4.6).

    An edit of the YAML that gave the pick-up another delivery key is followed: what is unfinished or held under the
    old one is taken over (R3.7). Another client number is refused.
    """

    as_begun = False

    def execute(self, context: Context) -> int:
        """Returns how many entries were left over.

        Raises while another run of the client is under way (R4.1), and if the pick-up belongs to another client number.
        """
        if missing := missing_packages():
            self.log_event("packages_missing", level=logging.ERROR, packages=missing)
            raise refusal_of(missing)
        run = self.run_of(context)
        self._refuse_a_run_of_a_wrong_file(context, run)
        self._require_same_client(run)
        abandoned = [entry for entry in run.ledger.open_entries() if entry.active]
        self._let_go(run, abandoned)
        return len(abandoned) + self._take_over(run)

    def _let_go(self, run: Run, abandoned: Sequence[Entry]) -> None:
        if others := run.others_under_way(abandoned):
            named = ", ".join(f"{ref.run_id} of the DAG {ref.dag_id or self.dag_id}" for ref in others)
            raise AirflowException(
                f"Another run for {run.config.delivery_key} is under way: {named}. Only one may be at a time, so this "
                "one has done nothing; its next try looks again. If that run hangs, mark it as failed in the Airflow "
                "UI: the next run then takes over what it left."
            )
        let_go(run, abandoned)

    def _require_same_client(self, run: Run) -> None:
        config, keys = run.config, run.delivery_keys
        if not keys:
            return
        before = keys[-1].partition("#")[0]
        if before not in {config.client_h_number, *config.formerly}:
            raise AirflowFailException(
                f"The pick-up {run.place} has been delivered for client {before}, but {config.name}.yaml now says "
                f"client_h_number: {config.client_h_number}. Nothing was sent. If the number is wrong, correct it. If "
                f"it is the same client under a new number, add `formerly: [{before}]`: what was sent before is then "
                "not sent again. For another client, give it a pick-up prefix of its own."
            )

    def _take_over(self, run: Run) -> int:
        """R3.7: what is unfinished or held under the key that the pick-up had before."""
        if run.delivery_keys[-1:] == [run.config.delivery_key]:
            return 0
        left_active = 0
        for earlier in run.earlier_ledgers:
            entries = [*earlier.open_entries(), *earlier.held_entries()]
            ours = [entry for entry in entries if entry.file_path.startswith(run.place)]
            active = [entry for entry in ours if entry.active]
            self._let_go(run, active)
            taken = run.ledger.adopt(list(earlier.find(entry.etag for entry in ours).values()), earlier)
            if taken:
                self.log_event("entries_taken_over", earlier_key=earlier.delivery_key, entries=len(taken))
            left_active += len(active)
        if run.delivery_keys:
            self.log_event("delivery_key_changed", earlier_key=run.delivery_keys[-1])
            run.registry.use(run.config.delivery_key, run.delivery_keys)
        return left_active

    def _refuse_a_run_of_a_wrong_file(self, context: Context, run: Run) -> None:
        """A run that was due while the file was wrong delivers nothing when the file is corrected meanwhile.

        Nobody has asked for it: the wrong file's schedule need not be the corrected one's. Clearing it asks.
        """
        if run.owner.generation:
            return
        states: Any = context["ti"].get_task_states(
            dag_id=self.dag_id, task_ids=[ERROR_TASK], run_ids=[run.owner.run_id]
        )
        state = states.get(run.owner.run_id, {}).get(ERROR_TASK, "skipped")
        if state != "skipped":
            raise AirflowFailException(
                f"This run began while the file {run.config.name}.yaml was wrong. The file is right now, and the next "
                "run delivers; to deliver at once, clear this run or trigger the DAG."
            )
