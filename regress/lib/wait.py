# SPDX-License-Identifier: PostgreSQL
"""Waiting for conditions. Tests never sleep for a fixed time: they wait for what must happen."""

import os
import time

# A sanitizer makes everything slower: its build is given more time, never less to do.
TIME_FACTOR = float(os.environ.get("PW_TIME_FACTOR", "1"))
TIMEOUT = 10 * TIME_FACTOR


def wait_for(predicate, timeout=10, what=None):
    """Calls predicate until it returns something true, and returns that."""
    end = time.monotonic() + timeout * TIME_FACTOR
    pause = 0.002
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what or predicate}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def stays_true(predicate, seconds):
    """True when predicate holds at every look during that time: for what must not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not predicate():
            return False
        time.sleep(0.01)
    return bool(predicate())
