"""nginx before a server without TLS: a peer's TLS server is written in C, and so is this one.

The servers here are Python's. With TLS they take more of the two cores than any contender, and nobody would learn what
the contenders take.
"""

from __future__ import annotations

import os
from pathlib import Path

from local.ports import free_port
from local.process import find_program, start, stop
from local.wait import wait_for_port

_CONFIG = """
{user}
daemon off;
pid {directory}/nginx.pid;
error_log stderr;
worker_processes 2;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  upstream behind {{ server 127.0.0.1:{to}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {pem};
    ssl_certificate_key {pem};
    ssl_protocols TLSv1.2 TLSv1.3;
    keepalive_requests 1000000;
    client_max_body_size 0;
    client_body_buffer_size 256k;
    location / {{
      proxy_pass http://behind;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
      proxy_request_buffering off;
      proxy_buffers 8 256k;
      proxy_busy_buffers_size 512k;
      proxy_max_temp_file_size 0;
      proxy_redirect http:// https://;
    }}
  }}
}}
"""


def find_nginx() -> str | None:
    """Where nginx is, or None."""
    return find_program("nginx")


class TlsFront:
    """An nginx of its own, which passes on what it decrypts.

    :param pem: its key and certificate.
    :param to: the port of the server without TLS.
    """

    def __init__(self, directory: Path, pem: Path, to: int) -> None:
        nginx = find_nginx()
        if nginx is None:
            raise RuntimeError("nginx is not installed (Debian and Ubuntu: apt install nginx-light)")
        directory.mkdir(parents=True)
        self.port = free_port()
        config, log = directory / "nginx.conf", directory / "nginx.log"
        user = "user root;" if os.geteuid() == 0 else ""  # the directory is not for others
        config.write_text(_CONFIG.format(user=user, directory=directory, port=self.port, pem=pem, to=to))
        self._process = start([nginx, "-c", str(config), "-p", str(directory)], log=log)
        wait_for_port(self.port, self._process, log)

    def stop(self) -> None:
        """End it."""
        stop(self._process)
