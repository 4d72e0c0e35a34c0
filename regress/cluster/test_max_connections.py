# SPDX-License-Identifier: PostgreSQL
"""max_connections of a node: exact over all databases, users and workers, and nobody waits for ever."""

import threading

import pytest

from lib.nodes import WHERE, row_of, settle, where
from lib.wait import stays_true, wait_for
from lib.wire import query

pytestmark = pytest.mark.pgweir_only

LIMIT = 3


def busy_at(node):
    """How many the node runs something for, by its own word."""
    return int(node.execute("SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle'"
                            " AND usename = 'alice' AND pid <> pg_backend_pid()")[0][0])


def connected_to(node):
    return int(node.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'alice'"
                            " AND pid <> pg_backend_pid()")[0][0])


def limit_all(cluster, limit=LIMIT):
    return {str(node): {"max_connections": str(limit)} for node in cluster.nodes}


class Crowd:
    """Clients of several databases that always have something to run."""

    def __init__(self, pooler, databases, each):
        self.is_over, self.errors = threading.Event(), []
        self.done = {database: 0 for database in databases}
        self.threads = [threading.Thread(target=self.run, args=(pooler, database))
                        for database in databases for _ in range(each)]
        for thread in self.threads:
            thread.start()

    def run(self, pooler, database):
        with pooler.raw(dbname=database) as conn:
            while not self.is_over.is_set():
                result = conn.query("SELECT pg_sleep(0.01)")
                self.errors.extend(result.errors)
                self.done[database] += 1

    def end(self):
        self.is_over.set()
        for thread in self.threads:
            thread.join()
        assert self.errors == []


def test_no_more_than_that(make_shop, cluster):
    """Four databases with more clients than places; each of them gets on."""
    primary = cluster.nodes[0]
    pooler = make_shop(of_nodes=limit_all(cluster), default_pool_size=10, slow_start="0")
    for name in ("shop_b", "shop_c"):
        pooler.databases[name] = {"cluster": "shop", "dbname": "postgres"}
    pooler.reload()
    settle(pooler)
    crowd = Crowd(pooler, ["shop", "shop_b", "shop_c", "shop_ro"], 5)
    most, most_links = 0, 0
    try:
        def all_get_on():
            nonlocal most, most_links
            for node in cluster.nodes:
                most = max(most, busy_at(node))
                most_links = max(most_links, int(row_of(pooler, node)["links"]))
            return all(n >= 100 for n in crowd.done.values())
        wait_for(all_get_on, timeout=60)
    finally:
        crowd.end()
    assert 2 <= most <= LIMIT
    assert 2 <= most_links <= LIMIT
    assert row_of(pooler, primary)["max_connections"] == str(LIMIT)
    wait_for(lambda: all(connected_to(node) <= LIMIT for node in cluster.nodes))


def test_a_pool_that_is_never_idle_makes_room(make_shop, cluster):
    pooler = make_shop(of_nodes=limit_all(cluster, 1))
    pooler.databases["shop_b"] = {"cluster": "shop", "dbname": "postgres"}
    pooler.reload()
    settle(pooler)
    with pooler.raw(dbname="shop_b") as conn:
        crowd = Crowd(pooler, ["shop"], 12)
        try:
            wait_for(lambda: crowd.done["shop"] >= 20)
            for _ in range(3):
                assert conn.query("SELECT 1").value() == "1"
                before = crowd.done["shop"]
                wait_for(lambda: crowd.done["shop"] >= before + 20)
        finally:
            crowd.end()


def begin_many(make_shop, cluster, limit, databases=8):
    """So many databases of the one primary."""
    pooler = make_shop(of_nodes={str(cluster.nodes[0]): {"max_connections": str(limit)}})
    names = [f"shop_{i}" for i in range(databases)]
    for name in names:
        pooler.databases[name] = {"cluster": "shop", "dbname": "postgres"}
    pooler.reload()
    settle(pooler)
    return pooler, names


def let_all_get_on(pooler, names):
    """A client of each has twenty transactions at least; how many they were together."""
    crowd = Crowd(pooler, names, 1)
    try:
        wait_for(lambda: all(n >= 20 for n in crowd.done.values()), timeout=60)
    finally:
        crowd.end()
    return sum(crowd.done.values())


def test_places_change_hands_now_and_then(make_shop, cluster):
    """Of twice as many databases as places each gets on, and not with a login for each transaction."""
    pooler, names = begin_many(make_shop, cluster, 4)
    done = let_all_get_on(pooler, names)
    assert pooler.log_count("closing because: evicted") < done / 2


def test_server_that_is_full(make_shop, cluster):
    """It lets go of a connection later than it is closed: who waits hears nothing of that."""
    primary = cluster.nodes[0]
    primary.execute("ALTER SYSTEM SET max_connections = 8")
    primary.restart()
    cluster.catch_up()
    # Three are the superuser's, one is the monitor's.
    pooler, names = begin_many(make_shop, cluster, 4)
    let_all_get_on(pooler, names)


def test_full_replica_of_the_zone(make_shop, cluster):
    """It is waited for; no connection is opened to the far one for nothing."""
    near, far = cluster.nodes[1:]
    pooler = make_shop(of_nodes={str(near): {"max_connections": "1", "zone": "a"}, str(far): {"zone": "b"}},
                       zone="a", slow_start="0", default_pool_size=4)
    settle(pooler)
    with pooler.raw(dbname="shop_ro") as first, pooler.raw(dbname="shop_ro") as second:
        first.query("BEGIN")
        assert where(first) == near.port
        second.send(query(WHERE))
        assert stays_true(lambda: row_of(pooler, far)["links"] == "0", 1)
        first.query("COMMIT")
        assert second.result().value() == str(near.port)
    assert pooler.log_count("a nearer node serves") == 0


def test_why_it_waits(make_shop, cluster):
    primary = cluster.nodes[0]
    pooler = make_shop(of_nodes={str(primary): {"max_connections": "1"}}, query_wait_timeout=1)
    pooler.databases["shop_b"] = {"cluster": "shop", "dbname": "postgres"}
    pooler.reload()
    settle(pooler)
    second = pooler.raw(dbname="shop_b")
    with pooler.raw(dbname="shop") as first:
        first.query("BEGIN")
        second.send(query("SELECT 1"))
        error = second.expect_fatal()
        assert error.message == "query_wait_timeout" and "max_connections" in error.fields["H"]
        first.query("COMMIT")
        with pooler.raw(dbname="shop_b") as third:
            assert where(third) == primary.port
    assert row_of(pooler, primary)["links"] == "1"


def test_failover_to_a_full_node(make_shop, cluster):
    """Reads have all of the new primary's places, and nothing to do there any more."""
    primary, heir = cluster.nodes[:2]
    pooler = make_shop(of_nodes=limit_all(cluster, 2), slow_start="0")
    settle(pooler)
    with pooler.raw(dbname="shop") as conn:
        assert where(conn) == primary.port
    conns = [pooler.raw(dbname="shop_ro") for _ in range(4)]
    for conn in conns:
        conn.query("BEGIN")
    assert row_of(pooler, heir)["links"] == "2"
    primary.kill()
    heir.promote()
    wait_for(lambda: row_of(pooler, heir)["state"] == "primary")
    for conn in conns:
        conn.query("COMMIT")
    with pooler.raw(dbname="shop") as conn:
        assert where(conn) == heir.port
    for conn in conns:
        conn.leave()


def test_limit_by_reload(make_shop, cluster):
    primary = cluster.nodes[0]
    pooler = make_shop(default_pool_size=5)
    settle(pooler)
    conns = [pooler.raw(dbname="shop") for _ in range(5)]
    for conn in conns:
        conn.query("BEGIN")
    assert row_of(pooler, primary)["links"] == "5"
    assert row_of(pooler, primary)["max_connections"] is None
    pooler.sections["nodes"][str(primary)] = {"max_connections": "2"}
    pooler.reload()
    wait_for(lambda: row_of(pooler, primary)["max_connections"] == "2")
    for conn in conns:
        assert conn.query("COMMIT").error is None
    wait_for(lambda: row_of(pooler, primary)["links"] == "2")
    for conn in conns:
        assert where(conn) == primary.port
        conn.leave()


def test_reload_that_moves_a_database(make_shop, cluster):
    """To another cluster of the same nodes: what is still in use counts, and is shown, where it was."""
    primary = cluster.nodes[0]
    pooler = make_shop()
    settle(pooler)

    def links_of():
        return {row["cluster"]: row["links"] for row in pooler.console("SHOW NODES") if row["node"] == str(primary)}
    with pooler.raw(dbname="shop") as conn:
        conn.query("BEGIN")
        pooler.sections["clusters"]["other"] = pooler.sections["clusters"]["shop"]
        pooler.databases["shop"]["cluster"] = "other"
        pooler.reload()
        wait_for(lambda: links_of() == {"shop": "1", "other": "0"})
        conn.query("COMMIT")
        wait_for(lambda: links_of() == {"shop": "0", "other": "0"})
