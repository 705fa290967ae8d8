"""The environment's settings: what is taken, what is told, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from client_delivery.runtime import settings_reference
from client_delivery.runtime.settings import PREFIX, Settings, SettingsError, problems, setting

TABLE = {"AIRFLOW__DELIVERY__LEDGER_TABLE": "ledger"}
PAIR = {"AIRFLOW__DELIVERY__ECS_CLUSTER": "transfers", "AIRFLOW__DELIVERY__ECS_TASK_DEFINITION": "transfer"}


def test_only_the_ledger_table_must_be_set():
    settings = Settings.from_environment(TABLE)
    assert settings.ledger_table == "ledger"
    assert settings.offload_threshold == 10 * 1024**3
    assert settings.offload is None
    assert settings.gcs_endpoint == "https://storage.googleapis.com"
    assert problems(TABLE) == []


@pytest.mark.parametrize("environment", [{}, {"AIRFLOW__DELIVERY__LEDGER_TABLE": " "}])
def test_a_missing_ledger_table_says_what_to_set(environment):
    with pytest.raises(SettingsError, match=r"AIRFLOW__DELIVERY__LEDGER_TABLE is not set.*delivery\.ledger_table"):
        Settings.from_environment(environment)
    assert problems(environment) == [
        "AIRFLOW__DELIVERY__LEDGER_TABLE is not set: expected the name of the DynamoDB ledger table."
    ]


WRONG = [
    ("OFFLOAD_THRESHOLD", "10 GB", "a number of bytes, 1 or more"),
    ("OFFLOAD_THRESHOLD", "0", "a number of bytes, 1 or more"),
    ("OFFLOAD_THRESHOLD", "1.5", "a number of bytes, 1 or more"),
    ("WORKER_BATCHES", "0.5", "a whole number, 1 to 64"),
    ("WORKER_BATCHES", "-1", "a whole number, 1 to 64"),
    ("WORKER_BATCHES", "1000", "a whole number, 1 to 64"),
    ("RETRY_DELAY", "1m", "a number of seconds, 0 to 900"),
    ("RETRY_DELAY", "60s", "a number of seconds, 0 to 900"),
    ("RETRY_DELAY", "nan", "a number of seconds, 0 to 900"),
    ("RETRY_DELAY", "3600", "a number of seconds, 0 to 900"),
    ("CONFIGS_DIRECTORY", "/nowhere", "a directory that exists"),
    ("ECS_SPOT", "yes", "true or false"),
    ("ECS_SPOT", "1", "true or false"),
    ("ECS_POLL_SECONDS", "0", "a whole number of seconds, 1 to 300"),
    ("ECS_SUBNETS", "subnet-a,,subnet-b", "ids with commas between them"),
    ("ECS_SECURITY_GROUPS", "sg-a sg-b", "ids with commas between them"),
    ("GCS_ENDPOINT", "storage.googleapis.com", "a URL without a path, such as https://storage.googleapis.com"),
    ("GCS_ENDPOINT", "https://storage.googleapis.com/", "a URL without a path, such as https://storage.googleapis.com"),
    ("MAIL_SENDER", "deliveries", "an e-mail address, or a name and an address in <>"),
    ("CONNECTIONS_PREFIX", "airflow/connections/", "a prefix of secrets' names, without '/' at its end"),
    ("SES_CONFIGURATION_SET", "two words", "the name of an SES configuration set"),
]


@pytest.mark.parametrize(("name", "value", "expected"), WRONG)
def test_a_wrong_setting_is_named_and_counts_as_not_set(name, value, expected):
    environment = {**TABLE, **PAIR, PREFIX + name: value}
    assert problems(environment) == [f"{PREFIX}{name}: found {value!r}, expected {expected}."]
    default = Settings.model_fields[name.lower()].default
    assert getattr(Settings.from_environment(environment), name.lower()) == default


def test_everything_that_is_wrong_is_told_at_the_first_look():
    environment = {**TABLE, **PAIR, **{PREFIX + name: value for name, value, _ in WRONG}, PREFIX + "ECS_CLUSTR": "x"}
    told = problems(environment)
    assert len(told) == len({name for name, _, _ in WRONG}) + 1
    assert Settings.from_environment(environment) == Settings.from_environment({**TABLE, **PAIR})


@pytest.mark.parametrize(
    ("name", "hint"),
    [("RETRY_DELAI", " Did you mean AIRFLOW__DELIVERY__RETRY_DELAY?"), ("XYZ", ""), ("LEDGER_TABLE_CMD", None)],
)
def test_an_unknown_name_is_told_and_its_value_is_not(name, hint):
    (told,) = problems({**TABLE, PREFIX + name: "hunter2"})
    assert told.startswith(f"{PREFIX}{name}: there is no such setting.")
    assert hint is None or told.endswith("no such setting." + hint)
    assert "hunter2" not in told


@pytest.mark.parametrize("missing", PAIR)
def test_half_a_pair_is_told_and_everything_stays_on_the_workers(missing):
    environment = {**TABLE, **{name: value for name, value in PAIR.items() if name != missing}}
    (told,) = problems(environment)
    assert told.startswith(f"{missing} is not set, and ")
    assert Settings.from_environment(environment).offload is None


def test_what_only_containers_need_is_told_where_there_is_no_cluster():
    (told,) = problems({**TABLE, PREFIX + "ECS_SUBNETS": "subnet-a"})
    assert told.startswith(
        f"{PREFIX}ECS_CLUSTER and {PREFIX}ECS_TASK_DEFINITION are not set, and {PREFIX}ECS_SUBNETS is"
    )


def test_r6_1_containers_need_a_cluster_and_a_task_definition():
    environment = {**TABLE, **PAIR, PREFIX + "ECS_SUBNETS": "subnet-a, subnet-b", PREFIX + "ECS_SPOT": "True"}
    offload = Settings.from_environment(environment).offload
    assert offload is not None
    assert (offload.cluster, offload.subnets, offload.security_groups, offload.spot, offload.poll_seconds) == (
        "transfers",
        ("subnet-a", "subnet-b"),
        (),
        True,
        15,
    )
    assert problems(environment) == []


@pytest.mark.parametrize(("value", "found"), [("5", 5), ("0", 0), ("1m", 60), ("", 60)])
def test_the_delay_between_tries_can_always_be_used(value, found):
    assert float(setting("retry_delay", {PREFIX + "RETRY_DELAY": value})) == found


def test_other_variables_of_airflow_are_none_of_ours():
    assert problems({**TABLE, "AIRFLOW__CORE__X": "y", "AIRFLOW_CONN_ACME": "z"}) == []


def test_the_reference_is_up_to_date():
    written = (Path(__file__).parents[3] / settings_reference.REFERENCE_FILE).read_text(encoding="utf-8")
    assert written == settings_reference.render(), "run `make docs`"


def test_the_reference_has_every_setting_with_a_meaning_and_what_is_accepted():
    rows = [line.split(" | ") for line in settings_reference.render().splitlines() if line.startswith("| `")]
    assert [row[0] for row in rows] == [f"| `{name}`" for name in Settings.model_fields]
    assert all(len(row) == 4 and all(cell.strip() for cell in row) for row in rows)
