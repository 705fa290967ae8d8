#!/usr/bin/env python3
"""Health check of an Airflow component, from the heartbeat that it leaves in the database: healthy scheduler.

`airflow jobs check` says the same, but imports all of Airflow each time.
"""

import json
import sys
from urllib.request import urlopen

with urlopen("http://api-server:8080/api/v2/monitor/health", timeout=10) as answer:
    status = json.load(answer)[sys.argv[1]]["status"]
sys.exit(status != "healthy")
