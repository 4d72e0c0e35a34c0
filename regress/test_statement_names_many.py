# SPDX-License-Identifier: PostgreSQL
"""A client with as many prepared statements as it may have keeps nobody waiting for long."""

import threading
import time

import pytest

from lib.wait import TIME_FACTOR
from lib.wire import parse, sync

pytestmark = pytest.mark.pgweir_only

MANY = 20000
PATIENCE = 0.5 * TIME_FACTOR  # seconds; several, with names that are looked for one behind the other


def longest_wait(conn, stop):
    longest = 0.0
    while not stop.is_set():
        begun = time.monotonic()
        assert conn.query("SELECT 1").value() == "1"
        longest = max(longest, time.monotonic() - begun)
    return longest


@pytest.mark.timeout(120)
def test_others_are_served_meanwhile(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, session_state="track",
                         worker_threads=1)
    a, b = pooler.raw("bob"), pooler.raw("bob")
    for begin in range(0, MANY, 500):
        a.run(*(parse(f"s{i}", f"SELECT {i % 100}") for i in range(begin, begin + 500)), sync())
    waits, stop = [], threading.Event()
    thread = threading.Thread(target=lambda: waits.append(longest_wait(b, stop)))
    thread.start()
    count = a.query("SELECT count(*) FROM pg_prepared_statements").value()
    seen = a.query("EXECUTE s7").value()
    stop.set()
    thread.join()
    assert (int(count), seen) == (MANY, "7")
    assert waits[0] < PATIENCE
