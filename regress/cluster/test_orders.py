# SPDX-License-Identifier: PostgreSQL
"""What operators order of nodes on the console, and what their clients notice of it."""

import threading
from collections import Counter

import pytest

from lib.nodes import WHERE, row_of, seen, settle, state, states, where
from lib.pgbench import pgbench
from lib.wait import stays_true, wait_for
from lib.wire import PgError, query

pytestmark = pytest.mark.pgweir_only
BANNED = ("57P01", "terminating connection because its node was banned")


def held(pooler, node):
    return row_of(pooler, node)["held"]


def links(pooler, node):
    return int(row_of(pooler, node)["links"])


def refusal(pooler, command):
    with pytest.raises(PgError) as refused:
        pooler.console(command)
    return refused.value


def busy_clients(pooler, dbname="shop_ro", count=12):
    """Each in a transaction, by the port of its server."""
    conns = {}
    for _ in range(count):
        conn = pooler.raw(dbname=dbname)
        conn.query("BEGIN")
        conns.setdefault(where(conn), []).append(conn)
    return conns


def test_drain(make_shop, cluster):
    pooler = make_shop(default_pool_size=30)
    settle(pooler)
    primary, one, two = cluster.nodes
    busy = busy_clients(pooler)
    pooler.console(f"DRAIN {one}")
    row = row_of(pooler, one)
    assert (row["held"], row["held_by"], row["state"]) == ("drained", "admin", "ready")
    assert pooler.console("SHOW CLUSTERS")[0]["ready"] == "1"
    assert links(pooler, one) == len(busy[one.port]) > 0
    assert seen(pooler, "shop_ro") == {two.port}
    for conn in busy[one.port] + busy[two.port]:
        where(conn)
        assert conn.query("COMMIT").error is None
    assert {where(conn) for conn in busy[one.port]} == {two.port}
    wait_for(lambda: links(pooler, one) == 0)
    # Reloads do not change that.
    pooler.reload()
    assert held(pooler, one) == "drained"
    assert refusal(pooler, f"DRAIN {one}").message == f"node {one} is already drained"
    pooler.console(f"UNBAN shop/{one}")
    assert held(pooler, one) is None
    wait_for(lambda: seen(pooler, "shop_ro") == {one.port, two.port})


def test_what_is_refused(make_shop, cluster):
    pooler = make_shop()
    settle(pooler)
    primary, one, _ = cluster.nodes
    error = refusal(pooler, f"DRAIN {primary}")
    assert (error.code, error.message) == (
        "55000", f"cannot drain node {primary}: it is the primary of cluster shop")
    assert "PAUSE" in error.fields["H"]
    error = refusal(pooler, f"BAN {primary}")
    assert error.message == f"cannot ban node {primary}: it is the primary of cluster shop"
    assert error.fields["H"] == f"BAN {primary} FORCE does it nevertheless."
    error = refusal(pooler, "DRAIN 127.0.0.1")
    assert error.message == "127.0.0.1 may be more than one node"
    assert error.fields["H"] == "Say which: " + ", ".join(f"shop/{n}" for n in cluster.nodes) + "."
    assert refusal(pooler, "BAN nowhere:1").message == "no such node: nowhere:1"
    assert refusal(pooler, "MAX_LAG ship 1s").message == "no such cluster: ship"
    assert refusal(pooler, f"UNBAN {one}").message == f"node {one} is neither drained nor banned"
    assert refusal(pooler, f"WEIGHT {one} 0").message.startswith('invalid value "0" for weight')
    error = refusal(pooler, f"PROMOTE {one}")
    assert error.message == f"cannot follow node {one}: it is ready, and takes no writes"
    error = refusal(pooler, f"PROMOTE {primary}")
    assert error.message == f"there is nothing to decide in cluster shop: the primary is {primary}"
    with pytest.raises(PgError, match="admin access needed"):
        pooler.console(f"DRAIN {one}", user="stats")
    assert [row["held"] for row in pooler.console("SHOW NODES")] == [None] * 3


def test_no_clusters(make_pooler):
    pooler = make_pooler()
    assert refusal(pooler, "DRAIN db1:5432").message == "there are no clusters"


def reads(pooler, node):
    return int(row_of(pooler, node)["reads"])


@pytest.mark.full
def test_drain_under_load(make_shop, cluster):
    """In turn, again and again: nobody notices."""
    pooler = make_shop(default_pool_size=6, slow_start="0")
    settle(pooler)
    _, *replicas = cluster.nodes
    script = pooler.write("reads.sql", "BEGIN;\nSELECT count(*) FROM t;\nSELECT pg_sleep(0.001);\n"
                          "COMMIT;\nSELECT 1;\n")
    done = []

    def run():
        done.append(pgbench(cluster.pg, pooler, "-f", str(script), "-c", "8", "-T", "8",
                            dbname="shop_ro"))

    load = threading.Thread(target=run)
    load.start()
    turns = 0
    while load.is_alive():
        node = replicas[turns % 2]
        before = reads(pooler, node)
        # A login takes longer than a turn: where nobody waits for one, no link ever gets so far.
        wait_for(lambda n=node, was=before: reads(pooler, n) > was or not load.is_alive())
        pooler.console(f"DRAIN {node}")
        wait_for(lambda n=node: links(pooler, n) == 0)
        pooler.console(f"UNBAN {node}")
        turns += 1
    load.join()
    bench, = done
    assert (bench.status, bench.failed) == (0, 0), bench.output
    assert bench.processed > 100
    assert turns > 4


@pytest.mark.full
def test_ban(make_shop, cluster):
    """Who is busy there hears of it once, others not at all."""
    pooler = make_shop(default_pool_size=30)
    settle(pooler)
    _, one, two = cluster.nodes
    idle = pooler.raw(dbname="shop_ro")
    idle.query("SET app.tenant = 'one'")
    busy = busy_clients(pooler)
    running = busy[one.port].pop()
    running.send(query("SELECT pg_sleep(60)"))
    pooler.console(f"BAN {one}")
    # When that is answered no worker has a connection to it.
    assert (held(pooler, one), links(pooler, one)) == ("banned", 0)
    for conn in busy[one.port] + [running]:
        error = conn.expect_fatal()
        assert (error.code, error.message) == BANNED
    for conn in busy[two.port]:
        assert where(conn) == two.port
        assert conn.query("COMMIT").error is None
    assert where(idle) == two.port
    assert idle.query("SELECT current_setting('app.tenant')").value() == "one"
    assert seen(pooler, "shop_ro") == {two.port}
    pooler.wait_log(f"node {one} is banned by admin")
    pooler.console(f"UNBAN {one}")
    pooler.wait_log(f"node {one} is not banned any more")
    wait_for(lambda: seen(pooler, "shop_ro") == {one.port, two.port})


@pytest.mark.full
def test_nobody_is_left(make_shop, cluster):
    """Then all_lagging says what readers get."""
    pooler = make_shop(of_cluster={"all_lagging": "error"})
    settle(pooler)
    for node in cluster.nodes[1:]:
        pooler.console(f"DRAIN {node}")
    with pytest.raises(PgError, match="no replica is fresh enough"):
        pooler.raw(dbname="shop_ro").query("SELECT 1")
    pooler.sections["clusters"]["shop"]["all_lagging"] = "primary"
    pooler.reload()
    assert seen(pooler, "shop_ro") == {cluster.nodes[0].port}


@pytest.mark.full
def test_banned_primary(make_shop, cluster):
    pooler = make_shop(no_primary_wait="1min")
    settle(pooler)
    primary, one, _ = cluster.nodes
    busy, waiting = pooler.raw(dbname="shop"), pooler.raw(dbname="shop")
    busy.query("BEGIN")
    pooler.console(f"BAN {primary} FORCE")
    error = busy.expect_fatal()
    assert (error.code, error.message) == BANNED
    pooler.wait_log("is banned: nobody can write")
    waiting.send(query("INSERT INTO t VALUES (1)"))
    pooler.wait_pool("shop", cl_waiting=1)
    assert stays_true(lambda: pooler.pool("shop")["cl_waiting"] == 1, 0.5)
    assert state(pooler, primary) == "primary"
    pooler.console(f"UNBAN {primary}")
    assert waiting.result().error is None
    # A promotion ends it as well, for the cluster.
    pooler.console(f"BAN {primary} FORCE")
    waiting.send(query("SELECT inet_server_port()::int"))
    cluster.catch_up()
    one.promote()
    assert int(waiting.result().value()) == one.port


@pytest.mark.full
def test_drained_replica_is_promoted(make_shop, cluster):
    """A failover must not end with nobody to write to."""
    pooler = make_shop()
    settle(pooler)
    primary, one, _ = cluster.nodes
    pooler.console(f"DRAIN {one}")
    cluster.catch_up()
    primary.kill()
    one.promote()
    wait_for(lambda: state(pooler, one) == "primary")
    assert held(pooler, one) is None
    assert seen(pooler, "shop") == {one.port}
    pooler.wait_log(f"node {one} is not drained any more: it is the primary")


@pytest.mark.full
def test_weight(make_shop, cluster):
    pooler = make_shop(default_pool_size=20)
    settle(pooler)
    _, one, two = cluster.nodes
    pooler.console(f"WEIGHT {one} 9")
    assert (row_of(pooler, one)["weight"], row_of(pooler, one)["conf_weight"]) == ("9", "1")
    count = Counter({port: len(conns) for port, conns in busy_clients(pooler, count=20).items()})
    # Each worker sees to it for itself.
    assert count[one.port] >= 16 and count[two.port] >= 1, count
    pooler.console(f"WEIGHT {one} DEFAULT")
    assert row_of(pooler, one)["weight"] == "1"
    pooler.console(f"WEIGHT {two} 5")
    pooler.sections["nodes"][str(one)] = {"weight": 3}
    pooler.reload()
    wait_for(lambda: [row_of(pooler, n)["weight"] for n in (one, two)] == ["3", "1"])


@pytest.mark.full
def test_max_lag(make_shop, cluster):
    pooler = make_shop(max_lag="300ms")
    settle(pooler)
    primary, one, two = cluster.nodes
    one.execute("SELECT pg_wal_replay_pause()")
    wait_for(lambda: primary.execute("INSERT INTO t VALUES (1)") == [] and
             state(pooler, one) == "lagging")
    pooler.console("MAX_LAG shop '1h'")
    row, = pooler.console("SHOW CLUSTERS")
    assert (row["max_lag_ms"], row["conf_max_lag_ms"]) == ("3600000", "300")
    wait_for(lambda: state(pooler, one) == "ready")
    wait_for(lambda: seen(pooler, "shop_ro") == {one.port, two.port})
    pooler.console("MAX_LAG shop DEFAULT")
    assert state(pooler, one) == "lagging"
    assert seen(pooler, "shop_ro") == {two.port}
    pooler.console("MAX_LAG shop 1h")
    wait_for(lambda: state(pooler, one) == "ready")
    pooler.reload()
    wait_for(lambda: state(pooler, one) == "lagging")
    one.execute("SELECT pg_wal_replay_resume()")
    settle(pooler)


@pytest.mark.full
def test_promoted_apart(make_shop, cluster):
    """Nobody is followed until an operator says who."""
    primary, one, two = cluster.nodes
    cluster.catch_up()
    primary.kill()
    for node in (one, two):
        node.promote()
    pooler = make_shop(no_primary_wait="1min")
    wait_for(lambda: sorted(states(pooler)) == ["down", "fenced", "fenced"])
    row, = pooler.console("SHOW CLUSTERS")
    assert (row["primary"], row["torn"]) == (None, "1")
    pooler.wait_log(f"cluster shop: more than one node takes writes on timeline 2: {one}, {two}; none is "
                    "followed, PROMOTE on the console chooses one\n")
    error = refusal(pooler, f"PROMOTE {primary}")
    assert error.message == f"cannot follow node {primary}: it is down, and takes no writes"
    assert "pgweir promotes nobody" in error.fields["H"]
    pooler.console(f"PROMOTE {two}")
    row, = pooler.console("SHOW CLUSTERS")
    assert (row["primary"], row["torn"], row["timeline"]) == (str(two), "1", "2")
    assert seen(pooler, "shop") == {two.port}
    # It was the wrong one.
    busy = pooler.raw(dbname="shop")
    busy.query("BEGIN")
    pooler.console(f"PROMOTE {one}")
    error = busy.expect_fatal()
    assert (error.code, error.message) == (
        "57P01", "terminating connection because the primary has changed")
    assert seen(pooler, "shop") == {one.port}
    assert (state(pooler, one), state(pooler, two)) == ("primary", "fenced")
    # What has been decided stays so.
    pooler.reload()
    two.restart()
    wait_for(lambda: state(pooler, two) == "fenced")
    assert seen(pooler, "shop") == {one.port}
    two.pg_ctl("-m", "fast", "-w", "stop")
    wait_for(lambda: pooler.console("SHOW CLUSTERS")[0]["torn"] == "0")
    assert "nothing to decide" in refusal(pooler, f"PROMOTE {one}").message


@pytest.mark.full
def test_promote_what_is_left(make_shop, cluster):
    """The primary will not come back, and one on an older timeline is all that takes writes."""
    old, new, _ = cluster.nodes
    cluster.catch_up()
    pooler = make_shop(no_primary_wait="1min")
    settle(pooler)
    new.promote()
    wait_for(lambda: (state(pooler, old), state(pooler, new)) == ("fenced", "primary"))
    assert "nothing to decide" in refusal(pooler, f"PROMOTE {new}").message
    assert "higher timeline than 1" in refusal(pooler, f"PROMOTE {old}").message
    conn = pooler.raw(dbname="shop")
    assert where(conn) == new.port
    new.kill()
    wait_for(lambda: state(pooler, new) == "down")
    conn.send(query(WHERE))
    assert stays_true(lambda: state(pooler, old) == "fenced", 0.5)
    pooler.console(f"PROMOTE {old}")
    assert int(conn.result().value()) == old.port
    assert (state(pooler, old), state(pooler, new)) == ("primary", "down")
    # The one on the higher timeline is followed if it starts all the same.
    new.start()
    wait_for(lambda: (state(pooler, old), state(pooler, new)) == ("fenced", "primary"))
    assert seen(pooler, "shop") == {new.port}
