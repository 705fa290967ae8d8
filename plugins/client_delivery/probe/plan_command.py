"""Says what the next run would do with each waiting file, and why: ``make plan NAME=acme``. Nothing is changed.

``python -m client_delivery.probe.plan_command NAME …``. It needs what a worker has: the ledger's table, and
an identity that may read it and the pick-up. Exit code: 0, or 2 if that is not known.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from client_delivery.access.aws import no_region
from client_delivery.config.problem import ConfigError
from client_delivery.ledger.life import RunRef
from client_delivery.pickup.pickup import PickupError
from client_delivery.probe.configurations import NoConfigurationError, configuration
from client_delivery.run.context import Run
from client_delivery.run.plan import plan
from client_delivery.run.plan_report import PlanReport
from client_delivery.runtime.settings import SettingsError, setting
from client_delivery.transfer.contract import DestinationUnavailable


def main(arguments: Sequence[str] | None = None) -> int:
    """Print it; return the exit code."""
    from botocore.exceptions import BotoCoreError, ClientError

    parser = argparse.ArgumentParser(prog="plan", description="Says what the next run would do with each file.")
    parser.add_argument("name", help="the configuration's name")
    parser.add_argument("--directory", type=Path, help="where the YAML files are")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the first thousand files there as well")
    parser.add_argument("--bypass", action="store_true", help="as with 'Bypass file checks'")
    parser.add_argument("--resend-failed", action="store_true", help="as with 'Resend failed files'")
    parser.add_argument("--ignore-done-file", action="store_true", help="as with 'Ignore the done file'")
    parser.add_argument("--only", metavar="PATTERN", help="as with 'Only files like'")
    options = parser.parse_args(arguments)
    try:
        config = configuration(options.name, options.directory)
        params: dict[str, Any] = {
            "bypass_file_checks": options.bypass or config.bypass_file_checks,
            "resend_failed": options.resend_failed,
            "file_pattern": options.only,
            "ignore_done_file": options.ignore_done_file,
            "send_notifications": False,
            "wait_minutes": 0,
        }
        report = PlanReport.of(plan(Run(config, RunRef("plan", 0, config.name), params)))
    except (ConfigError, NoConfigurationError, PickupError, SettingsError, DestinationUnavailable) as error:
        sys.stderr.write(f"plan: {error}\n")
        return 2
    except (BotoCoreError, ClientError) as error:
        sys.stderr.write(f"plan: {_trouble(error)}\n")
        return 2
    if config.paused:
        sys.stdout.write("The configuration is paused: only a run that somebody triggers would do this.\n")
    sys.stdout.writelines(f"{line}\n" for line in report.lines())
    if options.csv:
        try:
            options.csv.write_text(report.csv(), encoding="utf-8-sig")
        except OSError as error:
            sys.stderr.write(
                f"plan: {options.csv} cannot be written: {error.strerror}. Name a file in a folder that is there.\n"
            )
            return 2
        sys.stdout.write(f"{options.csv} written\n")
    return 0


def _trouble(error: Exception) -> str:
    """Why AWS did not say what waits, and what to do."""
    from botocore.exceptions import ClientError

    if why := no_region(error):
        return why
    code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
    if code == "ResourceNotFoundException":
        table = setting("ledger_table")
        return (
            f"There is no ledger {table!r} in this account and region: name the environment's table in "
            "AIRFLOW__DELIVERY__LEDGER_TABLE, and its region in AWS_DEFAULT_REGION."
        )
    return f"AWS could not be asked: {error}. The command needs a worker's permissions: log in to AWS."


if __name__ == "__main__":
    sys.exit(main())
