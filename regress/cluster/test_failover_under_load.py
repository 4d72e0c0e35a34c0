# SPDX-License-Identifier: PostgreSQL
"""The primary is killed ten times while clients write and read: what was acknowledged is there, no
node that is not followed gets a write, writers go on soon, and readers are never refused."""

import threading
import time

import pytest

from lib.nodes import settle, state
from lib.wait import TIME_FACTOR, wait_for
from lib.wire import Closed, PgError

pytestmark = [pytest.mark.pgweir_only, pytest.mark.full]
WRITERS, READERS, FAILOVERS = 6, 3, 10


class Load:
    def __init__(self, pooler):
        self.pooler = pooler
        self.is_over = False
        self.acknowledged, self.refused, self.last_ack = set(), [], 0.0
        self.threads = [threading.Thread(target=self.write, args=(i,)) for i in range(WRITERS)]
        self.threads += [threading.Thread(target=self.read) for _ in range(READERS)]

    def connection(self):
        conn = self.pooler.raw(dbname="shop")
        conn.sock.settimeout(90)
        return conn

    def write(self, writer):
        conn, n = None, 0
        while not self.is_over:
            n += 1
            try:
                conn = conn or self.connection()
                result = conn.query(f"INSERT INTO written VALUES ({writer}, {n})")
                if result.error:
                    raise result.error
                self.acknowledged.add((writer, n))
                self.last_ack = time.monotonic()
            except (Closed, PgError, OSError):
                # In flight when the primary was lost: it may be there or not.
                conn = None

    def read(self):
        conn, seen = None, 0
        while not self.is_over:
            try:
                conn = conn or self.connection()
                got = int(conn.query("SELECT count(*) FROM written").value())
                if got < seen:
                    self.refused.append(f"{got} rows behind {seen}")
                seen = got
            except (Closed, PgError, OSError) as e:
                # One that was on the primary is lost with that; and begins anew.
                if isinstance(e, PgError) and e.code not in ("57P01", "08P01", "08006"):
                    self.refused.append(e)
                conn, seen = None, 0
            time.sleep(0.02)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        for t in self.threads:
            t.join()


def received(node):
    lsn = node.execute("SELECT pg_last_wal_receive_lsn()")[0][0]
    return tuple(int(part, 16) for part in lsn.split("/"))


def has_standby(node):
    return node.execute("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")[0][0] > 0


def come_back_writable(pooler, old):
    """The lost primary takes writes again: it is fenced, and gets none."""
    old.start()
    wait_for(lambda: state(pooler, old) == "fenced")
    count = "SELECT count(*) FROM written"
    before = old.execute(count)
    time.sleep(0.5)
    assert old.execute(count) == before
    old.kill()


def fail_over(pooler, load, nodes, round_number):
    """Returns the nodes, the new primary first, and how long writers have waited."""
    primary, *standbys = nodes
    wait_for(lambda: has_standby(primary))
    primary.kill()
    new, other = sorted(standbys, key=received, reverse=True)
    new.promote()
    other.follow(new)
    other.restart()
    wait_for(lambda: has_standby(new))
    began = time.monotonic()
    wait_for(lambda: load.last_ack > began)
    waited = load.last_ack - began
    if round_number % 2:
        come_back_writable(pooler, primary)
    primary.copy(new)
    primary.start()
    wait_for(lambda: state(pooler, primary) == "ready" and state(pooler, other) == "ready")
    return [new, other, primary], waited


def test_ten_failovers(make_shop, cluster):
    primary = cluster.nodes[0]
    primary.execute("CREATE TABLE written (writer int, n int); GRANT ALL ON written TO public")
    cluster.catch_up()
    for node in cluster.nodes:
        node.execute("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'")
        node.execute("SELECT pg_reload_conf()")
    pooler = make_shop(routing="split", no_primary_wait="1min", max_lag="10s")
    settle(pooler)
    nodes, waits = cluster.nodes, []
    with Load(pooler) as load:
        wait_for(lambda: len(load.acknowledged) > 50)
        for i in range(FAILOVERS):
            nodes, waited = fail_over(pooler, load, nodes, i)
            waits.append(waited)
    print(f"{len(load.acknowledged)} writes, waits {[round(w, 2) for w in waits]}")
    there = set(nodes[0].execute("SELECT writer, n FROM written"))
    assert not load.acknowledged - there
    assert max(waits) < 2 * TIME_FACTOR, waits
    assert not load.refused, load.refused[:5]
