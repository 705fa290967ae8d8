"""The trigger form: as strict as the YAML, and said back in words (R9.1)."""

from __future__ import annotations

import pytest

from client_delivery.run.asked import asked, none_found, pattern_problem
from tests.unit.run.test_container import CONFIG

PARAMS = {
    "file_pattern": None,
    "resend_failed": False,
    "bypass_file_checks": False,
    "ignore_done_file": False,
    "send_notifications": True,
}


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (
            "/claims_*.csv",
            "found '/claims_*.csv', expected a pattern that does not begin with '/'. Write 'claims_*.csv'.",
        ),
        ("s3://b/acme/x.csv", "expected a pattern for the name below the pick-up's prefix. Leave the bucket and"),
        ("acme/x.csv", "expected a pattern for the name below the pick-up's prefix. Leave 'acme/' out. Write 'x.csv'."),
        (" x.csv", "expected a pattern without spaces around it. Write 'x.csv'."),
        (r"claims_.*\.csv", "expected a file-name pattern, not a regular expression."),
        ("claims_**.csv", "expected a pattern without '**'."),
        ("claims_{1,2}.csv", "expected a pattern without '{…,…}'."),
        ("claims_{{ ds }}.csv", "expected a pattern without '{{'."),
        ("claims_[.csv", "expected a ']' for every '['."),
    ],
)
def test_a_pattern_is_refused_in_the_yamls_own_words(pattern, said):
    problem = pattern_problem(pattern, "acme/")
    assert problem is not None
    assert problem.startswith("Only files like: found ")
    assert said in problem


@pytest.mark.parametrize("pattern", ["claims_*.csv", "2026/[0-9]*.csv", "*", "a?.csv"])
def test_a_pattern_that_can_match_is_taken(pattern):
    assert pattern_problem(pattern, "acme/") is None


@pytest.mark.parametrize(
    ("pattern", "waiting", "held", "missing", "said"),
    [
        ("CLAIMS_*.csv", ["claims_1.csv"], [], False, 'Names are case-sensitive; there is "claims_1.csv".'),
        ("claim_1.csv", ["claims_1.csv", "x"], [], False, 'Did you mean "claims_1.csv"?'),
        ("*.txt", [], [], False, "No file waits there"),
        (
            "*.txt",
            [f"{n}.csv" for n in range(7)],
            [],
            False,
            '7 files waiting there, such as "0.csv", "1.csv", "2.csv"',
        ),
        ("a*", ["a.csv"], ["a.csv"], False, "Held, because they failed before: \"a.csv\". Tick 'Resend failed files'"),
        (
            "a*",
            ["a.csv"],
            [],
            True,
            "Waiting for the done file: \"a.csv\". To send without it, tick 'Ignore the done file'.",
        ),
        ("x\n*", ["a"], [], False, r'matches "x\n*".'),
        ("a*", ["a.csv", "b.csv", "a.txt"], [], False, 'Handled already: "a.csv", "a.txt".'),
        (
            "a*",
            [f"a{n}.csv" for n in range(9)],
            [],
            False,
            'Handled already: "a0.csv", "a1.csv", "a2.csv", "a3.csv", "a4.csv" and 4 more.',
        ),
    ],
)
def test_where_none_is_found_it_is_said_why(pattern, waiting, held, missing, said):
    text = none_found(pattern, "s3://b/acme/", waiting, held, done_file_missing=missing)
    assert text.startswith("Only files like: no file that could be sent from s3://b/acme/ matches ")
    assert said in text


def test_what_was_asked_is_said_and_a_run_by_schedule_asks_for_nothing():
    assert asked(PARAMS, CONFIG) == ""
    everything = {
        "file_pattern": 'a"*',
        "resend_failed": True,
        "bypass_file_checks": True,
        "ignore_done_file": True,
        "send_notifications": False,
    }
    done = CONFIG.model_copy(update={"trigger_on_done_file": True})
    assert asked(everything, done) == (
        r'only files like "a\"*"; failed files again; every file, also those sent before; without the done file; '
        "without e-mails"
    )
