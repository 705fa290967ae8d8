"""What building the DAGs takes from the ledger: the established one of two files, runs under way, the last schedule."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from client_delivery.config.model import ClientConfig
from client_delivery.config.schedule import spread_by
from client_delivery.dag import deliveries
from client_delivery.ledger.configurations import Configurations
from client_delivery.ledger.life import RunRef
from local.stand_ins import LEDGER_TABLE

RUN = "scheduled__2026-03-01T12:00:00+00:00"


@pytest.fixture
def directory(tmp_path, monkeypatch, delivery_environment) -> Path:
    monkeypatch.setenv("AIRFLOW__DELIVERY__CONFIGS_DIRECTORY", str(tmp_path))
    return tmp_path


@pytest.fixture
def configurations(stack) -> Configurations:
    return Configurations(stack.client("dynamodb"), LEDGER_TABLE)


def write(directory: Path, config: ClientConfig, **changes: object) -> ClientConfig:
    fields = config.model_dump(mode="json", exclude_defaults=True) | changes
    (directory / f"{fields['name']}.yaml").write_text(yaml.safe_dump(fields))
    return ClientConfig.model_validate(yaml.safe_load((directory / f"{fields['name']}.yaml").read_text()))


def delivered(configurations: Configurations, config: ClientConfig, *, over: bool = True) -> None:
    life = RunRef(RUN, 0, config.name)
    configurations.begin(config.name, life, config.model_dump_json(exclude_defaults=True), {})
    if over:
        configurations.end(config.name, life)


def dags(directory: Path) -> dict[str, object]:
    return {dag.dag_id: dag for dag in deliveries(directory)}


def test_r4_7_a_file_that_clashes_with_one_that_delivers_is_red_alone(directory, configurations, new_client):
    old = write(directory, new_client("s3"))
    delivered(configurations, old)
    write(directory, old, name=f"{old.name}_renamed")
    built = dags(directory)
    assert "config-error" not in built[old.name].tags
    assert "config-error" in built[f"{old.name}_renamed"].tags
    assert f"also that of {old.name}.yaml" in built[f"{old.name}_renamed"].get_task("configuration_error").message
    (directory / f"{old.name}.yaml").unlink()
    assert "config-error" not in dags(directory)[f"{old.name}_renamed"].tags, "the rename is complete"


def test_r4_7_a_file_that_now_claims_what_another_delivers_with_is_the_newcomer(directory, configurations, new_client):
    one, two = write(directory, new_client("s3")), write(directory, new_client("s3"))
    delivered(configurations, two)
    delivered(configurations, one)
    write(directory, one, pickup=two.pickup.model_dump(mode="json", exclude_defaults=True))
    assert {name for name, dag in dags(directory).items() if "config-error" in dag.tags} == {one.name}


def test_r4_7_the_dag_of_a_removed_file_stays_until_its_run_is_over(directory, configurations, new_client):
    gone = new_client("s3")
    delivered(configurations, gone, over=False)
    dag = dags(directory)[gone.name]
    assert dag.tags == {"client-delivery", "removed"}
    assert dag.schedule is None
    assert "has been removed while a run had files in hand" in dag.doc_md
    configurations.end(gone.name, RunRef("another", 0, gone.name))
    assert gone.name in dags(directory), "another run's end is not this one's"
    configurations.end(gone.name, RunRef(RUN, 0, gone.name))
    assert gone.name not in dags(directory)


def test_r2_6_a_file_that_cannot_be_read_is_due_as_when_it_delivered_last(directory, configurations, new_client):
    monthly, by_hand, unknown = (
        new_client("s3", **changes) for changes in ({"schedule": "0 6 1 * *"}, {"schedule": None}, {})
    )
    delivered(configurations, monthly)
    delivered(configurations, by_hand)
    for config in (monthly, by_hand, unknown):
        (directory / f"{config.name}.yaml").write_text("name: [\n")
    built = dags(directory)
    assert built[monthly.name].schedule.expression == "0 6 1 * *"
    assert built[by_hand.name].schedule is None
    assert built[unknown.name].schedule.expression == spread_by("H/15 * * * *", unknown.name)


def test_r2_6_a_wrong_file_keeps_its_clients_number_and_tags(directory, configurations, new_client):
    """People find it where they find the client: by its number in the first search box, and by its tags."""
    config = write(directory, new_client("s3"))
    delivered(configurations, config)
    (directory / f"{config.name}.yaml").write_text("a slip: [")
    dag = dags(directory)[config.name]
    assert dag.dag_display_name == f"{config.delivery_key} {config.name}", "as it delivered last"
    assert dag.tags == {"client-delivery", "config-error", config.delivery_key, "s3"}
    fields = config.model_dump(mode="json", exclude_defaults=True)
    fields |= {"schedule": "sometimes", "name": "newcomer", "client_h_number": "H7777"}
    (directory / "newcomer.yaml").write_text(yaml.safe_dump(fields))
    dag = dags(directory)["newcomer"]
    assert dag.dag_display_name == "H7777 newcomer", "as it says itself"
    assert dag.tags == {"client-delivery", "config-error", "H7777"}


def test_a_ledger_that_does_not_answer_takes_no_dag_down(directory, new_client, monkeypatch, stack):
    one = write(directory, new_client("s3"))
    write(directory, one, name=f"{one.name}_renamed")
    (directory / "broken.yaml").write_text("name: [\n")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert set(dags(directory)) == {one.name, f"{one.name}_renamed", "broken"}
