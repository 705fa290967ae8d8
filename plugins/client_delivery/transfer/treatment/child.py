"""Encrypts what comes in by standard input to standard output: a program of its own, started by ``encryption``.

    python -I child.py FD DIRECTORY

Sequoia's binding keeps the interpreter's lock while it encrypts, some 5 CPU seconds for each GiB, and all other
transfers of the process would stand still. Keys come as JSON through the file descriptor FD, so that they are in no
argument, no environment and no file; DIRECTORY is where ``pysequoia`` is installed.
"""

import base64
import json
import os
import sys


def main() -> int:
    """The exit code: 1, with a line on standard error, if it did not work."""
    sys.path.append(sys.argv[2])
    with os.fdopen(int(sys.argv[1])) as given:
        order = json.load(given)
    try:
        import pysequoia

        signer = None
        if order["signer"] is not None:
            signer = pysequoia.Tsk.from_bytes(base64.b64decode(order["signer"])).signer(order["password"])
        pysequoia.encrypt_file(
            input="/dev/fd/0",
            output="/dev/fd/1",
            recipients=[pysequoia.Cert.from_bytes(base64.b64decode(one)) for one in order["recipients"]],
            signer=signer,
            armor=order["armor"],
        )
    except Exception as error:
        # The kind and what Sequoia says of it; keys and content are in neither.
        sys.stderr.write(f"{type(error).__name__}: {str(error).partition('Stack backtrace:')[0]}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
