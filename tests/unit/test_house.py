"""What keeps the house in order: decisions, versions, hooks, lines of documents, pictures."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
DOCUMENTS = sorted(
    path for pattern in ("*.md", "docs/**/*.md", "benchmarks/**/*.md", ".github/*.md") for path in ROOT.glob(pattern)
)
MAKEFILE = (ROOT / "Makefile").read_text()


def test_decisions_are_numbered_without_a_gap_and_listed():
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    listed = re.findall(r"\| \[(\d{4})\]\((\S+)\) \| (.+) \|", (ROOT / "docs/decisions/README.md").read_text())
    written = [(path.name[:4], path.name, path.read_text().splitlines()[0][len("# 0000. ") :]) for path in DECISIONS]
    assert listed == written


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_says_why_and_what_shows_it(path):
    text = path.read_text()
    assert re.match(rf"# {path.name[:4]}\. \S.+\n\n(Accepted|Replaced by .+), \d{{4}}-\d\d-\d\d\.\n", text)
    assert re.findall(r"(?m)^## (.+)", text) == ["Context", "Decision", "Consequences", "Evidence"]
    assert not re.search(r"(?m)^## .+\n\n?(##|\Z)", text), "an empty section"


@pytest.mark.parametrize("path", [*DECISIONS, ROOT / "docs" / "glossary.md"], ids=lambda path: path.stem)
def test_what_a_decision_or_the_glossary_names_is_there(path):
    """Paths in code letters, with or without ``*``."""
    named = re.findall(r"`([a-z_]+(?:/[\w.*-]+)+|[a-z_]+\.py)`", path.read_text())
    homes = (ROOT, ROOT / "plugins" / "client_delivery")
    assert [name for name in named if not any(list(home.glob(name)) for home in homes)] == []


def test_the_changelog_and_the_project_have_one_version():
    """And a tag that is being released is that version (CONTRIBUTING, *Release*)."""
    headings = re.findall(r"(?m)^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", (ROOT / "CHANGELOG.md").read_text())
    assert headings[0] == ("Unreleased", "")
    assert all(date for _, date in headings[1:])
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert headings[1][0] == version
    if os.environ.get("GITHUB_REF_TYPE") == "tag":
        assert os.environ["GITHUB_REF_NAME"] == f"v{version}"


def test_the_hooks_are_what_make_check_does():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = " ; ".join(hook["entry"] for hook in repository["hooks"])
    dependencies, recipe = re.search(r"(?m)^check:([^#\n]*)[^\n]*\n((?:\t.+\n)+)", MAKEFILE).groups()
    for target in set(dependencies.split()) - {".venv/.ready"}:
        assert f"make --silent {target}" in hooks, target
    for command in recipe.replace("$(BIN)", ".venv/bin").split("\n\t"):
        assert command.strip().removesuffix(" .") in hooks, command
    assert repository["repo"] == "local", "nothing is pinned twice"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_lines_of_documents_fit_120_columns(path):
    """One sentence a line, or wrapped; tables, indented code and the addresses of links are exempt."""
    text = re.sub(r"(?ms)^```.*?^```$", "", path.read_text())
    text = re.sub(r"\]\(https?://[^)]*\)", "]()", text)
    lines = [line for line in text.splitlines() if not line.startswith(("|", "    "))]
    assert [line for line in lines if len(line) > 120] == []


def test_every_picture_is_shown_and_made_by_the_browser_tests():
    """``make screenshots`` renews them all: none is made by hand, none stays behind when its page has changed."""
    pictures = {path.name for path in (ROOT / "docs" / "images").iterdir()}
    text = "".join(path.read_text() for path in DOCUMENTS)
    shown = set(re.findall(r"docs/images/([\w-]+\.png)|\.\./images/([\w-]+\.png)", text))
    assert pictures == {one or other for one, other in shown}
    tests = "".join(path.read_text() for path in (ROOT / "tests" / "browser").glob("*.py"))
    assert {name for name in pictures if f'"{Path(name).stem}"' not in tests} == set()
