# SPDX-License-Identifier: PostgreSQL
"""Two pgweir in front of one cluster: what a session of one has written, a session of the other sees that
has its token."""

from collections import Counter

import pytest

from lib.nodes import settle
from lib.routed import REPLICAS, Routed
from lib.wait import wait_for

pytestmark = pytest.mark.pgweir_only
COUNT = "SELECT count(*) FROM t"
ASKED = 20


@pytest.fixture
def shop(make_shop, cluster):
    return Routed.begin(cluster, make_shop, max_lag="1min")


@pytest.fixture
def make_other(make_shop, shop):
    """A process of its own, which has heard of nothing that the first one was asked."""
    def make(consistency):
        pooler = make_shop(routing="split", max_lag="1min", consistency=consistency)
        settle(pooler)
        with pooler.raw(dbname="shop") as conn:
            wait_for(lambda: shop.query(conn, "SELECT 1")[1] in REPLICAS)
        assert pooler.pid != shop.pooler.pid
        return pooler
    return make


def write(shop):
    with shop.pooler.raw(dbname="shop") as conn:
        assert conn.query("INSERT INTO t VALUES (1)").error is None
        return conn.query("SHOW pgweir.lsn").value()


def reader(pooler, how, token):
    if how == "options":
        return pooler.raw(dbname="shop", options=f"-c pgweir.lsn={token}")
    conn = pooler.raw(dbname="shop")
    if token:
        assert conn.query(f"SET pgweir.lsn = '{token}'").error is None
    return conn


@pytest.mark.parametrize("consistency", ["session", "monotonic"])
@pytest.mark.parametrize("how", ["SET", "options"])
@pytest.mark.parametrize("paused", [1, 2])
def test_token_of_another_pgweir(shop, make_other, paused, how, consistency):
    """With it, no read goes where replay waits; without it, some do, and see less."""
    other = make_other(consistency)
    waiting, others = shop.cluster.nodes[1:1 + paused], shop.cluster.nodes[1 + paused:]
    for node in waiting:
        node.execute("SELECT pg_wal_replay_pause()")
    names = [[node.name] for node in waiting]
    token = write(shop)
    if others:
        shop.cluster.catch_up(replicas=others)
    less = Counter()
    for _ in range(ASKED):
        for given in ("", token):
            conn = reader(other, how, given)
            result, where = shop.query(conn, COUNT)
            assert result.value() == ("0" if where in names else "1"), (given, where)
            less[given] += where in names
            conn.close()
    assert less[token] == 0
    # So that it was the token that made them see it.
    assert less[""] > 0
    conn = reader(other, how, token)
    for node in waiting:
        node.execute("SELECT pg_wal_replay_resume()")
    wait_for(lambda: shop.query(conn, COUNT)[1] in names)
    assert conn.query(COUNT).value() == "1"
