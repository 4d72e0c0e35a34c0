# SPDX-License-Identifier: PostgreSQL
"""SQL and the protocol speak of the same prepared statements: EXECUTE and DEALLOCATE of what a
driver has prepared by messages, PREPARE beside Parse, pg_prepared_statements. Each conversation is
held with PostgreSQL and with a pool whose links change in between, and must read the same."""

import pytest

from lib.proc import resident_kb
from lib.wire import (RawConn, bind, close, describe, execute, parse, query, run_named,
                      sync)

pytestmark = pytest.mark.pgweir_only

NAMES = "SELECT name, statement, from_sql FROM pg_prepared_statements ORDER BY name"

# name: batches of messages; a batch ends with what brings a ReadyForQuery.
CONVERSATIONS = {
    "deallocate": [
        [parse("s", "SELECT 1"), sync()], [query("DEALLOCATE s")],
        [run_named("s")], [query("DEALLOCATE s")],
        [parse("s", "SELECT 2"), sync()], [run_named("s")],
        [query("DEALLOCATE PREPARE s")], [parse("s", "SELECT 3"), run_named("s")],
    ],
    "the list, of which a portal is described": [
        [parse("s", NAMES.replace("ORDER", "WHERE name = 'a' ORDER")), parse("a", "SELECT 1"), sync()],
        *[[bind("", "s"), describe("P"), execute(), sync()]] * 3,
        [describe("S", "s"), bind("", "s"), execute(), sync()],
        *[[bind("", "s"), execute(), sync()]] * 2,
    ],
    "deallocate of an odd name": [
        [parse("pdo_stmt_00000001", "SELECT $1::int"), sync()],
        [run_named("pdo_stmt_00000001", ["7"])],
        [query("DEALLOCATE pdo_stmt_00000001")],
        [parse('A "b"', "SELECT 4"), sync()], [query('DEALLOCATE "A ""b"""')],
        [run_named('A "b"')],
        [parse("Big", "SELECT 5"), sync()], [query("DEALLOCATE Big")], [run_named("Big")],
    ],
    "deallocate in a transaction": [
        [parse("s", "SELECT 1"), sync()], [query("BEGIN")], [query("DEALLOCATE s")],
        [query("ROLLBACK")], [run_named("s")],
    ],
    "deallocate in a failed transaction": [
        [parse("s", "SELECT 1"), sync()], [query("BEGIN")], [query("SELECT 1/0")],
        [query("DEALLOCATE s")], [query("ROLLBACK")], [run_named("s")],
        [query("DEALLOCATE s")],
    ],
    "deallocate among others": [
        [parse("a", "SELECT 'a'"), parse("b", "SELECT 'b'"), parse("c", "SELECT 'c'"), sync()],
        [query("DEALLOCATE a; DEALLOCATE b; SELECT 1/0; DEALLOCATE c")],
        [run_named("a")], [run_named("b")], [run_named("c")],
    ],
    "deallocate in one pipeline": [
        [parse("a", "SELECT 'a'"), parse("b", "SELECT 'b'"), sync()],
        [parse("", "DEALLOCATE a"), bind(), execute(), parse("", "DEALLOCATE nope"), bind(),
         execute(), parse("", "DEALLOCATE b"), bind(), execute(), sync()],
        [run_named("a")], [run_named("b")],
    ],
    "deallocate by a prepared statement": [
        [parse("a", "SELECT 'a'"), parse("d", "DEALLOCATE a"), sync()],
        [run_named("d")], [run_named("d")], [run_named("a")],
        [parse("a", "SELECT 'b'"), sync()], [run_named("d")], [run_named("a")],
    ],
    "deallocate of a statement whose table is gone": [
        [query("CREATE TABLE g (v int)")], [parse("s", "SELECT * FROM g"), sync()],
        [query("DROP TABLE g")], [query("DEALLOCATE s")], [run_named("s")],
    ],
    "prepare of the name of a statement whose table is gone": [
        [query("CREATE TABLE g (v int)")], [parse("s", "SELECT * FROM g"), sync()],
        [query("DROP TABLE g")], [query("PREPARE s AS SELECT 'sql'")], [query("BEGIN")],
        [query("PREPARE s AS SELECT 'sql'")], [query("ROLLBACK")],
        [parse("", "PREPARE s AS SELECT 'sql'"), bind(), execute(), sync()], [query("DEALLOCATE s")],
        [query("PREPARE s AS SELECT 'sql'")], [query("EXECUTE s")], [query("DEALLOCATE s")],
    ],
    "execute of a statement whose table is gone": [
        [query("CREATE TABLE g (v int)")], [parse("s", "SELECT * FROM g"), sync()],
        [query("DROP TABLE g")], [query("EXECUTE s")], [query("SELECT 'next'")],
        [query("BEGIN")], [query("EXECUTE s")], [query("SELECT 'failed'")], [query("ROLLBACK")],
        [query("SELECT 'next'")],
    ],
    "execute in a failed transaction": [
        [parse("s", "SELECT 'x'"), sync()], [query("BEGIN")], [query("SELECT 1/0")],
        [query("EXECUTE s")], [query("ROLLBACK")], [query("SELECT 'next'")], [query("EXECUTE s")],
    ],
    "deallocate all, and prepared anew": [
        [parse("s", "SELECT 'protocol'"), sync()], [query("BEGIN")], [query("EXECUTE s")],
        [query("DEALLOCATE ALL")], [query("PREPARE s AS SELECT 'sql'")], [query("COMMIT")],
        [query("EXECUTE s")], [query("DEALLOCATE s")],
    ],
    "closed, and prepared anew": [
        [parse("s", "SELECT 'protocol'"), sync()], [query("BEGIN")], [query("EXECUTE s")],
        [close("S", "s"), sync()], [query("PREPARE s AS SELECT 'sql'")], [query("COMMIT")],
        [query("EXECUTE s")], [query("DEALLOCATE s")],
    ],
    "execute": [
        [parse("s", "SELECT $1::int + 1"), sync()], [query("EXECUTE s(41)")],
        [query("BEGIN; EXECUTE s(1); EXECUTE s(2); COMMIT")], [query("EXECUTE s")],
        [query("EXPLAIN (COSTS off) EXECUTE s(5)")],
        [query("CREATE TABLE made AS EXECUTE s(6)")], [query("SELECT * FROM made")],
        [parse("e", "EXECUTE s(10)"), describe("S", "e"), sync()], [run_named("e")],
        [parse("", "EXECUTE s(11)"), bind(), execute(), sync()],
        [run_named("s", ["1"])],
    ],
    "closed in between": [
        [parse("s", "SELECT 'one'"), sync()], [query("BEGIN")], [query("EXECUTE s")],
        [close("S", "s"), sync()], [query("SAVEPOINT p")], [query("EXECUTE s")],
        [query("ROLLBACK TO p")], [parse("s", "SELECT 'two'"), sync()], [query("EXECUTE s")],
        [query("COMMIT")], [query("EXECUTE s")],
    ],
    "prepare of a name that is taken": [
        [parse("s", "SELECT 'protocol'"), sync()], [query("PREPARE s AS SELECT 'sql'")],
        [query("EXECUTE s")], [query("DEALLOCATE s")], [query("PREPARE s AS SELECT 'sql'")],
        [query("EXECUTE s")], [parse("s", "SELECT 'protocol'"), sync()], [run_named("s")],
        [query("DEALLOCATE s")], [parse("s", "SELECT 'protocol'"), sync()],
        [run_named("s")],
    ],
    "messages about what SQL has prepared": [
        [query("PREPARE s(int) AS SELECT $1 * 2")], [run_named("s", ["4"])],
        [describe("S", "s"), sync()], [close("S", "s"), sync()], [query("EXECUTE s(1)")],
    ],
    "settings by what SQL has prepared": [
        [query("PREPARE s AS SELECT set_config('app.x', 'mine', false)")],
        [run_named("s")], [query("DEALLOCATE s")], [query("SHOW app.x")],
    ],
    "the list": [
        [query(NAMES)], [parse("a", "SELECT 'a'"), parse("b", "SELECT $1::text", (25,)), sync()],
        [query(NAMES)], [query("PREPARE c AS SELECT 'c'")], [query(NAMES)],
        [query("DEALLOCATE a")], [query(NAMES)], [parse("", NAMES), bind(), execute(), sync()],
        [query("DEALLOCATE ALL")], [query(NAMES)], [run_named("b", ["x"])],
    ],
    "the list in other letters": [
        [parse("mine", "SELECT 'a'"), sync()],
        *([query(NAMES.replace("pg_prepared_statements", spelling))] for spelling in (
            "PG_PREPARED_STATEMENTS", "PG_PREPARED_STATEMENT()", '"pg_prepared_statement"()',
            'U&"pg!005fprepared_statements" UESCAPE \'!\'', 'U&"pg\\005fprepared_statement"()')),
        [query("DO $$ BEGIN PERFORM * FROM Pg_Prepared_Statements; ASSERT FOUND; END $$")],
    ],
    "long names": [
        [parse("x" * 63 + "a", "SELECT 1"), sync()], [run_named("x" * 63 + "b")],
        [parse("x" * 63, "SELECT 2"), sync()], [query("EXECUTE " + "x" * 70)],
        [query(NAMES)], [run_named("x" * 62)], [close("S", "x" * 64), sync()],
        [query("EXECUTE " + "x" * 63)], [parse("x" * 99, "SELECT 3"), sync()],
        [query("DEALLOCATE " + "x" * 63)], [run_named("x" * 63)],
        [parse("\u00e4" * 40, "SELECT 4"), sync()], [run_named("\u00e4" * 50)],
        [parse("\u00e4" * 31, "SELECT 5"), sync()], [query('EXECUTE "' + "\u00e4" * 32 + '"')],
    ],
    "discard all": [
        [parse("a", "SELECT 'a'"), sync()], [query("DISCARD ALL")], [query("EXECUTE a")],
        [query(NAMES)],
    ],
}


def transcript(conn, conversation, between=lambda: None):
    lines = []
    for batch in conversation:
        result = conn.run(*batch)
        error = result.error
        lines.append((result.kinds.replace("N", ""), result.rows,
                      (error.code, error.message) if error else None, result.tag))
        between()
    return lines


class Others:
    """Two clients that use the same names; one of them leaves its link to the next one."""

    def __init__(self, pooler):
        self.pooler = pooler
        self.conns = [pooler.raw("bob") for _ in range(2)]
        for conn in self.conns:
            conn.run(parse("s", "SELECT 'others'"), parse("a", "SELECT 'others'"), sync())
        self.turn = 0

    def __call__(self):
        conn = self.conns[self.turn % 2]
        conn.run(run_named("s"))
        if self.turn % 3 == 0:
            conn.query("DEALLOCATE s")
            conn.run(parse("s", "SELECT 'others'"), sync())
        self.turn += 1


@pytest.fixture
def direct_db(pg):
    name = pg.create_database()
    yield name
    pg.drop_database(name)


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_conversation(make_pooler, pg, direct_db, db, name):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, session_state="track",
                         server_round_robin=1, max_pinned_share=100)
    with RawConn(pg.port) as direct:
        direct.login("bob", direct_db, "bob-pw")
        wanted = transcript(direct, CONVERSATIONS[name])
    for target in (db, direct_db):
        with pg.connect(target) as c:
            c.execute("DROP TABLE IF EXISTS made")
    got = transcript(pooler.raw("bob"), CONVERSATIONS[name], Others(pooler))
    for i, (one, other) in enumerate(zip(wanted, got)):
        assert one == other, f"batch {i}: {CONVERSATIONS[name][i]}"


def test_nothing_stays_on_the_link(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")
    a, b = pooler.raw("bob"), pooler.raw("bob")
    for conn in (a, b):
        conn.run(parse("s", "SELECT 'own'"), sync())
    assert a.query("EXECUTE s").value() == "own"
    assert b.query("DEALLOCATE s").error is None
    assert b.query("EXECUTE s").error.code == "26000"
    a.run(parse("x", "EXECUTE s"), bind("", "x"), execute(), parse("y", "SELEC"), sync())
    assert b.query("EXECUTE s").error.code == "26000"
    assert [r[0] for r in b.query(NAMES).rows] == []


def test_a_client_that_leaves_takes_its_names_along(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")
    a, b = pooler.raw("bob"), pooler.raw("bob")
    a.run(parse("s", "SELECT 'own'"), sync())
    a.query("BEGIN")
    assert a.query("EXECUTE s").value() == "own"
    a.close()
    assert b.query("EXECUTE s").error.code == "26000"


def test_deallocate_keeps_no_link(make_pooler):
    """What drivers do after each of their statements."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")
    a, b = pooler.raw("bob"), pooler.raw("bob")
    pid = a.query("SELECT pg_backend_pid()").value()
    for i in range(20):
        assert a.run(parse(f"s{i}", f"SELECT {i}"), run_named(f"s{i}")).value() == str(i)
        assert a.query(f"DEALLOCATE s{i}").error is None
        assert b.query("SELECT pg_backend_pid()").value() == pid


def test_pipeline_behind_a_failed_transaction(make_pooler):
    """Each answer belongs to its own query."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")
    a = pooler.raw("bob")
    a.run(parse("s", "SELECT 'x'"), sync())
    a.send(b"".join(query(text) for text in ("BEGIN", "SELECT 1/0", "EXECUTE s", "ROLLBACK",
                                             "SELECT 'next'")))
    results = [a.result() for _ in range(5)]
    assert [r.error.code if r.error else r.tag for r in results] == [
        "BEGIN", "22012", "25P02", "ROLLBACK", "SELECT 1"]
    assert a.query("EXECUTE s").value() == "x"


def test_the_list_has_what_can_be_had(make_pooler):
    """A statement whose table is gone costs nobody a transaction."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")
    a = pooler.raw("bob")
    a.query("CREATE TABLE g (v int)")
    a.run(parse("gone", "SELECT * FROM g"), parse("here", "SELECT 1"), sync())
    a.query("DROP TABLE g")
    assert "here" in [r[0] for r in a.query(NAMES).rows]
    assert a.query("EXECUTE nope").error.code == "26000"
    a.query("BEGIN")
    assert a.query(NAMES).error is None
    assert a.query("SELECT 'next'").value() == "next"
    assert a.query("COMMIT").tag == "COMMIT"


def test_the_list_by_messages_behind_ddl(make_pooler):
    """It has what the client has prepared, whatever has changed since that was parsed."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")
    a, b = pooler.raw("bob"), pooler.raw("bob")
    a.query("CREATE TABLE g (v int)")
    a.run(parse("gone", "SELECT * FROM g"), parse("here", "SELECT 1"), sync())
    b.query("DROP TABLE g")
    listed = (parse("", NAMES), bind(), execute(), sync())
    for _ in range(2):
        result = a.run(*listed)
        assert result.error is None
        assert [r[0] for r in result.rows] == ["here"]
    a.run(parse("list", NAMES), sync())
    b.query("CREATE TABLE g (v int)")
    assert {"gone", "here"} <= {r[0] for r in a.run(run_named("list")).rows}
    a.query("CREATE TEMP TABLE own (v int)")
    a.run(parse("mine", "SELECT * FROM own"), sync())
    assert "mine" in [r[0] for r in a.run(*listed).rows]
    # What comes behind it in the pipeline has its own answers.
    a.query("DROP TABLE g")
    a.send(b"".join(listed) * 3 + query("SELECT 'next'"))
    for _ in range(3):
        assert [r[0] for r in a.result().rows if r[0] != "list"] == ["here", "mine"]
    assert a.result().value() == "next"


def test_the_list_in_a_transaction_behind_ddl(make_pooler):
    """What it takes to find out which statements are still good costs nobody a transaction."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")
    a, b = pooler.raw("bob"), pooler.raw("bob")
    a.query("CREATE TABLE g (v int); CREATE TABLE kept (v int)")
    a.run(parse("gone", "SELECT * FROM g"), parse("here", "SELECT 1"),
          parse("other", "SELECT $1::text"), sync())
    b.query("DROP TABLE g")
    for begin in ("BEGIN", "BEGIN READ ONLY", "BEGIN ISOLATION LEVEL SERIALIZABLE"):
        a.query(begin)
        a.query("SAVEPOINT pgweir_ahead; DECLARE c CURSOR FOR SELECT 1")
        for _ in range(2):
            assert [r[0] for r in a.query(NAMES).rows] == ["here", "other"]
        assert a.query("FETCH c").value() == "1"
        assert a.query("EXECUTE here").value() == "1"
        assert a.query("ROLLBACK TO pgweir_ahead; COMMIT").error is None
        b.query("CREATE TABLE g (v int)")
        b.query("DROP TABLE g")
    a.query("BEGIN")
    a.query("INSERT INTO kept VALUES (1)")
    a.query(NAMES)
    assert a.query("COMMIT").tag == "COMMIT"
    assert a.query("SELECT count(*) FROM kept").value() == "1"


def test_a_pipeline_brings_a_text_once(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")
    a = pooler.raw("bob")
    assert a.run(parse("s", f"SELECT 1 /* {'x' * 1000000} */"), sync()).kinds == "1Z"
    before = resident_kb(pooler.process.pid)
    a.send(query("EXECUTE s") * 300)
    for _ in range(300):
        assert a.result().value() == "1"
    assert resident_kb(pooler.process.pid) - before < 20 * 1024
