"""The templates of the example environment, made once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.app import build
from infra.clients import load_clients
from infra.pipeline import template
from infra.release import Release
from infra.settings import Environment, load


@dataclass(frozen=True)
class Templates:
    """What CloudFormation would get, by stack."""

    environment: Environment
    directory: Path
    by_stack: dict[str, dict[str, Any]]

    def resources(self, resource_type: str, stack: str | None = None) -> dict[str, dict[str, Any]]:
        """Resources of a type, by logical id."""
        return {
            name: resource
            for one, template in self.by_stack.items()
            if stack in (None, one)
            for name, resource in template["Resources"].items()
            if resource["Type"] == resource_type
        }


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    directory = tmp_path_factory.mktemp("infra")
    environment = load("example")
    app, stacks = build(environment, load_clients(environment), Release("tag", "X86_64", "v1", "v2"), output=directory)
    app.synth()
    pipeline = template(environment, "owner/repository")
    (directory / "pipeline.template.json").write_text(json.dumps(pipeline))  # for cfn-lint, which takes all of them
    by_stack = {
        stack.stack_name.removeprefix(f"{environment.prefix}-"): json.loads(
            (directory / stack.template_file).read_text()
        )
        for stack in stacks.in_order
    }
    return Templates(environment, directory, by_stack)
