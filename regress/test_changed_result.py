# SPDX-License-Identifier: PostgreSQL
"""A table changes while clients hold prepared statements on it: nobody gets rows of another shape
than it was told, and nobody an error that was another client's due."""

import struct
import threading

import pytest

from lib.fakepg import error, parameter_status, ready
from lib.wait import wait_for
from lib.wire import (bind, close, describe, execute, flush, message, parse, query, run_named,
                      sync)

pytestmark = pytest.mark.pgweir_only

CHANGED = "cached plan must not change result type"
SELECT = "SELECT * FROM t"


@pytest.fixture
def table(pg, db):
    """A connection of PostgreSQL's own, past the pooler: what it changes the pooler does not see."""
    conn = pg.connect(db, autocommit=True)
    conn.execute("CREATE TABLE t (v int)")
    conn.execute("INSERT INTO t VALUES (1)")
    conn.execute("GRANT ALL ON t TO public")
    yield conn
    conn.close()


def pooler_of(make_pooler, size):
    return make_pooler(pool_mode="transaction", default_pool_size=size)


def widen(table):
    table.execute("ALTER TABLE t ADD w int DEFAULT 2")


def shape(result):
    """Number of columns that were told, or None."""
    told = [m for m in result.messages if m.kind == "T"]
    return len(told[0].columns()) if told else None


def prepare(conn, told=None):
    result = conn.run(parse("s", SELECT), *([describe(*told)] if told else []), sync())
    assert result.error is None
    return result


def assert_changed(result):
    assert result.error is not None, result.rows
    assert (result.error.code, result.error.message) == ("0A000", CHANGED)
    assert result.rows == []


def renew(conn):
    conn.run(close("S", "s"), sync())
    assert shape(prepare(conn, ("S", "s"))) == 2
    assert conn.run(run_named("s")).rows == [["1", "2"]]


@pytest.mark.parametrize("told", ["statement", "portal"])
@pytest.mark.parametrize("block", [False, True])
def test_told_client_on_a_link_without_the_statement(make_pooler, table, told, block):
    pooler = pooler_of(make_pooler, 2)
    a, holder = pooler.raw(), pooler.raw()
    if told == "statement":
        prepare(a, ("S", "s"))
        assert a.run(run_named("s")).rows == [["1"]]
    else:
        prepare(a)
        assert shape(a.run(bind("", "s"), describe("P"), execute(), sync())) == 1
    pid = a.query("SELECT pg_backend_pid()").value()
    holder.query("BEGIN")
    assert holder.query("SELECT pg_backend_pid()").value() == pid
    widen(table)
    if block:
        a.query("BEGIN")
    result = a.run(run_named("s"))
    assert_changed(result)
    assert result.status == ("E" if block else "I")
    if block:
        assert a.query("SELECT 1").error.code == "25P02"
        assert a.query("ROLLBACK").error is None
    renew(a)


@pytest.mark.parametrize("is_changed", [True, False])
def test_told_client_behind_an_error(make_pooler, table, is_changed):
    """What comes behind the Sync will be run, though the server still skips what is before it."""
    pooler = pooler_of(make_pooler, 2)
    a, holder = pooler.raw(), pooler.raw()
    prepare(a, ("S", "s"))
    pid = a.query("SELECT pg_backend_pid()").value()
    holder.query("BEGIN")
    assert holder.query("SELECT pg_backend_pid()").value() == pid
    if is_changed:
        widen(table)
    a.send(parse("", "SELEC") + flush())
    assert a.expect_error().code == "42601"
    a.send(sync() + run_named("s"))
    assert a.result().kinds == "Z"
    result = a.result()
    if is_changed:
        assert_changed(result)
    else:
        assert result.rows == [["1"]]


WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 't'::regclass"
LOCKED_OUT = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND objid = 7" \
             " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"


@pytest.mark.parametrize("told", ["statement", "portal"])
def test_description_that_is_on_its_way(make_pooler, pg, db, table, told):
    """The link parses it anew, for it had an error before, between the description and the rows."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, worker_threads=1)
    a = pooler.raw()
    a.run(parse("s", "SELECT 1 / $1::int, * FROM t"), sync())
    first = bind("", "s", ["0"]) + execute() + sync()
    if told == "statement":
        second = describe("S", "s")
    else:
        second = bind("p", "s", ["1"]) + describe("P", "p")
    second += parse("", "SELECT pg_advisory_xact_lock(7)") + bind() + execute() + sync()
    with pg.connect(db) as c:
        c.execute("SELECT pg_advisory_lock(7)")
        a.send(first + second)
        assert a.result().error.code == "22012"
        # Else the change may come ahead of it.
        wait_for(lambda: c.execute(LOCKED_OUT).fetchone() == (1,))
        change = threading.Thread(target=widen, args=(table,))
        change.start()
        wait_for(lambda: c.execute(WAITING).fetchone() == (1,))
        a.send(bind("", "s", ["1"]) + execute() + sync())
        pooler.console("SHOW VERSION")  # the worker has read what was sent before
        c.execute("SELECT pg_advisory_unlock(7)")
    result = a.result()
    assert result.error is None and shape(result) == 2
    change.join()
    assert_changed(a.result())


def test_description_that_is_skipped(make_pooler):
    """The server waits for the Sync that comes behind the Bind."""
    a = pooler_of(make_pooler, 1).raw()
    assert a.query("CREATE TABLE made (a int)").error is None
    a.send(bind("", "nobody") + flush())
    assert a.expect_error().code == "26000"
    a.send(query("DO $$ BEGIN END $$"))
    a.send(parse("s", "SELECT 1") + describe("S", "s") + bind("", "s") + execute() + sync())
    assert [m.kind for m in a.recv_until("Z")] == ["Z"]
    assert a.run(parse("s", "SELECT 1"), run_named("s")).value() == "1"


def test_told_client_whose_link_has_a_newer_plan(make_pooler, table):
    pooler = pooler_of(make_pooler, 2)
    a, b = pooler.raw(), pooler.raw()
    prepare(a, ("S", "s"))
    pid = a.query("SELECT pg_backend_pid()").value()
    widen(table)
    b.query("BEGIN")
    assert b.query("SELECT pg_backend_pid()").value() == pid
    a.query("BEGIN")  # on the second link
    b.query("COMMIT")
    c = pooler.raw()
    c.query("BEGIN")  # on the first
    assert_changed(a.run(run_named("s")))
    a.query("ROLLBACK")
    prepare(b, ("S", "s"))  # on the second: the new shape
    c.query("ROLLBACK")
    for _ in range(4):
        assert_changed(a.run(run_named("s")))
    renew(a)


def test_a_table_made_anew_alike_is_no_change(make_pooler, table):
    pooler = pooler_of(make_pooler, 2)
    a, holder = pooler.raw(), pooler.raw()
    prepare(a, ("S", "s"))
    holder.query("BEGIN")
    table.execute("DROP TABLE t")
    table.execute("CREATE TABLE t (v int)")
    table.execute("GRANT ALL ON t TO public")
    table.execute("INSERT INTO t VALUES (5)")
    assert a.run(run_named("s")).rows == [["5"]]
    holder.query("COMMIT")
    for _ in range(4):
        assert a.run(run_named("s")).rows == [["5"]]


def test_statement_without_rows_on_many_links(make_pooler, table):
    pooler = pooler_of(make_pooler, 3)
    a = pooler.raw()
    assert a.run(parse("s", "INSERT INTO t VALUES ($1)"), describe("S", "s"), sync()).error is None
    holders = [pooler.raw() for _ in range(2)]
    for n, holder in enumerate(holders):
        holder.query("BEGIN")
        assert a.run(run_named("s", ["7"])).tag == "INSERT 0 1"
    assert table.execute("SELECT count(*) FROM t WHERE v = 7").fetchone() == (2,)


@pytest.mark.parametrize("messages, told", [
    ([bind("", "s"), execute(), sync()], None),
    ([bind("", "s"), describe("P"), execute(), sync()], 2),
    ([describe("S", "s"), bind("", "s"), execute(), sync()], 2),
], ids=["bind", "portal", "statement"])
def test_new_client_on_a_stale_link(make_pooler, table, messages, told):
    pooler = pooler_of(make_pooler, 1)
    old, new = pooler.raw(), pooler.raw()
    prepare(old)
    assert old.run(run_named("s")).rows == [["1"]]
    widen(table)
    prepare(new)
    result = new.run(*messages)
    assert result.error is None, result.error.message
    assert result.rows[0] == ["1", "2"]
    assert shape(result) == told
    assert new.query("SELECT 'next'").value() == "next"
    assert new.run(run_named("s")).rows == [["1", "2"]]


def test_new_client_in_one_batch(make_pooler, table):
    """Parse and all that follows at once: the Parse is answered once."""
    pooler = pooler_of(make_pooler, 1)
    old, new = pooler.raw(), pooler.raw()
    prepare(old)
    widen(table)
    result = new.run(parse("s", SELECT), bind("", "s"), describe("P"), execute(), sync())
    assert result.error is None, result.error.message
    assert result.kinds == "12TDCZ"
    assert result.rows == [["1", "2"]]
    assert new.run(parse("s", SELECT), sync()).error.code == "42P05"


@pytest.mark.parametrize("cut", ["bytes", "random"])
def test_new_client_in_pieces(make_pooler, table, cut):
    pooler = pooler_of(make_pooler, 1)
    old, new = pooler.raw(), pooler.raw()
    prepare(old)
    widen(table)
    prepare(new)
    result = new.run(bind("", "s"), describe("P"), execute(), sync(), cut=cut)
    assert result.error is None or result.error.message == CHANGED
    if not result.error:
        assert result.rows == [["1", "2"]]


def test_what_comes_unasked_gets_through(make_pooler, make_fake):
    """Between the error that nobody sees and the repeat, the server has something to say."""
    stale = error("", fields={"S": "ERROR", "V": "ERROR", "C": "0A000", "M": CHANGED,
                              "R": "RevalidateCachedQuery"})
    notice = message("N", b"SNOTICE\0C00000\0Mhear\0\0")
    notification = message("A", struct.pack("!i", 7) + b"channel\0payload\0")
    refused = []

    def on_message(session, kind, body):
        is_skipping = refused and refused[-1] is not None
        if kind == "B" and not refused:
            refused.append(stale)
            session.send(stale)
        elif kind == "S" and is_skipping:
            refused.append(None)
            session.send(notice + notification + parameter_status("application_name", "new") +
                         ready())
        else:
            return is_skipping
        return True

    fake = make_fake(on_message=on_message)
    pooler = make_pooler(pool_mode="transaction",
                         databases={"f": {"host": fake.host, "port": fake.port}})
    conn = pooler.raw(dbname="f")
    conn.run(parse("s", SELECT), sync())
    result = conn.run(bind("", "s"), execute(), sync())
    assert len(refused) == 2
    assert result.kinds == "NAS2CZ"


def test_what_follows_the_batch_keeps_its_order(make_pooler, table):
    pooler = pooler_of(make_pooler, 1)
    old, new = pooler.raw(), pooler.raw()
    prepare(old)
    widen(table)
    prepare(new)
    new.send(bind("", "s") + execute() + sync() + query("INSERT INTO t VALUES (9)") +
             bind("", "s") + execute() + sync())
    first, second, third = new.result(), new.result(), new.result()
    assert first.error is None or first.error.message == CHANGED
    assert first.error or first.rows == [["1", "2"]]
    assert second.tag == "INSERT 0 1"
    assert third.error is None or third.error.message == CHANGED
    assert third.error or third.rows == [["1", "2"], ["9", "2"]]


def test_no_repeat_inside_a_transaction(make_pooler, table):
    pooler = pooler_of(make_pooler, 1)
    old, new = pooler.raw(), pooler.raw()
    prepare(old)
    widen(table)
    prepare(new)
    new.query("BEGIN")
    result = new.run(run_named("s"))
    assert_changed(result)
    assert result.status == "E"
    new.query("ROLLBACK")
    assert new.run(run_named("s")).rows == [["1", "2"]]


def test_no_repeat_behind_other_work_of_the_batch(make_pooler, table):
    """The insert before it would be done twice."""
    pooler = pooler_of(make_pooler, 1)
    old, new = pooler.raw(), pooler.raw()
    prepare(old)
    widen(table)
    prepare(new)
    assert_changed(new.run(parse("", "INSERT INTO t VALUES (3)"), bind(), execute(),
                           bind("", "s"), execute(), sync()))
    assert table.execute("SELECT count(*) FROM t WHERE v = 3").fetchone() == (0,)
    assert new.run(run_named("s")).rows == [["1", "2"]]


def test_told_client_gets_the_error_that_postgresql_gives(make_pooler, table, pg, db):
    pooler = pooler_of(make_pooler, 1)
    a, direct = pooler.raw(), pg.raw("alice", db)
    for conn in (a, direct):
        prepare(conn, ("S", "s"))
        assert conn.run(run_named("s")).rows == [["1"]]
    widen(table)
    ours, theirs = a.run(run_named("s")), direct.run(run_named("s"))
    assert_changed(ours)
    assert ours.kinds == theirs.kinds
    assert ours.error.fields["R"] == theirs.error.fields["R"]
    renew(a)


def test_leaving_while_the_link_is_asked(make_pooler, table):
    """The client goes while its statement is described: the link is not for others as it is."""
    pooler = pooler_of(make_pooler, 2)
    a, holder = pooler.raw(), pooler.raw()
    prepare(a, ("S", "s"))
    holder.query("BEGIN")
    table.execute("BEGIN")
    table.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
    a.send(bind("", "s") + execute() + sync())
    pooler.wait_pool(cl_active=2)
    a.reset()
    pooler.wait_pool(cl_active=1)
    table.execute("COMMIT")
    assert pooler.raw().query("SELECT 'alive'").value() == "alive"


def test_portal_that_is_not_the_last_one(make_pooler, table):
    """Told of the first of two portals: its statement has a shape from then on."""
    pooler = pooler_of(make_pooler, 1)
    a, b = pooler.raw(), pooler.raw()
    prepare(a)
    a.run(parse("other", "SELECT 1"), sync())
    result = a.run(bind("p1", "s"), bind("p2", "other"), describe("P", "p1"), execute("p1"),
                   execute("p2"), sync())
    assert shape(result) == 1
    widen(table)
    b.run(parse("", SELECT), sync())
    assert_changed(a.run(run_named("s")))


def test_newcomer_that_flushes(make_pooler, table):
    """Prepares as asyncpg does, with a Flush: nobody was told anything, nothing fails."""
    pooler = pooler_of(make_pooler, 1)
    a, b = pooler.raw(), pooler.raw()
    prepare(a, ("S", "s"))
    assert a.run(run_named("s")).rows == [["1"]]
    widen(table)
    b.send(parse("x", SELECT) + describe("S", "x") + flush())
    kinds = [b.recv().kind for _ in range(3)]
    assert kinds == ["1", "t", "T"]
    result = b.run(bind("", "x"), execute(), sync())
    assert result.error is None
    assert result.rows == [["1", "2"]]
    assert b.query("SELECT 1").value() == "1"


def test_arguments_of_a_changed_type(make_pooler, table):
    """What the server made of an argument's type is not kept for ever: the first error mends it."""
    pooler = pooler_of(make_pooler, 1)
    a, b = pooler.raw(), pooler.raw()
    sql = "SELECT count(*) FROM t WHERE v = $1"
    a.run(parse("s", sql), sync())
    assert a.run(run_named("s", [1])).rows == [["1"]]
    table.execute("ALTER TABLE t ALTER v TYPE bigint")
    b.run(parse("s", sql), sync())
    assert b.run(run_named("s", [3000000000])).error.code == "22003"
    b.run(close("S", "s"), sync())
    b.run(parse("s", sql), sync())
    assert b.run(run_named("s", [3000000000])).rows == [["0"]]
    newcomer = pooler.raw()
    newcomer.run(parse("s", sql), sync())
    assert newcomer.run(run_named("s", [3000000000])).rows == [["0"]]
