# SPDX-License-Identifier: PostgreSQL
"""A database of a cluster is where its primary is, or on replicas that are fresh enough."""

import re
import select
import threading
import time

import pytest

from lib.nodes import WHERE, reason, rounds, seen, settle, state, states, where
from lib.wait import wait_for
from lib.wire import Closed, PgError, collect, query

pytestmark = pytest.mark.pgweir_only


def states_of(pooler, *nodes):
    """At one moment."""
    rows = {row["node"]: row["state"] for row in pooler.console("SHOW NODES")}
    return [rows.get(str(node)) for node in nodes]


def changes_of_primary(pooler):
    """What the log says of them, but for the first one that was found."""
    return re.findall(r"the primary is .*, it was (?!none).*", pooler.log_text())


def test_primary_and_replicas(make_shop, cluster):
    pooler = make_shop()
    settle(pooler)
    primary, *replicas = cluster.nodes
    assert seen(pooler, "shop") == {primary.port}
    assert seen(pooler, "shop_ro") == {node.port for node in replicas}
    row, = pooler.console("SHOW CLUSTERS")
    assert (row["cluster"], row["primary"], row["ready"]) == ("shop", str(primary), "2")
    assert pooler.raw(dbname="shop").query("INSERT INTO t VALUES (1)").error is None


def test_environment_is_for_others(make_shop, cluster, monkeypatch):
    """What other programs of this account are told of PostgreSQL leads no monitor astray."""
    with monkeypatch.context() as env:
        env.setenv("PGSERVICE", "none")
        env.setenv("PGTARGETSESSIONATTRS", "standby")
        env.setenv("PGOPTIONS", "-c statement_timeout=1")
        pooler = make_shop()
    settle(pooler)
    assert seen(pooler, "shop") == {cluster.nodes[0].port}


@pytest.mark.full
def test_state_of_a_session_follows(make_shop, cluster):
    pooler = make_shop(default_pool_size=6)
    settle(pooler)
    conn = pooler.raw(dbname="shop_ro")
    conn.query("SET search_path = pg_catalog; SET app.tenant = 'one'")
    others = [pooler.raw(dbname="shop_ro") for _ in range(5)]
    ports = set()
    for other in others:
        other.query("BEGIN")
        ports.add(where(conn))
        assert conn.query("SELECT current_setting('app.tenant')").value() == "one"
        assert conn.query("SHOW search_path").value() == "pg_catalog"


@pytest.mark.full
def test_paused_replay(make_shop, cluster):
    pooler = make_shop(max_lag="300ms")
    settle(pooler)
    primary, one, two = cluster.nodes
    one.execute("SELECT pg_wal_replay_pause()")
    wait_for(lambda: primary.execute("INSERT INTO t VALUES (1)") == [] and
             state(pooler, one) == "lagging")
    assert "replay is paused" in reason(pooler, one)
    assert seen(pooler, "shop_ro") == {two.port}
    one.execute("SELECT pg_wal_replay_resume()")
    settle(pooler)


@pytest.mark.full
def test_replica_that_dies(make_shop, cluster):
    pooler = make_shop()
    settle(pooler)
    _, one, two = cluster.nodes
    one.kill()
    wait_for(lambda: state(pooler, one) == "down")
    assert seen(pooler, "shop_ro") == {two.port}
    one.start()
    settle(pooler)
    # Little by little.
    wait_for(lambda: seen(pooler, "shop_ro") == {one.port, two.port})


def lag(pooler, cluster):
    """Both replicas, the second one less."""
    primary, one, two = cluster.nodes
    for node in (one, two):
        primary.execute("INSERT INTO t SELECT * FROM generate_series(1, 1000)")
        cluster.catch_up(replicas=[node])
        node.execute("SELECT pg_wal_replay_pause()")
    wait_for(lambda: primary.execute("INSERT INTO t VALUES (1)") == [] and
             states(pooler) == ["lagging" if node in (one, two) else "primary"
                                for node in sorted(cluster.nodes, key=str)])


def who_serves(pooler, dbname, before=None):
    """The port of the node that a new client reads on; or why there is none."""
    conn = pooler.raw(dbname=dbname)
    if before:
        assert conn.query(before).error is None
    conn.send(query(f"/* pgweir: replica */ {WHERE}"))
    messages = conn.recv_until("EZ")
    conn.close()
    return messages[-1].error().code if messages[-1].kind == "E" else int(collect(messages).value())


@pytest.mark.parametrize("all_lagging", ["primary", "least", "error"])
def test_all_lag(make_shop, cluster, all_lagging):
    """What becomes of clients of replicas, and of reads that are split off."""
    pooler = make_shop(routing="split", consistency="eventual", max_lag="300ms",
                       of_cluster={"all_lagging": all_lagging})
    pooler.databases["shop_seen"] = {**pooler.databases["shop"], "consistency": "session"}
    pooler.reload()
    settle(pooler)
    assert seen(pooler, "shop_ro") == {node.port for node in cluster.nodes[1:]}
    lag(pooler, cluster)
    primary, one, two = cluster.nodes
    served = {"primary": (primary.port, primary.port), "least": (two.port, two.port),
              "error": ("57P03", "57P03")}[all_lagging]
    own = served[1] if all_lagging == "error" else primary.port
    write = "INSERT INTO t VALUES (1)"
    for _ in range(5):
        assert (who_serves(pooler, "shop_ro"), who_serves(pooler, "shop")) == served
        assert who_serves(pooler, "shop", write) == served[1]
        assert who_serves(pooler, "shop_seen") == served[1]
        assert who_serves(pooler, "shop_seen", write) == own
    # One that is fresh enough ends all that.
    one.execute("SELECT pg_wal_replay_resume()")
    wait_for(lambda: state(pooler, one) == "ready")
    for _ in range(5):
        assert (who_serves(pooler, "shop_ro"), who_serves(pooler, "shop")) == (one.port, one.port)


@pytest.mark.full
def test_failover(make_shop, cluster):
    """Who waits for a primary goes on with the next one, and sessions keep their state."""
    pooler = make_shop(no_primary_wait="1min")
    settle(pooler)
    primary, one, two = cluster.nodes
    conn, in_flight = pooler.raw(dbname="shop"), pooler.raw(dbname="shop")
    conn.query("SET app.tenant = 'one'")
    in_flight.query("BEGIN")
    assert where(in_flight) == primary.port
    cluster.catch_up()
    primary.kill()
    wait_for(lambda: state(pooler, primary) == "down")
    in_flight.send(query("SELECT 1"))
    assert in_flight.expect_fatal()
    one.promote()
    wait_for(lambda: state(pooler, one) == "primary")
    assert where(conn) == one.port
    assert conn.query("SELECT current_setting('app.tenant')").value() == "one"
    assert conn.query("INSERT INTO t VALUES (2)").error is None
    row, = pooler.console("SHOW CLUSTERS")
    assert (row["primary"], row["timeline"]) == (str(one), "2")
    two.follow(one)
    two.restart()
    wait_for(lambda: state(pooler, two) == "ready")


@pytest.mark.full
def test_writer_waits_for_the_next_primary(make_shop, cluster):
    pooler = make_shop(no_primary_wait="1min")
    settle(pooler)
    primary, one, _ = cluster.nodes
    conn = pooler.raw(dbname="shop")
    cluster.catch_up()
    primary.kill()
    wait_for(lambda: state(pooler, primary) == "down")
    conn.send(query(WHERE))
    wait_for(lambda: any(row["cl_waiting"] == "1" for row in pooler.console("SHOW POOLS")
                         if row["database"] == "shop"))
    one.promote()
    assert int(conn.result().value()) == one.port


@pytest.mark.full
def test_no_primary_for_too_long(make_shop, cluster):
    pooler = make_shop(no_primary_wait="500ms")
    settle(pooler)
    conn = pooler.raw(dbname="shop")
    reader = pooler.raw(dbname="shop_ro")
    cluster.nodes[0].kill()
    wait_for(lambda: state(pooler, cluster.nodes[0]) == "down")
    conn.send(query("SELECT 1"))
    error = conn.expect_fatal()
    assert (error.code, error.message) == ("57P03", "there is no primary")
    # Readers go on: what they get is as old as it was.
    assert where(reader) in {node.port for node in cluster.nodes[1:]}


@pytest.mark.full
def test_news_give_no_time(make_shop, cluster):
    """Who waits for what only the lost primary has is looked at anew with each news of the nodes, and waits no
    longer for that."""
    pooler = make_shop(routing="split", no_primary_wait=0, query_wait_timeout=2, worker_threads=1)
    settle(pooler)
    primary, one, two = cluster.nodes
    for node in (one, two):
        node.execute("SELECT pg_wal_replay_pause()")
    reader = pooler.raw(dbname="shop")
    assert reader.query("INSERT INTO t VALUES (3)").error is None
    primary.kill()
    wait_for(lambda: state(pooler, primary) == "down")
    reader.send(query("SELECT count(*) FROM t"))
    asked = time.monotonic()
    orders = 0
    while not select.select([reader.sock], [], [], 0)[0] and time.monotonic() < asked + 20:
        pooler.console(f"{'UNBAN' if orders % 2 else 'BAN'} {two}")
        orders += 1
    error = reader.expect_fatal()
    assert error.message == "query_wait_timeout" and orders > 4
    assert time.monotonic() - asked < 10


@pytest.mark.full
def test_old_primary_is_fenced(make_shop, cluster):
    pooler = make_shop()
    settle(pooler)
    primary, one, _ = cluster.nodes
    cluster.catch_up()
    busy = pooler.raw(dbname="shop")
    busy.query("BEGIN")
    assert where(busy) == primary.port
    one.promote()
    wait_for(lambda: state(pooler, primary) == "fenced")
    error = busy.expect_fatal()
    assert (error.code, error.message) == (
        "57P01", "terminating connection because the primary has changed")
    assert seen(pooler, "shop") == {one.port}
    # It comes back as it was, and then as a replica of the one that is followed.
    primary.pg_ctl("-m", "fast", "-w", "stop")
    wait_for(lambda: state(pooler, primary) == "down")
    primary.start()
    wait_for(lambda: state(pooler, primary) == "fenced")
    assert seen(pooler, "shop") == {one.port}
    primary.pg_ctl("-m", "fast", "-w", "stop")
    primary.copy(one)
    primary.start()
    wait_for(lambda: state(pooler, primary) == "ready")


@pytest.mark.full
def test_two_are_promoted(make_shop, cluster):
    """Nobody knows which is the right one: none is followed."""
    pooler = make_shop(no_primary_wait="300ms")
    settle(pooler)
    primary, one, two = cluster.nodes
    cluster.catch_up()
    primary.kill()
    wait_for(lambda: state(pooler, primary) == "down")
    for node in (one, two):
        node.pg_ctl("-W", "promote")
    wait_for(lambda: [state(pooler, n) for n in (one, two)].count("fenced") >= 1 and
             "down" in states(pooler) and "ready" not in states(pooler) and
             "diverged" not in states(pooler))
    wait_for(lambda: pooler.console("SHOW CLUSTERS")[0]["torn"] == "1")
    first, last_round = states(pooler), rounds(pooler) + 20
    # Where one of them was seen before the other, that one is followed, and stays so.
    changes = changes_of_primary(pooler)
    assert len(changes) <= 1, changes
    while rounds(pooler) < last_round:
        assert states(pooler) == first
    assert changes_of_primary(pooler) == changes


class ByProxy:
    """A node that is reached by a longer way."""

    def __init__(self, proxy):
        self.proxy = proxy

    def __str__(self):
        return f"127.0.0.1:{self.proxy.port}"


class Writer(threading.Thread):
    """Writes one row after the other; nothing is lost, so nothing may fail."""

    def __init__(self, pooler):
        super().__init__(daemon=True)
        self.conn, self.written, self.error, self.is_over = pooler.raw(dbname="shop"), 0, None, False

    def run(self):
        try:
            while not self.is_over:
                self.conn.query("INSERT INTO t VALUES (1) RETURNING v").value()
                self.written += 1
        except (Closed, PgError, OSError) as e:
            self.error = e


def watch_anew(pooler, number):
    """A reload after which all connections to the nodes are made anew."""
    nodes = pooler.sections["clusters"]["shop"]["nodes"].split()
    pooler.sections["clusters"]["shop"]["nodes"] = " ".join(nodes[1:] + nodes[:1])
    pooler.settings["monitor_user"] = ("watcher", "guard")[number % 2]
    pooler.reload()


def test_reload_beside_old_primary(make_shop, make_proxy, cluster):
    """The one that is not followed answers first, each time: nothing is written to it."""
    old, new, _ = cluster.nodes
    old.execute("CREATE ROLE guard LOGIN PASSWORD 'watching' IN ROLE pg_monitor")
    cluster.catch_up()
    far = ByProxy(make_proxy(new.port))
    pooler = make_shop(nodes=[old, far], no_primary_wait="1min")
    wait_for(lambda: states_of(pooler, old, far) == ["primary", "ready"])
    new.promote()
    wait_for(lambda: states_of(pooler, old, far) == ["fenced", "primary"])
    far.proxy.slow(0.02)
    changes = changes_of_primary(pooler)
    writers = [Writer(pooler) for _ in range(3)]
    for writer in writers:
        writer.start()
    for i in range(1, 11):
        before = sum(w.written for w in writers)
        watch_anew(pooler, i)
        last_round = rounds(pooler) + 3
        wait_for(lambda: rounds(pooler) >= last_round and
                 states_of(pooler, old, far) == ["fenced", "primary"])
        wait_for(lambda: any(w.error for w in writers) or sum(w.written for w in writers) >= before + 20)
    for writer in writers:
        writer.is_over = True
        writer.join()
    assert old.execute("SELECT count(*) FROM t") == [(0,)]
    assert changes_of_primary(pooler) == changes
    assert not any(w.error for w in writers), [w.error for w in writers]
    assert new.execute("SELECT count(*) FROM t") == [(sum(w.written for w in writers),)]


def test_role_that_may_not_see_the_receiver(make_shop, cluster):
    """What it lacks is said, not that the replicas receive nothing."""
    cluster.nodes[0].execute("REVOKE pg_monitor FROM watcher")
    cluster.catch_up()
    pooler = make_shop()
    wait_for(lambda: sorted(states(pooler)) == ["diverged", "diverged", "primary"])
    for node in cluster.nodes[1:]:
        assert reason(pooler, node) == "monitor_user may not see what it receives: it needs pg_monitor"
    cluster.nodes[0].execute("GRANT pg_monitor TO watcher")
    settle(pooler)


@pytest.mark.full
def test_node_of_another_system(make_shop, cluster, pg):
    class Foreign:
        port = pg.port

        def __str__(self):
            return f"127.0.0.1:{pg.port}"

    pg.execute("DO $$ BEGIN CREATE ROLE watcher LOGIN PASSWORD 'watching' IN ROLE pg_monitor;"
               " EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$")
    foreign = Foreign()
    pooler = make_shop(nodes=[foreign, *cluster.nodes])
    wait_for(lambda: state(pooler, foreign) == "foreign")
    assert "system identifier" in reason(pooler, foreign)
    ours, theirs = (node.execute("SELECT system_identifier FROM pg_control_system()")[0][0]
                    for node in (cluster.nodes[0], pg))
    pooler.wait_log(rf"WARNING cluster shop: node {foreign} is foreign: "
                    f"its system identifier is {theirs}, not {ours}\n")
    wait_for(lambda: state(pooler, cluster.nodes[0]) == "primary")
    assert seen(pooler, "shop") == {cluster.nodes[0].port}


@pytest.mark.full
def test_another_system_in_the_place_of_the_primary(make_shop, make_proxy, cluster, pg):
    """It gets nothing, also while the monitor's connections to it break, and after reloads; replicas are read on."""
    for server in (cluster.nodes[0], pg):
        server.execute("DO $$ BEGIN CREATE ROLE guard LOGIN PASSWORD 'watching' IN ROLE pg_monitor;"
                       " EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$")
        server.execute("DO $$ BEGIN CREATE ROLE watcher LOGIN PASSWORD 'watching' IN ROLE pg_monitor;"
                       " EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$")
    cluster.catch_up()
    primary, *replicas = cluster.nodes
    place = ByProxy(make_proxy(primary.port))
    pooler = make_shop(nodes=[place, *replicas], no_primary_wait="1min", query_wait_notify=0)
    settle(pooler)
    writer, reader = pooler.raw(dbname="shop"), pooler.raw(dbname="shop_ro")
    assert where(writer) == primary.port
    place.proxy.target = ("127.0.0.1", pg.port)
    place.proxy.reset()
    wait_for(lambda: state(pooler, place) == "foreign")
    conn = pooler.raw(dbname="shop")
    conn.send(query(WHERE))
    for i in range(10):
        last_round = rounds(pooler) + 3
        if i % 2:
            watch_anew(pooler, i // 2)
        else:
            place.proxy.reset()
        wait_for(lambda: rounds(pooler) >= last_round and
                 states_of(pooler, place, *replicas) == ["foreign", "ready", "ready"])
        assert where(reader) in {node.port for node in replicas}
    assert not select.select([conn.sock], [], [], 0)[0]
    place.proxy.target = ("127.0.0.1", primary.port)
    place.proxy.reset()
    assert int(conn.result().value()) == primary.port


@pytest.mark.full
def test_reload(make_shop, cluster):
    pooler = make_shop(nodes=cluster.nodes[:2], slow_start="0")
    wait_for(lambda: sorted(states(pooler)) == ["primary", "ready"])
    rounds = int(pooler.console("SHOW CLUSTERS")[0]["rounds"])
    pooler.sections["clusters"]["shop"]["nodes"] = " ".join(str(n) for n in cluster.nodes)
    pooler.reload()
    settle(pooler)
    assert int(pooler.console("SHOW CLUSTERS")[0]["rounds"]) > rounds
    assert seen(pooler, "shop_ro") == {node.port for node in cluster.nodes[1:]}
    pooler.sections["clusters"]["shop"]["max_lag"] = "1min"
    pooler.reload()
    wait_for(lambda: pooler.console("SHOW CLUSTERS")[0]["max_lag_ms"] == "60000")
    assert sorted(states(pooler)) == ["primary", "ready", "ready"]
    pooler.sections["clusters"]["shop"]["nodes"] = str(cluster.nodes[0])
    pooler.reload()
    wait_for(lambda: states(pooler) == ["primary"])


@pytest.mark.full
def test_replica_only(make_shop, cluster):
    pooler = make_shop(of_nodes={str(cluster.nodes[1]): {"role": "replica"}})
    settle(pooler)
    primary, one, _ = cluster.nodes
    cluster.catch_up()
    one.promote()
    wait_for(lambda: state(pooler, one) == "fenced")
    assert state(pooler, primary) == "primary"
    assert seen(pooler, "shop") == {primary.port}
