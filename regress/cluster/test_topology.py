# SPDX-License-Identifier: PostgreSQL
"""Replicas of replicas, and nodes that are spoken to in secret."""

import shutil

import pytest

from lib.nodes import reason, row_of, seen, settle, state, states, where
from lib.wait import wait_for

pytestmark = pytest.mark.pgweir_only


@pytest.fixture
def cascade(cluster):
    """The second replica receives from the first one."""
    _, one, two = cluster.nodes
    two.follow(one)
    two.restart()
    wait_for(lambda: one.execute("SELECT count(*) FROM pg_stat_replication")[0][0] == 1)
    cluster.catch_up()
    return cluster


def write(primary):
    primary.execute("INSERT INTO t VALUES (1)")


def test_cascade(make_shop, cascade):
    primary, one, two = cascade.nodes
    pooler = make_shop(max_lag="500ms", slow_start="0")
    settle(pooler)
    assert seen(pooler, "shop_ro") == {one.port, two.port}
    # What the one in the middle has replayed or not is nothing to the other.
    one.execute("SELECT pg_wal_replay_pause()")
    wait_for(lambda: (write(primary), state(pooler, one))[1] == "lagging")
    assert state(pooler, two) == "ready"
    assert seen(pooler, "shop_ro", 4) == {two.port}
    one.execute("SELECT pg_wal_replay_resume()")
    settle(pooler)
    # Without it the other receives nothing: it lags, by the primary's positions.
    one.kill()
    wait_for(lambda: (write(primary), state(pooler, two))[1] == "lagging")
    assert "nothing is received" in reason(pooler, two)
    assert seen(pooler, "shop_ro", 4) == {primary.port}
    one.start()
    settle(pooler)


def test_own_writes_in_a_cascade(make_shop, cascade):
    """A session sees them on the second hop too, or does not read there."""
    pooler = make_shop(routing="split", slow_start="0")
    settle(pooler)
    with pooler.raw(dbname="shop") as conn:
        for i in range(100):
            conn.query(f"INSERT INTO t VALUES ({i + 1000})")
            assert conn.query(f"SELECT count(*) FROM t WHERE v = {i + 1000}").value() == "1"


def test_promotion_of_the_middle(make_shop, cascade):
    """What follows it follows it on; nothing of the old primary's is used any more."""
    primary, one, two = cascade.nodes
    pooler = make_shop(slow_start="0")
    settle(pooler)
    primary.kill()
    one.promote()
    wait_for(lambda: [state(pooler, n) for n in (primary, one, two)] == ["down", "primary", "ready"])
    with pooler.raw(dbname="shop") as conn:
        assert where(conn) == one.port
        assert conn.query("INSERT INTO t VALUES (2)").error is None
    wait_for(lambda: seen(pooler, "shop_ro", 4) == {two.port})


@pytest.fixture
def secret_cluster(cluster, certs):
    """Nodes that let in nobody who does not use TLS."""
    for node in cluster.nodes:
        for name in ("server.crt", "server.key"):
            shutil.copy(certs / name, node.data / name)
            (node.data / name).chmod(0o600)
        with open(node.data / "postgresql.auto.conf", "a", encoding="utf-8") as conf:
            conf.write("ssl = on\n")
        hba = node.data / "pg_hba.conf"
        hba.write_text("hostnossl all watcher,alice 127.0.0.1/32 reject\n" + hba.read_text())
        node.execute("SELECT pg_reload_conf()")
        wait_for(lambda n=node: n.execute("SHOW ssl")[0][0] == "on")
    return cluster


def test_tls(make_shop, secret_cluster, certs):
    names = [f"localhost:{node.port}" for node in secret_cluster.nodes]
    pooler = make_shop(nodes=names, server_tls_sslmode="verify-full", server_tls_ca_file=certs / "ca.crt")
    settle(pooler)
    with pooler.raw(dbname="shop_ro") as conn:
        assert conn.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").value() == "t"
    watchers = secret_cluster.nodes[0].execute(
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'watcher'")
    assert watchers == [(True,)]


@pytest.mark.parametrize("settings, why", [
    ({"server_tls_sslmode": "disable"}, "pg_hba.conf rejects"),
    ({"server_tls_sslmode": "verify-full", "server_tls_ca_file": "other"}, "certificate verify failed"),
])
def test_tls_that_fails(make_shop, secret_cluster, certs, settings, why):
    """The log says what is wrong with which node."""
    if "server_tls_ca_file" in settings:
        settings = {**settings, "server_tls_ca_file": certs / "other_ca.crt"}
    names = [f"localhost:{node.port}" for node in secret_cluster.nodes]
    pooler = make_shop(nodes=names, **settings)
    wait_for(lambda: states(pooler) == ["down"] * 3)
    for name in names:
        assert why in row_of(pooler, name)["reason"]
    pooler.wait_log(why)
