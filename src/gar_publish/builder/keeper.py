"""A script that ends every process of a user (Linux).

    python -I -S keeper.py KEEPER

It runs as root, and its standard input is a socket. Each message that it gets is the id of a user. It kills all
processes of that user, and sends a byte, as it does when it is ready.

`kill(-1)` reaches all processes that the caller may signal: those whose real or saved user id is the real or effective
one of the caller. So, for a moment, its effective id is that of the user, and its real id is KEEPER, which no other
process has. Meanwhile the user can neither kill, stop nor trace it: its real and saved ids are others (`man 2 kill`,
`man 2 ptrace`). It reaches no process of root: it has no capabilities while its effective id is not 0.
"""

import contextlib
import os
import signal
import sys


def main(keeper: int) -> None:
    os.write(0, b".")
    while user := os.read(0, 16):
        os.setresuid(keeper, int(user), 0)
        with contextlib.suppress(ProcessLookupError):  # there is none
            os.kill(-1, signal.SIGKILL)  # all but the caller
        os.setresuid(0, 0, 0)
        os.write(0, b".")


if __name__ == "__main__":
    main(int(sys.argv[1]))
