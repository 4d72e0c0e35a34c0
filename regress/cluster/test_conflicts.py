# SPDX-License-Identifier: PostgreSQL
"""routing = split where a replica's replay is in the way of a read: one that is cancelled outside a
transaction, before a row was passed on, runs on the primary, and nobody is told; all else gets the
replica's error."""

import pytest

from lib.routed import REPLICAS, Routed
from lib.wait import wait_for
from lib.wire import bind, describe, execute, parse, query, sync

pytestmark = pytest.mark.pgweir_only
ROWS = 1000
# Until it is cancelled on a replica, and no time on the primary.
PAUSE = "pg_sleep(current_setting('app.pause')::float)"
COUNT = f"SELECT count(*) FROM many, {PAUSE}"
# What befalls the table, how many rows there are then, and what the replica says.
CONFLICTS = {
    "lock": (["ALTER TABLE many ADD COLUMN extra int"], ROWS, "holding a relation lock"),
    "truncated": (["TRUNCATE many"], 0, "holding a relation lock"),
    "snapshot": (["DELETE FROM many WHERE i % 2 = 0", "VACUUM (TRUNCATE off) many"], ROWS // 2, "row versions"),
}


@pytest.fixture
def shop(make_shop, cluster):
    """Its replicas wait for nobody."""
    for node in cluster.nodes:
        is_primary = node is cluster.nodes[0]
        with open(node.data / "postgresql.auto.conf", "a", encoding="utf-8") as conf:
            conf.write(f"app.pause = '{0 if is_primary else 60}'\n")
        node.execute("ALTER SYSTEM SET max_standby_streaming_delay = 0")
        node.execute("SELECT pg_reload_conf()")
        wait_for(lambda n=node: n.execute("SHOW max_standby_streaming_delay") == [("0",)])
    cluster.nodes[0].execute(f"CREATE TABLE many AS SELECT i FROM generate_series(1, {ROWS}) i;"
                             "GRANT ALL ON many TO public")
    cluster.catch_up()
    return Routed.begin(cluster, make_shop)


def node_of_read(shop):
    """Where it is in the midst of it: with its locks and its snapshot."""
    def running():
        return [node for node in shop.cluster.nodes if node.execute(
            "SELECT 1 FROM pg_stat_activity WHERE usename = 'alice' AND wait_event = 'PgSleep'")]

    node, = wait_for(running)
    return node


def befall(shop, conflict):
    for text in CONFLICTS[conflict][0]:
        shop.cluster.nodes[0].execute(text)


def assert_cancelled(error, conflict):
    assert (error.severity, error.code) == ("ERROR", "40001"), error
    assert error.message == "canceling statement due to conflict with recovery"
    assert CONFLICTS[conflict][2] in error.fields["D"]


def assert_reads_on_replicas(shop):
    """That it was cancelled says nothing of what it ran."""
    with shop.pooler.raw(dbname="shop") as conn:
        assert shop.query(conn, "SELECT count(*) FROM many")[1] in REPLICAS


@pytest.mark.parametrize("how", ["simple", "unnamed", "prepared", "executed"])
@pytest.mark.parametrize("conflict", CONFLICTS)
def test_read_that_is_cancelled(shop, conflict, how):
    conn = shop.pooler.raw(dbname="shop")
    mark, text = shop.mark("EXECUTE s" if how == "executed" else COUNT)
    if how in ("prepared", "executed"):
        conn.run(parse("s", text if how == "prepared" else COUNT), sync())
    conn.send({"simple": query(text), "executed": query(text),
               "unnamed": parse("", text) + bind() + describe("P") + execute() + sync(),
               "prepared": bind("", "s") + describe("P") + execute() + sync()}[how])
    node = node_of_read(shop)
    assert [node.name] in REPLICAS
    befall(shop, conflict)
    result = conn.result()
    assert result.error is None, (result.error, shop.routes())
    assert (result.rows, result.notices, result.status) == ([[str(CONFLICTS[conflict][1])]], [], "I")
    assert result.kinds == {"simple": "TDCZ", "executed": "TDCZ", "unnamed": "12TDCZ", "prepared": "2TDCZ"}[how]
    assert sorted(shop.where(mark)) == ["primary", node.name]
    assert CONFLICTS[conflict][2] in shop.log_of(node)
    assert shop.routes()["lost"] == 1
    shop.cluster.catch_up()
    assert_reads_on_replicas(shop)


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("conflict", ["lock", "snapshot"])
def test_transaction_that_is_cancelled(shop, conflict, is_first):
    """Others of its reads may have been answered by that node, and all see the same."""
    conn = shop.pooler.raw(dbname="shop")
    conn.query("BEGIN READ ONLY")
    if not is_first:
        assert conn.query("SELECT count(*) FROM many").value() == str(ROWS)
    mark, text = shop.mark(COUNT)
    conn.send(query(text))
    node = node_of_read(shop)
    befall(shop, conflict)
    result = conn.result()
    assert_cancelled(result.error, conflict)
    assert result.status == "E"
    assert shop.where(mark) == [node.name]
    assert conn.query("SELECT 1").error.code == "25P02"
    assert conn.query("ROLLBACK").status == "I"
    assert "lost" not in shop.routes()
    shop.cluster.catch_up()
    assert_reads_on_replicas(shop)


@pytest.mark.parametrize("conflict", ["lock", "snapshot"])
def test_read_of_which_rows_were_passed_on(shop, conflict):
    """To run it again would be to give them twice."""
    conn = shop.pooler.raw(dbname="shop")
    # More than a server keeps back, and then a long time nothing.
    mark, text = shop.mark(f"SELECT repeat('x', 100) FROM many UNION ALL (SELECT 'y' FROM many, {PAUSE} LIMIT 1)")
    conn.send(query(text))
    began = conn.recv_until("D")
    assert [m.kind for m in began] == ["T", "D"]
    node = node_of_read(shop)
    befall(shop, conflict)
    result = conn.result()
    assert_cancelled(result.error, conflict)
    assert (set(result.kinds[:-2]), result.kinds[-2:], result.status) == ({"D"}, "EZ", "I")
    assert shop.where(mark) == [node.name]
    assert "lost" not in shop.routes()
    assert conn.query("SELECT 1").value() == "1"


def has_lock(node, table):
    return node.execute(f"SELECT 1 FROM pg_locks WHERE relation = '{table}'::regclass AND granted"
                        " AND mode = 'AccessExclusiveLock'")


def test_read_in_a_deadlock_with_replay(shop):
    """It has one of two tables, and replay the other one."""
    primary, *replicas = shop.cluster.nodes
    for node in replicas:
        node.execute("ALTER SYSTEM SET max_standby_streaming_delay = '5min'")
        node.execute("SELECT pg_reload_conf()")
        wait_for(lambda n=node: n.execute("SHOW max_standby_streaming_delay") == [("5min",)])
    conn = shop.pooler.raw(dbname="shop")
    mark, text = shop.mark("SELECT count(*) FROM many, t")
    with primary.connect() as writer:
        writer.execute("BEGIN")
        writer.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        # No commit sends it.
        writer.execute("SELECT pg_switch_wal()")
        wait_for(lambda: all(has_lock(node, "t") for node in replicas))
        conn.send(query(text))
        node, = wait_for(lambda: [node for node in replicas if node.execute(
            "SELECT 1 FROM pg_locks WHERE relation = 't'::regclass AND NOT granted")])
        writer.execute("LOCK TABLE many IN ACCESS EXCLUSIVE MODE")
        writer.execute("SELECT pg_switch_wal()")
        wait_for(lambda: mark in shop.log_of(primary))
        writer.execute("ROLLBACK")
    result = conn.result()
    assert (result.error, result.rows, result.status) == (None, [["0"]], "I")
    assert "deadlock detected" in shop.log_of(node)
    assert sorted(shop.where(mark)) == ["primary", node.name]
    assert shop.routes()["lost"] == 1
