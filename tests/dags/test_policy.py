"""What every client's DAG must be, whatever its YAML says: policy, not only "it imports"."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from client_delivery.config.schedule import spread_by
from client_delivery.run.questions import QUESTIONS

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "include" / "client_configs"
YAML_FILES = sorted(CONFIGS.glob("*.yaml"))


@pytest.fixture(scope="module")
def dags():
    from client_delivery.dag import deliveries

    return {dag.dag_id: dag for dag in deliveries(ROOT / "dags")}


def test_r1_4_there_is_one_dag_for_each_yaml_file_and_not_none(dags):
    assert len(YAML_FILES) > 0, f"No YAML file in {CONFIGS}: is the path right?"
    assert sorted(dags) == [path.stem for path in YAML_FILES]


def test_the_examples_cover_every_destination_and_way_of_working():
    from client_delivery.config.loader import load_directory

    configs = [loaded.config for loaded in load_directory(CONFIGS)]
    assert {config.destination.type for config in configs} == {"gcs", "sftp", "s3"}
    assert {config.trigger_on_done_file for config in configs} == {True, False}
    assert any(config.bypass_file_checks for config in configs)
    assert any(config.feed for config in configs)


@pytest.mark.parametrize("dag_id", [path.stem for path in YAML_FILES])
class TestEachDag:
    def test_r4_1_runs_every_15_minutes_one_at_a_time_without_catch_up(self, dags, dag_id):
        from client_delivery.config.loader import load_file

        dag = dags[dag_id]
        zone = load_file(CONFIGS / f"{dag_id}.yaml").timezone
        assert (dag.schedule.expression, str(dag.schedule.timezone)) == (spread_by("H/15 * * * *", dag_id), zone)
        assert dag.max_active_runs == 1, "Two runs of one client at once would race for its files."
        assert dag.catchup is False
        assert "config-error" not in dag.tags, dag.doc_md

    def test_r6_3_transfers_retry_three_times_with_exponential_back_off(self, dags, dag_id):
        transfer = dags[dag_id].get_task("transfer_batch")
        assert transfer.retries == 3
        assert transfer.partial_kwargs["retry_exponential_backoff"] == 2.0
        assert transfer.partial_kwargs["max_retry_delay"] <= timedelta(minutes=15)

    def test_r10_is_found_by_the_clients_number_in_airflows_first_search_box(self, dags, dag_id):
        """It goes by what a DAG is called."""
        assert re.fullmatch(r"H\d+(#\S+)? " + dag_id, dags[dag_id].dag_display_name)

    def test_r2_6_is_tagged_by_client_and_destination(self, dags, dag_id):
        from client_delivery.config.loader import load_file

        config = load_file(CONFIGS / f"{dag_id}.yaml")
        assert dags[dag_id].tags >= {"client-delivery", config.delivery_key, config.destination.type}

    def test_r2_6_documents_its_configuration(self, dags, dag_id):
        from client_delivery.config.loader import load_file

        config = load_file(CONFIGS / f"{dag_id}.yaml")
        for expected in (config.client_h_number, config.pickup.bucket, config.destination.type):
            assert expected in dags[dag_id].doc_md

    def test_r9_1_every_parameter_of_the_form_is_explained(self, dags, dag_id):
        params = dags[dag_id].params
        assert set(params) == {
            "bypass_file_checks",
            "resend_failed",
            "file_pattern",
            "ignore_done_file",
            "ignore_window",
            "acknowledge_late",
            "send_notifications",
            "only_plan",
            "only_test_destination",
            "reason",
            "wait_minutes",
            "send_again",
            "dismiss",
        }
        for name in params:
            param = params.get_param(name)
            assert param.description, f"{name} has no description"
            assert param.schema.get("title"), f"{name} has no title"

    def test_r8_3_the_report_alone_decides_the_runs_colour(self, dags, dag_id):
        dag = dags[dag_id]
        leaves = {task.task_id for task in dag.leaves}
        assert leaves == {"report", *QUESTIONS.values()}, (
            "A run's state is its leaves' state: a red e-mail must not make the run red."
        )
        for name in QUESTIONS.values():
            task = dag.get_task(name)
            assert (task.trigger_rule, task.retries) == ("all_skipped", 0), "It answers, where nothing is delivered."
            assert task.upstream_task_ids == {"notify_started"}

    def test_r4_4_an_idle_run_is_one_task_instance_that_says_what_it_does(self, dags, dag_id):
        dag = dags[dag_id]
        (first,) = dag.roots
        assert (first.task_id, first.task_display_name) == ("register_files", "health check, detection, registration")
        assert set(dag.task_ids) - first.get_flat_relative_ids(upstream=False) == {first.task_id}

    def test_r9_4_four_tasks_are_in_a_row(self, dags, dag_id):
        """Each costs seconds, whatever it does."""

        def longest(task) -> int:
            return 1 + max([longest(after) for after in task.downstream_list], default=0)

        assert longest(*dags[dag_id].roots) == 4


def test_r9_4_what_airflow_stores_of_a_dag_is_small(dags):
    """It is written, compared and read for every client at every parse: the form is in it once, not in each task."""
    from airflow.serialization.serialized_objects import DagSerialization

    for dag in dags.values():
        assert [task.task_id for task in dag.tasks if task.params] == []
        assert len(json.dumps(DagSerialization.to_dict(dag))) < 16_000, dag.dag_id


def test_r9_1_a_task_sees_what_the_form_says_although_it_keeps_no_copy(dags):
    """As Airflow's task runner makes the parameters of a task's context."""
    from airflow.sdk.definitions.param import process_params
    from airflow.sdk.exceptions import ParamValidationError

    dag = dags[YAML_FILES[0].stem]
    for task in dag.tasks:
        said = process_params(dag, task, {"wait_minutes": 5}, suppress_exception=False)
        assert said == {**dag.params.dump(), "wait_minutes": 5}
    with pytest.raises(ParamValidationError, match="wait_minutes"):
        process_params(dag, dag.tasks[0], {"wait_minutes": -1}, suppress_exception=False)


def imported(dag_id: str | None, task_id: str | None = None, configs: Path = CONFIGS) -> list[str]:
    """The DAG ids that the DAG file yields in a fresh process, as Airflow parses it for a task (or for all)."""
    context = {"_AIRFLOW_PARSING_CONTEXT_DAG_ID": dag_id, "_AIRFLOW_PARSING_CONTEXT_TASK_ID": task_id}
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "plugins"),
        "AIRFLOW__DELIVERY__CONFIGS_DIRECTORY": str(configs),
        **{name: value for name, value in context.items() if value},
    }
    code = (
        "import runpy, airflow.sdk\n"
        f"names = runpy.run_path({str(ROOT / 'dags' / 'client_deliveries.py')!r})\n"
        "print('DAGS', *sorted(k for k, v in names.items() if isinstance(v, airflow.sdk.DAG) and k != 'dag'))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()[1:]  # before it Airflow logs


def test_r2_1_paused_takes_the_schedule_away_and_is_never_a_matter_of_first_sight():
    from client_delivery.building.delivery import build_dag
    from client_delivery.config.loader import load_file

    config = load_file(YAML_FILES[0])
    paused = build_dag(config.model_copy(update={"paused": True}))
    assert paused.schedule is None
    assert paused.is_paused_upon_creation is False


def test_a_task_builds_only_its_own_dag():
    dag_id = YAML_FILES[0].stem
    assert imported(dag_id, "register_files") == [dag_id]


def test_r2_6_a_broken_file_keeps_its_dag_and_harms_no_other(tmp_path):
    good = YAML_FILES[0]
    (tmp_path / good.name).write_text(good.read_text())
    (tmp_path / "broken.yaml").write_text("name: broken\n\tclient: x\n")
    assert imported(None, configs=tmp_path) == sorted(["broken", good.stem])
    assert imported("broken", "configuration_error", configs=tmp_path) == ["broken"]


def test_r2_6_a_broken_files_dag_says_what_is_wrong_and_runs_red(tmp_path, monkeypatch):
    from airflow.sdk.exceptions import AirflowFailException

    from client_delivery.dag import deliveries

    (tmp_path / "broken.yaml").write_text("name: broken\nclient_h_number: 7\n")
    monkeypatch.setenv("AIRFLOW__DELIVERY__CONFIGS_DIRECTORY", str(tmp_path))
    (dag,) = deliveries(ROOT / "dags")
    assert dag.dag_id == "broken"
    assert "config-error" in dag.tags
    assert "client\\_h\\_number" in dag.doc_md  # escaped, for Markdown
    (first,) = dag.roots
    run = SimpleNamespace(dag_id="broken", run_id="scheduled__2026-03-01T12:00:00+00:00", clear_number=0)
    task_instance = SimpleNamespace(get_task_states=lambda **_: {})
    with pytest.raises(AirflowFailException, match="client_h_number"):
        first.execute({"dag_run": run, "ti": task_instance})


def test_nothing_waits_for_ever(dags):
    """Whatever hangs is stopped, and tried again; a transfer's limit goes by its batch (R6.7)."""
    from client_delivery.operators.transfer_batch import TransferBatchOperator
    from client_delivery.transfer.plan import longest

    for dag in dags.values():
        assert dag.dagrun_timeout == timedelta(days=14)
        assert {task.execution_timeout for task in dag.tasks} == {timedelta(hours=3)}, dag.dag_id
    config = dags[YAML_FILES[0].stem].get_task("report").config
    batch = {"batch": 0, "files": 2, "bytes": 10 * 1024**4, "label": "", "owner": "r/0", "offloaded": False}
    transfer = TransferBatchOperator(task_id="transfer_batch", config=config, batch=batch)
    allowed = longest(2, 10 * 1024**4, config.destination.max_bytes_per_second)
    assert transfer.execution_timeout == allowed + timedelta(minutes=15) > timedelta(days=1)


def test_r4_7_a_broken_files_dag_has_every_task_of_a_delivery(dags):
    """Airflow plans a run under way by the latest DAG, and kills tasks that are gone from it."""
    from client_delivery.building.delivery import build_error_dag, build_removed_dag
    from client_delivery.config.problem import ConfigError, Problem

    delivery = dags[YAML_FILES[0].stem]
    error = ConfigError([Problem("acme.yaml", 3, 1, "contacts", "nothing", "a list")])
    for dag in (build_error_dag("acme", error), build_removed_dag("acme")):
        (first,) = dag.roots
        assert first.task_id == "configuration_error", "new runs are red before anything else happens"
        assert set(dag.task_ids) == {*delivery.task_ids, "configuration_error"}
        for task in delivery.tasks:
            same = dag.get_task(task.task_id)
            assert same.upstream_task_ids - {"configuration_error"} == task.upstream_task_ids
            assert same.trigger_rule == task.trigger_rule
        assert {leaf.task_id for leaf in dag.leaves} == {"report", *QUESTIONS.values()}


def test_plugins_folder_is_not_executed_by_airflow():
    """Every .py below plugins/ that .airflowignore does not exclude is run as a top-level module of its stem."""
    from airflow._shared.module_loading.file_discovery import find_path_from_directory

    found = [path for path in find_path_from_directory(str(ROOT / "plugins"), ".airflowignore") if path.endswith(".py")]
    assert [Path(path).name for path in found] == ["deliveries_page.py"]


def test_r4_1_no_dag_can_be_backfilled(dags):
    """A backfill has its own limit beside max_active_runs: its runs would go side by side with the others."""
    for dag in dags.values():
        assert {str(kind.value) for kind in dag.allowed_run_types} == {"scheduled", "manual"}, dag.dag_id


def test_r4_1_only_a_client_that_asks_for_it_is_watched():
    """Nothing of the others' DAGs changes; of its own, only when it starts."""
    from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable

    from client_delivery.building.delivery import build_dag
    from client_delivery.config.loader import load_file

    plain = load_file(ROOT / "include" / "client_configs" / "aurora_health.yaml")
    before, watched = build_dag(plain), build_dag(plain.model_copy(update={"trigger": "on_arrival"}))
    assert isinstance(before.timetable, CronTriggerTimetable)
    assert not before.timetable.asset_condition
    assert isinstance(watched.timetable, AssetOrTimeSchedule)
    assert watched.timetable.timetable == before.timetable
    assert {str(kind.value) for kind in watched.allowed_run_types} == {"scheduled", "manual", "asset_triggered"}
    assert (watched.max_active_runs, watched.catchup) == (1, False)
    assert watched.tags - before.tags == {"on-arrival"}
    assert watched.task_dict.keys() == before.task_dict.keys()
    [asset] = watched.timetable.asset_condition.objects
    assert asset.name == "arrived/aurora_health"
    [watcher] = asset.watchers
    assert json.loads(watcher.trigger.configuration)["name"] == "aurora_health"
    paused = build_dag(plain.model_copy(update={"trigger": "on_arrival", "paused": True}))
    assert type(paused.timetable) is type(build_dag(plain.model_copy(update={"paused": True})).timetable)
    assert "on-arrival" not in paused.tags
