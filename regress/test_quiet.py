# SPDX-License-Identifier: PostgreSQL
"""What must not happen while nothing happens: turning in circles, and bytes that find the wrong
client or no end."""

import pytest

from lib.fakepg import complete, ready
from lib.proc import is_sanitized, resident_kb
from lib.wait import TIME_FACTOR, stays_true
from lib.wire import Closed, bind, message, parse, query, startup, sync

pytestmark = pytest.mark.pgweir_only

NOTICE = message("N", b"SNOTICE\0VNOTICE\0C00000\0Mhalf and half\0\0")


def assert_idle(pooler, seconds=1.0):
    """It takes next to no processor time, its housekeeping included."""
    before = pooler.cpu_seconds()
    assert stays_true(pooler.alive, seconds)
    assert pooler.cpu_seconds() - before < 0.1 * seconds


def all_waiting(pooler, count):
    pooler.wait_pool(cl_waiting=count)


# -- turning in circles --


@pytest.mark.parametrize("setting", [
    {}, {"reserve_pool_size": 1, "reserve_pool_timeout": 3600}, {"max_db_connections": 1},
    {"server_check_delay": 0}, {"query_wait_timeout": 0, "query_wait_notify": 1},
], ids=lambda s: " ".join(s) or "plain")
def test_full_pool_with_waiters_on_every_worker(make_pooler, setting):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, worker_threads=3, **setting)
    holder = pooler.raw()
    holder.query("BEGIN")
    waiters = [pooler.raw() for _ in range(9)]
    for c in waiters:
        c.send(query("SELECT 1"))
    all_waiting(pooler, 9)
    if "query_wait_notify" in setting:
        for c in waiters:
            c.recv_until("N")
    assert_idle(pooler)
    holder.query("COMMIT")
    for c in waiters:
        assert c.result().value() == "1"


def test_idle_links_of_another_database_under_one_limit(make_pooler, pg, db):
    """The limit is taken up by busy links of another pool: nobody can be evicted."""
    target = {"host": pg.host, "port": pg.port, "dbname": db}
    pooler = make_pooler(databases={db: target}, max_db_connections=1, pool_mode="transaction",
                         worker_threads=3)
    waiters = [pooler.raw(user="bob") for _ in range(6)]
    holder = pooler.raw()
    holder.query("BEGIN")
    for c in waiters:
        c.send(query("SELECT 1"))
    pooler.wait_pool(user="bob", cl_waiting=6)
    assert_idle(pooler)
    holder.query("COMMIT")
    for c in waiters:
        assert c.result().value() == "1"


# -- bytes that find the wrong client --


@pytest.mark.parametrize("cut", [5, 9, len(NOTICE) - 1])
def test_notice_cut_in_two_by_the_end_of_a_loan(make_pooler, make_fake, cut):
    """It begins when the answer is complete: it is nobody's, and not half of it is the next's."""
    def on_message(session, kind, body):
        if kind == "Q" and b"first" in body:
            session.send(complete("SELECT 0") + ready() + NOTICE[:cut])
            return True
        if kind == "Q" and b"second" in body:
            session.send(NOTICE[cut:])
        return False

    fake = make_fake(on_message=on_message)
    pooler = make_pooler(databases={"f": {"host": fake.host, "port": fake.port}},
                         pool_mode="transaction", default_pool_size=1, worker_threads=1)
    a, b = pooler.raw(dbname="f"), pooler.raw(dbname="f")
    assert a.query("SELECT first").kinds == "CZ"
    pooler.wait_pool("f", sv_idle=1)
    assert b.query("SELECT second").kinds == "TDCZ"
    assert a.query("SELECT third").kinds == "TDCZ"


def test_notice_cut_in_two_by_a_client_that_leaves(make_pooler, make_fake):
    """The first half went to the client that had the session; the rest is not for the next."""
    def on_message(session, kind, body):
        if kind == "Q" and b"long" in body:
            session.send(complete("SELECT 0") + ready() + NOTICE[:9])
            return True
        if kind == "Q" and b"rest" in body:
            session.send(NOTICE[9:])
        return False

    fake = make_fake(on_message=on_message)
    pooler = make_pooler(databases={"f": {"host": fake.host, "port": fake.port}},
                         pool_mode="session", default_pool_size=1, server_reset_query="",
                         worker_threads=1)
    with pooler.raw(dbname="f") as a:
        assert a.query("long").kinds == "CZ"
        assert a.read_exactly(9) == NOTICE[:9]
        a.send(b"X\0\0\0\4")
        with pytest.raises(Closed):
            a.recv()
    b = pooler.raw(dbname="f")
    assert b.query("rest").kinds == "TDCZ"


# -- bytes that find no end --


@pytest.mark.parametrize("request_of", [sync(), message("C", b"Snothing\0")],
                         ids=["sync", "close"])
def test_answers_of_our_own_to_a_client_that_does_not_read(make_pooler, request_of):
    """No server is asked, so nothing but the client's own pace can slow it down."""
    pooler = make_pooler(pool_mode="transaction")
    conn = pooler.raw()
    before = resident_kb(pooler.pid)
    batch = request_of * 1000
    conn.sock.settimeout(1 * TIME_FACTOR)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 200_000_000:
            sent += conn.sock.send(batch[sent % len(request_of):])
    assert resident_kb(pooler.pid) - before < 8192
    # Every complete request is answered once it reads again.
    for _ in range(sent // len(request_of)):
        assert conn.recv().kind in "Z3"


# -- who has gone --


def test_client_that_went_while_queued_and_only_seems_to_have_said_goodbye(make_pooler, db):
    """Its last bytes look like Terminate, but lie inside a message."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1)
    holder = pooler.raw()
    holder.query("BEGIN")
    with pooler.raw() as gone:
        seems = bind("", "", [b"X\0\0\0\4"])
        at = seems.index(b"X\0\0\0\4")
        gone.send(parse("", "SELECT $1::bytea") + seems[:at + 5])
        all_waiting(pooler, 1)
    holder.query("COMMIT")
    pooler.wait_pool(cl_waiting=0, cl_active=1)
    assert holder.query("SELECT 1").value() == "1"


def test_query_timeout_covers_the_taking_over_of_parameters(make_pooler, make_fake):
    def on_message(_session, kind, body):
        return kind == "Q" and b"set_config" in body

    fake = make_fake(on_message=on_message)
    pooler = make_pooler(databases={"f": {"host": fake.host, "port": fake.port}},
                         pool_mode="transaction", query_timeout=1)
    conn = pooler.raw(dbname="f", TimeZone="Europe/Berlin")
    conn.send(query("SELECT 1"))
    assert conn.expect_fatal().message == "query timeout"


# -- reload --


@pytest.mark.parametrize("mode, other", [("session", "transaction"), ("transaction", "session")])
def test_reload_does_not_change_the_mode_of_clients_that_are_there(make_pooler, mode, other):
    pooler = make_pooler(pool_mode=mode, default_pool_size=1)
    early = pooler.raw()
    early.query("SET application_name = 'early'")
    pooler.settings["pool_mode"] = other
    pooler.reload()
    late = pooler.raw()
    early.query("SET application_name = 'still'")
    late.send(query("SELECT 1"))
    if mode == "session":
        all_waiting(pooler, 1)
        early.send(b"X\0\0\0\4")
        assert late.result().value() == "1"
        pooler.wait_pool(cl_active=1, sv_idle=1)
        return
    assert late.result().value() == "1"
    # It came later: the session is its own.
    early.send(query("SELECT 2"))
    all_waiting(pooler, 1)
    late.send(b"X\0\0\0\4")
    assert early.result().value() == "2"


STRANGERS, MOST_KB = 60, 72


def send_what_fits(conn, data):
    conn.sock.setblocking(False)
    try:
        conn.sock.send(data)
    except BlockingIOError:
        pass


def test_strangers_who_wait_for_auth_query_and_keep_talking(make_pooler, make_fake, db):
    """Nobody knows them yet, and the server that could tell who they are takes its time."""
    fake = make_fake(on_message=lambda *_: True)
    pooler = make_pooler(databases={db: {"host": fake.host, "port": fake.port}}, worker_threads=1,
                         auth_type="scram-sha-256", auth_user="asker", auth={"asker": "pw"},
                         auth_query="SELECT $1, 'x'")
    strangers = [pooler.raw(login=False) for _ in range(STRANGERS)]
    for conn in strangers:
        conn.send(startup({"user": "nobody", "database": db}))
    pooler.wait_log("login attempt: .* user=nobody", STRANGERS)
    before = resident_kb(pooler.pid)
    for _ in range(20):
        for conn in strangers:
            send_what_fits(conn, bytes(40_000))
        pooler.console("SHOW VERSION")
    grown = (resident_kb(pooler.pid) - before) / STRANGERS
    assert is_sanitized(pooler.pid) or grown < MOST_KB
