"""The base of the transfer image: pinned, part of the tag, renewed."""

from __future__ import annotations

import base64
import re
from types import SimpleNamespace

import pytest

from infra import package
from infra.cloudformation import DeploymentError
from infra.image import DOCKERFILE, TransferImage, renew_base
from infra.settings import load

NEW = "sha256:" + "0123456789abcdef" * 4


def test_every_stage_of_the_image_has_the_same_pinned_base():
    recipe = DOCKERFILE.read_text()
    assert re.findall(r"^FROM (\S+)", recipe, re.MULTILINE) == ["${BASE}", "${BASE}"]
    (base,) = re.findall(r"^ARG BASE=(\S+)$", recipe, re.MULTILINE)
    assert re.fullmatch(r"python:3\.12-slim@sha256:[0-9a-f]{64}", base), "a tag alone is another image every week"
    assert recipe.index("ARG BASE=") < recipe.index("FROM "), "only there Docker lets FROM see it"


def test_what_is_deployed_has_the_pinned_base_whatever_the_environment_says(monkeypatch, tmp_path):
    """A stand-in is for a developer's machine: its name is not part of the tag, so it must not get into the image."""
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr("infra.image._docker", lambda *command, **_: commands.append(command) or "")
    monkeypatch.setenv("BASE", "somebody/else")
    session = SimpleNamespace(client=lambda _: _Registry())
    TransferImage(load("example"), session, package.build(tmp_path)).push()
    (build,) = [command for command in commands if command[0] == "build"]
    assert "--build-arg" not in build


class _Registry:
    @staticmethod
    def get_authorization_token():
        return {"authorizationData": [{"authorizationToken": base64.b64encode(b"AWS:secret").decode()}]}


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
    assert f"\nARG BASE=python:3.12-slim@{NEW}\n" in copy.read_text()
    assert len(copy.read_text()) == len(DOCKERFILE.read_text()), "nothing else has changed"
    assert built.image_tag != before
    assert not renew_base(copy, newest), "the newest stays as it is"


def test_what_is_no_digest_is_not_written(tmp_path):
    copy = tmp_path / "Dockerfile"
    copy.write_text(DOCKERFILE.read_text())
    with pytest.raises(DeploymentError, match="is not one: 'no such manifest'"):
        renew_base(copy, lambda _: "no such manifest")
    assert copy.read_text() == DOCKERFILE.read_text()


def test_a_recipe_without_a_base_is_told_not_renewed(tmp_path):
    copy = tmp_path / "Dockerfile"
    copy.write_text("FROM scratch\n")
    with pytest.raises(DeploymentError, match="has no line ARG BASE="):
        renew_base(copy, lambda _: NEW)
