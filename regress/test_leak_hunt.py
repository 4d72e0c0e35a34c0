# SPDX-License-Identifier: PostgreSQL
"""Sixty-four clients with sessions of their own on a pool of twelve: no statement ever runs as
another's role, for another's tenant, or in another's search_path, whatever fails, is cancelled,
vanishes or is killed meanwhile. See lib/hunter.py for what they do."""

import collections
import multiprocessing
import random
import time
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, ThreadPoolExecutor, wait

import pytest

from lib.hunter import CLIENTS, Hunter, State
from lib.pooler import die_with_parent

pytestmark = pytest.mark.pgweir_only

PROCESSES = 4
LINKS = 12


def prepare(pg, db):
    """Roles stay for other tests of the run."""
    roles = [f"hunter_{n}" for n in range(CLIENTS)]
    with pg.connect(db) as c:
        for role in roles:
            c.execute(f"DO $$ BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object"
                      " OR unique_violation THEN END $$")
        c.execute(f"GRANT {', '.join(roles)} TO alice")
        c.execute("CREATE UNLOGGED TABLE seen (client int, expected text, seen text, leak bigint);"
                  "CREATE SEQUENCE leaks; CREATE TABLE own AS SELECT -1 AS n;"
                  "GRANT ALL ON seen, leaks, own TO public")
        for n in range(CLIENTS):
            c.execute(f"CREATE SCHEMA s{n}; GRANT ALL ON SCHEMA s{n} TO public;"
                      f"CREATE TABLE s{n}.own AS SELECT {n} AS n; GRANT ALL ON s{n}.own TO public")


def begin(must_end):
    """In a process of its own."""
    die_with_parent()
    Hunter.must_end = must_end


def hunt_together(numbers, *args):
    hunters = [Hunter(n, *args[:-1]) for n in numbers]
    with ThreadPoolExecutor(len(hunters)) as executor:
        running = [executor.submit(h.hunt, args[-1]) for h in hunters]
        if any(r.exception() for r in wait(running, return_when=FIRST_EXCEPTION).done):
            Hunter.must_end.set()
    return sum((r.result() for r in running), collections.Counter())


def kill_backends(pg, db, running, must_end, seconds):
    """One now and then, until all hunters are home."""
    kills, begun = 0, time.monotonic()
    while wait(running, random.random() * 2).not_done:
        kills += pg.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity"
            " WHERE datname = %s AND usename = 'alice' ORDER BY random() LIMIT 1) x", (db,))[0][0]
        if seconds and time.monotonic() > begun + seconds:
            must_end.set()
    return kills


def hunt(make_pooler, pg, db, transactions, seconds=None):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    prepare(pg, db)
    pooler = make_pooler(pool_mode="transaction", default_pool_size=LINKS, worker_threads=2,
                         session_state="track", max_pinned_share=0)
    with pg.raw("alice", db) as conn:
        fresh = State("alice", "", *(conn.query(f"SHOW {name}").value() for name in
                                     ("search_path", "TimeZone", "statement_timeout")))
    must_end, begun = multiprocessing.Event(), time.monotonic()
    with ProcessPoolExecutor(PROCESSES, initializer=begin, initargs=(must_end,)) as executor:
        running = [executor.submit(hunt_together, range(i, CLIENTS, PROCESSES), pooler.port, db,
                                   fresh, seed, transactions // CLIENTS)
                   for i in range(PROCESSES)]
        kills = kill_backends(pg, db, running, must_end, seconds)
        counts = sum((r.result() for r in running), collections.Counter())
    print(counts, "kills", kills, "seconds", time.monotonic() - begun)
    judge(pg, db)
    assert counts["lost"] <= kills
    return counts


def judge(pg, db):
    with pg.connect(db) as c:
        wrong = c.execute("SELECT client, expected, seen FROM seen WHERE seen <> expected"
                          " OR leak IS NOT NULL LIMIT 5").fetchall()
        assert wrong == []
        # What was rolled back, or whose client was not there any more.
        assert c.execute("SELECT is_called FROM leaks").fetchone() == (False,)


def test_leak_hunt_in_short(make_pooler, pg, db):
    counts = hunt(make_pooler, pg, db, 10_000_000, 15)
    assert counts["transactions"] > 1000


@pytest.mark.full
def test_leak_hunt(make_pooler, pg, db):
    counts = hunt(make_pooler, pg, db, 1_000_000)
    assert counts["transactions"] >= 1_000_000
