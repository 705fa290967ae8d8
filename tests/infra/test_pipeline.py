"""The pipeline (R9.3): roles that can do their job and no more, and a workflow that nobody can take over."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

from infra import pipeline
from infra.boundary import boundary
from infra.settings import load
from local.process import ROOT

ENVIRONMENT = load("example")
WORKFLOW = ROOT / ".github" / "workflows" / "deliveries.yaml"
TEMPLATE = pipeline.template(ENVIRONMENT, "owner/repository")


def statements(name: str) -> list[dict]:
    return TEMPLATE["Resources"][name]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]


def actions(found: list[dict], effect: str = "Allow") -> set[str]:
    listed = [one["Action"] for one in found if one["Effect"] == effect]
    return {action for one in listed for action in ([one] if isinstance(one, str) else one)}


def test_the_plan_executes_nothing_deletes_no_stack_and_reads_no_clients_data():
    allowed = actions(statements("Plan"))
    assert allowed == {
        "cloudformation:CreateChangeSet",
        "cloudformation:DeleteChangeSet",
        "cloudformation:DescribeChangeSet",
        "cloudformation:DescribeStacks",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
    }
    for statement in statements("Plan"):
        resource = statement["Resource"]
        assert resource.startswith((f"arn:aws:s3:::{ENVIRONMENT.bucket}", "arn:aws:cloudformation:")), resource
        assert resource != f"arn:aws:s3:::{ENVIRONMENT.bucket}/*"


def test_each_role_is_for_one_subject_of_one_repository():
    for name, subject in {
        "Plan": "repo:owner/repository:pull_request",
        "DeployClients": "repo:owner/repository:environment:example",
        "Deploy": "repo:owner/repository:environment:example-platform",
    }.items():
        properties = TEMPLATE["Resources"][name]["Properties"]
        (trust,) = properties["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Condition"] == {
            "StringEquals": {
                "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
                "token.actions.githubusercontent.com:sub": subject,
            }
        }
        assert properties["MaxSessionDuration"] == 12 * 3600, "a graceful update takes so long"
        assert len(json.dumps(statements(name), separators=(",", ":"))) < 10_240, "IAM's limit of inline policies"


def test_what_deploys_everything_makes_roles_within_the_boundary_only_and_sees_no_clients_data():
    limit = f"arn:aws:iam::111122223333:policy/{ENVIRONMENT.boundary_policy}"
    makes = {"iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy"}
    for statement in statements("Deploy"):
        if statement["Effect"] == "Allow" and makes & actions([statement]):
            assert statement["Condition"] == {"StringEquals": {"iam:PermissionsBoundary": limit}}
    denied = {one["Sid"]: one for one in statements("Deploy") if one["Effect"] == "Deny"}
    assert limit in denied["NeitherBoundaryNorPipeline"]["Resource"]
    pipelines = denied["NeitherBoundaryNorPipeline"]["Resource"][1]
    for name in ("Plan", "DeployClients", "Deploy"):
        role = TEMPLATE["Resources"][name]["Properties"]["RoleName"]
        assert fnmatchcase(f"arn:aws:iam::111122223333:role/{role}", pipelines)
    assert {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan"} <= set(denied["NoClientsData"]["Action"])
    assert denied["NoClientsFiles"]["NotResource"] == [f"arn:aws:s3:::{ENVIRONMENT.bucket}/*"]
    assert denied["NoRoleWithoutIt"]["Action"] == "iam:DeleteRolePermissionsBoundary"


def test_the_boundary_cuts_off_nothing_that_a_role_needs(templates):
    allowed = actions(boundary(ENVIRONMENT))
    needed = set()
    for kind in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"):
        for policy in templates.resources(kind).values():
            needed |= actions(policy["Properties"]["PolicyDocument"]["Statement"])
    assert needed
    missing = {one for one in needed if not any(fnmatchcase(one, pattern) for pattern in allowed)}
    assert missing == set()
    assert not any(action.startswith("iam:") and action != "iam:PassRole" for action in allowed)


def test_every_role_of_the_stacks_has_the_boundary(templates):
    limit = f"arn:aws:iam::111122223333:policy/{ENVIRONMENT.boundary_policy}"
    roles = templates.resources("AWS::IAM::Role")
    assert len(roles) == 4
    for name, role in roles.items():
        assert role["Properties"]["PermissionsBoundary"] == limit, name
    size = len(json.dumps(boundary(ENVIRONMENT), separators=(",", ":")))
    assert size < 6144, "IAM's limit of managed policies"


def test_zizmor_finds_nothing_in_the_workflow_and_would_have(tmp_path):
    def findings(text: str) -> tuple[int, str]:
        path = tmp_path / ".github" / "workflows" / "deliveries.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        command = [str(Path(sys.executable).parent / "zizmor"), "--offline", "--no-progress", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    assert findings(WORKFLOW.read_text())[0] == 0, findings(WORKFLOW.read_text())[1]
    code, said = findings(re.sub(r"@[0-9a-f]{40} # (v\S+)", r"@\1", WORKFLOW.read_text()))
    assert code != 0
    assert "unpinned-uses" in said


def test_every_action_is_pinned_and_no_job_has_more_than_it_says():
    workflow = yaml.safe_load(WORKFLOW.read_text())
    assert workflow["permissions"] == {}
    used = re.findall(r"uses: (\S+)", WORKFLOW.read_text())
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
    for name, job in workflow["jobs"].items():
        assert "permissions" in job, name
        token = job["permissions"].get("id-token")
        assert (token == "write") == ("configure-aws-credentials" in str(job["steps"])), name


def test_the_make_targets_that_the_workflow_calls_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = set(re.findall(r"make ([a-z-]+)", WORKFLOW.read_text()))
    assert called
    assert called <= targets


def test_the_gate_is_what_a_developer_runs_and_nothing_deploys_before_the_roles_are_there():
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    assert ".ci/run" in [step.get("run") for step in jobs["tests"]["steps"]]
    assert ".ci/run coverage PYTHON=python3.11" in [step.get("run") for step in jobs["coverage"]["steps"]]
    assert {"tests", "coverage"} <= set(jobs["staging"]["needs"])
    deploying = {name for name, job in jobs.items() if "configure-aws-credentials" in str(job["steps"])}
    assert deploying == {"what-would-change", "clients", "staging", "platform"}
    for name in deploying - {"platform"}:
        assert "vars.PLAN_ROLE != ''" in jobs[name]["if"], name
    assert jobs["platform"]["needs"] == "staging", "a skipped job skips what needs it"
