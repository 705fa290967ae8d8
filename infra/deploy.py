"""Bring one environment to what this checkout says.

    python -m infra.deploy NAME             everything, in the order that never leaves it broken
    python -m infra.deploy NAME --clients   configurations only, with the permissions that they need: seconds
    … --dry-run                             say what would change, and change nothing

Order: what outlives everything; network; permissions; image; plugins and requirements (MWAA is updated, which takes
20 to 30 minutes, only if they changed); then the DAG; then the clients' YAML, so that YAML never meets code that does
not understand it yet; then monitoring. Permissions first grow to what the clients there and the new ones need together;
only when the YAML has arrived they shrink to what it needs, so that no run meets a permission that is gone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from delivery.config.loader import load_directory
from delivery.config.model import ClientConfig
from infra.app import Stacks, build
from infra.clients import CONFIGS, ConfigurationsError, load_clients, needs_of
from infra.cloudformation import DeploymentError, Stack
from infra.package import ROOT, Package
from infra.package import build as build_package
from infra.policies import TooManyGrantsError
from infra.release import Release
from infra.settings import Environment, SettingsError, load
from infra.upload import Bucket

_CONFIGS_PREFIX = "dags/include/client_configs/"
_DAG_FILES = {
    "client_deliveries.py": ROOT / "dags" / "client_deliveries.py",
    ".airflowignore": ROOT / "dags" / ".airflowignore",
}


class Deployment:
    """One deployment to one environment."""

    def __init__(self, environment: Environment, session: Any, *, dry_run: bool, work: Path = ROOT / "dist") -> None:
        self._environment = environment
        self._dry_run = dry_run
        self._work = work
        self._cloudformation = session.client("cloudformation")
        self._session = session
        self._bucket = Bucket(session.client("s3"), environment.bucket)

    def everything(self, *, with_image: bool = True) -> None:
        """See the module's docstring."""
        package = build_package(self._work)
        new, leaving = load_clients(), self._leaving_clients()
        stacks = self._stacks([*new, *leaving], Release(image_tag=package.image_tag))
        for stack in (stacks.data, stacks.network, stacks.access):
            self._deploy(stack.stack_name)
        if with_image:
            self._push_image(package)
        self._release(package, [*new, *leaving])
        self._sync("dags/", _DAG_FILES, whole=False)
        self._sync_clients()
        self._shrink(new, leaving)
        self._deploy(stacks.monitoring.stack_name)

    def clients(self) -> None:
        """The configurations, and the permissions that they need; nothing that runs is touched."""
        new, leaving = load_clients(), self._leaving_clients()
        self._deploy(self._stacks([*new, *leaving], Release()).access.stack_name)
        self._sync_clients()
        self._shrink(new, leaving)

    def _leaving_clients(self) -> list[ClientConfig]:
        """The configurations that are deployed now: until they are replaced, their runs need what they need."""
        with tempfile.TemporaryDirectory() as directory:
            try:
                self._bucket.download(_CONFIGS_PREFIX, Path(directory))
            except self._session.client("s3").exceptions.NoSuchBucket:
                return []
            # One that is wrong delivers nothing, and needs nothing.
            return [one.config for one in load_directory(Path(directory)) if one.config is not None]

    def _shrink(self, new: Sequence[ClientConfig], leaving: Sequence[ClientConfig]) -> None:
        """The YAML that needed more is gone."""
        if needs_of([*new, *leaving]) == needs_of(new):
            return
        if self._dry_run:
            say("permissions of clients that are removed or moved: to be taken back at the end")
            return
        self._deploy(self._stacks(new, Release()).access.stack_name)

    def _stacks(self, clients: Sequence[ClientConfig], release: Release) -> Stacks:
        app, stacks = build(self._environment, clients, release, output=self._work / "infra")
        app.synth()
        return stacks

    def _release(self, package: Package, clients: Sequence[ClientConfig]) -> None:
        """MWAA reads plugins and requirements at the object versions that its stack names."""
        keys = {"plugins.zip": package.plugins, "requirements.txt": package.requirements}
        versions = {}
        for key, path in keys.items():
            try:
                versions[key] = self._bucket.version_of(key, path, upload=not self._dry_run)
            except self._session.client("s3").exceptions.NoSuchBucket:
                versions[key] = None  # a dry run before the first deployment
            say(f"{key}: version {versions[key] or 'to be uploaded'}")
        release = Release(
            image_tag=package.image_tag,
            plugins_version=versions["plugins.zip"] or "to-be-uploaded",
            requirements_version=versions["requirements.txt"] or "to-be-uploaded",
        )
        if not self._dry_run:
            self._make_room_for_containers()
        self._deploy(self._stacks(clients, release).platform.stack_name)

    def _make_room_for_containers(self) -> None:
        """An account that never used ECS lacks the role by which ECS manages its clusters; else this does nothing."""
        iam = self._session.client("iam")
        there = (iam.exceptions.InvalidInputException, iam.exceptions.EntityAlreadyExistsException)
        with contextlib.suppress(*there):
            iam.create_service_linked_role(AWSServiceName="ecs.amazonaws.com")

    def _deploy(self, name: str) -> None:
        whole = (self._work / "infra" / f"{name}.template.json").read_text()
        template = json.dumps(json.loads(whole), separators=(",", ":"))
        url = None
        if Stack.needs_url(template):
            # Of a dry run, too, this is left behind: CloudFormation takes long templates from a bucket only.
            key = f"templates/{name}.json"
            self._session.client("s3").put_object(Bucket=self._bucket.name, Key=key, Body=template.encode())
            url = f"https://{self._bucket.name}.s3.{self._environment.region}.amazonaws.com/{key}"
        stack = Stack(self._cloudformation, name, template, template_url=url)
        changes = stack.plan() if self._dry_run else stack.deploy()
        if name.endswith("-data") and not self._dry_run:
            stack.protect()
        say(f"{name}: {len(changes) or 'no'} {'change' if len(changes) == 1 else 'changes'}")
        for change in changes:
            say(f"    {change}")

    def _sync_clients(self) -> None:
        self._sync(_CONFIGS_PREFIX, {path.name: path for path in sorted(CONFIGS.glob("*.yaml"))}, whole=True)

    def _sync(self, prefix: str, files: dict[str, Path], *, whole: bool) -> None:
        """``whole``: what is below the prefix and not among the files is removed."""
        try:
            uploads = self._bucket.differences(prefix, files)
        except self._session.client("s3").exceptions.NoSuchBucket:
            uploads = []
            say(f"{prefix}: {len(files)} files to be uploaded")
        uploads = [upload for upload in uploads if whole or upload.action == "put"]
        for upload in uploads:
            say(f"    {upload}")
        say(f"{prefix}: {len(uploads) or 'no'} {'change' if len(uploads) == 1 else 'changes'}")
        if not self._dry_run:
            self._bucket.carry_out(uploads)

    def _push_image(self, package: Package) -> None:
        """Build the transfer image and push it, unless its registry has this very one."""
        ecr = self._session.client("ecr")
        repository = f"{self._environment.prefix}-transfer"
        registry = f"{self._environment.account}.dkr.ecr.{self._environment.region}.amazonaws.com"
        image = f"{registry}/{repository}:{package.image_tag}"
        try:
            ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": package.image_tag}])
        except (ecr.exceptions.ImageNotFoundException, ecr.exceptions.RepositoryNotFoundException):
            say(f"image: {image} to be built and pushed")
        else:
            say(f"image: {image} is there")
            return
        if self._dry_run:
            return
        token = self._session.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
        login = ["docker", "login", "--username", "AWS", "--password-stdin", registry]
        _run(login, given=_password(token))
        _run(
            [
                "docker",
                "build",
                "--platform",
                "linux/amd64",
                "--file",
                "docker/transfer/Dockerfile",
                "--tag",
                image,
                ".",
            ]
        )
        _run(["docker", "push", image])


def _password(token: str) -> str:
    import base64

    return base64.b64decode(token).decode().partition(":")[2]


def _run(command: list[str], *, given: str | None = None) -> None:
    try:
        subprocess.run(command, cwd=ROOT, input=given, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise DeploymentError(f"{' '.join(command[:2])} failed: {error}. The image needs a Docker engine.") from None


def say(text: str) -> None:
    """Progress."""
    print(text, flush=True)


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment", help="the name of a file in infra/environments, without .yaml")
    parser.add_argument("--clients", action="store_true", help="only configurations and their permissions")
    parser.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    arguments = parser.parse_args()
    try:
        deployment = open_deployment(arguments.environment, dry_run=arguments.dry_run)
        deployment.clients() if arguments.clients else deployment.everything()
    except (SettingsError, ConfigurationsError, DeploymentError, TooManyGrantsError) as error:
        print(error, file=sys.stderr)
        return 1
    except ClientError as error:
        # Refused permissions, and a stack that another deployment is changing: AWS says which.
        print(f"AWS refuses: {error}\nNothing after this was done. Mend it and run the same again.", file=sys.stderr)
        return 1
    return 0


def open_deployment(name: str, *, dry_run: bool) -> Deployment:
    """To the account that the environment's file names, and to no other. Raises :class:`SettingsError`."""
    environment = load(name)
    session = boto3.session.Session(region_name=environment.region)
    account = session.client("sts").get_caller_identity()["Account"]
    if account != environment.account:
        raise SettingsError(
            f"These credentials are for account {account}; infra/environments/{environment.name}.yaml says "
            f"{environment.account}. Nothing was changed."
        )
    return Deployment(environment, session, dry_run=dry_run)


if __name__ == "__main__":
    sys.exit(main())
