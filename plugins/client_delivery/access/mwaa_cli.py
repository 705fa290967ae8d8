"""Airflow's own commands on MWAA, by its CLI endpoint."""

from __future__ import annotations

import base64

_SECONDS = 600
"""A command that takes longer has been given up by the load balancer before that; it goes on nevertheless."""


class CommandTrouble(Exception):
    """It is not known that the command was carried out. The message says why, and quotes no token."""


def airflow_command(environment: str, command: str) -> str:
    """Run one command of Airflow's on the web server of an MWAA environment; returns what it printed.

    Raises :class:`CommandTrouble`.
    """
    import boto3
    import requests

    token = boto3.client("mwaa").create_cli_token(Name=environment)  # good for a minute: a new one each time
    try:
        response = requests.post(
            f"https://{token['WebServerHostname']}/aws_mwaa/cli",
            headers={"Authorization": f"Bearer {token['CliToken']}", "Content-Type": "text/plain"},
            data=command,
            timeout=_SECONDS,
        )
    except requests.RequestException as error:
        # Without the request, whose header has the token.
        raise CommandTrouble(f"MWAA's CLI endpoint: {type(error).__name__}; the next try repeats it.") from None
    if response.status_code != requests.codes.ok:
        raise CommandTrouble(
            f"MWAA's CLI endpoint responded {response.status_code} to {command.split()[:2]}: "
            f"{response.text[:500]}. The command may still be running; the next try repeats it."
        )
    printed = response.json()
    texts = (base64.b64decode(printed.get(stream, "")) for stream in ("stdout", "stderr"))
    return "\n".join(text.decode("utf-8", "replace") for text in texts)
