# SPDX-License-Identifier: PostgreSQL
"""Cancel requests reach the query they are meant for, and no other."""

import os
import threading

import pytest

from lib.wait import stays_true, wait_for
from lib.wire import RawConn, cancel_request, query


def sleeping(conn, pg, db, seconds=20):
    conn.send(query(f"SELECT pg_sleep({seconds})"))
    pg.wait_running(db, f"pg_sleep({seconds})")


@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
def test_running_query_is_cancelled(make_pooler, pg, db, mode):
    pooler = make_pooler(pool_mode=mode, default_pool_size=1)
    conn = pooler.raw()
    sleeping(conn, pg, db)
    conn.cancel()
    result = conn.result()
    assert result.error.code == "57014"
    assert conn.query("SELECT 1").value() == "1"


def test_cancel_over_the_unix_socket(tx_pooler, pg, db):
    conn = tx_pooler.raw(unix=True)
    sleeping(conn, pg, db)
    conn.cancel()
    assert conn.result().error.code == "57014"


@pytest.mark.pgweir_only
def test_cancel_request_in_pieces(tx_pooler, pg, db):
    conn = tx_pooler.raw()
    sleeping(conn, pg, db)
    with RawConn(tx_pooler.port) as c:
        c.send(cancel_request(conn.key), cut="bytes")
        c.is_closed()
    assert conn.result().error.code == "57014"


def test_psycopg_cancel(tx_pooler, pg, db):
    conn = tx_pooler.connect()
    errors = []

    def work():
        try:
            conn.execute("SELECT pg_sleep(20)")
        except Exception as e:
            errors.append(e)

    thread = threading.Thread(target=work)
    thread.start()
    pg.wait_running(db, "pg_sleep(20)")
    conn.cancel()
    thread.join()
    assert errors[0].sqlstate == "57014"


def test_cancel_reaches_the_right_one_of_many(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=5)
    conns = [pooler.raw() for _ in range(5)]
    for i, c in enumerate(conns):
        sleeping(c, pg, db, f"1.{i}")
    conns[3].cancel()
    for i, c in enumerate(conns):
        assert (c.result().error is not None) == (i == 3)


def test_cancel_inside_a_transaction_fails_it(tx_pooler, pg, db):
    conn = tx_pooler.raw()
    conn.query("BEGIN")
    sleeping(conn, pg, db)
    conn.cancel()
    assert conn.result().status == "E"
    assert conn.query("ROLLBACK").status == "I"


def test_wrong_key_cancels_nothing(tx_pooler, pg, db):
    conn = tx_pooler.raw()
    conn.send(query("SELECT pg_sleep(1)"))
    pg.wait_running(db, "pg_sleep(1)")
    for _ in range(10):
        with RawConn(tx_pooler.port) as c:
            c.send(cancel_request(os.urandom(8)))
            c.is_closed()
    with RawConn(tx_pooler.port) as c:
        c.send(cancel_request(bytes([conn.key[0] ^ 1]) + conn.key[1:]))
        c.is_closed()
    assert conn.result().tag == "SELECT 1"


def test_cancel_of_an_idle_client_does_nothing(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1)
    conn, other = pooler.raw(), pooler.raw()
    conn.query("SELECT 1")
    for _ in range(5):
        conn.cancel()
        assert other.query("SELECT 1").value() == "1"
        assert conn.query("SELECT 1").value() == "1"


@pytest.mark.pgweir_only
@pytest.mark.parametrize("workers", [1, 2])
def test_cancel_of_an_idle_client_spares_who_has_its_link_now(make_pooler, pg, db, workers):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, worker_threads=workers)
    conns = [pooler.raw() for _ in range(4)]
    for c in conns:
        c.query("SELECT 1")
    conns[3].send(query("SELECT pg_sleep(0.5)"))
    pg.wait_running(db, "pg_sleep(0.5)")
    for c in conns[:3]:
        c.cancel()
    assert conns[3].result().tag == "SELECT 1"


def test_key_of_a_client_that_left(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1)
    gone, conn = pooler.raw(), pooler.raw()
    gone.query("SELECT 1")
    gone.close()
    pooler.wait_pool(cl_active=1)
    conn.send(query("SELECT pg_sleep(0.5)"))
    pg.wait_running(db, "pg_sleep(0.5)")
    gone.cancel()
    assert conn.result().tag == "SELECT 1"


def test_keys_differ(pooler):
    keys = {pooler.raw().key for _ in range(50)}
    assert len(keys) == 50


def storm(conn, count):
    """So many cancels at once for one client."""
    threads = [threading.Thread(target=conn.cancel) for _ in range(count)]
    for t in threads:
        t.start()
    return threads


@pytest.mark.pgweir_only
def test_hundred_cancels_never_hit_the_next_client(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, max_client_conn=500)
    victim, next_one = pooler.raw(), pooler.raw()
    for _ in range(3):
        sleeping(victim, pg, db)
        next_one.send(query("SELECT pg_sleep(0.05), 'unharmed'"))
        pooler.wait_pool(cl_waiting=1)
        threads = storm(victim, 100)
        assert victim.result().error.code == "57014"
        assert next_one.result().rows[0][1] == "unharmed"
        for _ in range(20):
            assert next_one.query("SELECT pg_sleep(0.002)").error is None
        for t in threads:
            t.join()


@pytest.mark.pgweir_only
def test_cancels_that_race_with_the_end_of_the_query(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, max_client_conn=500)
    victim, next_one = pooler.raw(), pooler.raw()
    for _ in range(20):
        victim.send(query("SELECT pg_sleep(0.01)"))
        threads = storm(victim, 5)
        next_one.send(query("SELECT pg_sleep(0.02)"))
        victim.result()
        assert next_one.result().error is None
        for t in threads:
            t.join()


@pytest.mark.pgweir_only
def test_queued_query_is_cancelled(make_pooler, db):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1)
    holder, waiter = pooler.raw(), pooler.raw()
    holder.query("BEGIN")
    waiter.send(query("SELECT 'never runs'"))
    pooler.wait_pool(cl_waiting=1)
    waiter.cancel()
    result = waiter.result()
    assert (result.error.severity, result.error.code) == ("ERROR", "57014")
    assert result.status == "I"
    pooler.wait_pool(cl_waiting=0)
    holder.query("COMMIT")
    assert waiter.query("SELECT 1").value() == "1"


def test_cancel_carries_the_servers_key(make_pooler, make_fake, db):
    release = threading.Event()

    def handler(session, kind, body):
        if kind == "Q" and b"wait" in body:
            release.wait(10)
        return False

    fake = make_fake(key=b"\x12\x34\x56\x78abcd", on_message=handler)
    pooler = make_pooler(pool_mode="transaction",
                         databases={db: {"host": fake.host, "port": fake.port}})
    conn = pooler.raw()
    assert conn.key != fake.key
    conn.send(query("SELECT wait"))
    wait_for(lambda: fake.session().messages and b"wait" in fake.session().messages[-1].body)
    conn.cancel()
    wait_for(lambda: fake.cancels)
    release.set()
    assert fake.cancels == [fake.key]
    assert conn.result().value() == "1"


@pytest.mark.pgweir_only
def test_server_is_not_lent_while_a_cancel_is_on_its_way(make_pooler, make_fake, db):
    """The cancel connection is held open: the server that it is for must not serve another."""
    holding, release = threading.Event(), threading.Event()

    def handler(session, kind, body):
        if kind == "Q" and b"wait" in body:
            holding.wait(10)
        return False

    fake = make_fake(on_message=handler, on_cancel=lambda: release.wait(10))
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, worker_threads=1,
                         databases={db: {"host": fake.host, "port": fake.port}})
    conn, other = pooler.raw(), pooler.raw()
    conn.send(query("SELECT wait"))
    wait_for(lambda: fake.session().messages and b"wait" in fake.session().messages[-1].body)
    canceller = threading.Thread(target=conn.cancel)
    canceller.start()
    wait_for(lambda: fake.cancels)
    holding.set()
    assert conn.result().value() == "1"
    other.send(query("SELECT other"))
    said = fake.session().messages
    assert stays_true(lambda: all(b"other" not in m.body for m in said), 0.3)
    release.set()
    canceller.join()
    assert other.result().value() == "1"
