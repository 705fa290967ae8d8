"""The AWS side (R9.3, R3.3): what matters of it, whatever else the templates say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3

from client_delivery.config.names import OWN_BUCKETS
from client_delivery.ledger.schema import table_definition
from client_delivery.runtime.settings import Settings
from infra.app import build, build_access
from infra.clients import load_clients
from infra.settings import AIRFLOW_VERSION, SettingsError, load
from local.process import ROOT

KEPT = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}


PARTNERS = "partner_accounts: ['111122223333']\n"
MINIMAL = (
    "account: '222233334444'\nregion: eu-west-1\nmail_sender: a@example.org\nalarm_emails: [b@example.org]\n" + PARTNERS
)


def synthesised(name: str, directory: Path) -> dict[str, dict]:
    """The templates of an environment's file, by stack."""
    environment = load(name, directory)
    app, stacks = build(environment, load_clients(environment), output=directory / "out")
    app.synth()
    return {
        stack.stack_name.removeprefix(f"{environment.prefix}-"): json.loads(
            (directory / "out" / stack.template_file).read_text()
        )
        for stack in stacks.in_order
    }


def airflow_of(by_stack: dict[str, dict]) -> dict:
    (found,) = [
        one["Properties"]
        for one in by_stack["platform"]["Resources"].values()
        if one["Type"] == "AWS::MWAA::Environment"
    ]
    return found


def only(resources):
    (found,) = resources.values()
    return found


def test_r3_3_the_ledger_outlives_everything(templates):
    table = only(templates.resources("AWS::DynamoDB::Table", "data"))
    properties = table["Properties"]
    assert table.items() >= KEPT.items()
    assert properties["DeletionProtectionEnabled"] is True
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["SSESpecification"]["SSEType"] == "KMS"
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    key = only(templates.resources("AWS::KMS::Key", "data"))
    assert key.items() >= KEPT.items(), "without its key the ledger is noise"


def test_the_ledger_is_the_one_that_the_code_and_the_stand_ins_use(templates):
    properties = only(templates.resources("AWS::DynamoDB::Table"))["Properties"]
    definition = table_definition(properties["TableName"])
    assert properties["KeySchema"] == definition["KeySchema"]
    by_name = {one["AttributeName"]: one["AttributeType"] for one in properties["AttributeDefinitions"]}
    assert by_name == {one["AttributeName"]: one["AttributeType"] for one in definition["AttributeDefinitions"]}
    assert properties["GlobalSecondaryIndexes"] == definition["GlobalSecondaryIndexes"]


def test_r3_3_everything_with_a_memory_is_in_the_stateful_stack_and_everything_in_it_is_kept(templates):
    stateful = {"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::ECR::Repository", "AWS::Logs::LogGroup"}
    for stack, template in templates.by_stack.items():
        for name, resource in template["Resources"].items():
            if resource["Type"] in stateful and not name.startswith("FlowLogs"):  # has no name to collide with
                assert stack == "data", f"{name} would go with the stack {stack}"
                assert resource.items() >= KEPT.items(), name


def test_r3_3_the_stateful_stack_knows_nothing_of_the_others_so_that_they_can_go(templates):
    for stack, template in templates.by_stack.items():
        imports = set(re.findall(r"'Fn::ImportValue': '([^']+)'", str(template)))
        from_stacks = {name.split(":")[0].removeprefix(f"{templates.environment.prefix}-") for name in imports}
        order = list(templates.by_stack)
        assert all(order.index(one) < order.index(stack) for one in from_stacks), f"{stack} needs {from_stacks}"
    assert "Fn::ImportValue" not in str(templates.by_stack["data"])


def test_r3_3_what_partners_trust_and_let_in_is_kept_with_the_data(templates):
    roles = templates.resources("AWS::IAM::Role", "data")
    names = {role["Properties"]["RoleName"] for role in roles.values()}
    assert names == {templates.environment.airflow_role, templates.environment.container_role}
    addresses = templates.resources("AWS::EC2::EIP")
    assert len(addresses) == 2
    for name, resource in (roles | addresses).items():
        assert resource.items() >= KEPT.items(), name
    assert addresses.keys() <= templates.resources("AWS::EC2::EIP", "data").keys()
    for gateway in templates.resources("AWS::EC2::NatGateway").values():
        assert "AllocationId" in gateway["Properties"]["AllocationId"]["Fn::ImportValue"]


def test_airflows_role_is_for_the_one_environment(templates):
    """MWAA's user guide, "Cross-service confused deputy prevention"."""
    (role,) = [
        one["Properties"]
        for one in templates.resources("AWS::IAM::Role").values()
        if one["Properties"].get("RoleName") == templates.environment.airflow_role
    ]
    statements = role["AssumeRolePolicyDocument"]["Statement"]
    assert {one["Principal"]["Service"] for one in statements} == {
        "airflow.amazonaws.com",
        "airflow-env.amazonaws.com",
    }
    environment = only(templates.resources("AWS::MWAA::Environment"))["Properties"]["Name"]
    for statement in statements:
        assert statement["Condition"] == {
            "StringEquals": {"aws:SourceAccount": "111122223333"},
            "ArnLike": {"aws:SourceArn": f"arn:aws:airflow:us-east-1:111122223333:environment/{environment}"},
        }


def test_the_permissions_alone_are_the_same_template_as_with_all_the_rest(templates, tmp_path):
    app, access = build_access(templates.environment, load_clients(templates.environment), output=tmp_path)
    app.synth()
    assert json.loads((tmp_path / access.template_file).read_text()) == templates.by_stack["access"]


def test_buckets_are_private_versioned_and_tls_only(templates):
    buckets = templates.resources("AWS::S3::Bucket")
    assert len(buckets) == 4
    for name, bucket in buckets.items():
        properties = bucket["Properties"]
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}, name
        if properties["BucketName"] == templates.environment.prepared_bucket:
            assert "VersioningConfiguration" not in properties, "what is removed there is to be gone"
        else:
            assert properties["VersioningConfiguration"] == {"Status": "Enabled"}, name
    policies = str(templates.resources("AWS::S3::BucketPolicy"))
    assert policies.count("'aws:SecureTransport': 'false'") == len(buckets)


def test_no_delivery_can_write_or_remove_code_and_logs_whatever_yaml_says(templates):
    buckets = templates.resources("AWS::S3::Bucket")
    own = (templates.environment.bucket, templates.environment.access_logs_bucket)
    assert OWN_BUCKETS.fullmatch(templates.environment.prepared_bucket)
    by_name = {bucket["Properties"]["BucketName"]: name for name, bucket in buckets.items()}
    policies = {
        one["Properties"]["Bucket"]["Ref"]: one["Properties"]["PolicyDocument"]["Statement"]
        for one in templates.resources("AWS::S3::BucketPolicy").values()
    }
    roles = [f"arn:aws:iam::111122223333:role/{name}" for name in templates.environment.delivering_roles]
    for bucket in own:
        (denial,) = [one for one in policies[by_name[bucket]] if one.get("Sid") == "NothingIsDeliveredHere"]
        assert denial["Effect"] == "Deny"
        assert {"s3:PutObject", "s3:DeleteObject"} <= set(denial["Action"])
        assert denial["Condition"] == {"ArnEquals": {"aws:PrincipalArn": roles}}
        assert OWN_BUCKETS.fullmatch(bucket), "and the check of configurations knows it by its name"


def test_what_was_prepared_and_never_removed_goes_after_seven_days(templates):
    (prepared,) = [
        bucket["Properties"]
        for bucket in templates.resources("AWS::S3::Bucket").values()
        if bucket["Properties"]["BucketName"] == templates.environment.prepared_bucket
    ]
    (rule,) = prepared["LifecycleConfiguration"]["Rules"]
    assert (rule["ExpirationInDays"], rule["Status"]) == (7, "Enabled")
    assert "Prefix" not in rule, "of the whole bucket"
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    (encryption,) = prepared["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


def test_a_pick_up_drops_abandoned_uploads_and_keeps_what_was_deleted_for_a_month(templates):
    (pickup,) = [
        bucket["Properties"]
        for bucket in templates.resources("AWS::S3::Bucket").values()
        if bucket["Properties"]["BucketName"] == "example-pickup"
    ]
    rules = {rule["Id"]: rule for rule in pickup["LifecycleConfiguration"]["Rules"]}
    assert rules["abandoned-uploads-cost-nothing"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert rules["deleted-files-stay-a-month"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert not any("ExpirationInDays" in rule for rule in rules.values()), "nothing that waits may ever expire"


def test_airflow_is_the_version_that_requirements_are_pinned_for(templates):
    properties = only(templates.resources("AWS::MWAA::Environment"))["Properties"]
    assert properties["AirflowVersion"] == AIRFLOW_VERSION
    assert f"apache-airflow=={AIRFLOW_VERSION}\n" in (ROOT / "requirements.txt").read_text()
    assert (properties["PluginsS3ObjectVersion"], properties["RequirementsS3ObjectVersion"]) == ("v1", "v2")


def test_every_option_of_airflow_that_is_ours_is_one_that_the_code_reads(templates):
    options = only(templates.resources("AWS::MWAA::Environment"))["Properties"]["AirflowConfigurationOptions"]
    for option in options:
        if option.startswith("delivery."):
            assert option.removeprefix("delivery.") in Settings.model_fields, f"nobody reads {option}"
    definition = only(templates.resources("AWS::ECS::TaskDefinition"))["Properties"]["ContainerDefinitions"][0]
    for variable in definition["Environment"]:
        name = variable["Name"].removeprefix("AIRFLOW__DELIVERY__").lower()
        assert variable["Name"] == "AWS_DEFAULT_REGION" or name in Settings.model_fields


def test_no_option_of_airflow_is_empty_for_mwaa_refuses_those(tmp_path):
    (tmp_path / "production.yaml").write_text(MINIMAL)
    options = airflow_of(synthesised("production", tmp_path))["AirflowConfigurationOptions"]
    assert all(options.values()), options
    assert "delivery.environment" not in options, "e-mails of production name no environment"


def test_removing_a_pick_up_leaves_the_others_alone(tmp_path):
    def logical_ids(*names: str) -> dict[str, str]:
        (tmp_path / "pickups.yaml").write_text(MINIMAL + f"owned_pickup_buckets: [{', '.join(names)}]\n")
        resources = synthesised("pickups", tmp_path)["data"]["Resources"]
        buckets = {name: one for name, one in resources.items() if one["Type"] == "AWS::S3::Bucket"}
        return {one["Properties"]["BucketName"]: name for name, one in buckets.items()}

    before, after = logical_ids("first-drop", "second-drop"), logical_ids("second-drop")
    assert after.items() <= before.items()


def test_the_ledger_comes_after_all_that_can_fail_for_it_could_not_be_rolled_back(templates):
    (table,) = templates.resources("AWS::DynamoDB::Table").values()
    named = ("AWS::S3::Bucket", "AWS::ECR::Repository")
    before = {name for kind in named for name in templates.resources(kind)}
    assert {name for name in before if not name.startswith("AccessLogs")} <= set(table["DependsOn"])


def test_access_logs_really_expire_in_their_versioned_bucket(templates):
    buckets = templates.resources("AWS::S3::Bucket")
    (rules,) = [
        bucket["Properties"]["LifecycleConfiguration"]["Rules"]
        for name, bucket in buckets.items()
        if name.startswith("AccessLogs")
    ]
    assert any("ExpirationInDays" in rule and "NoncurrentVersionExpiration" in rule for rule in rules)
    assert any(rule.get("ExpiredObjectDeleteMarker") for rule in rules)


@pytest.mark.parametrize(
    ("mwaa", "said"),
    [
        ("{environment_class: mw1.micro}", "mw1.micro has one worker"),
        ("{min_workers: 5, max_workers: 2}", "min_workers is 5, more than max_workers, 2"),
    ],
)
def test_workers_that_mwaa_would_refuse_are_refused_here(tmp_path, mwaa, said):
    (tmp_path / "odd.yaml").write_text(MINIMAL + f"mwaa: {mwaa}\n")
    with pytest.raises(SettingsError, match=said):
        load("odd", tmp_path)


def test_a_vpc_that_has_its_endpoints_gets_no_second_ones(tmp_path):
    (tmp_path / "own.yaml").write_text(MINIMAL + "vpc: {vpc_id: vpc-1, private_subnet_ids: [subnet-1, subnet-2]}\n")
    assert "AWS::EC2::VPCEndpoint" not in str(synthesised("own", tmp_path)["network"])


def test_the_container_is_what_airflow_starts_and_has_no_rights_on_its_host(templates):
    properties = only(templates.resources("AWS::ECS::TaskDefinition"))["Properties"]
    (container,) = properties["ContainerDefinitions"]
    options = only(templates.resources("AWS::MWAA::Environment"))["Properties"]["AirflowConfigurationOptions"]
    assert properties["Family"] == options["delivery.ecs_task_definition"]
    assert container["Name"] == options["delivery.ecs_container"]
    assert container["LogConfiguration"]["Options"]["awslogs-group"] == options["delivery.ecs_log_group"]
    assert container["ReadonlyRootFilesystem"] is True
    assert container["User"] == "10001"
    assert container["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}


def test_big_data_from_s3_does_not_pay_for_nat(templates):
    endpoints = templates.resources("AWS::EC2::VPCEndpoint").values()
    services = {str(one["Properties"]["ServiceName"]) for one in endpoints}
    assert {"s3" in service or "dynamodb" in service for service in services} == {True}
    assert len(services) == 2
    for one in endpoints:
        assert one["Properties"]["VpcEndpointType"] == "Gateway"


def test_log_groups_end_some_day_and_are_encrypted(templates):
    groups = templates.resources("AWS::Logs::LogGroup", "data")
    names = {str(group["Properties"]["LogGroupName"]) for group in groups.values()}
    prefix = templates.environment.prefix
    # The names are MWAA's: a group under any other stays empty, and MWAA makes its own, unencrypted and without an end.
    airflow = {f"airflow-{prefix}-{part}" for part in ("DAGProcessing", "Scheduler", "Task", "WebServer", "Worker")}
    assert names == {*airflow, f"/ecs/{prefix}-transfer"}
    for name, group in groups.items():
        assert group["Properties"]["RetentionInDays"] == 400, name
        assert "KmsKeyId" in group["Properties"], name


def test_cfn_lint_finds_nothing(templates):
    command = [
        str(Path(sys.executable).parent / "cfn-lint"),
        *map(str, sorted(templates.directory.glob("*.template.json"))),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_policy_scanner_found_nothing_and_would_have(templates, tmp_path):
    """`templates` was synthesised with it; here it meets a bucket that nobody secured."""
    assert '"pluginReports": []' in (templates.directory / "validation-report.json").read_text()
    from cdk_nag import AwsSolutionsChecks, HIPAASecurityChecks

    app = cdk.App(outdir=str(tmp_path))
    s3.Bucket(cdk.Stack(app, "careless"), "Bucket")
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), HIPAASecurityChecks(app))
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    report = (tmp_path / "validation-report.json").read_text()
    assert "AwsSolutions-S10" in report
    assert "HIPAA.Security-S3BucketPublicReadProhibited" in report or "HIPAA.Security-S3" in report


def test_an_environment_that_does_not_exist_or_is_wrong_is_said(tmp_path):
    with pytest.raises(SettingsError, match=r"There is no environment 'nowhere'.*There are: example"):
        load("nowhere")
    (tmp_path / "odd.yaml").write_text("account: '12'\nregion: us-east-1\n")
    with pytest.raises(SettingsError, match=r"odd\.yaml is not right:\n  account: .*\n  mail_sender: Field required"):
        load("odd", tmp_path)


def test_another_environment_with_its_own_network_synthesises(tmp_path):
    (tmp_path / "staging.yaml").write_text(
        MINIMAL + "vpc: {vpc_id: vpc-1, private_subnet_ids: [subnet-1, subnet-2], private_route_table_ids: [rtb-1]}\n"
        "spot: true\n"
    )
    text = str(synthesised("staging", tmp_path)["network"])
    assert "AWS::EC2::NatGateway" not in text
    assert "com.amazonaws.eu-west-1.s3" in text
