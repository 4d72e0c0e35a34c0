# SPDX-License-Identifier: PostgreSQL
"""Lending server connections: modes, sizes, queues, limits, timeouts, resets."""

import select
import threading
import time

import pytest

from lib.check import assert_refused
from lib.console import by, shown
from lib.pooler import is_pgweir
from lib.wait import stays_true, wait_for
from lib.wire import PgError, bind, close, execute, flush, message, parse, query, sync

PID = "SELECT pg_backend_pid()"


def pid_of(conn):
    return int(conn.query(PID).value())


def one_worker():
    """For an exact order: between workers a waiter may be overtaken by a little."""
    return {"worker_threads": 1} if is_pgweir() else {}


def target(pg, db, **more):
    return {db: {"host": pg.host, "port": pg.port, "dbname": db, **more}}


# -- modes --


def test_session_mode_keeps_the_server(make_pooler):
    pooler = make_pooler(pool_mode="session", default_pool_size=3)
    conns = [pooler.raw() for _ in range(3)]
    first = [pid_of(c) for c in conns]
    assert len(set(first)) == 3
    assert [pid_of(c) for c in conns] == first


def test_session_mode_next_client_waits_for_disconnect(make_pooler):
    pooler = make_pooler(pool_mode="session", default_pool_size=1)
    a, b = pooler.raw(), pooler.raw()
    pid = pid_of(a)
    b.send(query(PID))
    pooler.wait_pool(cl_active=1, cl_waiting=1)
    a.close()
    assert int(b.result().value()) == pid


def test_transaction_mode_shares_one_server(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1)
    conns = [pooler.raw() for _ in range(5)]
    assert len({pid_of(c) for c in conns}) == 1


def test_transaction_mode_keeps_the_server_in_a_transaction(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2)
    a, b = pooler.raw(), pooler.raw()
    assert a.query("BEGIN").status == "T"
    pid = pid_of(a)
    assert pid_of(b) != pid
    assert pid_of(a) == pid
    assert a.query("SELECT 1/0").status == "E"
    assert pid_of(b) != pid
    assert a.query("ROLLBACK").status == "I"


def test_transaction_mode_second_client_gets_its_turn_at_commit(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1)
    a, b = pooler.raw(), pooler.raw()
    a.query("BEGIN")
    b.send(query("SELECT 'turn'"))
    pooler.wait_pool(cl_waiting=1)
    assert a.query("COMMIT").tag == "COMMIT"
    assert b.result().value() == "turn"


def test_pipeline_behind_a_sync_keeps_its_server(make_pooler):
    """What a client has already sent is answered on one server, in order."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2)
    conn = pooler.raw()
    batch = b"".join(parse("", PID) + bind() + execute() + sync() for _ in range(10))
    conn.send(batch)
    pids = {conn.result().value() for _ in range(10)}
    assert len(pids) == 1


def test_statement_mode_shares_and_refuses_transactions(make_pooler):
    pooler = make_pooler(pool_mode="statement", default_pool_size=1)
    a, b = pooler.raw(), pooler.raw()
    assert pid_of(a) == pid_of(b)
    a.send(query("BEGIN"))
    assert_refused(a.expect_error(), "transaction blocks not allowed in statement pooling mode")
    assert b.query("SELECT 1").value() == "1"


@pytest.mark.parametrize("level", ["databases", "users"])
def test_pool_mode_of_a_database_or_user(make_pooler, pg, db, level):
    kw = {"databases": {"databases": target(pg, db, pool_mode="transaction")},
          "users": {"users": {"alice": "pool_mode=transaction"}}}[level]
    pooler = make_pooler(pool_mode="session", default_pool_size=1, **kw)
    a, b = pooler.raw(), pooler.raw()
    assert pid_of(a) == pid_of(b)
    assert pooler.pool()["pool_mode"] == "transaction"


def test_server_is_assigned_by_the_first_query_not_by_login(make_pooler):
    pooler = make_pooler(pool_mode="session", default_pool_size=1)
    idle = [pooler.raw() for _ in range(3)]
    busy = pooler.raw()
    assert busy.query("SELECT 1").value() == "1"
    for c in idle:
        c.close()


# -- sizes --


@pytest.mark.parametrize("size", [1, 3, 7])
def test_pool_size_is_exact(make_pooler, pg, db, size):
    """As many servers as allowed, never one more: counted by PostgreSQL."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=size)
    clients = [pooler.raw() for _ in range(size * 3)]
    for c in clients:
        c.send(query("SELECT pg_sleep(0.1)"))
    most = 0

    def watch():
        nonlocal most
        most = max(most, len(pg.backends(db, "alice")))
        return most >= size

    wait_for(watch)
    for c in clients:
        watch()
        assert c.result().tag == "SELECT 1"
    assert most == size
    assert len(pg.backends(db, "alice")) == size


@pytest.mark.pgweir_only
@pytest.mark.parametrize("workers", [1, 4])
def test_pool_size_is_exact_over_workers(make_pooler, pg, db, workers):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=3, worker_threads=workers)
    clients = [pooler.raw() for _ in range(24)]
    for _ in range(5):
        for c in clients:
            c.send(query("SELECT pg_sleep(0.01)"))
        for c in clients:
            assert c.result().tag == "SELECT 1"
        assert len(pg.backends(db, "alice")) <= 3


def test_pool_size_per_database_and_user(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=5,
                         databases=target(pg, db, pool_size=2))
    for user, clients in (("alice", 6), ("bob", 6)):
        conns = [pooler.raw(user=user) for _ in range(clients)]
        for c in conns:
            c.send(query("SELECT pg_sleep(0.05)"))
        for c in conns:
            c.result()
        assert len(pg.backends(db, user)) == 2


@pytest.mark.pgweir_only
def test_pool_size_of_a_user_wins(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", users={"alice": "pool_size=1"},
                         databases=target(pg, db, pool_size=4))
    conns = [pooler.raw() for _ in range(6)]
    for c in conns:
        c.send(query("SELECT pg_sleep(0.05)"))
    for c in conns:
        c.result()
    assert len(pg.backends(db, "alice")) == 1


def test_min_pool_size(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", min_pool_size=3)
    assert pg.backends(db) == []
    conn = pooler.raw()
    pg.wait_backends(db, 3, "alice")
    conn.close()


@pytest.mark.parametrize("workers", (1, 2))
def test_min_pool_size_of_a_forced_user_needs_no_client(make_pooler, pg, db, workers):
    entry = {"host": pg.host, "port": pg.port, "dbname": db}
    pooler = make_pooler(worker_threads=workers, databases={db: dict(entry, user="alice"),
                                                            "none": entry})
    assert pg.backends(db) == []
    pooler.databases[db]["min_pool_size"] = 2
    pooler.reload()
    pg.wait_backends(db, 2, "alice")
    pooler.stop()
    pg.wait_backends(db, 0)
    pooler.start()
    pg.wait_backends(db, 2, "alice")
    assert len(pg.backends(db)) == 2


def test_min_pool_size_refills(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", min_pool_size=2)
    conn = pooler.raw()
    pg.wait_backends(db, 2, "alice")
    pg.execute("SELECT pg_terminate_backend(%s)", (pg.backends(db)[0],))
    pg.wait_backends(db, 2, "alice")
    conn.close()


def test_lowered_pool_size_closes_the_surplus(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=4)
    conns = [pooler.raw() for _ in range(4)]
    for c in conns:
        c.send(query("SELECT pg_sleep(0.2)"))
    for c in conns:
        c.result()
    assert len(pg.backends(db)) == 4
    pooler.settings["default_pool_size"] = 1
    pooler.reload()
    pg.wait_backends(db, 1)


# -- the queue --


def test_queue_is_first_in_first_out(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, **one_worker())
    holder = pooler.raw()
    holder.query("BEGIN")
    holder.query("CREATE TABLE served (n serial, who int)")
    waiters = [pooler.raw() for _ in range(8)]
    for i, c in enumerate(waiters):
        c.send(query(f"INSERT INTO served (who) VALUES ({i})"))
        pooler.wait_pool(cl_waiting=i + 1)
    holder.query("COMMIT")
    for c in waiters:
        assert c.result().tag == "INSERT 0 1"
    order = [int(r[0]) for r in holder.query("SELECT who FROM served ORDER BY n").rows]
    assert order == list(range(8))


def test_query_wait_timeout(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, query_wait_timeout=1)
    holder, waiter = pooler.raw(), pooler.raw()
    holder.query("BEGIN")
    started = time.monotonic()
    waiter.send(query("SELECT 1"))
    error = waiter.expect_fatal()
    assert_refused(error, "query_wait_timeout")
    assert time.monotonic() - started > 0.9
    assert holder.query("COMMIT").tag == "COMMIT"
    assert pooler.raw().query("SELECT 1").value() == "1"


def test_query_wait_timeout_of_zero_means_no_limit(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, query_wait_timeout=0)
    holder, waiter = pooler.raw(), pooler.raw()
    holder.query("BEGIN")
    waiter.send(query("SELECT 1"))
    pooler.wait_pool(cl_waiting=1)
    assert stays_true(lambda: pooler.pool()["cl_waiting"] == 1, 1.2)
    holder.query("COMMIT")
    assert waiter.result().value() == "1"


@pytest.mark.pgweir_only
def test_notice_while_queued(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, query_wait_notify=1)
    holder, waiter = pooler.raw(), pooler.raw()
    holder.query("BEGIN")
    waiter.send(query("SELECT 1"))
    notice = waiter.recv()
    assert notice.kind == "N"
    assert notice.fields()["M"] == \
        "No server connection available in postgres backend, client being queued"
    assert notice.fields()["C"] == "00000"
    holder.query("COMMIT")
    assert waiter.result().notices == []


@pytest.mark.pgweir_only
def test_waiter_that_leaves_is_forgotten(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1)
    holder, leaver, stayer = pooler.raw(), pooler.raw(), pooler.raw()
    holder.query("BEGIN")
    leaver.send(query("SELECT 'unheard'"))
    pooler.wait_pool(cl_waiting=1)
    stayer.send(query("SELECT 'served'"))
    pooler.wait_pool(cl_waiting=2)
    leaver.close()
    pooler.wait_pool(cl_waiting=1)
    holder.query("COMMIT")
    assert stayer.result().value() == "served"


def test_no_client_starves(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2)
    stop = threading.Event()
    counts = [0] * 10
    failures = []

    def work(i, conn):
        try:
            while not stop.is_set():
                conn.query("SELECT pg_sleep(0.001)").value()
                counts[i] += 1
        except Exception as e:
            failures.append(e)

    threads = [threading.Thread(target=work, args=(i, pooler.raw())) for i in range(10)]
    for t in threads:
        t.start()
    wait_for(lambda: failures or min(counts) >= 20, 20, "every client is served")
    stop.set()
    for t in threads:
        t.join()
    assert not failures
    assert max(counts) < 10 * min(counts)


# -- reserve --


def test_reserve_pool(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, reserve_pool_size=1,
                         reserve_pool_timeout=1)
    holder, second, third = pooler.raw(), pooler.raw(), pooler.raw()
    holder.query("BEGIN")
    started = time.monotonic()
    assert second.query("BEGIN").tag == "BEGIN"
    assert time.monotonic() - started > 0.9
    assert pooler.log_count("taking connection from reserve_pool") == 1
    third.send(query("SELECT 1"))
    pooler.wait_pool(cl_waiting=1)
    assert len(pg.backends(db)) == 2
    holder.query("COMMIT")
    assert third.result().value() == "1"


def test_reserve_pool_timeout_of_zero_disables_it(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, reserve_pool_size=1,
                         reserve_pool_timeout=0)
    holder, second = pooler.raw(), pooler.raw()
    holder.query("BEGIN")
    second.send(query("SELECT 1"))
    pooler.wait_pool(cl_waiting=1)
    assert stays_true(lambda: len(pg.backends(db)) == 1, 1)
    holder.query("COMMIT")
    assert second.result().value() == "1"


# -- limits over pools --


def test_max_db_connections_evicts_an_idle_server(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", max_db_connections=1)
    a, b = pooler.raw(user="alice"), pooler.raw(user="bob")
    for c, user in ((a, "alice"), (b, "bob"), (a, "alice")):
        assert c.query("SELECT current_user").value() == user
        pg.wait_backends(db, 1)
        assert len(pg.backends(db, user)) == 1
    assert pooler.log_count("closing because: evicted") >= 2


def test_max_db_connections_waits_for_a_busy_server(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", max_db_connections=1)
    a, b = pooler.raw(user="alice"), pooler.raw(user="trusty", login=False)
    a.query("BEGIN")
    results = []
    t = threading.Thread(target=lambda: results.append(
        b.login("trusty", db).query("SELECT current_user").value()))
    t.start()
    assert stays_true(lambda: not results and len(pg.backends(db)) == 1, 0.5)
    a.query("COMMIT")
    t.join()
    assert results == ["trusty"]


def test_max_user_connections(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", max_user_connections=1, databases={
        "one": {"host": pg.host, "port": pg.port, "dbname": db},
        "two": {"host": pg.host, "port": pg.port, "dbname": db}})
    a, b = pooler.raw(dbname="one"), pooler.raw(dbname="two")
    for c in (a, b, a, b):
        assert c.query("SELECT 1").value() == "1"
        pg.wait_backends(db, 1, "alice")


def test_max_client_conn(make_pooler):
    pooler = make_pooler(max_client_conn=3)
    conns = [wait_for(lambda: raw_or_none(pooler)) for _ in range(3)]
    with pytest.raises(PgError) as e:
        pooler.raw()
    assert_refused(e.value, "no more connections allowed (max_client_conn)")
    assert pooler.console("SHOW VERSION")
    conns[0].close()
    assert wait_for(lambda: raw_or_none(pooler)).query("SELECT 1").value() == "1"


def raw_or_none(pooler):
    """A connection that has just been closed may still be counted."""
    try:
        return pooler.raw()
    except PgError:
        return None


@pytest.mark.pgweir_only
def test_max_db_client_connections(make_pooler, pg, db):
    pooler = make_pooler(databases=target(pg, db, max_db_client_connections=2))
    conns = [pooler.raw(), pooler.raw(user="bob")]
    with pytest.raises(PgError) as e:
        pooler.raw()
    assert_refused(e.value, "client connections exceeded (max_db_client_connections)")
    conns[0].close()
    wait_for(lambda: pooler.pool()["cl_active"] == 0)
    assert pooler.raw().query("SELECT 1").value() == "1"


@pytest.mark.pgweir_only
def test_max_user_client_connections(make_pooler):
    pooler = make_pooler(users={"alice": "max_user_client_connections=1"})
    first = pooler.raw()
    with pytest.raises(PgError) as e:
        pooler.raw()
    assert_refused(e.value, "client connections exceeded (max_user_client_connections)")
    assert pooler.raw(user="bob").query("SELECT 1").value() == "1"
    first.close()
    wait_for(lambda: pooler.pool()["cl_active"] == 0)
    assert pooler.raw().query("SELECT 1").value() == "1"


# -- the life of a server --


def test_server_lifetime(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", server_lifetime=1)
    conn = pooler.raw()
    pid = pid_of(conn)
    wait_for(lambda: pid not in pg.backends(db))
    assert pooler.log_count("server lifetime over") >= 1
    assert pid_of(conn) != pid


def test_server_lifetime_of_zero_means_once(make_pooler):
    pooler = make_pooler(pool_mode="transaction", server_lifetime=0, default_pool_size=1)
    conn = pooler.raw()
    pids = [pid_of(conn) for _ in range(4)]
    assert len(set(pids)) == 4


def test_server_idle_timeout(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", server_idle_timeout=1)
    conn = pooler.raw()
    pid = pid_of(conn)
    wait_for(lambda: pg.backends(db) == [])
    assert pooler.log_count("server idle timeout") == 1
    assert pid_of(conn) != pid


def test_server_check_query(make_pooler, make_fake, db):
    fake = make_fake()
    pooler = make_pooler(pool_mode="transaction", server_check_delay=0,
                         server_check_query="SELECT 'check'",
                         databases={db: {"host": fake.host, "port": fake.port}})
    conn = pooler.raw()
    for _ in range(2):
        conn.query("SELECT v").value()
    asked = [m.text() for m in fake.session().messages if m.kind == "Q"]
    assert asked.index("SELECT 'check'") < len(asked) - 1
    assert asked[-1] == "SELECT v"


@pytest.mark.parametrize("round_robin, same", [(0, True), (1, False)])
def test_choice_among_idle_servers(make_pooler, round_robin, same):
    """The last used first, or each in turn."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2,
                         server_round_robin=round_robin, **one_worker())
    a, b = pooler.raw(), pooler.raw()
    a.query("BEGIN")
    b.query("BEGIN")
    a.query("COMMIT")
    b.query("COMMIT")
    pids = {pid_of(a) for _ in range(6)}
    assert len(pids) == (1 if same else 2)


def test_unfinished_transaction_is_never_inherited(make_pooler, pg, db):
    """Its server is closed or rolled back; the next client finds no transaction and no row."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1)
    a = pooler.raw()
    a.query("CREATE TABLE t (v int)")
    a.query("BEGIN")
    a.query("INSERT INTO t VALUES (1)")
    a.close()
    b = pooler.raw()
    result = b.query("SELECT count(*) FROM t")
    assert (result.value(), result.status) == ("0", "I")
    pg.wait_backends(db, 1)


# -- reset query --


def test_reset_query_in_session_mode(make_pooler):
    pooler = make_pooler(pool_mode="session", default_pool_size=1)
    a = pooler.raw()
    pid = pid_of(a)
    a.query("SET work_mem = '123kB'")
    a.query("CREATE TEMP TABLE mine ()")
    a.close()
    b = pooler.raw()
    assert pid_of(b) == pid
    assert b.query("SHOW work_mem").value() != "123kB"
    assert b.query("SELECT to_regclass('pg_temp.mine')").rows == [[None]]


def test_empty_reset_query(make_pooler):
    pooler = make_pooler(pool_mode="session", default_pool_size=1, server_reset_query="")
    a = pooler.raw()
    a.query("SET work_mem = '123kB'")
    a.close()
    b = pooler.raw()
    assert b.query("SHOW work_mem").value() == "123kB"


def test_reset_query_always(make_pooler):
    off = {"session_state": "off"} if is_pgweir() else {}
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1,
                         server_reset_query="RESET work_mem", server_reset_query_always=1, **off)
    a = pooler.raw()
    a.query("SET work_mem = '123kB'")
    assert a.query("SHOW work_mem").value() != "123kB"


def test_reset_query_that_fails_harms_nobody(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="session", default_pool_size=1, server_reset_query="SELECT 1/0")
    for _ in range(5):
        conn = pooler.raw()
        assert conn.query("SELECT 1").value() == "1"
        conn.close()
    assert len(pg.backends(db)) <= 1


# -- timeouts --


def test_query_timeout(make_pooler):
    pooler = make_pooler(pool_mode="transaction", query_timeout=1)
    conn = pooler.raw()
    conn.send(query("SELECT pg_sleep(20)"))
    assert_refused(conn.expect_fatal(), "query timeout")


def test_idle_transaction_timeout(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", idle_transaction_timeout=1)
    conn = pooler.raw()
    conn.query("BEGIN")
    assert_refused(conn.expect_fatal(), "idle transaction timeout")
    wait_for(lambda: pg.backends(db) == [])


def fail_copy(conn):
    """COPY FROM STDIN fails at once; the rest of the data comes when that is over."""
    conn.query("CREATE TEMP TABLE q (v int)")
    conn.send(query("COPY q FROM STDIN"))
    assert conn.recv().kind == "G"
    conn.send(message("d", b"bad\n") + message("c"))
    assert conn.result().errors
    conn.send(message("d", b"more\n") * 3 + message("c"))


def is_quiet(conn):
    return not select.select([conn.sock], [], [], 0)[0]


@pytest.mark.pgweir_only
@pytest.mark.parametrize("late", [fail_copy, lambda conn: conn.send(flush())],
                         ids=["rest of a failed COPY", "Flush"])
def test_what_gets_no_answer_does_not_start_the_query_clock(make_pooler, late):
    pooler = make_pooler(pool_mode="session", query_timeout=1)
    conn = pooler.raw()
    conn.query("SELECT 1")
    late(conn)
    assert stays_true(lambda: is_quiet(conn), 2)
    assert by(shown(pooler, "CLIENTS"), database=pooler.db)["wait_us"] == "0"
    assert conn.query("SELECT 2").value() == "2"


@pytest.mark.pgweir_only
@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_flush_in_an_idle_transaction(make_pooler, mode):
    pooler = make_pooler(pool_mode=mode, query_timeout=1, idle_transaction_timeout=2)
    conn = pooler.raw()
    conn.query("BEGIN")
    conn.send(flush())
    assert_refused(conn.expect_fatal(), "idle transaction timeout")


@pytest.mark.pgweir_only
def test_request_that_no_server_was_asked_in_an_idle_transaction(make_pooler):
    """The server has the statement under another name: the answer is ours."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, query_timeout=1,
                         idle_transaction_timeout=2)
    conn = pooler.raw()
    conn.run(parse("a", "SELECT 1"), sync())
    conn.query("BEGIN")
    conn.send(parse("b", "SELECT 1") + flush())
    assert conn.recv().kind == "1"
    assert_refused(conn.expect_fatal(), "idle transaction timeout")


def test_batch_that_is_not_ended_is_a_request(make_pooler):
    pooler = make_pooler(pool_mode="transaction", query_timeout=1)
    conn = pooler.raw()
    conn.send(parse("", "SELECT 1") + flush())
    assert conn.recv().kind == "1"
    assert_refused(conn.expect_fatal(), "query timeout")


@pytest.mark.pgweir_only
def test_transaction_timeout(make_pooler):
    pooler = make_pooler(pool_mode="transaction", transaction_timeout=1)
    conn = pooler.raw()
    conn.query("BEGIN")
    assert_refused(conn.expect_fatal(), "transaction timeout")


def test_client_idle_timeout(make_pooler):
    pooler = make_pooler(pool_mode="transaction", client_idle_timeout=1)
    conn = pooler.raw()
    conn.query("SELECT 1")
    assert_refused(conn.expect_fatal(), "client_idle_timeout")


@pytest.mark.pgweir_only
@pytest.mark.parametrize("said, answers", [(sync(), "Z"), (close("S", "none"), "3")],
                         ids=["Sync", "Close"])
def test_client_that_asks_no_server_is_not_idle(make_pooler, said, answers):
    pooler = make_pooler(pool_mode="transaction", client_idle_timeout=1)
    conn = pooler.raw()

    def goes_on():
        conn.send(said)
        return conn.recv().kind == answers

    assert stays_true(goes_on, 2)
    assert_refused(conn.expect_fatal(), "client_idle_timeout")


# -- several targets --


def test_star_database(make_pooler, pg, db):
    pooler = make_pooler(databases={"*": {"host": pg.host, "port": pg.port}})
    assert pooler.raw(dbname=db).query("SELECT current_database()").value() == db
    with pytest.raises(PgError) as e:
        pooler.raw(dbname="nowhere_at_all")
    assert 'database "nowhere_at_all" does not exist' in e.value.message


def test_connect_query(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", databases=target(
        pg, db, connect_query="SET work_mem = '321kB'"))
    assert pooler.raw().query("SHOW work_mem").value() == "321kB"


def test_server_is_gone_and_comes_back(make_pooler, make_proxy, pg, db):
    proxy = make_proxy(pg.port)
    pooler = make_pooler(pool_mode="transaction", databases={
        db: {"host": proxy.host, "port": proxy.port}})
    conn = pooler.raw()
    assert conn.query("SELECT 1").value() == "1"
    proxy.reset()
    wait_for(lambda: pg.backends(db) == [])
    pooler.wait_pool(sv_idle=0, sv_used=0)
    assert conn.query("SELECT 2").value() == "2"


def test_server_dies_under_a_client(make_pooler, make_proxy, pg, db):
    proxy = make_proxy(pg.port)
    pooler = make_pooler(pool_mode="transaction", databases={
        db: {"host": proxy.host, "port": proxy.port}})
    conn, other = pooler.raw(), pooler.raw()
    conn.send(query("SELECT pg_sleep(20)"))
    pg.wait_running(db, "pg_sleep(20)")
    proxy.reset()
    assert_refused(conn.expect_fatal(), "server conn crashed?")
    assert other.query("SELECT 1").value() == "1"


def test_stalled_network_holds_only_its_client(make_pooler, make_proxy, pg, db):
    proxy = make_proxy(pg.port)
    pooler = make_pooler(pool_mode="transaction", databases={
        "slow": {"host": proxy.host, "port": proxy.port, "dbname": db}, **target(pg, db)})
    slow = pooler.raw(dbname="slow")
    slow.query("SELECT 1")
    proxy.stall()
    slow.send(query("SELECT 'at last'"))
    for _ in range(20):
        assert pooler.raw().query("SELECT 1").value() == "1"
    proxy.flow()
    assert slow.result().value() == "at last"
