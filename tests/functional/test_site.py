"""The documentation's site: a broken link, a broken anchor or a page in no section fails the build."""

from __future__ import annotations

import pytest

from local import site


@pytest.fixture
def documents(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "ROOT", tmp_path)
    monkeypatch.setattr(site, "SOURCE", tmp_path / ".local" / "site")
    monkeypatch.setattr(site, "SITE", tmp_path / "dist" / "site")
    (tmp_path / "docs" / "dextr").mkdir(parents=True)
    (tmp_path / "README.md").write_text("# Start\n\n[There](docs/dextr/there.md#who-may-and-why)\n")
    (tmp_path / "docs" / "dextr" / "there.md").write_text("# There\n\n## Who may, and why\n\n[Back](../../README.md)\n")
    return tmp_path


def test_what_is_sound_is_built_for_the_same_tree(documents, capsys):
    assert site.main() == 0, capsys.readouterr().out
    assert (documents / "dist" / "site" / "docs" / "dextr" / "there.html").exists()


@pytest.mark.parametrize(
    "link",
    ["[x](docs/dextr/nowhere.md)", "[x](docs/dextr/there.md#nothing)", "[x](/absolute.md)", "![x](docs/none.png)"],
)
def test_a_link_to_nothing_fails(documents, capsys, link):
    with (documents / "README.md").open("a") as page:
        page.write(f"\n{link}\n")
    assert site.main() == 1
    assert "README.md" in capsys.readouterr().out


def test_a_page_that_no_section_lists_fails(documents, capsys):
    (documents / "docs" / "lost").mkdir()
    (documents / "docs" / "lost" / "page.md").write_text("# Lost\n")
    assert site.main() == 1
    assert "docs/lost/page.md" in capsys.readouterr().out


def test_a_page_that_loads_something_from_elsewhere_fails(documents, capsys):
    with (documents / "README.md").open("a") as page:
        page.write('\n<script src="https://cdn.example.com/x.js"></script>\n')
    assert site.main() == 1
    assert "another host" in capsys.readouterr().out
