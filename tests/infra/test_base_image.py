"""The base of the transfer image: pinned, part of the tag, renewed."""

from __future__ import annotations

import re

import pytest

from infra import package
from infra.cloudformation import DeploymentError
from infra.image import DOCKERFILE, renew_base

NEW = "sha256:" + "0123456789abcdef" * 4


def test_every_stage_of_the_image_has_the_same_pinned_base():
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(), re.MULTILINE)
    assert len(bases) == 2
    (base,) = set(bases)
    assert re.fullmatch(r"python:3\.12-slim@sha256:[0-9a-f]{64}", base), "a tag alone is another image every week"


def test_renewing_pins_every_stage_once_asked_and_changes_the_tag(tmp_path, monkeypatch):
    (tmp_path / "docker" / "transfer").mkdir(parents=True)
    copy = tmp_path / "docker" / "transfer" / "Dockerfile"
    copy.write_text(DOCKERFILE.read_text())
    built = package.build(tmp_path / "dist")
    monkeypatch.setattr(package, "ROOT", tmp_path)
    before = built.image_tag
    asked: list[str] = []

    def newest(image: str) -> str:
        asked.append(image)
        return f"{NEW}\n"

    assert renew_base(copy, newest)
    assert asked == ["python:3.12-slim"]
    assert copy.read_text().count(f"FROM python:3.12-slim@{NEW}") == 2
    assert f"@{NEW} AS build\n" in copy.read_text(), "the stage keeps its name"
    assert built.image_tag != before
    assert not renew_base(copy, newest), "the newest stays as it is"


def test_what_is_no_digest_is_not_written(tmp_path):
    copy = tmp_path / "Dockerfile"
    copy.write_text(DOCKERFILE.read_text())
    with pytest.raises(DeploymentError, match="is not one: 'no such manifest'"):
        renew_base(copy, lambda _: "no such manifest")
    assert copy.read_text() == DOCKERFILE.read_text()
