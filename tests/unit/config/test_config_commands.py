"""What DEXTR runs before a deployment (R2.8): check, and a new client's file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from client_delivery.config import check, new_client
from client_delivery.config.loader import load_file
from client_delivery.config.outline import DESTINATIONS
from client_delivery.config.problem import ConfigError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """An empty project as the working directory."""
    (tmp_path / "include" / "client_configs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "include" / "client_configs"


STARTS = "acme: starts by 14-59/15 * * * * (H/15 * * * *, with a minute derived from the name)"


def test_good_files_are_counted(project, text, capsys):
    (project / "acme.yaml").write_text(text("gcs"))
    assert check.main([]) == 0
    assert capsys.readouterr() == (f"{STARTS}\n1 file checked, none wrong\n", "")


@pytest.mark.parametrize(("done_file", "what"), [("false", "a new file"), ("true", "its done file")])
def test_a_client_whose_runs_start_on_arrival_is_said_to_be_so(project, text, capsys, done_file, what):
    fields = {"schedule": "5 * * * *", "trigger": "on_arrival", "trigger_on_done_file": done_file}
    (project / "acme.yaml").write_text(text("gcs", fields))
    assert check.main([]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"acme: starts within a minute of the arrival of {what}"


def test_who_hears_what_is_said_in_words(project, text, capsys):
    bus = "arn:aws:events:us-east-1:111122223333:event-bus/deliveries"
    rules = [
        "{to: [data@example.org], on: [failed, recovered], audience: team}",
        f"{{via: eventbridge, event_bus: '{bus}', on: [finished]}}",
        "{via: sns, topic_arn: 'arn:aws:sns:us-east-1:111122223333:late', on: [late], audience: client}",
    ]
    (project / "acme.yaml").write_text(text("gcs", {"notify": f"[{', '.join(rules)}]"}))
    assert check.main([]) == 0
    assert capsys.readouterr().out.splitlines() == [
        STARTS,
        "acme: sends failed, recovered to data@example.org, written for the team",
        f"acme: sends finished to the EventBridge bus {bus}, written for the team",
        "acme: sends late to the SNS topic arn:aws:sns:us-east-1:111122223333:late, written for the client",
        "1 file checked, none wrong",
    ]


def test_what_is_expected_is_shown_with_its_next_times(project, text, capsys):
    fields = {"expected": "[{files: 'elig_*.csv', by: '0 9 24 12 *'}]", "timezone": "America/Chicago"}
    (project / "acme.yaml").write_text(text("gcs", fields))
    assert check.main([]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert re.fullmatch(
        r"acme: expects 1 file like elig_\*\.csv by .* \(America/Chicago\); "
        r"next (\w{3} \d{4}-12-24 09:00(, )?){3}",
        line,
    ), line


def test_problems_are_printed_with_paths_that_an_editor_can_open(project, text, capsys):
    (project / "acme.yaml").write_text(text("gcs", {"pickup.prefix": "in/acme", "paused": "x"}))
    (project / "globex.yaml").write_text(
        text("s3", {"name": "globex", "client_h_number": "H9999", "pickup.prefix": "g/"})
    )
    assert check.main([]) == 1
    assert capsys.readouterr() == (
        "include/client_configs/acme.yaml:7:3: pickup.prefix: found 'in/acme', expected a prefix that ends with '/'."
        " Write 'in/acme/'.\n"
        "include/client_configs/acme.yaml:15:1: paused: found 'x', expected true or false.\n"
        "globex: starts by 13-59/15 * * * * (H/15 * * * *, with a minute derived from the name)\n"
        "2 files checked, 1 wrong\n",
        "",
    )


def test_one_file_is_checked_with_its_neighbours(project, text, capsys):
    """R2.7: a second file for the same client is found although only the new one is named."""
    (project / "acme.yaml").write_text(text("gcs"))
    (project / "acme_two.yaml").write_text(text("gcs", {"name": "acme_two", "pickup.prefix": "two/"}))
    (project / "broken.yaml").write_text("")
    assert check.main([str(project / "acme_two.yaml")]) == 1
    out = capsys.readouterr().out
    assert "which is also that of acme.yaml" in out
    assert out.endswith("1 file checked, 1 wrong\n")
    assert "broken" not in out


def test_a_file_named_twice_is_checked_once(project, text, capsys):
    (project / "acme.yaml").write_text(text("gcs"))
    assert check.main([str(project), str(project / "acme.yaml"), "include/client_configs/acme.yaml"]) == 0
    assert capsys.readouterr().out == f"{STARTS}\n1 file checked, none wrong\n"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("nowhere", "nowhere does not exist"),
        ("nowhere/acme.yaml", "nowhere/acme.yaml does not exist"),
        ("include/client_configs", "include/client_configs has no configuration files (*.yaml)"),
        ("include/note.txt", "include/note.txt is not a configuration file (*.yaml)"),
    ],
)
def test_nothing_to_check_is_an_error_of_usage(project, capsys, argument, message):
    (project.parent / "note.txt").write_text("")
    assert check.main([argument]) == 2
    assert capsys.readouterr() == ("", f"check-config: {message}\n")


def test_an_unknown_option_is_an_error_of_usage(capsys):
    with pytest.raises(SystemExit) as caught:
        check.main(["--quiet"])
    assert caught.value.code == 2


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_a_new_clients_file_asks_for_what_is_missing(project, capsys, kind):
    """R2.8: it is YAML, it is refused until it is filled in, and only what a person must say is asked for."""
    assert new_client.main(["globex", "--destination", kind]) == 0
    out = capsys.readouterr().out
    written = "include/client_configs/globex.yaml written."
    assert out == f"{written} Fill in the empty fields, then run: make check-config\n"
    with pytest.raises(ConfigError) as caught:
        load_file(project / "globex.yaml")
    required = [
        name for name, field in DESTINATIONS[kind].model_fields.items() if field.is_required() and name != "type"
    ]
    assert [problem.field for problem in caught.value.problems] == [
        "client_h_number", "contacts", "pickup.bucket", "pickup.prefix", *(f"destination.{name}" for name in required),
    ]  # fmt: skip
    assert all(problem.found == "nothing" for problem in caught.value.problems)


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_a_new_clients_file_is_right_when_the_examples_in_its_comments_are_filled_in(load, kind):
    """R2.8: an example that would be refused is no help; the optional lines are meant to be uncommented."""
    lines = new_client.template("acme", kind).splitlines()
    filled = []
    for index, line in enumerate(lines):
        if re.fullmatch(r" *[a-z_]+:", line) and line.strip() not in ("pickup:", "destination:"):
            comment = " ".join(part.strip(" #") for part in lines[:index] if part.strip())
            line = f"{line} {comment.rpartition('Example: ')[2]}"  # noqa: PLW2901 - the line, filled in
        filled.append(re.sub(r"^( *)# ([a-z_0-9]+: )(?=\S+)(?!.*\.$)", r"\1\2", line) if index > 6 else line)
    config = load("\n".join(filled))
    assert config.destination.type == kind
    assert config.feed == "eligibility"
    assert config.paused is True


def test_a_file_that_is_there_is_never_overwritten(project, capsys):
    (project / "acme.yaml").write_text("mine")
    assert new_client.main(["acme"]) == 1
    assert (project / "acme.yaml").read_text() == "mine"
    assert capsys.readouterr() == (
        "",
        "new-client: include/client_configs/acme.yaml already exists and was left unchanged. Choose another name.\n",
    )


@pytest.mark.parametrize("name", ["Acme", "acme.yaml", "../acme", "acme corp", "a" * 101, "1acme"])
def test_a_name_that_would_be_refused_is_refused_at_once(project, capsys, name):
    with pytest.raises(SystemExit) as caught:
        new_client.main([name])
    assert caught.value.code == 2
    assert "is not accepted: lower-case letters, digits and '_'" in capsys.readouterr().err
    assert list(project.parent.rglob("*.yaml")) == []


@pytest.mark.parametrize("arguments", [[], [""]])
def test_a_name_that_was_forgotten_is_asked_for(project, capsys, arguments):
    with pytest.raises(SystemExit):
        new_client.main(arguments)
    assert "make new-client NAME=acme DESTINATION=sftp" in capsys.readouterr().err


def test_outside_the_project_nothing_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert new_client.main(["acme"]) == 1
    assert "there is no directory include/client_configs" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_commands_run_as_modules(project):
    """R2.8: as make and CI run them, with the exit code."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "plugins")}
    new = [sys.executable, "-m", "client_delivery.config.new_client", "acme"]
    assert subprocess.run(new, env=environment, capture_output=True, check=False).returncode == 0
    done = subprocess.run(
        [sys.executable, "-m", "client_delivery.config.check"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout.endswith("\n1 file checked, 1 wrong\n")
