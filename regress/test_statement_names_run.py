# SPDX-License-Identifier: PostgreSQL
"""What the statements do that SQL's EXECUTE runs by the names that a driver has given them: as if
the client had sent their texts. Each conversation is held with PostgreSQL and with a pool of one
link, on which another client is the next, and must read the same for both."""

import pytest

from lib.wire import bind, execute, parse, query, run_named, sync

pytestmark = pytest.mark.pgweir_only

ASKS = [query(f"SELECT current_setting('{name}', true)") for name in (
    "app.v", "app.w", "app.ten")] + [query("SHOW work_mem"), query("SHOW DateStyle")]


def extended(sql):
    return [parse("", sql), bind(), execute(), sync()]


# name: the text of the statement
SETS = {
    "set": "SET app.v = 'secret'",
    "set_config": "SELECT set_config('app.w', 'secret', false)",
    "name put together": "SELECT set_config('app.' || 'ten', 'secret', false)",
    "code": "DO $$ BEGIN PERFORM set_config('app.' || 'ten', 'secret', false); END $$",
    "a reported one": "SET DateStyle = 'German'",
    "a plain one": "SET work_mem = '9MB'",
}
RUNS = {
    "query": [query("EXECUTE e")],
    "twice": [query("BEGIN; EXECUTE e; COMMIT; EXECUTE e")],
    "explain": [query("EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) EXECUTE e")],
    "extended": extended("EXECUTE e"),
    "named": [parse("x", "EXECUTE e"), sync(), run_named("x")],
    "within another": [parse("x", "EXECUTE e"), sync(), query("EXECUTE x")],
    "within code": [query("DO $$ BEGIN EXECUTE 'EXECUTE e'; END $$")],
    "rolled back": [query("BEGIN"), query("EXECUTE e"), query("ROLLBACK")],
    "in a transaction": [query("BEGIN"), query("SELECT 1"), query("EXECUTE e"), query("COMMIT")],
}

# name: messages, each answered before the next goes out
CONVERSATIONS = {
    "deallocate by execute": [
        parse("a", "SELECT 1") + parse("d", "DEALLOCATE a") + sync(), query("EXECUTE d"),
        run_named("a"), parse("a", "SELECT 2") + sync(), run_named("a"), query("EXECUTE d"),
        query("EXECUTE d"),
    ],
    "deallocate by execute, extended": [
        parse("a", "SELECT 1") + parse("d", "DEALLOCATE a") + sync(),
        b"".join(extended("EXECUTE d")), run_named("a"),
        parse("a", "SELECT 2") + sync(), run_named("a"),
    ],
    "deallocate all by execute": [
        parse("a", "SELECT 1") + parse("d", "DEALLOCATE ALL") + sync(), query("EXECUTE d"),
        run_named("a"), query("EXECUTE d"), parse("a", "SELECT 2") + sync(), run_named("a"),
    ],
    "among others": [
        parse("a", "SELECT 1") + parse("b", "SELECT 2") + parse("d", "DEALLOCATE a") + sync(),
        query("EXECUTE d; DEALLOCATE b; SELECT 1/0"), run_named("a"), run_named("b"),
    ],
    "execute by execute": [
        parse("a", "SELECT $1::int") + parse("e", "EXECUTE a(7)") + sync(), query("EXECUTE e"),
        parse("f", "EXECUTE e") + sync(), query("EXECUTE f"), run_named("f"),
    ],
    "round and round": [
        parse("a", "EXECUTE b") + parse("b", "EXECUTE c") + sync(), query("EXECUTE a"),
        parse("c", "EXPLAIN EXECUTE a") + sync(), query("DEALLOCATE c"), query("EXECUTE a"),
    ],
    "the list by execute": [
        parse("a", "SELECT 1") + parse("l", "SELECT name FROM pg_prepared_statements ORDER BY 1") +
        sync(), query("EXECUTE l"),
    ],
    "within code": [
        parse("a", "SELECT 1") + parse("Odd one", "SELECT 2") + sync(),
        query("DO $$ BEGIN EXECUTE 'EXECUTE a'; END $$"),
        query("DO $$ BEGIN EXECUTE 'EXECUTE \"Odd one\"'; END $$"),
        query("DO $$ BEGIN EXECUTE 'EXECUTE none'; END $$"), query("SELECT 'next'"),
        query("DO $$ BEGIN DEALLOCATE a; EXECUTE 'DEALLOCATE \"Odd one\"'; END $$"),
    ],
    "prepare by execute": [
        parse("p", "PREPARE a AS SELECT 'sql'") + sync(), query("EXECUTE p"), query("EXECUTE a"),
        query("EXECUTE p"), query("DEALLOCATE a"),
    ],
    "reset by execute": [
        parse("r", "RESET work_mem") + sync(), query("SET work_mem = '9MB'"), query("EXECUTE r"),
        query("SHOW work_mem"),
    ],
}


def answers(conn, messages):
    lines = []
    for message in messages:
        result = conn.run(message) if isinstance(message, bytes) else conn.run(*message)
        error = result.error
        lines.append((result.kinds.replace("N", "").replace("S", ""), result.rows,
                      (error.code, error.message) if error else None, result.tag))
    return lines


@pytest.fixture
def direct_db(pg):
    name = pg.create_database()
    yield name
    pg.drop_database(name)


@pytest.fixture
def one(make_pooler):
    return make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track",
                       max_pinned_share=100, query_wait_timeout=5)


def said(lines):
    return [rows[0][0] or "" for _, rows, _, _ in lines]


def together(messages):
    """As one message for each that is answered by a ReadyForQuery."""
    batches, batch = [], b""
    for m in messages:
        batch += m
        if m[:1] in b"QS" or m.endswith(sync()):
            batches.append(batch)
            batch = b""
    return batches


@pytest.mark.parametrize("what", SETS)
def test_settings(make_pooler, pg, direct_db, what):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, session_state="track",
                         max_pinned_share=100, server_round_robin=0)
    for how, run in RUNS.items():
        direct, other = pg.raw("bob", direct_db), pg.raw("bob", direct_db)
        a, b = pooler.raw("bob"), pooler.raw("bob")
        messages = [parse("e", SETS[what]) + sync(), *together(run)]
        assert answers(a, messages) == answers(direct, messages), how
        # '' in place of NULL may show that somebody has a setting of that name
        assert said(answers(b, ASKS)) == said(answers(other, ASKS)), how
        assert said(answers(a, ASKS)) == said(answers(direct, ASKS)), how
        for conn in (a, b, direct, other):
            conn.leave()


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_conversation(one, pg, direct_db, name):
    direct, a, b = pg.raw("bob", direct_db), one.raw("bob"), one.raw("bob")
    for i, message in enumerate(CONVERSATIONS[name]):
        assert answers(a, [message]) == answers(direct, [message]), f"batch {i}: {message}"
        if not name.startswith("prepare"):
            assert b.query("SELECT 1").value() == "1"


def test_what_cannot_be_carried(make_pooler):
    """A seed keeps the client on its link."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, session_state="track",
                         max_pinned_share=100)
    a, b = pooler.raw("bob"), pooler.raw("bob")
    a.run(parse("e", "SELECT setseed(0.5)"), sync())
    pid = a.query("SELECT pg_backend_pid()").value()
    assert a.query("EXECUTE e").error is None
    assert b.query("SELECT pg_backend_pid()").value() != pid
    assert a.query("SELECT pg_backend_pid()").value() == pid


def test_a_long_chain(one):
    """Where it leads to is not looked up for ever; what it sets is nobody else's all the same."""
    a, b = one.raw("bob"), one.raw("bob")
    a.run(parse("s0", "SET app.v = 'secret'"), sync())
    for i in range(1, 300):
        a.run(parse(f"s{i}", f"EXECUTE s{i - 1}"), sync())
    a.query("EXECUTE s299")
    assert b.query("SELECT coalesce(current_setting('app.v', true), '')").value() == ""
    assert a.query("EXECUTE s40").error is None
    assert a.query("SHOW app.v").value() == "secret"


def test_start_up_values_after_reset_by_execute(one):
    a = one.raw("bob", options="-c work_mem=7MB")
    a.run(parse("r", "RESET work_mem"), parse("c", "SET work_mem = '9MB'"), sync())
    assert a.query("EXECUTE c").error is None
    assert a.query("SHOW work_mem").value() == "9MB"
    assert a.query("EXECUTE r").error is None
    assert a.query("SHOW work_mem").value() == "7MB"


def test_pipelined_behind_a_deallocate_that_is_executed(one, pg, direct_db):
    messages = [parse("a", "SELECT 1") + parse("d", "DEALLOCATE a") + sync()]
    pipeline = (query("EXECUTE d") + bind("", "a") + execute() + sync() +
                parse("a", "SELECT 2") + bind("", "a") + execute() + sync())
    told = []
    for conn in (pg.raw("bob", direct_db), one.raw("bob")):
        answers(conn, messages)
        conn.send(pipeline)
        told.append([(r.kinds, r.rows, r.error.code if r.error else None)
                     for r in (conn.result() for _ in range(3))])
    assert told[0] == told[1]
