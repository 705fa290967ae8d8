"""Tests a client's destination before the first file (R2.8): ``make check-destination NAME=acme``.

``python -m client_delivery.probe.check_destination NAME [--connect-only] [--credential FILE] [--json] …``. Exit code: 0
if files can be delivered and the test left nothing there, 1 if not or if that is not known, 2 if there was nothing to
test.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from client_delivery.config.problem import ConfigError
from client_delivery.probe.configurations import NoConfigurationError, configuration
from client_delivery.probe.credential import credential_on_this_machine
from client_delivery.probe.report import as_text
from client_delivery.probe.trial import Wanted, try_destination
from client_delivery.runtime.settings import setting
from client_delivery.transfer.naming import is_deliverable


def main(arguments: Sequence[str] | None = None) -> int:
    """Test the destination, print the result, and return the exit code."""
    parser = argparse.ArgumentParser(prog="check-destination", description="Tests a client's destination.")
    parser.add_argument("name", help="the configuration's name")
    parser.add_argument("--directory", type=Path, help="where the YAML files are")
    parser.add_argument("--connect-only", action="store_true", help="write no file: only connect and log in")
    parser.add_argument(
        "--credential", type=Path, metavar="FILE", help="a file with the secret as Secrets Manager will hold it"
    )
    parser.add_argument("--leave", action="store_true", help="write a file although the account may not remove it")
    parser.add_argument(
        "--file-name",
        default=Wanted().name,
        help="name of the test file, for servers that accept only certain names; a unique text replaces its '*' "
        "(default: %(default)s)",
    )
    parser.add_argument("--no-public-address", action="store_true", help="do not ask for our public address")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    try:
        config = configuration(options.name, options.directory)
    except (ConfigError, NoConfigurationError) as error:
        sys.stderr.write(f"check-destination: {error}\n")
        return 2
    name = options.file_name
    if name.count("*") != 1 or not is_deliverable(config.destination, name.replace("*", "0" * 12)):
        parser.error(f"--file-name: found {name!a}, expected a name that could be delivered, with one '*' in it")
    wanted = Wanted(
        write=not options.connect_only,
        leave=options.leave,
        name=name,
        public_address=not options.no_public_address,
    )
    find = partial(credential_on_this_machine, file=options.credential)
    report = try_destination(config, find, gcs_endpoint=setting("gcs_endpoint"), wanted=wanted)
    sys.stdout.write(
        json.dumps(report.as_dict(), indent=2, ensure_ascii=False) + "\n" if options.json else as_text(report)
    )
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
