"""Names at the destination: what a template may say, and that whatever it makes of a file's name is safe (R6.8)."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client_delivery.config.delivered import delivered_name, example, naming_rule
from client_delivery.config.describe import describe
from client_delivery.config.name_template import FIELDS, NameNotMade, first_line, groups_of
from client_delivery.transfer.contract import UnsafeName
from client_delivery.transfer.naming import require_deliverable

AT = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)
CAME = datetime(2026, 2, 28, 23, 5, 9, tzinfo=UTC)


@pytest.fixture
def named(text, load):
    """``named("{stem}{ext}", "a.csv")``, with the fields of a configuration."""

    def named(template: str, name: str, kind: str = "s3", done_file: str | None = None, **fields: str) -> str:
        config = load(text(kind, {"deliver_as": repr(template), **fields}))
        numbers = {"sequence": 7, "daily_sequence": 12345}
        return delivered_name(config, name, source_date=CAME, date=AT, numbers=numbers, done_file=done_file)

    return named


@pytest.mark.parametrize(
    ("template", "name", "expected"),
    [
        ("{client}_{stem}_{date:%Y%m%d}_{sequence:03}{ext}", "in/Members.csv", "H1234_Members_20260301_007.csv"),
        ("{path}", "in/a b.csv", "in/a b.csv"),
        ("{folder}{stem:upper}-{client:lower}{ext:upper}", "in/x/Members.csv.gz", "in/x/MEMBERS.CSV-h1234.GZ"),
        ("{name}", "README", "README"),
        ("{stem}|{ext}", ".profile", ".profile|"),
        ("{date}T{date:%H%M%S}", "a", "20260301T023000"),
        ("{source_date:%j.%y/%H}", "a", "059.26/23"),
        ("{sequence}.{daily_sequence:03}", "a", "7.12345"),
        ("{{{name}}}", "a", "{a}"),
    ],
)
def test_a_template_is_filled_in(named, template, name, expected):
    assert named(template, name) == expected


def test_dates_go_by_the_clients_clock(named):
    day = named("{date:%Y%m%d%H} {source_date:%d%H}", "a", timezone="America/Chicago")
    assert day == "2026022820 2817"


def test_parts_of_a_name_come_from_the_groups_of_its_pattern(named):
    pattern = r"'(?P<kind>[a-z]+)_(?P<month>[0-9]{6})(?P<rest>_.*)?\.csv'"
    assert named("{month}{kind:upper}{rest}", "in/claims_202603.csv", name_pattern=pattern) == "202603CLAIMS"
    with pytest.raises(NameNotMade, match="is not as name_pattern"):
        named("{month}", "claims.csv", name_pattern=pattern)


def test_a_name_may_have_what_the_done_file_says(named, text, complaints):
    with_done_file = {"trigger_on_done_file": "true"}
    assert named("{done_file:lower}-{name}", "a.csv", done_file="BATCH 42", **with_done_file) == "batch 42-a.csv"
    with pytest.raises(NameNotMade, match="came without a done file"):
        named("{done_file}", "a.csv", **with_done_file)
    [complaint] = complaints(text("s3", {"deliver_as": "'{done_file}'", "trigger_on_done_file": "false"}))
    assert "deliver_as: found {done_file}, expected `trigger_on_done_file: true` beside it" in complaint


def test_a_group_of_a_file_of_before_the_field_still_stands_for_itself(named):
    pattern = r"'(?P<done_file>[a-z]+)\.csv'"
    made = named("{done_file}", "a.csv", done_file="x", name_pattern=pattern, trigger_on_done_file="false")
    assert made == "a"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"BATCH-42", "BATCH-42"),
        (b"  BATCH 42 \r\nfiles=3\n\xff", "BATCH 42"),
        ("\ufeffM\u00e4rz\n".encode(), "M\u00e4rz"),
        (b"x" * 200, "x" * 200),
        (b"x\n" + b"y" * 1022, "x"),
    ],
)
def test_the_first_line_of_a_done_file(content, line):
    assert first_line(content) == line


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b" \r\nBATCH", "is empty"),
        (b"\xff\xfeB\x00\n", "is not UTF-8"),
        (b"x" * 201, "is longer than 200 characters"),
        (b"x" * 1023 + b"\xc3", "is longer than 200 characters"),
        (b"../../other_client/x", "cannot be part of a name"),
        (b"a\\b", "cannot be part of a name"),
        (b"a\x00b", "cannot be part of a name"),
        ("a\u202eb".encode(), "cannot be part of a name"),
    ],
)
def test_what_cannot_be_part_of_a_name_is_none(content, why):
    with pytest.raises(NameNotMade, match=why) as raised:
        first_line(content)
    assert "'Resend failed files'" in raised.value.remedy


def test_the_feed_may_be_part_of_a_name(named):
    assert named("{feed}{ext}", "a.csv", feed="claims") == "claims.csv"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{name.__class__}", "expected fields of this set: client, feed, path, folder, name, stem, ext, date"),
        ("{name[0]}", "found '{name[0]}'"),
        ("{}", "found '{}'"),
        ("{0}", "found '{0}'"),
        ("{month}", "Other parts of a name are named groups of `name_pattern`."),
        ("{name!r}", "expected a field without '!'"),
        ("{name:>1000000000}", "expected nothing, upper or lower after ':'"),
        ("{name:{client}}", "expected nothing, upper or lower after ':'"),
        ("{sequence:3}", "expected a number of 1 to 9 digits, such as {sequence:03}"),
        ("{sequence:,}", "expected a number of 1 to 9 digits"),
        ("{date:%B}", "expected a date of %Y, %y, %m, %d, %j, %H, %M, %S"),
        ("{date:%-d}", "expected a date of"),
        ("{name", "expected each field in braces of its own"),
        ("name}", "expected each field in braces of its own"),
        ("", "expected a template of 1 to 300 characters"),
        ("a\u202eb", "without control or invisible characters"),
        ("{feed}", "expected `feed` beside it"),
    ],
)
def test_what_a_template_may_not_have_is_refused(text, complaints, template, said):
    [complaint] = complaints(text("s3", {"deliver_as": f'"{template}"'}))
    assert ": deliver_as: " in complaint
    assert said in complaint


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("[a-z]+", "expected a pattern with named groups"),
        ("(?P<a>[a-z]", "expected a regular expression"),
        ("(?P<stem>.*)", "'stem' is a field of `deliver_as` already"),
        ("(?P<a>(x+)+)y", "in which no group is repeated"),
        ("(?P<a>(x|xx)*)y", "in which no group is repeated"),
        ("(?P<a>x{2}){9}", "in which no group is repeated"),
        ("(?P<a>.*).*.*.*.*.*", "at most 5 of"),
        ("(?P<a>.*)(?P=a)", "and nothing else"),
        ("(?P<a>.*)(?=b)", "and nothing else"),
    ],
)
def test_what_a_pattern_may_not_have_is_refused(text, complaints, pattern, said):
    [complaint] = complaints(text("s3", {"name_pattern": f"'{pattern}'"}))
    assert said in complaint


def test_a_pattern_that_was_let_pass_takes_no_name_long():
    began = time.monotonic()
    with pytest.raises(NameNotMade):
        groups_of("(?P<a>[a-z]*)[a-z]*[a-z]*x", "a" * 255)
    with pytest.raises(NameNotMade):
        groups_of("(?P<a>[a-z]*)", "a" * 256)
    assert time.monotonic() - began < 2


@settings(max_examples=100, deadline=None)
@given(
    name=st.text(min_size=1, max_size=80),
    template=st.lists(
        st.one_of(
            st.sampled_from([f"{{{field}}}" for field in FIELDS if field != "feed"]),
            st.sampled_from(["..", "/", "~", ".", "_", "{stem:upper}", "\\", "%2e"]),
        ),
        min_size=1,
        max_size=6,
    ).map("".join),
    kind=st.sampled_from(["s3", "sftp"]),
)
def test_what_is_made_of_any_name_is_safe_or_refused_and_the_same_each_time(name, template, kind):
    config = CONFIGURATIONS[kind].model_copy(update={"deliver_as": template})
    numbers = {"sequence": 1, "daily_sequence": 1}
    made = [
        delivered_name(config, name, source_date=CAME, date=AT, numbers=numbers, done_file="BATCH ..") for _ in range(2)
    ]
    assert made[0] == made[1]
    try:
        require_deliverable(config.destination, made[0])
    except UnsafeName:
        return
    components = made[0].split("/")
    assert not {"", ".", ".."} & {*components}
    assert not re.search(r"[\x00-\x1f\x7f]", made[0])


@pytest.fixture(autouse=True, scope="module")
def _configurations(tmp_path_factory):
    from client_delivery.config import reference
    from client_delivery.config.loader import load_file

    for kind in ("s3", "sftp"):
        path = tmp_path_factory.mktemp(kind) / "acme.yaml"
        path.write_text(reference.example(kind))
        CONFIGURATIONS[kind] = load_file(path)


CONFIGURATIONS = {}


def test_a_configuration_shows_an_example(text, load):
    config = load(text("s3", {"deliver_as": "'{client}-{kind}{date:%Y}'", "name_pattern": "'(?P<kind>[a-z]+)\\.csv'"}))
    assert example(config, AT) == ("example.csv", "H1234-<kind>2026")
    assert "| Delivered as | \\{client\\}-\\{kind\\}\\{date:%Y\\}; for example" in describe(config)
    assert example(load(text("s3", {}))) is None


@pytest.mark.parametrize(
    ("include", "name"),
    [("['claims_*.csv']", "claims_example.csv"), ("['[0-9]*.csv']", "example.csv"), ("['*', 'x']", "example.csv")],
)
def test_an_example_is_called_as_the_pickup_expects_it(text, load, include, name):
    config = load(text("s3", {"pickup.include": include, "deliver_as": "'{stem}-{date:%Y}{ext}'"}))
    assert example(config, AT) == (name, name.replace(".csv", "-2026.csv"))
    assert example(load(text("s3", {"pickup.include": include, "compress": "gzip"})), AT) == (name, f"{name}.gz")


def test_a_client_without_a_template_has_no_rule(text, load):
    assert naming_rule(load(text("s3", {}))) == ""
    one, other = (load(text("s3", {"deliver_as": f"'{{name}}{n}'"})) for n in "12")
    assert naming_rule(one) != naming_rule(other)
