"""The ids of tasks that other tasks ask about. Ids stay: runs that are under way at an upgrade go on by them (R4.7)."""

from __future__ import annotations

from typing import Final

FIRST_TASK: Final = "register_files"
"""It looks after the client's health, looks for files and registers them. It has the id of what has the batches as its
result, so that transfers find them which an older release's run has not begun yet
(``docs/decisions/0034-four-tasks-in-a-row.md``)."""
FORMER_FIRST_TASK: Final = "health_check"
"""Of a run that an older release began."""
ERROR_TASK: Final = "configuration_error"
"""The task that only a wrong file's DAG has (:class:`~client_delivery.operators.configuration_error`)."""
FINISHED_TASK: Final = "notify_finished"
LIFE: Final = "life"
"""Under this key :data:`FINISHED_TASK` says for which life of the run it has taken on the e-mail."""
