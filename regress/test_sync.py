# SPDX-License-Identifier: PostgreSQL
"""A link is brought to its client's settings: what waits for that and what does not, cancel
requests meanwhile, and a server that refuses."""

import re

import pytest

from lib.fakepg import complete, description, parameter_status, ready, row
from lib.wait import stays_true, wait_for
from lib.wire import describe, parse, query, run_named, sync

pytestmark = pytest.mark.pgweir_only


def carried(name, value):
    """As a text that is the same for all values in pg_stat_statements."""
    return f"SELECT pg_catalog.set_config('{name}', '{value}', false);"


class Server:
    """A fake one that says so when application_name changes, and sets nothing while on hold."""

    def __init__(self, make_fake):
        self.is_held = False
        self.fake = make_fake(on_message=self.on_message)

    def answer(self, session, text):
        name = re.search(r"application_name', '(\w*)'", text)
        if name:
            session.send(parameter_status("application_name", name[1]))
        for statement in text.split(";")[:-1]:
            session.send(complete("RESET") if statement.startswith("RESET") else
                         description("set_config") + row("value") + complete("SELECT 1"))
        session.send(ready())

    def on_message(self, session, kind, body):
        text = body[:-1].decode() if kind == "Q" else ""
        if not re.match(r"RESET |SELECT pg_catalog.set_config", text):
            return self.is_held
        if not self.is_held:
            self.answer(session, text)
        return True

    def received(self):
        return [m.text() for m in self.fake.sessions[0].messages if m.kind == "Q"]

    def release(self):
        session, self.is_held = self.fake.sessions[0], False
        late = self.received()[-2:]
        for text in late if late[-1] == "SELECT 1" else late[-1:]:
            if not self.on_message(session, "Q", text.encode() + b"\0"):
                session.answer_query(text)


@pytest.fixture
def server(make_fake):
    return Server(make_fake)


def two_clients(make_pooler, server, db, **second):
    fake = server.fake
    pooler = make_pooler(databases={db: {"host": fake.host, "port": fake.port}},
                         pool_mode="transaction", default_pool_size=1, session_state="track",
                         worker_threads=1)
    a, b = pooler.raw(application_name="a"), pooler.raw(**second)
    for conn in (b, a, b, a):
        assert conn.query("SELECT 1").value() == "1"
    server.is_held = True
    return pooler, b


def test_what_guards_nothing_rides_ahead(make_pooler, server, db):
    _pooler, b = two_clients(make_pooler, server, db, application_name="b")
    b.send(query("SELECT 1"))
    wait_for(lambda: server.received()[-2:] == [carried("application_name", "b"), "SELECT 1"])
    server.release()
    assert b.result().value() == "1"


def test_what_guards_is_waited_for(make_pooler, server, db):
    _pooler, b = two_clients(make_pooler, server, db, application_name="b", search_path="x")
    b.send(query("SELECT 1"))
    wait_for(lambda: "search_path" in server.received()[-1])
    assert stays_true(lambda: server.received()[-1] != "SELECT 1", 0.2)
    server.release()
    assert b.result().value() == "1"


def test_cancel_while_it_is_waited_for(make_pooler, server, db):
    _pooler, b = two_clients(make_pooler, server, db, application_name="b", search_path="x")
    b.send(query("SELECT 3"))
    wait_for(lambda: "search_path" in server.received()[-1])
    b.cancel()
    assert b.result().error.code == "57014"
    server.release()
    assert b.query("SELECT 2").value() == "1"
    assert "SELECT 3" not in server.received()
    assert server.fake.cancels == []


def test_cancel_does_not_strike_what_goes_ahead(make_pooler, server, db):
    _pooler, b = two_clients(make_pooler, server, db, application_name="b")
    b.send(query("SELECT 1"))
    wait_for(lambda: server.received()[-1] == "SELECT 1")
    b.cancel()
    assert stays_true(lambda: server.fake.cancels == [], 0.2)
    session = server.fake.sessions[0]
    server.answer(session, carried("application_name", "b"))
    wait_for(lambda: len(server.fake.cancels) == 1)
    session.answer_query("SELECT 1")
    assert b.result().value() == "1"


def test_a_link_whose_past_stands_in_the_way(make_pooler):
    """temp_buffers cannot be set any more where there have been temporary tables."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")
    a, b = pooler.raw(), pooler.raw()
    a.query("SET temp_buffers = '2MB'")
    b.query("CREATE TEMP TABLE t AS SELECT 1; DROP TABLE t")
    pid = b.query("SELECT pg_backend_pid()").value()
    assert a.query("SHOW temp_buffers").value() == "2MB"
    assert a.query("SELECT pg_backend_pid()").value() != pid


def test_a_value_that_no_server_takes_ends_its_client(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")
    bad = pooler.raw(work_mem="nonsense")
    bad.send(query("SELECT 1"))
    assert bad.expect_fatal().message == 'invalid value for parameter "work_mem": "nonsense"'
    assert pooler.raw().query("SELECT 1").value() == "1"


def attempts(pooler):
    return pooler.log_count("new connection to server")


@pytest.mark.parametrize("more", [{}, {"TimeZone": "Asia/Tokyo", "work_mem": "5MB"}])
def test_a_parameter_that_no_server_knows_costs_no_connection(make_pooler, more):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")
    good = pooler.raw(TimeZone="Europe/Berlin")
    good.query("SET work_mem = '6MB'")
    pid, before = good.query("SELECT pg_backend_pid()").value(), attempts(pooler)
    for _ in range(5):
        bad = pooler.raw(**more, no_such_parameter="1")
        bad.send(query("SELECT 1"))
        fatal = bad.expect_fatal()
        assert fatal.code == "42704"
        assert fatal.message == 'unrecognized configuration parameter "no_such_parameter"'
        for name, value in (("TimeZone", "Europe/Berlin"), ("work_mem", "6MB")):
            assert good.query(f"SHOW {name}").value() == value
    assert good.query("SELECT pg_backend_pid()").value() == pid
    assert attempts(pooler) == before
    pooler.wait_log("unrecognized configuration parameter .*no_such_parameter", 5)


def test_a_name_with_a_dot_beside_one_that_no_server_knows(make_pooler):
    """It would stay on the connection, though nobody has a value of that name."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")
    bad = pooler.raw(options="-c app.mine=1", no_such_parameter="1")
    bad.send(query("SELECT 1"))
    assert bad.expect_fatal().code == "42704"
    good = pooler.raw()
    assert good.query("SELECT current_setting('app.mine', true) IS NULL").value() == "t"


def test_what_rides_ahead_of_a_statement_that_must_be_asked_about(make_pooler):
    """The client waits for a description when what went ahead is answered: the link is none the
    worse for it."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")
    a, b = pooler.raw(), pooler.raw()
    a.query("SET work_mem = '5MB'")
    b.query("SET work_mem = '6MB'")
    for conn in (a, b, a, b):
        conn.query("SELECT 1")
    a.run(parse("s", "SELECT pg_backend_pid() AS pid, current_setting('work_mem')"),
          describe("S", "s"), sync())
    b.query("DISCARD ALL")
    b.query("SET work_mem = '6MB'")
    pid = b.query("SELECT pg_backend_pid()").value()
    assert a.run(run_named("s")).rows == [[pid, "5MB"]]
    assert b.query("SELECT pg_backend_pid()").value() == pid


@pytest.mark.parametrize("reset", ["RESET search_path", "RESET ALL",
                                   "PERFORM set_config('search_path', NULL, false)"])
def test_code_that_resets_while_its_client_is_pinned(make_pooler, reset):
    """What the start-up packet has asked for holds again with the next transaction, and whoever
    has the connection next has it, too."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, worker_threads=1,
                         session_state="track")
    options = "-c search_path=t1 -c default_transaction_read_only=on"

    def state(conn):
        return conn.query("SELECT current_setting('search_path'),"
                          " current_setting('default_transaction_read_only'),"
                          " current_setting('work_mem')").rows[0]

    with pooler.raw(options=options) as conn:
        conn.query("SET work_mem = '7MB'")
        before = state(conn)
        conn.query("SELECT pg_advisory_lock(7)")
        assert conn.query(f"DO $$ BEGIN {reset}; END $$").error is None
        mine = "4MB" if "ALL" in reset else "7MB"
        assert state(conn) == before[:2] + [mine]
        assert state(conn) == before[:2] + [mine]
        assert conn.query("SELECT pg_advisory_unlock(7)").value() == "t"
        assert state(conn) == before[:2] + [mine]
        with pooler.raw(options=options) as other:
            assert state(other) == ["t1", "on", "4MB"]
        with pooler.raw() as third:
            assert state(third) == ['"$user", public', "off", "4MB"]


def test_deferrable_transactions_of_another(make_pooler, pg, db):
    """Bringing a server round waits for nobody's serializable transaction."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")
    a, b = pooler.raw(), pooler.raw()
    b.query("SET app.tenant = 'b'")
    a.query("CREATE TABLE written (v int)")
    a.query("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE")
    with pg.connect(db, autocommit=False) as writer:
        writer.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        writer.execute("INSERT INTO written VALUES (1)")
        assert b.query("SELECT current_setting('app.tenant')").value() == "b"
        text = "BEGIN ISOLATION LEVEL READ COMMITTED; SET work_mem = '3MB'; COMMIT"
        assert a.query(text).error is None
        assert b.query("SHOW work_mem").value() != "3MB"


def test_idle_session_timeout_of_another(make_pooler, pg):
    """No server ends for being idle between two clients."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")
    a, b = pooler.raw(), pooler.raw()
    a.query("SET idle_session_timeout = '50ms'")
    pid = b.query("SELECT pg_backend_pid()").value()
    for _ in range(3):
        assert a.query("SHOW idle_session_timeout").value() == "50ms"
        pg.execute("SELECT pg_sleep(0.15)")
        assert b.query("SELECT pg_backend_pid()").value() == pid
