"""What must outlive everything (R3.3). Nothing in it is replaced or removed.

What we remember: ledger, keys, buckets, images, logs. And what others know us by: the roles that partners trust and
the addresses that their firewalls let in. IAM keeps a trusted role by its unique id, so that a role that is deleted and
made again under the same name is another one (IAM user guide, "AWS JSON policy elements: Principal").
"""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from client_delivery.ledger.schema import OPEN_INDEX, PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE, table_definition
from infra.policy_scanner import explain
from infra.settings import Environment

_KEEP = cdk.RemovalPolicy.RETAIN
NAT_GATEWAYS = 2
"""One for each zone: deliveries go on when a zone fails."""


class DataStack(cdk.Stack):
    """The stateful stack."""

    def __init__(self, scope: Construct, environment: Environment, **kwargs: Any) -> None:
        super().__init__(scope, f"{environment.prefix}-data", **kwargs)
        self.key = kms.Key(
            self,
            "Key",
            alias=f"alias/{environment.prefix}",
            description=f"Ledger and logs of the client file delivery, {environment.name}",
            enable_key_rotation=True,
            removal_policy=_KEEP,
        )
        self._let_cloudwatch_logs_use_the_key(environment)
        # MWAA would make its own groups itself, but without our key and without an end to their retention.
        for name in (*environment.airflow_log_groups, environment.container_log_group):
            self._make_log_group(name, environment)
        self._access_logs = self._make_access_logs(environment)
        self.bucket = self._make_airflow_bucket(environment)
        self.pickups = [self._make_pickup(name) for name in environment.owned_pickup_buckets]
        self._prepared = self._make_prepared(environment)
        self.images = ecr.Repository(
            self,
            "TransferImages",
            repository_name=f"{environment.prefix}-transfer",
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            lifecycle_rules=[ecr.LifecycleRule(max_image_count=20)],
            removal_policy=_KEEP,
        )
        self.ledger = self._make_ledger(environment)
        self.airflow = self._make_airflow_role(environment)
        self.container = self._make_container_role(environment)
        for bucket in (self._access_logs, self.bucket):
            self._keep_deliveries_out(bucket, environment)
        self.addresses = [] if environment.vpc else [self._make_address(number) for number in range(NAT_GATEWAYS)]
        self._tell_what_others_need()
        # The likeliest failure of a first deployment is a bucket's name that somebody else has. The ledger, which is
        # protected from deletion and could not be rolled back, comes after all that may fail.
        self.ledger.node.add_dependency(
            self.bucket, *self.pickups, self._prepared, self.images, self.airflow, self.container
        )

    def _make_airflow_role(self, environment: Environment) -> iam.Role:
        """For the one MWAA environment (MWAA's user guide, "Cross-service confused deputy prevention")."""
        own_environment = {
            "StringEquals": {"aws:SourceAccount": environment.account},
            "ArnLike": {"aws:SourceArn": environment.arn("airflow", f"environment/{environment.prefix}")},
        }
        services = ("airflow.amazonaws.com", "airflow-env.amazonaws.com")
        role = iam.Role(
            self,
            "Airflow",
            role_name=environment.airflow_role,
            assumed_by=iam.CompositePrincipal(
                *(iam.ServicePrincipal(service, conditions=own_environment) for service in services)
            ),
        )
        role.apply_removal_policy(_KEEP)
        return role

    def _make_container_role(self, environment: Environment) -> iam.Role:
        role = iam.Role(self, "Container", role_name=environment.container_role, assumed_by=ecs_tasks_of(environment))
        role.apply_removal_policy(_KEEP)
        return role

    def _keep_deliveries_out(self, bucket: s3.Bucket, environment: Environment) -> None:
        """Whatever a configuration says: what is delivered is data, and never becomes code or a log of ours."""
        roles = [f"arn:aws:iam::{environment.account}:role/{name}" for name in environment.delivering_roles]
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                sid="NothingIsDeliveredHere",
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObject", "s3:PutObjectAcl"],
                resources=[bucket.arn_for_objects("*")],
                conditions={"ArnEquals": {"aws:PrincipalArn": roles}},
            )
        )

    def _make_address(self, number: int) -> ec2.CfnEIP:
        """A public address of our own VPC, which partners' firewalls know."""
        address = ec2.CfnEIP(self, f"Address{number + 1}", domain="vpc")
        address.apply_removal_policy(_KEEP)
        return address

    def _tell_what_others_need(self) -> None:
        """As outputs, which `make deploy` prints (docs/operators/partners.md)."""
        for number, address in enumerate(self.addresses, 1):
            cdk.CfnOutput(
                self, f"OutgoingAddress{number}", value=address.ref, description="Let it in: deliveries come from it"
            )
        cdk.CfnOutput(self, "AirflowRole", value=self.airflow.role_arn, description="For a partner's trust policy")
        cdk.CfnOutput(self, "TransferRole", value=self.container.role_arn, description="For a partner's trust policy")
        cdk.CfnOutput(self, "KeyArn", value=self.key.key_arn, description="Encrypts ledger, logs and own pick-ups")

    def _make_ledger(self, environment: Environment) -> dynamodb.Table:
        """From the same definition as the stand-ins'."""
        definition = table_definition(environment.own_ledger_table)
        ((index_partition, index_sort),) = (
            [key["AttributeName"] for key in index["KeySchema"]] for index in definition["GlobalSecondaryIndexes"]
        )
        text = dynamodb.AttributeType.STRING
        table = dynamodb.Table(
            self,
            "Ledger",
            table_name=environment.own_ledger_table,
            partition_key=dynamodb.Attribute(name=PARTITION_KEY, type=text),
            sort_key=dynamodb.Attribute(name=SORT_KEY, type=text),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            time_to_live_attribute=TTL_ATTRIBUTE,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=self.key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=True,
            removal_policy=_KEEP,
        )
        explain(
            table,
            HIPAA_DynamoDBInBackupPlan="point-in-time recovery reaches back 35 days, and deletion is protected",
        )
        table.add_global_secondary_index(
            index_name=OPEN_INDEX,
            partition_key=dynamodb.Attribute(name=index_partition, type=text),
            sort_key=dynamodb.Attribute(name=index_sort, type=text),
        )
        return table

    def _make_log_group(self, name: str, environment: Environment) -> None:
        group = logs.CfnLogGroup(
            self,
            f"Logs-{name}",
            log_group_name=name,
            kms_key_id=self.key.key_arn,
            retention_in_days=environment.log_retention_days,
        )
        group.apply_removal_policy(_KEEP)

    def _make_access_logs(self, environment: Environment) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "AccessLogs",
            bucket_name=environment.access_logs_bucket,
            encryption=s3.BucketEncryption.S3_MANAGED,
            lifecycle_rules=[
                s3.LifecycleRule(
                    expiration=cdk.Duration.days(environment.log_retention_days),
                    noncurrent_version_expiration=cdk.Duration.days(1),
                ),
                s3.LifecycleRule(expired_object_delete_marker=True),
            ],
            **_SAFE_BUCKET,
        )
        explain(
            bucket,
            AwsSolutions_S1="it is where the access logs go",
            HIPAA_S3BucketLoggingEnabled="it is where the access logs go",
            HIPAA_S3DefaultEncryptionKMS="S3 delivers access logs to buckets with its own key only",
            HIPAA_S3BucketReplicationEnabled="logs of who read which object; CloudTrail has the rest",
        )
        return bucket

    def _make_airflow_bucket(self, environment: Environment) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "AirflowBucket",
            bucket_name=environment.bucket,
            # With a key of ours, MWAA would want the same for its environment, its queue and its database.
            encryption=s3.BucketEncryption.S3_MANAGED,
            lifecycle_rules=[
                s3.LifecycleRule(noncurrent_version_expiration=cdk.Duration.days(90), noncurrent_versions_to_retain=10)
            ],
            server_access_logs_bucket=self._access_logs,
            server_access_logs_prefix="airflow/",
            **_SAFE_BUCKET,
        )
        explain(
            bucket,
            HIPAA_S3DefaultEncryptionKMS="holds code and configuration, no files; encrypted with S3's key",
            HIPAA_S3BucketReplicationEnabled="everything in it is in the repository",
        )
        return bucket

    def _make_pickup(self, name: str) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            # By its name, not by its place in the list: whoever removes another one must not rename this.
            f"Pickup-{name}",
            bucket_name=name,
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            bucket_key_enabled=True,
            lifecycle_rules=[
                # What is delivered is deleted; here it can be got back for a month. The done file needs versions to be
                # removed without a race (R4.5).
                s3.LifecycleRule(
                    id="deleted-files-stay-a-month",
                    noncurrent_version_expiration=cdk.Duration.days(30),
                    expired_object_delete_marker=True,
                ),
                s3.LifecycleRule(
                    id="abandoned-uploads-cost-nothing",
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(7),
                ),
            ],
            server_access_logs_bucket=self._access_logs,
            server_access_logs_prefix=f"{name}/",
            **_SAFE_BUCKET,
        )
        explain(
            bucket,
            HIPAA_S3BucketReplicationEnabled="files pass through; the sender has them, and versions stay for a month",
        )
        return bucket

    def _make_prepared(self, environment: Environment) -> s3.Bucket:
        """Where files lie while they are delivered compressed or encrypted: for minutes, and never for long."""
        bucket = s3.Bucket(
            self,
            "Prepared",
            bucket_name=environment.prepared_bucket,
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            bucket_key_enabled=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="what-nobody-removed",
                    expiration=cdk.Duration.days(7),
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
                )
            ],
            server_access_logs_bucket=self._access_logs,
            server_access_logs_prefix="prepared/",
            # A version would keep what is removed because it is not needed any more.
            **(_SAFE_BUCKET | {"versioned": False}),
        )
        explain(
            bucket,
            HIPAA_S3BucketReplicationEnabled="copies of what is in a pick-up, for as long as they are delivered",
            HIPAA_S3BucketVersioningEnabled="a version would keep what is removed because it is not needed any more",
        )
        return bucket

    def _let_cloudwatch_logs_use_the_key(self, environment: Environment) -> None:
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="CloudWatchLogs",
                principals=[iam.ServicePrincipal(f"logs.{environment.region}.amazonaws.com")],
                actions=["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
                resources=["*"],
                conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": environment.arn("logs", "log-group:*")}},
            )
        )


def ecs_tasks_of(environment: Environment) -> iam.ServicePrincipal:
    """ECS, for tasks of this account only."""
    own_tasks = {
        "StringEquals": {"aws:SourceAccount": environment.account},
        "ArnLike": {"aws:SourceArn": environment.arn("ecs", "*")},
    }
    return iam.ServicePrincipal("ecs-tasks.amazonaws.com", conditions=own_tasks)


_SAFE_BUCKET: dict[str, Any] = {
    "versioned": True,
    "enforce_ssl": True,
    "minimum_tls_version": 1.2,
    "block_public_access": s3.BlockPublicAccess.BLOCK_ALL,
    "object_ownership": s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
    "removal_policy": _KEEP,
}
