# SPDX-License-Identifier: PostgreSQL
"""How a client leaves decides what happens to its server."""

import pytest

from lib.wait import wait_for
from lib.wire import bind, execute, message, parse, query, sync, terminate

pytestmark = pytest.mark.pgweir_only

# A text that is passed on before it is whole.
LONG = 5_000_000


@pytest.fixture
def one(make_pooler):
    return make_pooler(pool_mode="transaction", default_pool_size=1)


def pid_of(conn):
    return conn.query("SELECT pg_backend_pid()").value()


def test_open_transaction_is_rolled_back_and_the_server_reset(one, pg, db):
    with pg.connect(db) as c:
        c.execute("CREATE TABLE t (v int); GRANT ALL ON t TO public")
    conn = one.raw()
    conn.query("BEGIN")
    conn.query("INSERT INTO t VALUES (1)")
    conn.query("SET work_mem = '77MB'")
    pid = pid_of(conn)
    conn.close()
    other = one.raw()
    assert pid_of(other) == pid
    assert other.query("SELECT count(*) FROM t").value() == "0"
    assert other.query("SHOW work_mem").value() != "77MB"


def test_complete_requests_run_to_their_end_after_terminate(one):
    setup = one.raw()
    setup.query("CREATE TABLE t (v int)")
    conn = one.raw()
    conn.send(query("SELECT pg_sleep(0.3); INSERT INTO t VALUES (1)") + terminate())
    conn.close()
    wait_for(lambda: setup.query("SELECT count(*) FROM t").value() == "1")


def test_queued_requests_run_after_terminate(one):
    holder = one.raw()
    holder.query("CREATE TABLE t (v int)")
    holder.query("BEGIN")
    conn = one.raw()
    conn.send(query("INSERT INTO t VALUES (1)") + terminate())
    one.wait_pool(cl_waiting=1)
    conn.close()
    holder.query("COMMIT")
    wait_for(lambda: holder.query("SELECT count(*) FROM t").value() == "1")


def test_requests_without_sync_do_not_take_effect_after_terminate(one):
    setup = one.raw()
    setup.query("CREATE TABLE t (v int)")
    conn = one.raw()
    conn.send(parse("", "INSERT INTO t VALUES (1)") + bind() + execute() + terminate())
    conn.close()
    one.wait_pool(sv_active=0)
    assert setup.query("SELECT count(*) FROM t").value() == "0"


def test_abandoned_query_has_a_time_limit(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1,
                         abandoned_query_timeout=1)
    conn = pooler.raw()
    conn.send(query("SELECT pg_sleep(60)") + terminate())
    pg.wait_running(db, "pg_sleep(60)")
    conn.close()
    assert pooler.raw().query("SELECT 'free'").value() == "free"


@pytest.mark.parametrize("how", ["close", "reset"])
def test_query_of_a_lost_client_is_cancelled(one, pg, db, how):
    conn = one.raw()
    conn.send(query("SELECT pg_sleep(60)"))
    pid, = pg.wait_running(db, "pg_sleep(60)")
    getattr(conn, how)()
    assert one.raw().query("SELECT pg_backend_pid()").value() == str(pid)


def test_half_a_message_closes_the_server(one):
    conn, other = one.raw(), one.raw()
    pid = pid_of(other)
    conn.send(query("SELECT '" + "x" * LONG + "'")[:-100])
    one.wait_pool(sv_active=1)
    conn.close()
    assert pid_of(other) != pid


def test_copy_in_progress_closes_the_server(one):
    conn, other = one.raw(), one.raw()
    other.query("CREATE TABLE t (v int)")
    pid = pid_of(other)
    conn.send(query("COPY t FROM STDIN"))
    assert conn.recv().kind == "G"
    conn.send(message("d", b"1\n"))
    conn.close()
    assert pid_of(other) != pid
    assert other.query("SELECT count(*) FROM t").value() == "0"


def test_failed_copy_of_the_extended_protocol_with_a_sync_behind_it(one):
    """Whether the COPY has eaten the first Sync cannot be told; every answer must still come."""
    conn, other = one.raw(), one.raw()
    conn.query("CREATE TABLE t (v int)")
    for bad in (b"x\n", b"1\t2\n"):
        conn.send(parse("", "COPY t FROM STDIN") + bind() + execute() + sync())
        while conn.recv().kind != "G":
            pass
        conn.send(message("d", bad) + message("c") + sync())
        result = conn.result()
        assert result.error.code == "22P02" or result.error.code == "22P04"
        assert result.status == "I"
        assert conn.query("SELECT 'mine'").value() == "mine"
        assert other.query("SELECT 'other'").value() == "other"


def test_nothing_is_added_to_half_a_message(one, pg, db):
    """Two bytes are missing; with any two bytes of the pooler's own it would be run."""
    conn = one.raw()
    conn.query("CREATE TABLE t (v int)")
    pid = int(pid_of(conn))
    conn.send(query("INSERT INTO t VALUES (1) --" + "." * LONG)[:-2])
    one.wait_pool(sv_active=1)
    conn.close()
    wait_for(lambda: pid not in pg.backends(db))
    assert one.raw().query("SELECT count(*) FROM t").value() == "0"
