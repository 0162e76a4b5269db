"""A program of its own: takes an unprivileged account, ties its life to its parent's, and becomes PostgreSQL.

Run with `python -I -S launch.py UID GID PARENT PROGRAM ARGUMENTS...`. It is not done between fork and exec in
the server because Python may not run there safely once threads exist.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Replaces this process; never returns."""
    uid, gid, parent = (int(text) for text in sys.argv[1:4])
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    os.umask(0o077)
    if sys.platform == "linux":
        # After setuid, which clears it. SIGINT is PostgreSQL's fast shutdown: a clean end, with its parent.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the server was gone before its database started")
    os.execv(sys.argv[4], sys.argv[4:])


if __name__ == "__main__":
    main()
