# SPDX-License-Identifier: PostgreSQL
"""FETCH and EXECUTE that are prepared by messages: what they return belongs to the session's cursor
or statement, so nobody is told what another client's has, nor what an earlier one had."""

import asyncio

import asyncpg
import pytest

from lib.pg import PASSWORDS
from lib.turns import compare
from lib.wire import bind, close, describe, execute, flush, parse, query, run_named, sync

pytestmark = pytest.mark.pgweir_only

ONE = "SELECT 1 AS i"
TWO = "SELECT 'x'::text AS t, 2 AS n"
COMMIT = query("COMMIT")


def cursor(sql):
    return query(f"BEGIN; DECLARE c CURSOR FOR {sql}")


def fetch(name, text="FETCH ALL FROM c"):
    return parse(name, text) + describe("S", name) + run_named(name)


def by_portal(name):
    return bind("", name) + describe("P") + execute() + sync()


def prepared(sql, text="EXECUTE a"):
    return parse("a", sql) + parse("e", text) + describe("S", "e") + sync()


# Who speaks, and what it says at once.
TURNS = {
    "fetch of two clients": [
        ("b", cursor(ONE)), ("b", fetch("f")), ("b", COMMIT),
        ("a", cursor(TWO)), ("a", fetch("f")), ("a", COMMIT),
    ],
    "fetch behind comments": [
        ("b", cursor(ONE)), ("b", fetch("f", "/* a /* b */ */ -- c\n ;fEtch ALL c")), ("b", COMMIT),
        ("a", cursor(TWO)), ("a", fetch("f", "/* a /* b */ */ -- c\n ;fEtch ALL c")), ("a", COMMIT),
    ],
    "fetch of one client that closes": [
        ("b", cursor(ONE)), ("b", fetch("f")), ("b", COMMIT), ("b", close("S", "f"), sync()),
        ("b", cursor(TWO)), ("b", fetch("f")), ("b", COMMIT),
    ],
    "fetch, closed and parsed on one link": [
        ("b", cursor(ONE)), ("b", fetch("f")), ("b", query("CLOSE c; DECLARE c CURSOR FOR " + TWO)),
        ("b", close("S", "f") + fetch("f")), ("b", COMMIT),
    ],
    "fetch of a cursor that changes": [
        ("a", cursor(ONE)), ("a", fetch("f")), ("a", COMMIT),
        ("a", cursor(TWO)), ("a", run_named("f")), ("a", COMMIT),
        ("a", cursor(TWO)), ("a", run_named("f")), ("a", COMMIT),
        ("a", cursor(ONE)), ("a", run_named("f")), ("a", COMMIT),
    ],
    "fetch, described by its portal": [
        ("a", cursor(ONE)), ("a", parse("f", "FETCH ALL FROM c"), by_portal("f")), ("a", COMMIT),
        ("a", cursor(TWO)), ("a", by_portal("f")), ("a", COMMIT),
        ("a", cursor(ONE)), ("a", by_portal("f")), ("a", COMMIT),
    ],
    "fetch without a cursor": [
        ("a", parse("f", "FETCH ALL FROM c"), describe("S", "f"), sync()),
        ("a", run_named("f")), ("a", cursor(ONE)), ("a", run_named("f")), ("a", COMMIT),
        ("b", cursor(TWO)), ("b", fetch("f")), ("b", COMMIT), ("a", run_named("f")),
    ],
    "execute of two clients": [
        ("b", prepared(ONE)), ("b", run_named("e")),
        ("a", prepared(TWO)), ("a", run_named("e")), ("a", run_named("e")),
    ],
    "execute of one client that closes": [
        ("b", prepared(ONE)), ("b", close("S", "a"), close("S", "e"), sync()),
        ("b", prepared(TWO)), ("b", run_named("e")), ("b", run_named("e")),
    ],
    "execute of a statement that changes": [
        ("b", prepared(ONE)), ("b", close("S", "a"), parse("a", TWO), sync()),
        ("b", run_named("e")), ("b", run_named("e")), ("b", by_portal("e")),
    ],
    "execute of what comes later": [
        ("b", parse("e", "EXECUTE a"), describe("S", "e"), sync()),
        ("b", parse("a", TWO), sync()), ("b", run_named("e")), ("b", by_portal("e")),
    ],
    "parsed twice": [
        ("b", cursor(ONE)), ("b", fetch("f")), ("b", parse("f", "FETCH ALL FROM c"), sync()),
        ("b", query("ROLLBACK")), ("b", cursor(TWO)), ("b", run_named("f")), ("b", COMMIT),
    ],
    "close that is skipped": [
        ("b", cursor(ONE)), ("b", fetch("f")), ("b", query("SAVEPOINT s")),
        ("b", bind("", "nobody"), close("S", "f"), sync()), ("b", query("ROLLBACK TO s")),
        ("b", run_named("f")), ("b", COMMIT),
        ("b", cursor(TWO)), ("b", run_named("f")), ("b", COMMIT),
    ],
    "move": [
        ("b", cursor(ONE)), ("b", fetch("m", "MOVE c")), ("b", COMMIT),
        ("a", cursor(TWO)), ("a", fetch("m", "MOVE c")), ("a", run_named("m")), ("a", COMMIT),
    ],
}


@pytest.mark.parametrize("links", [1, 3])
@pytest.mark.parametrize("name", TURNS)
def test_turns(make_pooler, pg, db, second_db, name, links):
    compare(make_pooler, pg, (db, second_db), TURNS[name], links)


@pytest.fixture
def one_link(make_pooler):
    return make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")


def test_what_is_closed_is_not_kept(one_link, pg, db):
    """Each Parse makes a statement of its own: they do not pile up on the link."""
    with pg.connect(db) as c:
        c.execute("CREATE VIEW of_link AS SELECT * FROM pg_prepared_statements;"
                  "GRANT SELECT ON of_link TO public")
    a = one_link.raw()
    for _ in range(5):
        assert a.run(parse("f", "FETCH ALL FROM c"), close("S", "f"), sync()).kinds == "13Z"
    assert a.query("SELECT count(*) FROM of_link WHERE statement ~ 'FETCH'").value() == "0"


def test_that_flushes(one_link):
    a = one_link.raw()
    for sql, columns in ((ONE, 1), (TWO, 2)):
        a.query(f"BEGIN; DECLARE c CURSOR FOR {sql}")
        a.send(parse("f", "FETCH ALL FROM c") + describe("S", "f") + flush())
        messages = [a.recv() for _ in range(3)]
        assert "".join(m.kind for m in messages) == "1tT"
        assert len(messages[2].columns()) == columns
        assert a.run(run_named("f")).error is None
        a.run(close("S", "f"), sync())
        a.query("COMMIT")


async def fetch_by_asyncpg(port, dbname, sql):
    conn = await asyncpg.connect(host="127.0.0.1", port=port, user="alice", database=dbname,
                                 password=PASSWORDS["alice"], ssl=False)
    async with conn.transaction():
        await conn.execute(f"DECLARE c CURSOR FOR {sql}")
        rows = [dict(r) for r in await conn.fetch("FETCH ALL FROM c")]
    await conn.close()
    return rows


def test_asyncpg_decodes_what_it_gets(one_link, db):
    for sql, rows in (("SELECT 1 AS i, 7 AS j", [{"i": 1, "j": 7}]),
                      ("SELECT 'abcd'::text AS t, 'wxyz'::text AS u", [{"t": "abcd", "u": "wxyz"}])):
        assert asyncio.run(fetch_by_asyncpg(one_link.port, db, sql)) == rows
