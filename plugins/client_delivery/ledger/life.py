"""Which run, and which passage of it, the ledger names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunRef:
    """One life of one DAG run: a run that is cleared in the UI lives again, with the next generation.

    Two DAGs may have runs of one id: a renamed configuration runs at the same times as before, in the same partition of
    the ledger. So a reference names the DAG too, as ``dag_id/run_id/generation``. References of an older release do not
    (``run_id/generation``): they match a run of any DAG.
    """

    run_id: str
    generation: int = 0
    """How often the run has been cleared (Airflow's ``clear_number``)."""
    dag_id: str = ""
    """Empty in what an older release wrote."""

    def __str__(self) -> str:
        dag = f"{self.dag_id}/" if self.dag_id else ""
        return f"{dag}{self.run_id}/{self.generation}"

    def is_same_run(self, other: RunRef) -> bool:
        """Whether it is the same run, in any life."""
        return self.run_id == other.run_id and (self.dag_id == other.dag_id or not (self.dag_id and other.dag_id))

    def is_same_life(self, other: RunRef) -> bool:
        """Whether it is the same run, and it has not been cleared in between."""
        return self.is_same_run(other) and self.generation == other.generation

    def is_earlier_life_of(self, other: RunRef) -> bool:
        """Whether it is the same run, before it was cleared (R5.4)."""
        return self.is_same_run(other) and self.generation < other.generation

    @property
    def spellings(self) -> list[str]:
        """The spellings of this life in the ledger: today's, and that of an older release."""
        return list(dict.fromkeys([str(self), str(RunRef(self.run_id, self.generation))]))

    @classmethod
    def parse(cls, text: str) -> RunRef:
        """The inverse of ``str``. Airflow allows no slash in the id of a DAG or a run."""
        run, _, generation = text.rpartition("/")
        dag_id, _, run_id = run.rpartition("/")
        return cls(run_id, int(generation), dag_id)
