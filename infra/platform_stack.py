"""What runs: the MWAA environment and the cluster for big copies. It can be destroyed and made again at any time."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_mwaa as mwaa
from aws_cdk import aws_ses as ses
from constructs import Construct

from infra.access_stack import AccessStack
from infra.data_stack import DataStack
from infra.network_stack import NetworkStack
from infra.policy_scanner import explain
from infra.release import Release
from infra.settings import AIRFLOW_VERSION, CONNECTIONS_PREFIX, Environment

CONTAINER = "transfer"
_SECRETS_BACKEND = {
    "connections_prefix": CONNECTIONS_PREFIX,
    # As MWAA has it: its own log reader asks for this connection all the time, and each question is paid.
    "connections_lookup_pattern": "^(?!aws_default$).*$",
    "variables_prefix": None,
    "config_prefix": None,
}


class PlatformStack(cdk.Stack):
    """The stateless stack."""

    def __init__(
        self,
        scope: Construct,
        environment: Environment,
        release: Release,
        *,
        network: NetworkStack,
        data: DataStack,
        access: AccessStack,
        **kwargs: Any,
    ) -> None:
        super().__init__(scope, f"{environment.prefix}-platform", **kwargs)
        self._environment, self._network, self._data, self._access = environment, network, data, access
        self.add_stack_dependency(access)  # MWAA is not made before its role may do what it needs
        self._make_cluster()
        self._make_task_definition(release)
        # Before Airflow, for SES refuses an e-mail under a name that it does not know. Where its events go is in the
        # monitoring stack.
        mails = ses.CfnConfigurationSet(self, "Mails", name=environment.ses_configuration_set)
        self.airflow = self._make_airflow(release)
        self.airflow.add_resource_dependency(mails)

    def _make_cluster(self) -> None:
        ecs.CfnCluster(
            self,
            "Cluster",
            cluster_name=self._environment.prefix,
            capacity_providers=["FARGATE", "FARGATE_SPOT"],
            cluster_settings=[{"name": "containerInsights", "value": "enabled"}],
        )

    def _make_task_definition(self, release: Release) -> None:
        environment = self._environment
        definition = ecs.CfnTaskDefinition(
            self,
            "Transfer",
            family=f"{environment.prefix}-transfer",
            requires_compatibilities=["FARGATE"],
            network_mode="awsvpc",
            cpu="1024",
            memory="2048",
            runtime_platform={"cpuArchitecture": release.architecture, "operatingSystemFamily": "LINUX"},
            execution_role_arn=self._access.start.role_arn,
            task_role_arn=self._data.container.role_arn,
            container_definitions=[
                ecs.CfnTaskDefinition.ContainerDefinitionProperty(
                    name=CONTAINER,
                    image=f"{self._data.images.repository_uri}:{release.image_tag}",
                    essential=True,
                    readonly_root_filesystem=True,
                    user="10001",
                    stop_timeout=120,
                    linux_parameters={"capabilities": {"drop": ["ALL"]}, "initProcessEnabled": True},
                    environment=[
                        {"name": name, "value": value} for name, value in self._container_environment().items()
                    ],
                    log_configuration={
                        "logDriver": "awslogs",
                        "options": {
                            "awslogs-group": environment.container_log_group,
                            "awslogs-region": environment.region,
                            "awslogs-stream-prefix": CONTAINER,
                        },
                    },
                )
            ],
        )
        explain(
            definition,
            AwsSolutions_ECS2="the variables are names of resources; secrets are read from Secrets Manager",
        )

    def _container_environment(self) -> dict[str, str]:
        environment = self._environment
        return {
            "AWS_DEFAULT_REGION": environment.region,
            "AIRFLOW__DELIVERY__LEDGER_TABLE": environment.ledger_table,
            "AIRFLOW__DELIVERY__CONNECTIONS_PREFIX": CONNECTIONS_PREFIX,
            "AIRFLOW__DELIVERY__PREPARED_LOCATION": f"s3://{environment.prepared_bucket}/",
        }

    def _make_airflow(self, release: Release) -> mwaa.CfnEnvironment:
        environment = self._environment
        log = {"enabled": True, "logLevel": "INFO"}
        return mwaa.CfnEnvironment(
            self,
            "Airflow",
            name=environment.prefix,
            airflow_version=AIRFLOW_VERSION,
            environment_class=environment.mwaa.environment_class,
            min_workers=environment.mwaa.min_workers,
            max_workers=environment.mwaa.max_workers,
            execution_role_arn=self._data.airflow.role_arn,
            source_bucket_arn=self._data.bucket.bucket_arn,
            dag_s3_path="dags",
            plugins_s3_path="plugins.zip",
            plugins_s3_object_version=release.plugins_version,
            requirements_s3_path="requirements.txt",
            requirements_s3_object_version=release.requirements_version,
            webserver_access_mode="PRIVATE_ONLY" if environment.mwaa.private_webserver else "PUBLIC_ONLY",
            weekly_maintenance_window_start="SUN:03:00",
            worker_replacement_strategy="GRACEFUL",  # an update waits for the transfers under way
            network_configuration=mwaa.CfnEnvironment.NetworkConfigurationProperty(
                subnet_ids=self._network.private_subnet_ids,
                security_group_ids=[self._network.security_group.security_group_id],
            ),
            logging_configuration=mwaa.CfnEnvironment.LoggingConfigurationProperty(
                dag_processing_logs={**log, "logLevel": "WARNING"},
                scheduler_logs={**log, "logLevel": "WARNING"},
                task_logs=log,
                webserver_logs={**log, "logLevel": "WARNING"},
                worker_logs={**log, "logLevel": "WARNING"},
            ),
            airflow_configuration_options=self._airflow_options(),
        )

    def _airflow_options(self) -> dict[str, str]:
        """MWAA makes each ``section.option`` the variable ``AIRFLOW__SECTION__OPTION``."""
        environment = self._environment
        options = {
            "core.dags_are_paused_at_creation": "False",
            "core.load_examples": "False",
            # Airflow 3.2.1 gives a triggerer the oldest so many watchers each time, its own among them: of more than 50
            # the others would never be watched (docs/decisions/0040-a-watcher-for-each-client.md). There are as many as
            # clients with `trigger: on_arrival`, and each takes a place of the capacity.
            "triggerer.capacity": "2000",
            "triggerer.max_trigger_to_select_per_loop": "2000",
            "secrets.backend": "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend",
            "secrets.backend_kwargs": json.dumps(_SECRETS_BACKEND),
            "delivery.ledger_table": environment.ledger_table,
            "delivery.mail_sender": environment.mail_sender,
            "delivery.ses_configuration_set": environment.ses_configuration_set,
            "delivery.environment": "" if environment.name == "production" else environment.name,
            "delivery.connections_prefix": CONNECTIONS_PREFIX,
            "delivery.prepared_location": f"s3://{environment.prepared_bucket}/",
            **({"delivery.event_bus": environment.event_bus} if environment.event_bus else {}),
            **({"delivery.asset_events": "true"} if environment.asset_events else {}),
            "delivery.mwaa_environment": environment.prefix,
            "delivery.airflow_history_days": str(environment.airflow_history_days),
            "delivery.record_days": str(environment.record_days),
            "delivery.key_max_age_days": str(environment.key_max_age_days),
            # A VPC of one's own has a way out of its own, of which nobody here knows the address.
            "delivery.outgoing_addresses": cdk.Fn.join(",", [one.ref for one in self._data.addresses])
            if self._data.addresses
            else "",
            "delivery.offload_threshold": str(environment.offload_threshold_bytes),
            "delivery.ecs_cluster": environment.prefix,
            "delivery.ecs_task_definition": f"{environment.prefix}-transfer",
            "delivery.ecs_container": CONTAINER,
            "delivery.ecs_subnets": cdk.Fn.join(",", self._network.private_subnet_ids),
            "delivery.ecs_security_groups": self._network.security_group.security_group_id,
            "delivery.ecs_log_group": environment.container_log_group,
            "delivery.ecs_log_stream_prefix": CONTAINER,
            "delivery.ecs_spot": str(environment.spot).lower(),
        }
        return {name: value for name, value in options.items() if value}  # MWAA takes no empty one
