"""The documentation as a site: `make site` builds it, offline and strictly.

Markdown is written for the repository: links are relative, from where each file is. So the site has the same tree, and
a link that works there works here; one that does not, or an anchor that nobody has, fails the build
(https://www.mkdocs.org/user-guide/configuration/#validation). Nothing is loaded from other hosts.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from local.process import ROOT

os.environ["NO_MKDOCS_2_WARNING"] = "1"  # Material's notice about another project's next version; we pin this one

SOURCE = ROOT / ".local" / "site"
SITE = ROOT / "dist" / "site"
SECTIONS = {
    "": ["README.md", "docs/glossary.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"],
    "DEXTR": ["docs/dextr/*.md"],
    "Operators": ["docs/operators/*.md"],
    "Developers": ["docs/developers/*.md", "benchmarks/README.md", "benchmarks/results/*.md"],
    "Decisions": ["docs/decisions/README.md", "docs/decisions/0*.md"],
}
"""The site's pages in their order."""
_BESIDE = ["LICENSE", "docs/images/*", "docs/**/*.json", "benchmarks/results/*.svg"]
_ELSEWHERE = re.compile(r"<(?:script|img|iframe)[^>]+src=\"?(https?:|//)|<link[^>]+stylesheet[^>]+href=\"?(https?:|//)")


def main() -> int:
    """Returns the exit code."""
    if missing := unlisted():
        print("These are in no section of the site (SECTIONS in local/site.py):", *missing, sep="\n  ")
        return 1
    stage(found(pattern for patterns in [*SECTIONS.values(), _BESIDE] for pattern in patterns))
    if problems := build():
        print("The documentation is not sound:", *problems, sep="\n  ")
        return 1
    if loading := [page for page in SITE.rglob("*.html") if _ELSEWHERE.search(page.read_text())]:
        print("These pages load something from another host:", *loading, sep="\n  ")
        return 1
    print(f"site: {len(list(SITE.rglob('*.html')))} pages in {SITE.relative_to(ROOT)}, every link and anchor found")
    return 0


def found(patterns: Iterable[str]) -> list[Path]:
    """The files that match, in the patterns' order, each once."""
    return list(dict.fromkeys(path for pattern in patterns for path in sorted(ROOT.glob(pattern))))


def unlisted() -> list[Path]:
    """Documents that the site would leave out."""
    listed = set(found(pattern for patterns in SECTIONS.values() for pattern in patterns))
    written = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")]
    return sorted(path.relative_to(ROOT) for path in written if path not in listed)


def stage(files: Iterable[Path]) -> None:
    """Copy the files, each to its place in the tree."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    for file in files:
        target = SOURCE / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def build() -> list[str]:
    """Build the site; returns what MkDocs complains of."""
    from mkdocs.commands.build import build as build_site
    from mkdocs.config.defaults import MkDocsConfig

    listener = _Listener()
    logging.getLogger("mkdocs").addHandler(listener)
    config = MkDocsConfig(config_file_path=str(ROOT / "mkdocs.yml"))
    config.load_dict(_settings())
    failed, warnings = config.validate()
    problems = [f"{name}: {error}" for name, error in [*failed, *warnings]]
    if not problems:
        build_site(config)
    return problems + listener.lines


class _Listener(logging.Handler):
    """Keeps MkDocs's warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _settings() -> dict[str, Any]:
    from pymdownx.slugs import slugify

    pages = {title: [str(path.relative_to(ROOT)) for path in found(patterns)] for title, patterns in SECTIONS.items()}
    return {
        "site_name": "Client file delivery",
        "docs_dir": str(SOURCE),
        "site_dir": str(SITE),
        "use_directory_urls": False,  # pages open from a disk, too
        "theme": {
            "name": "material",
            "font": False,
            "features": ["navigation.tabs", "navigation.indexes", "toc.follow", "content.code.copy"],
        },
        "plugins": ["search"],
        "nav": [*pages.pop(""), *({title: listed} for title, listed in pages.items())],
        "markdown_extensions": [
            *("tables", "sane_lists", "pymdownx.magiclink", "pymdownx.superfences"),
            {"toc": {"permalink": True, "slugify": slugify(case="lower")}},  # anchors as GitHub makes them
        ],
        "validation": {
            "nav": {"omitted_files": "warn", "not_found": "warn", "absolute_links": "warn"},
            "links": {"not_found": "warn", "anchors": "warn", "absolute_links": "warn", "unrecognized_links": "warn"},
        },
    }


if __name__ == "__main__":
    sys.exit(main())
