# SPDX-License-Identifier: PostgreSQL
"""Clients that read again and again without a pause, in which a replica would show that it has what they have read."""

import threading

import pytest

from lib.routed import Routed
from lib.wait import TIME_FACTOR, wait_for
from lib.wire import query

pytestmark = pytest.mark.pgweir_only
READ = "SELECT count(*) FROM t"


def reads(pooler):
    """On replicas, and on the primary for what had to be seen."""
    rows = {row["reason"]: int(row["requests"]) for row in pooler.console("SHOW ROUTES")
            if row["database"] == "shop"}
    return rows["read"], rows["unseen"]


class Restless(threading.Thread):
    """Reads on one connection, on which there is always more to be read."""

    def __init__(self, conn):
        super().__init__(daemon=True)
        self.conn, self.is_over, self.wrong = conn, False, 0

    def run(self):
        self.conn.send(query(READ) * 400)
        while not self.is_over:
            self.conn.send(query(READ) * 100)
            self.wrong += sum(self.conn.result().value() != "1" for _ in range(100))
        self.wrong += sum(self.conn.result().value() != "1" for _ in range(400))


def test_it_is_let_go(make_shop, cluster):
    """It does not stay on the primary for having read there once: it is made to pause."""
    pooler = Routed.begin(cluster, make_shop).pooler
    conn = pooler.raw(dbname="shop")
    conn.query("INSERT INTO t VALUES (1)")
    before = reads(pooler)[0]
    reader = Restless(conn)
    reader.start()
    # A pause that was too short is made good by the next, ten seconds later.
    try:
        wait_for(lambda: reads(pooler)[0] > before + 10, 14 * TIME_FACTOR)
    finally:
        reader.is_over = True
        reader.join()
    assert reader.wrong == 0


@pytest.mark.parametrize("consistency", ["session", "monotonic"])
def test_cold_pool(make_shop, cluster, consistency):
    """What a new connection has is not known yet: whoever is to read on it waits for that, and not on the primary."""
    pooler = Routed.begin(cluster, make_shop, consistency=consistency).pooler
    conns = [pooler.raw(dbname="shop") for _ in range(8)]

    def read(conn):
        for _ in range(150):
            conn.query(READ)

    def share():
        before = reads(pooler)
        pooler.console("RECONNECT")
        threads = [threading.Thread(target=read, args=(conn,)) for conn in conns]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        on_replicas, on_primary = (now - then for now, then in zip(reads(pooler), before))
        assert on_replicas + on_primary <= len(conns) * 150
        return on_replicas / (len(conns) * 150)

    # A machine that is slow may keep a round for longer than they wait.
    shares = [share() for _ in range(5)]
    assert sorted(shares)[3] > 0.8, shares
