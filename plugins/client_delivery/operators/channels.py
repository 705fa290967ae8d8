"""What Airflow's connections open for the channels of ``notify``: how messages are sent is in ``run/channels``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk.log import mask_secret

from client_delivery.run.channels import sending
from client_delivery.run.channels.attempt import CONNECT_SECONDS, Address, trouble

if TYPE_CHECKING:
    from requests import Session

    from client_delivery.config.notify import NotifyRule
    from client_delivery.notify.brief import Brief


def send(rule: NotifyRule, brief: Brief, seconds: float) -> None:
    """As :func:`client_delivery.run.channels.sending.send`, by Airflow's hooks."""
    sending.send(rule, brief, seconds, _AirflowHooks())


class _AirflowHooks:
    """See :class:`client_delivery.run.channels.attempt.Hooks`."""

    def address(self, rule: NotifyRule) -> Address:
        from airflow.sdk.bases.hook import BaseHook
        from airflow.sdk.exceptions import AirflowNotFoundException

        try:
            connection = BaseHook.get_connection(str(rule.connection_id))
        except AirflowNotFoundException:
            raise trouble(
                rule,
                f"there is no Airflow connection {rule.connection_id!r}; expected it in Secrets Manager as "
                f"airflow/connections/{rule.connection_id}",
            ) from None
        except Exception as error:  # the parser's message may quote the secret
            raise trouble(rule, f"its Airflow connection cannot be read ({type(error).__name__})") from None
        for value in (connection.password, connection.host):
            if value:
                mask_secret(value)
                mask_secret(urlsplit(value).path)
        return Address(connection.password or "", connection.host or "")

    def session(self, rule: NotifyRule) -> Session:
        from airflow.providers.http.hooks.http import HttpHook

        try:
            # What the connection says of proxies, certificates and headers holds; the address is ours to choose.
            session: Session = HttpHook(method="POST", http_conn_id=str(rule.connection_id)).get_conn()
        except Exception as error:  # it may quote the address
            raise trouble(rule, f"its Airflow connection cannot be used ({type(error).__name__})") from None
        return session

    def aws(self, connection_id: str | None, service: str, region: str | None, seconds: float) -> Any:
        if connection_id is None:
            # Airflow's hook would do the same after seconds of CPU: it asks for the hooks of all providers.
            from client_delivery.access.aws import messaging_client

            return messaging_client(service, region, seconds)
        from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
        from botocore.config import Config

        config = Config(
            connect_timeout=min(CONNECT_SECONDS, seconds), read_timeout=seconds, retries={"total_max_attempts": 1}
        )
        return AwsBaseHook(connection_id, client_type=service, config=config, region_name=region).get_conn()
