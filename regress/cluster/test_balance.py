# SPDX-License-Identifier: PostgreSQL
"""Which node gets a read: by weight, zone and the way it is chosen; and how much of what replicas
cannot take the primary gets."""

import select
import threading
import time
from collections import Counter

import pytest

from lib.nodes import row_of, seen, settle, state, states, where
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
    assert [int(row_of(pooler, node)["others"]) for node in (one, two)] == [0, 0]
    assert all(int(row_of(pooler, node)["reads"]) >= got[node.port] for node in (one, two))


def test_counts_of_reads_and_others(make_shop, cluster):
    primary = cluster.nodes[0]
    pooler = make_shop()
    settle(pooler)
    before = int(row_of(pooler, primary)["others"])
    with pooler.raw(dbname="shop") as conn:
        for _ in range(5):
            conn.query("INSERT INTO t VALUES (1)")
    row = row_of(pooler, primary)
    assert (int(row["others"]) - before, row["reads"]) == (5, "0")


def test_latency(make_shop, make_proxy, cluster):
    """The one that is far away gets nothing, until it is as near as the other."""
    primary, near, far = cluster.nodes
    proxy = make_proxy(far.port)
    proxy.slow(0.01)
    address = f"127.0.0.1:{proxy.port}"
    pooler = make_shop(nodes=[primary, near, address], worker_threads=1, balance="latency", slow_start="0")
    settle(pooler)
    for node in (primary, near, address):
        assert 0 < int(row_of(pooler, node)["trip_us"]) < 2_000_000
    wait_for(lambda: int(row_of(pooler, address)["trip_us"]) > 15_000 > int(row_of(pooler, near)["trip_us"]))
    warm(pooler, [near])
    assert tally(pooler, "shop_ro", 60) == {near.port: 60}
    # It is for that alone.
    pooler.settings["balance"] = "round_robin"
    pooler.reload()
    warm(pooler, [near, far])
    pooler.settings["balance"] = "latency"
    pooler.reload()
    wait_for(lambda: tally(pooler, "shop_ro", 30) == {near.port: 30})
    proxy.slow(0)
    warm(pooler, [near, far])


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


def test_newcomer_starts_slowly(make_shop, cluster):
    """A replica that a reload adds has a cold memory; those that were there are left as they are."""
    primary, one, two = cluster.nodes
    pooler = make_shop(nodes=[primary, one], slow_start="1h")
    wait_for(lambda: sorted(states(pooler)) == ["primary", "ready"])
    pooler.sections["clusters"]["shop"]["nodes"] = " ".join(str(n) for n in cluster.nodes)
    pooler.reload()
    settle(pooler)
    assert [row_of(pooler, node)["share"] for node in (one, two)] == ["100", "1"]


def test_back_under_load(make_shop, cluster):
    """Connections move to it though none is ever idle."""
    two = cluster.nodes[2]
    pooler = make_shop(default_pool_size=4, worker_threads=1, slow_start="2s")
    settle(pooler)
    pooler.console(f"DRAIN {two}")
    wait_for(lambda: row_of(pooler, two)["links"] == "0")
    conns = [pooler.raw(dbname="shop_ro") for _ in range(12)]
    is_over, errors = threading.Event(), []

    def run(conn):
        while not is_over.is_set():
            result = conn.query("SELECT pg_sleep(0.02)")
            errors.extend(result.errors)
    threads = [threading.Thread(target=run, args=(conn,)) for conn in conns]
    for thread in threads:
        thread.start()
    wait_for(lambda: pooler.pool("shop_ro")["cl_waiting"] >= 6)
    assert row_of(pooler, two)["links"] == "0"
    pooler.console(f"UNBAN {two}")
    wait_for(lambda: row_of(pooler, two)["links"] == "2")
    is_over.set()
    for thread in threads:
        thread.join()
    assert not errors


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


def test_never_within_query_timeout(named, make_shop):
    """To wait for a replica is part of the query, as to wait for a connection is."""
    routed = begin_lagging(named, make_shop, primary_reads="never", no_primary_wait="1min", query_timeout=1)
    with routed.pooler.raw(dbname="shop") as conn:
        began = time.monotonic()
        conn.send(query(NODE))
        assert conn.expect_fatal().message == "query_timeout"
        assert 0.9 < time.monotonic() - began < 5


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


# ---- how much of that at a time ----

SLOW = "SELECT pg_sleep(0.2), current_setting('app.node')"


def has_answer(conn):
    return bool(select.select([conn.sock], [], [], 0)[0])


def shop_row(pooler):
    return {k: v if v is None or not v.isdigit() else int(v)
            for k, v in pooler.console("SHOW CLUSTERS")[0].items()}


def running(named, text="pg_sleep"):
    """How many reads the primary runs, by its own word."""
    return int(named.nodes[0].execute(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND usename = 'alice'"
        f" AND query LIKE '%{text}%'")[0][0])


def begin_capped(named, make_shop, limit, **settings):
    """shop, shop_ro, and shop_b, which is another pool of the same nodes; reads overflow in all."""
    routed = Routed.begin(named, make_shop, max_lag="300ms", slow_start="0", default_pool_size=30,
                          primary_overflow_max=limit, **settings)
    pooler = routed.pooler
    pooler.databases["shop_b"] = {"cluster": "shop", "dbname": "postgres", "routing": "split"}
    pooler.reload()
    lag(pooler, named)
    return pooler


@pytest.mark.parametrize("all_lagging", ["primary", "least"])
def test_cap(named, make_shop, all_lagging):
    """Over workers and pools; what it holds up is answered all the same. Where the one that lags least
    has not what the session has written, that is no way round it."""
    pooler = begin_capped(named, make_shop, 3, all_lagging=all_lagging)
    conns = [pooler.raw(dbname=("shop", "shop_b")[i % 2]) for i in range(24)]
    for conn in conns:
        assert conn.query("INSERT INTO t VALUES (4)").error is None
    before = shop_row(pooler)
    for conn in conns:
        conn.send(query(SLOW))
    by_primary, by_pooler = set(), set()
    while not all(map(has_answer, conns)):
        by_primary.add(running(named))
        by_pooler.add(shop_row(pooler)["overflow"])
    assert max(by_primary) == max(by_pooler) == 3
    for conn in conns:
        assert conn.result().rows[0][1] == "primary"
    after = shop_row(pooler)
    assert after["overflow"] == 0 and after["overflow_max"] == 3
    assert after["overflow_total"] - before["overflow_total"] == 24
    resume(pooler, named)
    wait_for(lambda: node_of(pooler.raw(dbname="shop")) in ("replica1", "replica2"))


def test_cap_of_readers_alone(named, make_shop):
    pooler = begin_capped(named, make_shop, 2)
    conns = [pooler.raw(dbname="shop_ro") for _ in range(5)]
    for conn in conns[:2]:
        conn.query("BEGIN")
    wait_for(lambda: shop_row(pooler)["overflow"] == 2)
    for conn in conns[2:]:
        conn.send(query(NODE))
        # In the order in which they have come.
        wait_for(lambda: pooler.pool("shop_ro")["cl_waiting"] == conns[2:].index(conn) + 1)
    with pooler.raw(dbname="shop") as writer:
        assert writer.query("INSERT INTO t VALUES (5)").error is None
    assert stays_true(lambda: not any(map(has_answer, conns[2:])), 0.3)
    conns[0].query("COMMIT")
    for conn in conns[2:]:
        assert conn.result().value() == "primary"
    # A client that goes in the midst of its transaction.
    conns[1].reset()
    wait_for(lambda: shop_row(pooler)["overflow"] == 0)


def end_backends(named):
    named.nodes[0].execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                           " WHERE query LIKE 'SELECT pg_sleep%'")


@pytest.mark.parametrize("end", ["reset", "terminate", "cancel", "backend", "error"])
def test_cap_is_released(named, make_shop, end):
    """However a read ends, the next one gets its place: when it no longer runs."""
    pooler = begin_capped(named, make_shop, 1)
    one, two = (pooler.raw(dbname="shop") for _ in range(2))
    one.send(query("SELECT 1 / (length(pg_sleep(1)::text))" if end == "error" else
                   f"SELECT pg_sleep({1 if end == 'terminate' else 60})"))
    wait_for(lambda: running(named) == 1)
    two.send(query(NODE))
    wait_for(lambda: pooler.pool("shop")["cl_waiting"] == 1)
    if end == "reset":
        one.reset()
    elif end == "terminate":
        one.leave()
    elif end == "cancel":
        one.cancel()
    elif end == "backend":
        end_backends(named)
    assert two.result().value() == "primary"
    if end == "backend":
        # It is read once more, behind who waited; but whoever ends its server is not read for ever.
        wait_for(lambda: running(named) == 1)
        assert shop_row(pooler)["overflow"] == 1
        end_backends(named)
        assert one.expect_fatal().code == "57P01"
    assert running(named) == 0
    wait_for(lambda: shop_row(pooler)["overflow"] == 0)


def test_wait_for_the_cap_has_an_end(named, make_shop):
    pooler = begin_capped(named, make_shop, 1, query_wait_timeout=1)
    one, two, three = (pooler.raw(dbname="shop") for _ in range(3))
    one.send(query("SELECT pg_sleep(60)"))
    wait_for(lambda: running(named) == 1)
    two.send(query(NODE))
    error = two.expect_fatal()
    assert error.message == "query_wait_timeout" and "primary_overflow_max" in error.fields["H"]
    # A cancel ends the wait as well.
    three.send(query(NODE))
    wait_for(lambda: pooler.pool("shop")["cl_waiting"] == 1)
    three.cancel()
    assert three.result().error.code == "57014"
    one.reset()
    wait_for(lambda: shop_row(pooler)["overflow"] == 0)


def test_own_writes_where_all_connections_are_to_one_that_lags(named, make_shop):
    """What it has not runs on the primary, though the pool is full of connections to it."""
    routed = begin_lagging(named, make_shop, all_lagging="least", default_pool_size=1)
    with routed.pooler.raw(dbname="shop") as reader, routed.pooler.raw(dbname="shop") as writer:
        assert node_of(reader) in ("replica1", "replica2")
        assert writer.query("INSERT INTO t VALUES (7)").error is None
        assert node_of(writer) == "primary"
        # Back to the replica: what it had read there, connections that are opened since do not show.
        assert node_of(reader) in ("replica1", "replica2", "primary")
        with routed.pooler.raw(dbname="shop") as other:
            assert node_of(other) in ("replica1", "replica2")


def test_cap_holds_up_no_read_of_a_replica(named, make_shop):
    """Who may read on the one that lags least does not wait behind who may not."""
    pooler = begin_capped(named, make_shop, 1, all_lagging="least", worker_threads=1)
    one, two, reader = (pooler.raw(dbname="shop") for _ in range(3))
    for conn in (one, two):
        assert conn.query("INSERT INTO t VALUES (7)").error is None
    one.send(query("SELECT pg_sleep(60)"))
    wait_for(lambda: running(named) == 1)
    two.send(query(NODE))
    wait_for(lambda: pooler.pool("shop")["cl_waiting"] == 1)
    assert node_of(reader) in ("replica1", "replica2")
    assert not has_answer(two)
    one.reset()
    assert two.result().value() == "primary"


@pytest.mark.parametrize("what", ["limit", "never", "primary", "balance", "removed", "no cluster", "split off"])
def test_reload_while_reads_wait_for_the_cap(named, make_shop, what):
    pooler = begin_capped(named, make_shop, 1)
    one, two, three = (pooler.raw(dbname=name) for name in ("shop", "shop", "shop_b"))
    wait_for(lambda: node_of(three) and [row for row in pooler.console("SHOW ROUTES") if int(row["requests"]) and
                                         (row["database"], row["reason"]) == ("shop_b", "overflow")])
    one.send(query("SELECT pg_sleep(60)"))
    wait_for(lambda: running(named) == 1)
    for conn in (two, three):
        conn.send(query(NODE))
    wait_for(lambda: pooler.pool("shop")["cl_waiting"] + pooler.pool("shop_b")["cl_waiting"] == 2)
    if what == "limit":
        pooler.settings["primary_overflow_max"] = "0"
    elif what == "never":
        pooler.settings["primary_reads"] = "never"
        pooler.settings["no_primary_wait"] = "1s"
    elif what == "primary":
        pooler.settings["routing"] = "primary"
        pooler.databases["shop_b"]["routing"] = "primary"
    elif what == "balance":
        pooler.settings["balance"] = "latency"
        pooler.settings["zone"] = "x"
    elif what == "removed":
        del pooler.databases["shop_b"]
    elif what == "no cluster":
        pooler.databases["shop_b"] = {"host": "127.0.0.1", "port": str(named.nodes[0].port), "dbname": "postgres"}
    elif what == "split off":
        pooler.databases["shop_b"]["routing"] = "replica"
    pooler.reload()
    if what == "never":
        assert two.result().error.code == "57P03"
        result = three.result()
        assert result.error, result.rows
        assert result.error.code == "57P03"
    elif what in ("removed", "no cluster"):
        assert three.expect_fatal()
    if what != "limit":
        one.reset()
    if what != "never":
        assert two.result().value() == "primary"
    if what in ("limit", "balance"):
        assert three.result().value() == "primary"
    if what == "limit":
        one.reset()
    wait_for(lambda: shop_row(pooler)["overflow"] == 0)
    wait_for(lambda: running(named) == 0)
    if what not in ("never", "primary"):
        four = pooler.raw(dbname="shop")
        assert node_of(four) == "primary"


@pytest.mark.parametrize("limit, has_others", [(0, True), (0, False), (1, False)])
def test_primary_that_lets_nobody_in_in_place_of_replicas(named, make_shop, limit, has_others):
    """What it says is told, in place of being asked for ever; if it has let in somebody for writes, that
    connection will do where there is no limit."""
    routed = Routed.begin(named, make_shop, query_wait_timeout=5, primary_overflow_max=limit, worker_threads=1)
    with routed.pooler.raw(dbname="shop") as conn:
        assert conn.query("INSERT INTO t VALUES (8)").error is None
        for node in named.nodes[1:]:
            routed.pooler.console(f"DRAIN {node}")
        named.nodes[0].execute("ALTER ROLE alice CONNECTION LIMIT 0")
        if not has_others:
            named.nodes[0].execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'alice'")
        conn.send(query(NODE))
        if has_others:
            assert conn.result().value() == "primary"
        else:
            assert "too many connections" in conn.expect_error().message
        if limit:
            named.nodes[0].execute("ALTER ROLE alice CONNECTION LIMIT -1")
            assert conn.recv_until("Z")
            assert node_of(conn) == "primary"


def test_cap_of_reads_whose_connections_are_new(named, make_shop):
    """What they have seen on the one that lags least its new connections do not show."""
    pooler = begin_capped(named, make_shop, 1, all_lagging="least", worker_threads=1)
    readers, writer = [pooler.raw(dbname="shop") for _ in range(4)], pooler.raw(dbname="shop")
    for conn in readers:
        assert node_of(conn) in ("replica1", "replica2")
    assert writer.query("INSERT INTO t VALUES (7)").error is None
    pooler.console("RECONNECT")
    writer.send(query("SELECT pg_sleep(60)"))
    wait_for(lambda: running(named) == 1)
    for conn in readers:
        conn.send(query(SLOW))
    assert stays_true(lambda: running(named) == 1, 0.5)
    writer.reset()
    for conn in readers:
        assert conn.result().rows[0][1] == "primary"
