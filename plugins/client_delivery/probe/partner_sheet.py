"""Writes one page to send to a partner: ``make partner-sheet NAME=acme``.

``python -m client_delivery.probe.partner_sheet NAME [--stack …-data] [--call TEXT] [--to DIRECTORY]``.
Markdown and HTML, from the configuration. Values that nobody here knows are marked, and named on the terminal.
Exit code: 0, or 2 if there is no such configuration.
"""

from __future__ import annotations

import argparse
import html
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from client_delivery.config.problem import ConfigError
from client_delivery.probe.configurations import NoConfigurationError, configuration
from client_delivery.probe.credential import credential_on_this_machine
from client_delivery.probe.sheet import sheet
from client_delivery.probe.sheet_parts import FILL_IN, Ours, Section, Table
from client_delivery.runtime.settings import read
from client_delivery.transfer.contract import DestinationUnavailable

if TYPE_CHECKING:
    from client_delivery.config.model import ClientConfig

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{border:1px solid #999;padding:.3rem .6rem;text-align:left;vertical-align:top}"
    "pre{background:#f3f3f3;padding:.6rem;white-space:pre-wrap;overflow-wrap:anywhere}mark{background:#fd6}"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write both files; return the exit code."""
    parser = argparse.ArgumentParser(prog="partner-sheet", description="Writes a page to send to a partner.")
    parser.add_argument("name", help="the configuration's name")
    parser.add_argument("--directory", type=Path, help="where the YAML files are")
    parser.add_argument("--stack", help="our CloudFormation stack …-data, to ask for addresses and roles")
    parser.add_argument(
        "--credential", type=Path, metavar="FILE", help="a file with the secret as Secrets Manager holds it"
    )
    parser.add_argument("--call", default="", help="the partner's contact here: a name and a number")
    parser.add_argument("--to", type=Path, default=Path("dist/partner-sheets"), help="default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        config = configuration(options.name, options.directory)
    except (ConfigError, NoConfigurationError) as error:
        sys.stderr.write(f"partner-sheet: {error}\n")
        return 2
    sections = sheet(config, _ours(config, options.stack, options.credential, options.call))
    options.to.mkdir(parents=True, exist_ok=True)
    for suffix, text in ((".md", as_markdown(sections)), (".html", as_html(sections))):
        path = options.to / f"{config.name}{suffix}"
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path} written\n")
    for missing in unknown(sections):
        sys.stdout.write(f"to be filled in: {missing}\n")
    return 0


def as_markdown(sections: Sequence[Section]) -> str:
    """The page as Markdown."""
    return "\n".join(_markdown(sections)).rstrip() + "\n"


def as_html(sections: Sequence[Section]) -> str:
    """The page as HTML, with nothing that is loaded from elsewhere."""
    title = html.escape(sections[0].title)
    body = "\n".join(_html(sections))
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def unknown(sections: Sequence[Section]) -> list[str]:
    """Where something is to be filled in."""
    found = []
    for section in sections:
        for part in section.parts:
            if isinstance(part, Table):
                found += [f"{section.title}: {row[0]}" for row in part.rows if any(FILL_IN in cell for cell in row)]
            elif FILL_IN in part:
                found.append(section.title)
    return found


def _markdown(sections: Sequence[Section]) -> Iterator[str]:
    for number, section in enumerate(sections):
        yield f"{'##' if number else '#'} {section.title}"
        yield ""
        for part in section.parts:
            if isinstance(part, Table):
                head, *rows = [[cell.replace("|", "\\|") for cell in row] for row in part.rows]
                yield f"| {' | '.join(head)} |"
                yield "|---" * len(head) + "|"
                yield from (f"| {' | '.join(row)} |" for row in rows)
            else:
                yield part
            yield ""


def _html(sections: Sequence[Section]) -> Iterator[str]:
    for number, section in enumerate(sections):
        level = "h2" if number else "h1"
        yield f"<{level}>{html.escape(section.title)}</{level}>"
        for part in section.parts:
            if isinstance(part, Table):
                rows = [
                    "".join(f"<{'td' if index else 'th'}>{_inline(cell)}</{'td' if index else 'th'}>" for cell in row)
                    for index, row in enumerate(part.rows)
                ]
                yield "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"
            elif part.startswith("    "):
                yield f"<pre>{html.escape(part.strip())}</pre>"
            else:
                yield f"<p>{_inline(part)}</p>"


def _inline(text: str) -> str:
    return re.sub(r"\*\*(.+?)\*\*", r"<mark>\1</mark>", html.escape(text))


def _ours(config: ClientConfig, stack: str | None, credential: Path | None, call: str) -> Ours:
    outputs = _outputs(stack) if stack else {}
    addresses = [value for name, value in sorted(outputs.items()) if name.startswith("OutgoingAddress")]
    roles = [outputs[name] for name in ("AirflowRole", "TransferRole") if name in outputs]
    known = addresses or list(read()[0].outgoing_addresses)
    destination = config.destination
    if destination.type == "s3":
        return Ours(known, roles, call=call)
    try:
        secret = credential_on_this_machine(destination.connection_id, credential).secret
        if destination.type == "sftp":
            from client_delivery.transfer.sftp.credentials import password_of, public_key_of

            key = public_key_of(secret)
            return Ours(known, roles, key or "", by_password=key is None and password_of(secret) is not None, call=call)
        from client_delivery.transfer.gcs.credentials import credentials_from

        account = getattr(credentials_from(secret, read()[0].gcs_endpoint), "service_account_email", None)
        return Ours(known, roles, account=str(account or ""), call=call)
    except DestinationUnavailable as error:
        sys.stdout.write(f"Our key or account is not known here: {error}\n")
        return Ours(known, roles, call=call)


def _outputs(stack: str) -> dict[str, str]:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0].get("Outputs", [])
    except (BotoCoreError, ClientError) as error:
        sys.stdout.write(f"The stack {stack} cannot be asked: {error}\n")
        return {}
    return {one["OutputKey"]: one["OutputValue"] for one in found}


if __name__ == "__main__":
    sys.exit(main())
