"""A directory of configurations: one result for every file, whatever is in it (R2.6), and no two at odds (R2.7)."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from client_delivery.config.loader import LoadedConfig, load_directory, load_file
from client_delivery.config.problem import ConfigError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def write(tmp_path, text):
    """Write a good configuration under a name, with its own key and pick-up unless ``changes`` say otherwise."""

    def write(name: str, kind: str = "gcs", number: int | None = None, **changes: str) -> Path:
        own = {"name": name, "pickup.prefix": f"{name}/"}
        if number is not None:
            own["client_h_number"] = f"H{number:04}"
        path = tmp_path / f"{name}.yaml"
        path.write_text(text(kind, own | {field.replace("__", "."): value for field, value in changes.items()}))
        return path

    return write


def by_id(directory: Path) -> dict[str, LoadedConfig]:
    return {result.dag_id: result for result in load_directory(directory)}


def complaints(result: LoadedConfig) -> list[str]:
    assert result.config is None
    return str(result.error).replace(f"{result.path.parent}/", "").splitlines()


def test_every_file_has_its_result(tmp_path, write):
    """R2.6: a wrong file takes no other down and does not vanish."""
    write("acme", number=1)
    write("globex", number=2)
    (tmp_path / "initech.yaml").write_text("name: [")
    results = load_directory(tmp_path)
    assert [result.dag_id for result in results] == ["acme", "globex", "initech"]
    assert [result.config and result.config.name for result in results] == ["acme", "globex", None]
    assert [result.error is None for result in results] == [True, True, False]
    assert [result.path for result in results] == [tmp_path / f"{name}.yaml" for name in ("acme", "globex", "initech")]


def test_an_empty_directory_has_no_results(tmp_path):
    assert load_directory(tmp_path) == []


def test_a_directory_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_directory(tmp_path / "nowhere")


def test_what_is_no_configuration_is_passed_over(tmp_path, write):
    """Hidden files (an editor's, macOS's), subdirectories' files and other endings."""
    write("acme")
    for name in (".acme.yaml", "._acme.yaml", ".#acme.yaml", "acme.yaml~", "acme.yaml.bak", "README.md", "acme.json"):
        (tmp_path / name).write_text("not: [yaml")
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "old.yaml").write_text("not: [yaml")
    assert list(by_id(tmp_path)) == ["acme"]


@pytest.mark.parametrize("name", ["acme.yml", "acme.YAML", "acme.Yml"])
def test_another_ending_is_taken_for_a_slip(tmp_path, text, name):
    """R2.6: its DAG has the id that the client's DAG has had and will have."""
    (tmp_path / name).write_text(text("gcs"))
    [result] = load_directory(tmp_path)
    assert result.dag_id == "acme"
    ending = name.removeprefix("acme")
    assert complaints(result) == [
        f"{name}:1:1: found a file that ends with '{ending}', expected '.yaml'. Rename it to acme.yaml."
    ]


def test_ids_are_unique_and_a_stray_neighbour_does_not_take_the_good_files(tmp_path, write):
    write("acme")
    for name in (
        "acme.yml",
        "acme corp.yaml",
        "acme+corp.yaml",
        "acme_corp.yaml",
        "acme.Yml",
        "ärzte.yaml",
        "Acme.yaml",
    ):
        (tmp_path / name).write_text("")
    ids = {result.path.name: result.dag_id for result in load_directory(tmp_path)}
    assert ids == {
        "Acme.yaml": "Acme",
        "acme.yaml": "acme",
        "acme.Yml": "acme.Yml",
        "acme.yml": "acme.yml",
        "acme_corp.yaml": "acme_corp",
        "acme corp.yaml": "acme_corp.yaml",
        "acme+corp.yaml": "acme_corp.yaml.2",
        "ärzte.yaml": "_rzte",
    }


def test_long_names_have_ids_that_airflow_takes(tmp_path):
    for letter in "ab":
        (tmp_path / ("x" * 220 + f"{letter}.yaml")).write_text("")
    ids = list(by_id(tmp_path))
    assert len(ids) == 2
    assert all(len(dag_id) <= 200 for dag_id in ids)


def test_a_name_that_is_no_text_is_shown_escaped(tmp_path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.yaml")).write_text("")
    [result] = load_directory(tmp_path)
    assert result.dag_id == "bad_"
    assert complaints(result)[0].startswith("bad\\xff.yaml:1:1: found an empty file")
    str(result.error).encode()


def test_a_name_with_control_characters_is_shown_on_one_line(tmp_path):
    (tmp_path / "a\nb.yml").write_text("")
    [result] = load_directory(tmp_path)
    assert complaints(result) == [
        "a\\nb.yml:1:1: found a file that ends with '.yml', expected '.yaml'. Rename it to a\\nb.yaml."
    ]


def test_the_name_in_the_file_is_the_files_name(tmp_path, text):
    """R2.6, R2.7: two files with one name cannot be."""
    (tmp_path / "acme_copy.yaml").write_text(text("gcs"))
    (tmp_path / "Acme Corp.yaml").write_text(text("gcs", {"name": "acme_corp", "client_h_number": "H9999"}))
    results = by_id(tmp_path)
    assert complaints(results["acme_copy"]) == [
        "acme_copy.yaml:1:1: name: found 'acme', expected the file's name, 'acme_copy'."
        " Write 'acme_copy', or rename the file to acme.yaml."
    ]
    assert complaints(results["Acme_Corp"]) == [
        "Acme Corp.yaml:1:1: name: found 'acme_corp', expected the file's name, 'Acme Corp'."
        " Rename the file to acme_corp.yaml."
    ]


def test_a_directory_with_the_name_of_a_configuration_is_an_error(tmp_path):
    (tmp_path / "acme.yaml").mkdir()
    [result] = load_directory(tmp_path)
    assert complaints(result) == [
        "acme.yaml:1:1: found a directory, expected a file. Remove it, or give it a name without '.yaml'."
    ]


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "acme.yaml")
    [result] = load_directory(tmp_path)
    assert complaints(result)[0].startswith("acme.yaml:1:1: found something that is not a file, expected a file.")


def test_a_link_that_leads_nowhere_is_an_error(tmp_path):
    (tmp_path / "acme.yaml").symlink_to(tmp_path / "gone")
    [result] = load_directory(tmp_path)
    assert complaints(result) == [
        "acme.yaml:1:1: found a file that cannot be read (No such file or directory), expected a readable file."
        " Check its permissions, or where the link leads."
    ]


def test_a_link_to_itself_is_an_error(tmp_path):
    (tmp_path / "acme.yaml").symlink_to("acme.yaml")
    [result] = load_directory(tmp_path)
    assert "cannot be read (Too many levels of symbolic links)" in complaints(result)[0]


def test_a_link_out_of_the_directory_is_an_error(tmp_path, text):
    outside = tmp_path / "outside.txt"
    outside.write_text(text("gcs"))
    directory = tmp_path / "configs"
    directory.mkdir()
    (directory / "acme.yaml").symlink_to(outside)
    [result] = load_directory(directory)
    assert complaints(result) == [
        "acme.yaml:1:1: found a link that leads out of the directory, expected a file. Put the file itself here."
    ]


def test_links_within_the_directory_are_followed(tmp_path, text):
    """As Kubernetes and some deployments lay files out."""
    (tmp_path / ".data").mkdir()
    (tmp_path / ".data" / "acme").write_text(text("gcs"))
    (tmp_path / "acme.yaml").symlink_to(".data/acme")
    link = tmp_path.parent / f"{tmp_path.name}-link"
    link.symlink_to(tmp_path)
    assert [result.error for result in load_directory(link)] == [None]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_an_error(tmp_path, write):
    write("acme").chmod(0)
    [result] = load_directory(tmp_path)
    assert "found a file that cannot be read (Permission denied)" in complaints(result)[0]


def test_a_failing_disk_is_an_error_of_the_file(tmp_path, write, monkeypatch):
    write("acme")

    def fail(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "open", fail)
    [result] = load_directory(tmp_path)
    assert "found a file that cannot be read (Input/output error)" in complaints(result)[0]


def test_ten_megabytes_are_refused_without_reading_them(tmp_path):
    """R2.6."""
    path = tmp_path / "acme.yaml"
    with path.open("wb") as file:
        file.truncate(10 * 1024 * 1024)
    start = time.process_time()
    with pytest.raises(ConfigError) as caught:
        load_file(path)
    assert str(caught.value).replace(f"{tmp_path}/", "") == (
        "acme.yaml:1:1: found a file of more than 64 KiB, expected a configuration of a few KiB."
        " Is this a file to be delivered? Those belong in the pick-up."
    )
    assert time.process_time() - start < 0.5


def test_two_files_with_one_delivery_key_are_both_wrong(tmp_path, write):
    """R2.7: neither is right, since nothing may be sent twice; and the third is not concerned."""
    write("acme", number=1)
    write("acme_two", number=1)
    write("globex", number=2)
    results = by_id(tmp_path)
    for name, other in (("acme", "acme_two"), ("acme_two", "acme")):
        assert complaints(results[name]) == [
            f"{name}.yaml:2:1: client_h_number: found the delivery key 'H0001', which is also that of {other}.yaml,"
            " expected a key that no other file has. Give each of this client's configurations a different `feed`,"
            " or remove one of them."
        ]
    assert results["globex"].error is None


def test_one_client_may_have_several_feeds(tmp_path, write):
    """R2.7."""
    write("acme", number=1)
    write("acme_claims", number=1, feed="claims")
    write("acme_eligibility", number=1, feed="eligibility")
    assert [result.error for result in load_directory(tmp_path)] == [None] * 3
    write("acme_more", number=1, feed="claims")
    wrong = [result for result in load_directory(tmp_path) if result.error]
    assert [complaints(result)[0].split(": ")[1] for result in wrong] == ["feed", "feed"]
    assert "the delivery key 'H0001#claims', which is also that of acme_more.yaml" in str(wrong[0].error)


@pytest.mark.parametrize(("one", "other"), [("in/", "in/"), ("in/", "in/globex/"), ("in/a/b/c/", "in/")])
def test_two_pickups_that_overlap_are_both_wrong(tmp_path, write, one, other):
    """R2.7: each would delete what the other has not sent."""
    write("acme", number=1, pickup__prefix=one)
    write("globex", number=2, pickup__prefix=other)
    results = by_id(tmp_path)
    for name, own, theirs, neighbour in (("acme", one, other, "globex"), ("globex", other, one, "acme")):
        assert complaints(results[name]) == [
            f"{name}.yaml:7:3: pickup.prefix: found '{own}', which overlaps with the pick-up of {neighbour}.yaml"
            f" ('{theirs}'), expected a prefix of its own."
            " One would delete files that the other has not sent yet. Give each its own prefix."
        ]


def test_pickups_side_by_side_are_fine(tmp_path, write):
    write("acme", number=1, pickup__prefix="in/acme/")
    write("acme2", number=2, pickup__prefix="in/acme2/")
    write("other", number=3, pickup__prefix="in/acme/", pickup__bucket="other-bucket")
    assert [result.error for result in load_directory(tmp_path)] == [None] * 3


@pytest.mark.parametrize("prefix", ["globex/", "globex/in/", "''"])
def test_a_destination_in_another_clients_pickup_is_wrong(tmp_path, write, prefix):
    """R2.7: one client's files would be sent on to another. Only the sender is at fault."""
    write("acme", "s3", number=1, destination__bucket="landing", destination__prefix=prefix)
    write("globex", number=2, pickup__bucket="landing")
    results = by_id(tmp_path)
    shown = "" if prefix == "''" else prefix
    assert complaints(results["acme"]) == [
        f"acme.yaml:11:3: destination.prefix: found '{shown}', which overlaps with the pick-up of globex.yaml"
        " ('globex/'), expected a destination outside every pick-up."
        " Files delivered there would be sent on to that client, and deleted."
    ]
    assert results["globex"].error is None


@pytest.mark.parametrize("prefix", ["globex/", "globex/sent/"])
def test_an_archive_in_another_clients_pickup_is_wrong(tmp_path, write, prefix):
    """What was delivered to one recipient would be sent to another."""
    path = write("acme", "s3", number=1, pickup__bucket="shared")
    path.write_text(f"{path.read_text()}after_delivery: {{archive: {prefix}}}\n")
    write("globex", number=2, pickup__bucket="shared")
    results = by_id(tmp_path)
    (said,) = complaints(results["acme"])
    assert f"after_delivery.archive: found '{prefix}', which overlaps with the pick-up of globex.yaml" in said
    assert "Archived files would be sent on to that client, and deleted." in said
    assert results["globex"].error is None


def since(times: dict[str, str]):
    return lambda config, claim: times.get(f"{config.name} {claim}", times.get(config.name))


@pytest.mark.parametrize(
    ("times", "wrong"),
    [
        ({"acme": "2026-03-01"}, {"newer"}),
        ({"newer": "2026-03-01"}, {"acme"}),
        ({"acme": "2026-03-01", "newer": "2026-03-02"}, {"acme"}),
        ({"acme": "2026-03-01", "newer": "2026-03-01"}, {"acme", "newer"}),
        ({"acme key": "2026-03-01"}, {"acme", "newer"}),
        ({}, {"acme", "newer"}),
    ],
)
def test_r4_7_of_two_files_that_clash_the_established_one_goes_on(tmp_path, write, times, wrong):
    """Whoever delivered last with what both claim. One that is established by its key only is not so by its pick-up."""
    write("acme", number=1, pickup__prefix="in/")
    write("newer", number=1, pickup__prefix="in/newer/")
    write("third", number=3)
    results = load_directory(tmp_path, since=since(times))
    assert {result.dag_id for result in results if result.error} == wrong


def test_r4_7_a_new_pickup_over_an_established_destination_is_the_one_that_is_wrong(tmp_path, write):
    write("acme", "s3", number=1, destination__bucket="landing", destination__prefix="globex/in/")
    write("globex", number=2, pickup__bucket="landing")
    for times, wrong in (({"acme": "1"}, "globex"), ({"globex": "1"}, "acme"), ({}, "acme")):
        results = load_directory(tmp_path, since=since(times))
        assert [result.dag_id for result in results if result.error] == [wrong], times
    (result,) = [one for one in load_directory(tmp_path, since=since({"acme": "1"})) if one.error]
    assert "which overlaps with the destination of acme.yaml ('globex/in/')" in str(result.error)


def test_r4_7_a_new_pickup_over_an_established_archive_is_the_one_that_is_wrong(tmp_path, write):
    path = write("acme", number=1, pickup__bucket="shared")
    path.write_text(f"{path.read_text()}after_delivery: {{archive: globex/in/}}\n")
    write("globex", number=2, pickup__bucket="shared")
    for times, wrong in (({"acme archive": "1"}, "globex"), ({"globex": "1"}, "acme"), ({"acme pickup": "1"}, "acme")):
        results = load_directory(tmp_path, since=since(times))
        assert [result.dag_id for result in results if result.error] == [wrong], times
    (result,) = [one for one in load_directory(tmp_path, since=since({"acme": "1"})) if one.error]
    assert "which overlaps with the archive of acme.yaml ('globex/in/')" in str(result.error)


@pytest.mark.parametrize(
    ("lines", "schedule"),
    [
        ("schedule: '0 6 1 * *'", "0 6 1 * *"),
        ("schedule: null", None),
        ("paused: true", None),
        ("", "H/15 * * * *"),
        ("schedule: '0 6 1 *'", "unknown"),
        ("paused: maybe", "unknown"),
        ("{", "unknown"),
    ],
)
def test_r2_6_a_wrong_file_is_due_when_it_says_as_far_as_that_can_be_read(tmp_path, write, lines, schedule):
    path = write("acme")
    path.write_text(f"{path.read_text()}colour: red\n{lines}\n")
    (result,) = load_directory(tmp_path)
    assert result.error is not None
    assert (result.timing.schedule if result.timing else "unknown") == schedule


def test_many_files_at_odds_are_named_by_the_first_few(tmp_path, write):
    for n in range(6):
        write(f"acme{n}", number=1)
    assert "also that of acme1.yaml, acme2.yaml, acme3.yaml and 2 more, expected" in str(by_id(tmp_path)["acme0"].error)


def test_a_file_that_is_wrong_by_itself_does_not_make_others_wrong(tmp_path, write):
    write("acme", number=1)
    write("acme_two", number=1, paused="maybe")
    results = by_id(tmp_path)
    assert results["acme"].error is None
    assert [line.split(": ")[1] for line in complaints(results["acme_two"])] == ["paused"]


def test_a_thousand_files_are_read_in_a_moment(tmp_path, write):
    """R9.4: an interpreter starts, and reads them all, for every task."""
    for n in range(1000):
        write(f"client{n}", "sftp", number=n)
    start = time.process_time()
    results = load_directory(tmp_path)
    assert time.process_time() - start < 5  # about 0.6 s here
    assert sum(result.error is None for result in results) == 1000


def test_reading_configurations_imports_nothing_heavy(tmp_path, write):
    """R9.4: neither Airflow nor a cloud's library, and croniter only for a schedule that is not the default."""
    import subprocess
    import sys

    write("acme")
    code = (
        "import sys, pathlib; from client_delivery.config.loader import load_directory;"
        f"r = load_directory(pathlib.Path({str(tmp_path)!r})); assert r[0].error is None;"
        "heavy = {'airflow', 'boto3', 'botocore', 'google.auth', 'paramiko', 'asyncssh', 'croniter', 'jsonschema'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PYTHONPATH": "plugins"},
    )
    assert done.stdout == "[]\n"
