"""Google's token services, as :mod:`local.gcs` plays them: OAuth, the Security Token Service, and IAM Credentials."""

from __future__ import annotations

import json
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote

from local.gcs_handler import GcsHandler
from local.http_stand_in import StandInError

_LIFETIME = 3600


class TokenApi(GcsHandler):
    """Who may get a token, and for what."""

    def route_token(self, path: str) -> tuple[str, Any] | None:
        """Which call this is; None if it is none for a token."""
        if path == "/token":
            return "token", self._by_key
        if path == "/v1/token":
            return "sts.ExchangeToken", self._by_federation
        if found := re.fullmatch(r"/v1/projects/-/serviceAccounts/([^/:]+):generateAccessToken", path):
            return "iam.GenerateAccessToken", lambda: self._as_another(unquote(found[1]))
        return None

    def _by_key(self) -> None:
        form = self._form()
        if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" or (
            form.get("assertion", "").count(".") != 2
        ):
            self.json(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
            return
        self.json(200, {"access_token": self._issued(), "expires_in": _LIFETIME, "token_type": "Bearer"})

    def _by_federation(self) -> None:
        form = self._form()
        try:
            told = json.loads(unquote(form["subject_token"]))
            headers = {header["key"].lower(): header["value"] for header in told["headers"]}
            audience = headers["x-goog-cloud-target-resource"]
        except (KeyError, ValueError, TypeError):
            self.json(400, {"error": "invalid_request", "error_description": "Unable to parse subject_token."})
            return
        signed = re.match(r"AWS4-HMAC-SHA256 Credential=([^/]+)/", headers.get("authorization", ""))
        if not signed or audience != form.get("audience"):
            self.json(403, {"error": "invalid_grant", "error_description": "The audience in AWS's token is another."})
            return
        self.server.federated.append(signed[1])
        self.json(200, {"access_token": self._issued(), "expires_in": _LIFETIME, "token_type": "Bearer"})

    def _as_another(self, account: str) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.server.tokens:
            raise StandInError(401, "UNAUTHENTICATED", "Invalid Credentials")
        asked = json.loads(self.body())
        seconds = int(asked["lifetime"].removesuffix("s"))
        ends = datetime.now(UTC) + timedelta(seconds=seconds)
        self.server.impersonated.append((account, seconds))
        self.json(200, {"accessToken": self._issued(), "expireTime": f"{ends:%Y-%m-%dT%H:%M:%SZ}"})

    def _form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body().decode()))

    def _issued(self) -> str:
        token = f"local.{secrets.token_urlsafe(24)}"
        self.server.tokens.add(token)
        return token

    def fail_token(self, error: StandInError) -> None:
        """In the words of the service that was asked."""
        if ":generateAccessToken" in self.path:
            self.json(error.status, {"error": {"code": error.status, "message": str(error), "status": error.code}})
        else:
            self.json(error.status, {"error": error.code, "error_description": str(error)})
