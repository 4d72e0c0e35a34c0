# SPDX-License-Identifier: PostgreSQL
"""Sudden death: of backends, of clients, of a whole server."""

import os
import signal
import socket
import subprocess

import pytest

from lib.fakepg import description, error, row
from lib.pg import FOR_TESTS, pgcluster
from lib.pgbench import pgbench
from lib.wait import wait_for
from lib.wire import Closed, PgError, RawConn, query, startup


def test_terminated_idle_server_is_noticed(tx_pooler, pg, db):
    conn = tx_pooler.raw()
    conn.query("SELECT 1")
    pg.execute("SELECT pg_terminate_backend(%s)", (pg.backends(db)[0],))
    tx_pooler.wait_pool(sv_idle=0, sv_used=0)
    assert conn.query("SELECT 2").value() == "2"


def test_terminated_busy_server_ends_its_client(tx_pooler, pg, db):
    victim, other = tx_pooler.raw(), tx_pooler.raw()
    victim.send(query("SELECT pg_sleep(20)"))
    pid, = pg.wait_running(db, "pg_sleep(20)")
    pg.execute("SELECT pg_terminate_backend(%s)", (pid,))
    refusal = victim.expect_error()
    assert refusal.severity == "FATAL"
    assert refusal.code in ("57P01", "08P01")
    assert other.query("SELECT 1").value() == "1"
    assert tx_pooler.raw().query("SELECT 1").value() == "1"


def test_terminated_server_in_a_transaction(tx_pooler, pg, db):
    victim = tx_pooler.raw()
    victim.query("BEGIN")
    pid = int(victim.query("SELECT pg_backend_pid()").value())
    pg.execute("SELECT pg_terminate_backend(%s)", (pid,))
    assert victim.expect_error().severity == "FATAL"
    pg.wait_backends(db, 0)
    assert tx_pooler.raw().query("SELECT 1").value() == "1"


@pytest.mark.pgweir_only
@pytest.mark.parametrize("fields", [{"S": "ВАЖНО", "V": "FATAL"}, {"S": "FATAL"}],
                         ids=["in Russian", "before 9.6"])
def test_last_words_of_a_server_are_the_last(make_pooler, make_fake, db, fields):
    def answer(session, kind, body):
        if kind != "Q" or b"SELECT x" not in body:
            return False
        session.send(error("", fields={**fields, "C": "57P01", "M": "that was it"}))
        session.sock.shutdown(socket.SHUT_RDWR)
        return True

    fake = make_fake(on_message=answer)
    conn = make_pooler(databases={db: {"host": fake.host, "port": fake.port}}).raw()
    conn.send(query("SELECT x"))
    assert conn.expect_error().message == "that was it"
    assert conn.is_closed()


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("state", ["idle", "transaction", "running", "copy", pytest.param(
    "pipeline", marks=pytest.mark.pgweir_only)])
def test_client_vanishes(make_pooler, pg, db, how, state):
    """Whatever it was doing, the next client gets a clean server."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1)
    setup = pooler.raw()
    setup.query("CREATE TABLE t (v int)")
    victim = pooler.raw()
    if state == "transaction":
        victim.query("BEGIN")
        victim.query("INSERT INTO t VALUES (1)")
    elif state == "running":
        victim.send(query("SELECT pg_sleep(1.5)"))
        pg.wait_running(db, "pg_sleep(1.5)")
    elif state == "pipeline":
        victim.send(query("SELECT pg_sleep(0.01)") * 20)
        victim.result()
    elif state == "copy":
        victim.send(query("COPY t FROM STDIN"))
        assert victim.recv().kind == "G"
        victim.send(b"d\0\0\0\x06" + b"7\n")
    getattr(victim, how)()
    wait_for(lambda: pooler.pool()["cl_active"] + pooler.pool()["cl_waiting"] == 1)
    assert setup.query("SELECT count(*) FROM t").value() == "0"
    wait_for(lambda: len(pg.backends(db)) == 1)


@pytest.mark.parametrize("why", ["crash", "query_timeout"])
def test_server_lost_in_the_middle_of_a_row(make_pooler, make_fake, db, why):
    """An error of the pooler's own would be taken for the rest of the row."""
    half = row("x" * 200)[:100]

    def answer(session, kind, body):
        if kind != "Q" or b"SELECT x" not in body:
            return False
        session.send(description("x") + half)
        if why == "crash":
            session.sock.shutdown(socket.SHUT_RDWR)
        return True

    fake = make_fake(on_message=answer)
    pooler = make_pooler(databases={db: {"host": fake.host, "port": fake.port}}, query_timeout=1)
    conn = pooler.raw()
    conn.send(query("SELECT x"))
    assert conn.recv().kind == "T"
    with pytest.raises(Closed) as e:
        conn.read_exactly(10_000)
    assert e.value.args[0] == half


def test_killed_client_process(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1)
    env = dict(os.environ, PGPASSWORD="x", PGSSLMODE="disable")
    with subprocess.Popen([pg.bin / "psql", "-X", "-h", "127.0.0.1", "-p", str(pooler.port), "-U",
                           "alice", "-c", "SELECT pg_sleep(20)", db], env=env) as psql:
        pg.wait_running(db, "pg_sleep(20)")
        psql.send_signal(signal.SIGKILL)
    assert pooler.raw().query("SELECT 1").value() == "1"


def test_many_clients_come_and_go(make_pooler, pg, db):
    """Connections in every stage of login are dropped; nothing stays behind."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, auth_type="md5")
    for i in range(60):
        conn = RawConn(pooler.port)
        if i % 3:
            packet = startup({"user": "alice", "database": db})
            conn.send(packet[:len(packet) // (i % 5 + 1)])
        if i % 2:
            conn.reset()
        else:
            conn.close()
    conn = pooler.raw(password=pooler.auth["alice"])
    assert conn.query("SELECT 1").value() == "1"
    wait_for(lambda: pooler.pool()["cl_active"] == 1)
    lists = {r["list"]: int(r["items"]) for r in pooler.console("SHOW LISTS")}
    assert lists["login_clients"] <= 1


def test_clients_survive_terminated_idle_servers(make_pooler, pg, db):
    """All servers die between two waves of queries; as soon as that was noticed nobody minds."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=4)
    conns = [pooler.raw() for _ in range(12)]
    for wave in range(10):
        for c in conns:
            c.send(query(f"SELECT {wave} FROM pg_sleep(0.002)"))
        for c in conns:
            assert c.result().value() == str(wave)
        pooler.wait_pool(sv_login=0, sv_active=0)
        pg.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                   (db,))
        pooler.wait_pool(sv_idle=0, sv_used=0)


def test_pgbench_clean_run(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=3)
    assert pgbench(pg, pooler, "-i", "-q").status == 0
    for protocol in ("simple", "extended"):
        bench = pgbench(pg, pooler, "-c", "12", "-j", "2", "-T", "1", "-M", protocol)
        assert bench.status == 0, bench.output
        assert bench.failed == 0 and bench.processed > 100
        assert len(pg.backends(db)) <= 3


@pytest.mark.pgweir_only
def test_pgbench_prepared(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=3)
    assert pgbench(pg, pooler, "-i", "-q").status == 0
    # pgbench blocks its thread while it prepares, so every client needs a thread of its own.
    bench = pgbench(pg, pooler, "-c", "12", "-j", "12", "-T", "1", "-M", "prepared")
    assert bench.status == 0, bench.output
    assert bench.failed == 0 and bench.processed > 100


def test_pgbench_with_a_connection_for_each_transaction(make_pooler, pg):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=3)
    script = pooler.write("one.sql", "SELECT 1;\n")
    bench = pgbench(pg, pooler, "-C", "-c", "8", "-T", "1", "-f", str(script))
    assert bench.status == 0, bench.output
    assert bench.failed == 0 and bench.processed > 50


def on(pg, **kw):
    return {"pool_mode": "transaction", "databases": {
        "own": {"host": pg.host, "port": pg.port, "dbname": "postgres"}}, **kw}


def test_killed_backend_restarts_the_server(make_pooler, own_pg):
    """SIGKILL of one backend makes PostgreSQL end all of them."""
    pooler = make_pooler(**on(own_pg))
    conns = [pooler.raw(dbname="own") for _ in range(4)]
    for c in conns:
        c.query("BEGIN")
    pid = int(conns[0].query("SELECT pg_backend_pid()").value())
    os.kill(pid, signal.SIGKILL)
    for c in conns:
        with pytest.raises(Closed):
            while True:
                m = c.recv()
                assert m.kind in "NE"
    fresh = wait_for(lambda: login_or_none(pooler), 30)
    assert fresh.query("SELECT 1").value() == "1"


def login_or_none(pooler):
    try:
        conn = pooler.raw(dbname="own")
        conn.query("SELECT 1").value()
        return conn
    except (PgError, Closed):
        return None


def test_server_restart_is_waited_for(make_pooler, own_pg):
    """A client that comes while PostgreSQL is down is served when it is up again."""
    pooler = make_pooler(**on(own_pg))
    conn = pooler.raw(dbname="own")
    assert conn.query("SELECT 1").value() == "1"
    directory = own_pg.env["PW_PG_DIR"]
    pgcluster("stop", directory)
    pooler.wait_pool("own", sv_idle=0, sv_used=0)
    pgcluster("start", directory, "--replicas", "0", *FOR_TESTS)
    fresh = wait_for(lambda: login_or_none(pooler), 30)
    assert fresh.query("SELECT 2").value() == "2"


def test_failing_server_fails_fast(make_pooler, own_pg):
    """Once a login has failed, a client that needs a server is told at once."""
    pooler = make_pooler(**on(own_pg, server_login_retry=30))
    a, b = pooler.raw(dbname="own"), pooler.raw(dbname="own")
    a.query("SELECT 1")
    pgcluster("stop", own_pg.env["PW_PG_DIR"])
    pooler.wait_pool("own", sv_idle=0, sv_used=0)
    a.send(query("SELECT 1"))
    pooler.wait_log("closing because: connect failed")
    b.send(query("SELECT 1"))
    refusal = b.expect_fatal()
    assert refusal.code == "08P01"
    assert refusal.message.startswith("server login has been failing")
    a.close()


@pytest.mark.pgweir_only
def test_startup_of_the_server_is_waited_for(make_pooler, make_fake, db):
    """57P03, the server is starting up: clients wait instead of failing."""
    tries = []

    def on_login(session):
        tries.append(1)
        if len(tries) < 3:
            session.send(error("the database system is starting up", "57P03", "FATAL"))
            return True
        return False

    fake = make_fake(on_login=on_login)
    pooler = make_pooler(pool_mode="transaction",
                         databases={db: {"host": fake.host, "port": fake.port}})
    assert pooler.raw().query("SELECT v").value() == "3"
