"""The network: two private subnets, and gateway endpoints, so that big data from S3 never pays for NAT."""

from __future__ import annotations

from typing import Any, cast

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.data_stack import DataStack
from infra.policy_scanner import explain
from infra.settings import Environment


class NetworkStack(cdk.Stack):
    """A VPC of our own, or the one that is named; and the security group of everything that delivers."""

    def __init__(self, scope: Construct, environment: Environment, data: DataStack, **kwargs: Any) -> None:
        super().__init__(scope, f"{environment.prefix}-network", **kwargs)
        self._data = data
        self.vpc: ec2.IVpc
        if environment.vpc is None:
            self.vpc = self._make_vpc()
            self.private_subnet_ids = [subnet.subnet_id for subnet in self.vpc.private_subnets]
        else:
            self.vpc = ec2.Vpc.from_vpc_attributes(
                self,
                "Vpc",
                vpc_id=environment.vpc.vpc_id,
                availability_zones=cdk.Fn.get_azs(),
                private_subnet_ids=list(environment.vpc.private_subnet_ids),
            )
            self.private_subnet_ids = list(environment.vpc.private_subnet_ids)
            for service in ("s3", "dynamodb") if environment.vpc.private_route_table_ids else ():
                ec2.CfnVPCEndpoint(
                    self,
                    f"{service.capitalize()}Endpoint",
                    vpc_id=environment.vpc.vpc_id,
                    service_name=f"com.amazonaws.{environment.region}.{service}",
                    vpc_endpoint_type="Gateway",
                    route_table_ids=list(environment.vpc.private_route_table_ids),
                )
        self.security_group = ec2.SecurityGroup(
            self,
            "Deliveries",
            vpc=self.vpc,
            description="Airflow and transfer containers: out to destinations, in from one another only",
            # SFTP servers are anywhere, on any port; a fixed list would be a second place to add a client.
            allow_all_outbound=True,
        )
        self.security_group.add_ingress_rule(
            self.security_group, ec2.Port.all_traffic(), "MWAA's parts among themselves"
        )
        explain(
            self.security_group,
            HIPAA_EC2RestrictedCommonPorts="from members of the same group only, as MWAA demands of itself",
        )

    def _make_vpc(self) -> ec2.Vpc:
        vpc = ec2.Vpc(
            self,
            "Vpc",
            availability_zones=[cdk.Fn.select(number, cdk.Fn.get_azs()) for number in (0, 1)],
            nat_gateways=len(self._data.addresses),
            nat_gateway_provider=ec2.NatProvider.gateway(
                eip_allocation_ids=[address.attr_allocation_id for address in self._data.addresses]
            ),
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=26, map_public_ip_on_launch=False
                ),
                ec2.SubnetConfiguration(name="private", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=24),
            ],
            gateway_endpoints={
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3),
                "DynamoDb": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.DYNAMODB),
            },
            restrict_default_security_group=False,  # would need a Lambda function; nothing uses that group
        )
        self._make_flow_log(vpc)
        for subnet in vpc.public_subnets:
            explain(
                cast(Construct, subnet),
                HIPAA_VPCNoUnrestrictedRouteToIGW="nothing but the NAT gateways is in the public subnets",
            )
        explain(
            vpc,
            HIPAA_VPCDefaultSecurityGroupClosed="nothing uses that group; to close it takes a Lambda function of CDK",
        )
        return vpc

    def _make_flow_log(self, vpc: ec2.Vpc) -> None:
        """Who talked to whom, for three months."""
        group = logs.LogGroup(
            self,
            "FlowLogs",
            retention=logs.RetentionDays.THREE_MONTHS,
            encryption_key=self._data.key,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        log = vpc.add_flow_log("FlowLog", destination=ec2.FlowLogDestination.to_cloud_watch_logs(group))
        explain(log, HIPAA_IAMNoInlinePolicy="the CDK's own role, for this one log group")
