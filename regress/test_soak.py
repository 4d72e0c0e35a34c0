# SPDX-License-Identifier: PostgreSQL
"""Long and heavy: many clients, many deaths, many reloads. contrib/check --full runs these."""

import os
import random
import signal
import subprocess
import threading

import pytest

from lib.pgbench import pgbench
from lib.wait import wait_for
from lib.wire import query

pytestmark = [pytest.mark.full, pytest.mark.usefixtures("many_files")]


def test_two_thousand_clients_on_ten_servers(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=10, max_client_conn=3000)
    conns = [pooler.raw() for _ in range(2000)]
    for round_number in range(3):
        for c in conns:
            c.send(query(f"SELECT {round_number}"))
        assert all(c.result().value() == str(round_number) for c in conns)
        assert len(pg.backends(db)) <= 10
    for c in conns:
        c.close()
    wait_for(lambda: pooler.pool()["cl_active"] == 0)
    lists = {r["list"]: int(r["items"]) for r in pooler.console("SHOW LISTS")}
    assert lists["used_clients"] <= 1


def test_reloads_under_pgbench(make_pooler, pg):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=5)
    assert pgbench(pg, pooler, "-i", "-q").status == 0
    stop = threading.Event()

    def reload_often():
        i = 0
        while not stop.wait(0.05):
            i += 1
            pooler.settings["query_wait_timeout"] = 100 + i
            pooler.settings["default_pool_size"] = 2 + i % 5
            pooler.reload()

    thread = threading.Thread(target=reload_often)
    thread.start()
    bench = pgbench(pg, pooler, "-c", "20", "-j", "2", "-T", "20")
    stop.set()
    thread.join()
    assert bench.status == 0, bench.output
    assert bench.failed == 0


@pytest.mark.pgweir_only
def test_pause_and_resume_under_pgbench(make_pooler, pg):
    """A login that PAUSE cut off is no failure that delays the next (PgBouncer: it is)."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=5)
    assert pgbench(pg, pooler, "-i", "-q").status == 0
    stop = threading.Event()

    def pause_often():
        while not stop.wait(0.3):
            pooler.console("PAUSE")
            pooler.console("RESUME")
            pooler.console("RECONNECT")

    thread = threading.Thread(target=pause_often)
    thread.start()
    bench = pgbench(pg, pooler, "-c", "20", "-j", "2", "-T", "20")
    stop.set()
    thread.join()
    assert bench.status == 0, bench.output
    assert bench.failed == 0


def test_clients_killed_all_the_time(make_pooler, pg, db):
    """Waves of psql are killed with SIGKILL; a steady client beside them sees nothing of it."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=4, max_client_conn=500)
    env = dict(os.environ, PGPASSWORD="x", PGSSLMODE="disable")
    rng = random.Random(7)
    steady = pooler.raw()
    for wave in range(15):
        victims = [subprocess.Popen(
            [pg.bin / "psql", "-Xq", "-h", "127.0.0.1", "-p", str(pooler.port), "-U", "alice",
             "-c", "BEGIN; SELECT pg_sleep(0.2)", db], env=env, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL) for _ in range(10)]
        steady.send(query(f"SELECT {wave}"))
        rng.shuffle(victims)
        for v in victims:
            v.send_signal(signal.SIGKILL)
            v.wait()
        assert steady.result().value() == str(wave)
    wait_for(lambda: pooler.pool()["cl_active"] == 1 and pooler.pool()["cl_waiting"] == 0)
    wait_for(lambda: len(pg.backends(db)) <= 4)
