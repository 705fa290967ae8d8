"""Bring one environment to what this checkout says.

    python -m infra.deploy NAME             everything, in the order that never leaves it broken
    python -m infra.deploy NAME --clients   configurations only, with the permissions that they need: a minute or two
    … --dry-run                             say what would change, and change nothing
    … --wait HOURS                          how long AWS is waited for (13 hours)

Order: what outlives everything; network; permissions; image; plugins and requirements (MWAA is updated only if they
changed, which takes 20 to 30 minutes and, while transfers run, up to twelve hours); then the DAG; then the clients'
YAML, so that YAML never meets code that does not understand it yet; then monitoring, and what makes copies in a second
region, where there is one. Permissions first grow to what the clients there and the new ones need together; only when
the YAML has arrived they shrink to what it needs, so that no run meets a permission that is gone.

Whenever it ends early, the same command goes on where it ended: what AWS is still doing is waited for, what is done is
seen to be done, and the rest follows. Exit codes: 0 done; 1 failed, with the reason; 3 AWS is still at it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from client_delivery.config.loader import load_directory
from client_delivery.config.model import ClientConfig
from client_delivery.config.neighbours import at_odds
from client_delivery.config.treatment import KEYS
from infra.app import Stacks, build, build_access
from infra.clients import CONFIGS, ConfigurationsError, load_clients, needs_of
from infra.cloudformation import PATIENCE, DeploymentError, Stack, UnfinishedError
from infra.image import TransferImage
from infra.package import ROOT, Package, fetch_wheels
from infra.package import build as build_package
from infra.policies import TooManyGrantsError
from infra.release import Release
from infra.settings import Environment, SettingsError, load
from infra.upload import Bucket, Upload, in_order

_CONFIGS_PREFIX = "dags/include/client_configs/"
_MAINTENANCE_POLL = 60.0
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired")
_DAG_FILES = {
    "client_deliveries.py": ROOT / "dags" / "client_deliveries.py",
    ".airflowignore": ROOT / "dags" / ".airflowignore",
}


class Deployment:
    """One deployment to one environment."""

    def __init__(
        self,
        environment: Environment,
        session: Any,
        *,
        dry_run: bool,
        work: Path = ROOT / "dist",
        patience: float = PATIENCE,
    ) -> None:
        self._environment = environment
        self._dry_run = dry_run
        self._work = work
        self._patience = patience
        # Hours of looking meet many a hiccup of the network.
        self._session = session
        self._cloudformation = self._cloudformation_of(environment.region)
        self._bucket = Bucket(session.client("s3"), environment.bucket)

    def _cloudformation_of(self, region: str) -> Any:
        patient = Config(retries={"mode": "standard", "max_attempts": 10})
        return self._session.client("cloudformation", region_name=region, config=patient)

    def everything(self, *, with_image: bool = True) -> None:
        """See the module's docstring."""
        private = self._environment.mwaa.private_webserver
        package = build_package(self._work, fetch_wheels(self._work / "wheels") if private else ())
        new, leaving = load_clients(self._environment), self._leaving_clients()
        stacks = self._stacks([*new, *leaving], Release(image_tag=package.image_tag))
        for stack in (stacks.data, stacks.network, stacks.access):
            self._deploy(stack.stack_name)
        if with_image:
            self._push_image(package)
        self._release(package, [*new, *leaving])
        self._sync("dags/", _DAG_FILES, whole=False)
        self._sync_clients(new, leaving)
        self._shrink(new, leaving)
        self._deploy(stacks.monitoring.stack_name)
        if stacks.vault is not None and stacks.copies is not None:
            # Copies go into the vault, so it is there first.
            self._deploy(stacks.vault.stack_name, region=self._environment.copy_region)
            self._deploy(stacks.copies.stack_name)
        self._say_what_partners_need(stacks.data.stack_name)

    def clients(self) -> None:
        """The configurations, and the permissions that they need; nothing that runs is touched."""
        new, leaving = load_clients(self._environment), self._leaving_clients()
        self._deploy_access([*new, *leaving])
        self._sync_clients(new, leaving)
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
        self._deploy_access(new)

    def _deploy_access(self, clients: Sequence[ClientConfig]) -> None:
        app, access = build_access(self._environment, clients, output=self._work / "infra")
        app.synth()
        self._deploy(access.stack_name)

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
            self._await_maintenance()
        self._deploy(self._stacks(clients, release).platform.stack_name)

    def _make_room_for_containers(self) -> None:
        """An account that never used ECS lacks the role by which ECS manages its clusters; else this does nothing."""
        iam = self._session.client("iam")
        there = (iam.exceptions.InvalidInputException, iam.exceptions.EntityAlreadyExistsException)
        with contextlib.suppress(*there):
            iam.create_service_linked_role(AWSServiceName="ecs.amazonaws.com")

    def _await_maintenance(self) -> None:
        """During maintenance MWAA turns a graceful update into a forced one: tasks that run then would be killed."""
        mwaa = self._session.client("mwaa")
        deadline = time.monotonic() + self._patience
        name = self._environment.prefix
        while True:
            try:
                status = mwaa.get_environment(Name=name)["Environment"]["Status"]
            except mwaa.exceptions.ResourceNotFoundException:
                return  # the first deployment
            if status != "MAINTENANCE":
                return
            if time.monotonic() > deadline:
                raise UnfinishedError(f"MWAA still maintains {name}. Run the same again: it does the rest.")
            say(f"MWAA maintains {name}: an update now would kill running transfers; waiting until that is over")
            time.sleep(_MAINTENANCE_POLL)

    def _say_what_partners_need(self, name: str) -> None:
        """Firewalls and trust policies on the other side hang on these (docs/operators/partners.md)."""
        if self._dry_run:
            return
        outputs = Stack(self._cloudformation, name, "").outputs()
        own = {key: value for key, value in sorted(outputs.items()) if not key.startswith("ExportsOutput")}
        say("For partners (docs/operators/partners.md):")
        for key, value in own.items():
            say(f"    {key:<18}{value}")
        if self._environment.vpc is not None:
            say("    Addresses: those of your own network's way out, for the VPC is yours")

    def _deploy(self, name: str, *, region: str | None = None) -> None:
        whole = (self._work / "infra" / f"{name}.template.json").read_text()
        template = json.dumps(json.loads(whole), separators=(",", ":"))
        url = None
        if Stack.needs_url(template):
            # Of a dry run, too, this is left behind: CloudFormation takes long templates from a bucket only.
            key = f"templates/{name}.json"
            self._session.client("s3").put_object(Bucket=self._bucket.name, Key=key, Body=template.encode())
            url = f"https://{self._bucket.name}.s3.{self._environment.region}.amazonaws.com/{key}"
        client = self._cloudformation if region is None else self._cloudformation_of(region)
        stack = Stack(client, name, template, template_url=url, patience=self._patience, say=say)
        changes = stack.plan() if self._dry_run else stack.deploy()
        if name.endswith("-data") and not self._dry_run:
            stack.protect()
        say(f"{name}: {len(changes) or 'no'} {'change' if len(changes) == 1 else 'changes'}")
        for change in changes:
            say(f"    {change}")

    def _sync_clients(self, new: Sequence[ClientConfig], leaving: Sequence[ClientConfig]) -> None:
        before, after = (
            {f"{_CONFIGS_PREFIX}{config.name}.yaml": config for config in configs} for configs in (leaving, new)
        )

        def makes_room(one: Upload, other: Upload) -> bool:
            old, wanted = before.get(one.key), after.get(other.key) if other.action == "put" else None
            return old is not None and wanted is not None and at_odds(old, wanted)

        files = {path.name: path for path in sorted(CONFIGS.glob("*.yaml"))}
        files |= {f"{KEYS}/{path.name}": path for path in sorted(CONFIGS.glob(f"{KEYS}/*")) if path.is_file()}
        self._sync(_CONFIGS_PREFIX, files, whole=True, makes_room=makes_room)

    def _sync(
        self,
        prefix: str,
        files: dict[str, Path],
        *,
        whole: bool,
        makes_room: Callable[[Upload, Upload], bool] = lambda one, other: False,
    ) -> None:
        """``whole``: what is below the prefix and not among the files is removed."""
        try:
            uploads = self._bucket.differences(prefix, files)
        except self._session.client("s3").exceptions.NoSuchBucket:
            uploads = []
            say(f"{prefix}: {len(files)} files to be uploaded")
        # A key is there before the configuration that names it.
        uploads.sort(key=lambda upload: f"/{KEYS}/" not in upload.key)
        uploads = in_order([upload for upload in uploads if whole or upload.action == "put"], makes_room)
        for upload in uploads:
            say(f"    {upload}")
        say(f"{prefix}: {len(uploads) or 'no'} {'change' if len(uploads) == 1 else 'changes'}")
        if not self._dry_run:
            self._bucket.carry_out(uploads)

    def _push_image(self, package: Package) -> None:
        """Build the transfer image and push it, unless its registry has this very one."""
        image = TransferImage(self._environment, self._session, package)
        if image.is_there():
            say(f"image: {image.name} is there")
            return
        say(f"image: {image.name} to be built and pushed")
        if not self._dry_run:
            image.push()


def say(text: str) -> None:
    """Progress."""
    print(text, flush=True)


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment", help="the name of a file in infra/environments, without .yaml")
    parser.add_argument("--clients", action="store_true", help="only configurations and their permissions")
    parser.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    parser.add_argument(
        "--wait", type=float, default=PATIENCE / 3600, metavar="HOURS", help="how long AWS is waited for (13)"
    )
    arguments = parser.parse_args()
    try:
        deployment = open_deployment(arguments.environment, dry_run=arguments.dry_run, patience=arguments.wait * 3600)
        deployment.clients() if arguments.clients else deployment.everything()
    except UnfinishedError as error:
        print(error, file=sys.stderr)
        return 3
    except (SettingsError, ConfigurationsError, DeploymentError, TooManyGrantsError) as error:
        print(error, file=sys.stderr)
        return 1
    except ClientError as error:
        if error.response["Error"]["Code"] in _EXPIRED:
            print(
                "The credentials have expired. AWS goes on with what was begun. Get new ones and run the same again: "
                "it waits for that, and does the rest.",
                file=sys.stderr,
            )
            return 3
        # Refused permissions: AWS says which.
        print(f"AWS refuses: {error}\nNothing after this was done. Fix it and run the same again.", file=sys.stderr)
        return 1
    except BotoCoreError as error:
        print(f"AWS cannot be reached: {error}\nRun the same again: it does the rest.", file=sys.stderr)
        return 1
    return 0


def open_deployment(name: str, *, dry_run: bool, patience: float = PATIENCE) -> Deployment:
    """To the account that the environment's file names, and to no other. Raises :class:`SettingsError`."""
    environment = load(name)
    return Deployment(environment, account_session(environment), dry_run=dry_run, patience=patience)


def account_session(environment: Environment) -> boto3.session.Session:
    """Credentials of the environment's account. Raises :class:`SettingsError` if they are for another one."""
    session = boto3.session.Session(region_name=environment.region)
    account = session.client("sts").get_caller_identity()["Account"]
    if account != environment.account:
        raise SettingsError(
            f"These credentials are for account {account}; infra/environments/{environment.name}.yaml says "
            f"{environment.account}. Nothing was changed."
        )
    return session


if __name__ == "__main__":
    sys.exit(main())
