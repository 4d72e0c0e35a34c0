# SPDX-License-Identifier: PostgreSQL
"""What the Python programs share: how they print, so that two runs can be compared."""

import sys


def show(what, *values):
    print(what, *(repr(value) for value in values), flush=True)


def run(topics):
    """Those that the command line names, or all. One that breaks says so, and the next one begins."""
    for topic in topics:
        if not sys.argv[1:] or topic.__name__ in sys.argv[1:]:
            print("==", topic.__name__, flush=True)
            try:
                topic()
            except Exception as e:
                show("broken", type(e).__name__, str(e))
