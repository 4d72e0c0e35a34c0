# SPDX-License-Identifier: PostgreSQL
"""Which node gets a read: by weight, zone and the way it is chosen; and how much of what replicas
cannot take the primary gets."""

from collections import Counter

import pytest

from lib.nodes import row_of, seen, settle, state, where
from lib.routed import Routed
from lib.wait import stays_true, wait_for
from lib.wire import bind, execute, parse, query, sync

pytestmark = pytest.mark.pgweir_only


def tally(pooler, database, count):
    """How many of so many transactions, one after the other, each node has run."""
    with pooler.raw(dbname=database) as conn:
        return Counter(where(conn) for _ in range(count))


def warm(pooler, nodes, database="shop_ro"):
    """Until there is a connection to each of the nodes in the one worker, and it has logged in."""
    wait_for(lambda: set(tally(pooler, database, 20)) == {node.port for node in nodes})


@pytest.mark.parametrize("balance", ["least_busy", "round_robin", "random"])
def test_weight(make_shop, cluster, balance):
    one, two = cluster.nodes[1:]
    pooler = make_shop(of_nodes={str(two): {"weight": "3"}}, worker_threads=1, balance=balance)
    settle(pooler)
    warm(pooler, [one, two])
    got = tally(pooler, "shop_ro", 200)
    assert got[one.port] + got[two.port] == 200
    # A connection may be asking what there is in the database when its turn comes.
    margin = 4 if balance == "round_robin" else 30
    assert 150 - margin <= got[two.port] <= 150 + margin
    assert int(row_of(pooler, one)["busy"]) == 0


def test_latency(make_shop, cluster):
    """All are about as near; what is measured is shown."""
    one, two = cluster.nodes[1:]
    pooler = make_shop(worker_threads=1, balance="latency")
    settle(pooler)
    assert seen(pooler, "shop_ro") <= {one.port, two.port}
    for node in cluster.nodes:
        assert 0 < int(row_of(pooler, node)["trip_us"]) < 2_000_000


def test_zone(make_shop, cluster):
    primary, near, far = cluster.nodes
    pooler = make_shop(of_cluster={"zone": "a"}, slow_start="0", max_lag="300ms",
                       of_nodes={str(near): {"zone": "a"}, str(far): {"zone": "b", "weight": "1000"}})
    settle(pooler)
    assert seen(pooler, "shop_ro", 20) == {near.port}
    assert row_of(pooler, near)["zone"] == "a"
    # Others while none of the zone is to be had.
    pooler.console(f"DRAIN {near}")
    wait_for(lambda: seen(pooler, "shop_ro", 4) == {far.port})
    pooler.console(f"DRAIN {far}")
    wait_for(lambda: seen(pooler, "shop_ro", 4) == {primary.port})
    pooler.console(f"UNBAN {far}")
    wait_for(lambda: seen(pooler, "shop_ro", 4) == {far.port})
    pooler.console(f"UNBAN {near}")
    wait_for(lambda: seen(pooler, "shop_ro", 4) == {near.port})


def test_full_pool_of_another_zone_makes_room(make_shop, cluster):
    """Connections that were made while the zone had nobody do not keep it from its work."""
    near, far = cluster.nodes[1:]
    pooler = make_shop(zone="a", slow_start="0", default_pool_size=4, worker_threads=1,
                       of_nodes={str(near): {"zone": "a"}, str(far): {"zone": "b"}})
    settle(pooler)
    pooler.console(f"DRAIN {near}")
    wait_for(lambda: seen(pooler, "shop_ro", 4) == {far.port})
    assert row_of(pooler, far)["links"] == "4"
    pooler.console(f"UNBAN {near}")
    assert seen(pooler, "shop_ro", 4) == {near.port}


def test_zone_of_split_reads(make_shop, cluster):
    near, far = cluster.nodes[1:]
    routed = Routed.begin(cluster, make_shop, zone="a",
                          of_nodes={str(near): {"zone": "a"}, str(far): {"zone": "b"}})
    with routed.pooler.raw(dbname="shop") as conn:
        for _ in range(10):
            assert routed.query(conn, "SELECT 1")[1] == [near.name]


def test_slow_start(make_shop, cluster):
    """What comes back has little to do at first."""
    one, two = cluster.nodes[1:]
    pooler = make_shop(worker_threads=1, slow_start="1h")
    settle(pooler)
    warm(pooler, [one, two])
    wait_for(lambda: row_of(pooler, two)["share"] == "100")
    pooler.console(f"DRAIN {two}")
    wait_for(lambda: row_of(pooler, two)["links"] == "0")
    pooler.console(f"UNBAN {two}")
    assert row_of(pooler, two)["share"] == "1"
    assert tally(pooler, "shop_ro", 100)[two.port] <= 10
    pooler.settings["slow_start"] = "0"
    pooler.reload()
    wait_for(lambda: row_of(pooler, two)["share"] == "100")
    warm(pooler, [one, two])
    assert tally(pooler, "shop_ro", 100)[two.port] >= 30


# ---- what no replica can run ----

# A setting of the nodes that pgweir takes for one of the session.
NODE = "SELECT current_setting('app.node')"


@pytest.fixture
def named(cluster):
    for node in cluster.nodes:
        with open(node.data / "postgresql.auto.conf", "a", encoding="utf-8") as conf:
            conf.write(f"app.node = '{node.name}'\n")
        node.execute("SELECT pg_reload_conf()")
    return cluster


def node_of(conn):
    result = conn.query(NODE)
    return result.error.code if result.error else result.value()


def lag(pooler, named, replicas=None):
    """They replay nothing any more, and are known to lag."""
    replicas = replicas or named.nodes[1:]
    for node in replicas:
        node.execute("SELECT pg_wal_replay_pause()")
    wait_for(lambda: named.nodes[0].execute("INSERT INTO t VALUES (1)") == [] and
             all(state(pooler, node) == "lagging" for node in replicas))


def resume(pooler, named):
    for node in named.nodes[1:]:
        node.execute("SELECT pg_wal_replay_resume()")
    settle(pooler)


def begin_lagging(named, make_shop, **settings):
    routed = Routed.begin(named, make_shop, max_lag="300ms", slow_start="0", **settings)
    lag(routed.pooler, named)
    return routed


def test_fallback(named, make_shop):
    routed = begin_lagging(named, make_shop)
    with routed.pooler.raw(dbname="shop") as conn:
        before = routed.routes()
        assert [node_of(conn) for _ in range(5)] == ["primary"] * 5
        after = routed.routes()
        assert after["overflow"] == before.get("overflow", 0) + 5
        assert after["read"] == before["read"]
    resume(routed.pooler, named)
    with routed.pooler.raw(dbname="shop") as conn:
        assert node_of(conn) in ("replica1", "replica2")


def refused(conn):
    """Who asks nothing but replicas is sent away."""
    conn.send(query(NODE))
    return conn.expect_fatal()


@pytest.mark.parametrize("database", ["shop", "shop_ro"])
def test_never(named, make_shop, database):
    """It waits for a replica and fails; where there are writes too the session goes on."""
    routed = Routed.begin(named, make_shop, max_lag="300ms", primary_reads="never", no_primary_wait="1s")
    conn = routed.pooler.raw(dbname=database)
    lag(routed.pooler, named)
    if database == "shop":
        assert conn.query("INSERT INTO t VALUES (2)").error is None
    error = conn.query(NODE).error if database == "shop" else refused(conn)
    assert error.code == "57P03" and "no replica" in error.message
    assert "SHOW NODES" in error.fields["H"] and "primary_reads" in error.fields["D"]
    if database == "shop":
        assert conn.query("INSERT INTO t VALUES (3)").error is None
        assert conn.query(f"/* pgweir: primary */ {NODE}").value() == "primary"
        routes = routed.routes()
        assert routes["no replica"] == 1 and "overflow" not in routes
    resume(routed.pooler, named)
    with routed.pooler.raw(dbname=database) as conn:
        assert node_of(conn) in ("replica1", "replica2")


def test_never_waits_for_own_writes(named, make_shop):
    """No replica has them: not a row of before them, nor the primary."""
    routed = Routed.begin(named, make_shop, primary_reads="never", max_lag="0", no_primary_wait="1min")
    for node in named.nodes[1:]:
        node.execute("SELECT pg_wal_replay_pause()")
    with routed.pooler.raw(dbname="shop") as conn:
        conn.query("INSERT INTO t VALUES (41)")
        mark, text = routed.mark("SELECT count(*) FROM t WHERE v = 41")
        conn.send(query(text))
        assert stays_true(lambda: routed.where(mark) == [], 0.5)
        named.nodes[1].execute("SELECT pg_wal_replay_resume()")
        assert conn.result().value() == "1"
        assert routed.where(mark) == ["replica1"]


def test_never_with_nobody_to_wait_for(named, make_shop):
    routed = begin_lagging(named, make_shop, primary_reads="never", no_primary_wait="10min",
                           all_lagging="error")
    with routed.pooler.raw(dbname="shop") as conn:
        assert node_of(conn) == "57P03"
        result = conn.run(parse("", NODE), bind(), execute(), sync())
        assert result.error.code == "57P03" and result.status == "I"
        # A transaction that was told to have begun ends with its session.
        conn.query("BEGIN READ ONLY")
        conn.send(query(NODE))
        assert conn.expect_fatal().code == "57P03"


def test_never_when_a_replica_dies(named, make_shop):
    """What it ran is read again by the other one."""
    routed = Routed.begin(named, make_shop, primary_reads="never")
    with routed.pooler.raw(dbname="shop") as conn:
        mark, text = routed.mark("SELECT current_setting('app.node'), pg_sleep(1)")
        conn.send(query(text))
        first = wait_for(lambda: routed.where(mark))
        next(node for node in named.nodes if node.name == first[0]).kill()
        second = conn.result().value()
        assert {first[0], second} == {"replica1", "replica2"}


@pytest.mark.parametrize("database", ["shop", "shop_ro"])
def test_always(named, make_shop, database):
    """The primary is one of three, with half of the weight."""
    primary = named.nodes[0]
    routed = Routed.begin(named, make_shop, primary_reads="always", worker_threads=1,
                          consistency="eventual", balance="round_robin", of_nodes={str(primary): {"weight": "2"}})

    def shares():
        with routed.pooler.raw(dbname=database) as conn:
            return Counter(node_of(conn) for _ in range(40))
    wait_for(lambda: len(shares()) == 3)
    got = shares()
    assert 18 <= got["primary"] <= 22 and 8 <= got["replica1"] <= 12
    lag(routed.pooler, named, named.nodes[1:2])
    assert "replica1" not in shares()
