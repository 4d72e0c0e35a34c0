# SPDX-License-Identifier: PostgreSQL
"""A server finds out the types of parameters when it parses, and keeps them for as long as the
statement lives, whatever becomes of the table. So does a client's statement here, on whatever link:
its values in binary are never read as something else."""

import struct

import pytest

from lib.turns import compare, warm_up
from lib.wire import bind, close, cstring, describe, execute, flush, message, parse, query, sync

pytestmark = pytest.mark.pgweir_only

INSERT = "INSERT INTO p VALUES ($1)"
INT4, INT8 = struct.pack("!i", 5), struct.pack("!q", 5)
NEXT = ("f", query("SELECT 1"))


def binary(name, *values, portal=""):
    body = cstring(portal) + cstring(name) + struct.pack("!hhh", 1, 1, len(values))
    for value in values:
        body += struct.pack("!i", len(value)) + value
    return message("B", body + struct.pack("!hh", 1, 0))


def run(name, *values):
    return binary(name, *values) + execute() + sync()


def run_text(name, *values):
    return bind("", name, values) + execute() + sync()


def made(of):
    return ("z", query("DROP TABLE IF EXISTS p"), query(f"CREATE TABLE p (v {of})"),
            query("GRANT ALL ON p TO public"))


def altered(to, using=""):
    return ("z", query(f"ALTER TABLE p ALTER v TYPE {to} {using}"))


TOLD = ("a", parse("i", INSERT), describe("S", "i"), sync())
UNTOLD = ("a", parse("i", INSERT), sync())
SEEN = ("z", query("SELECT v FROM p"))


def on_all_links(step):
    return [step, NEXT] * 4


# name: first type of the column, its later one, and a value of the first.
CHANGES = {
    "int to real": ("int", "real", INT4),
    "int to bigint": ("int", "bigint", INT4),
    "bigint to double": ("bigint", "double precision", INT8),
    "timestamp to timestamptz": ("timestamp", "timestamptz", INT8),
    "int to text": ("int", "text", INT4),
    "int to date": ("int", "date USING '2000-01-01'::date + v", INT4),
}


@pytest.mark.parametrize("asks", ["statement", "nothing"])
@pytest.mark.parametrize("name", CHANGES)
def test_changed_column(make_pooler, pg, db, second_db, name, asks):
    of, to, value = CHANGES[name]
    compare(make_pooler, pg, (db, second_db), [
        made(of), TOLD if asks == "statement" else UNTOLD, ("a", run("i", value)), altered(to),
        *on_all_links(("a", run("i", value))), SEEN,
    ])


# Who speaks, and what it says at once.
TURNS = {
    "values as text": [
        made("int"), TOLD, ("a", run_text("i", 7)), altered("bigint"),
        *on_all_links(("a", run_text("i", 8))), SEEN,
    ],
    "query": [
        made("int"), ("a", parse("q", "SELECT v FROM p WHERE v = $1"), describe("S", "q"), sync()),
        ("a", run("q", INT4)), altered("text"),
        *on_all_links(("a", run("q", INT4))),
    ],
    "with one type given": [
        made("int"), ("a", parse("i", "INSERT INTO p SELECT $1::int + $2 FROM p WHERE v = $3",
                                 (0, 23)), describe("S", "i"), sync()),
        ("a", query("INSERT INTO p VALUES (5)")), ("a", run("i", INT4, INT4, INT4)),
        altered("real"), *on_all_links(("a", run("i", INT4, INT4, INT4))), SEEN,
    ],
    "with all types given": [
        made("int"), ("a", parse("i", INSERT, (23,)), sync()), ("a", run("i", INT4)),
        altered("real"), *on_all_links(("a", run("i", INT4))), SEEN,
    ],
    "described again": [
        made("int"), TOLD, altered("real"),
        *on_all_links(("a", describe("S", "i"), sync())), ("a", run("i", INT4)), SEEN,
    ],
    "described and bound at once": [
        made("int"), TOLD, altered("real"),
        *on_all_links(("a", describe("S", "i"), run("i", INT4))), SEEN,
    ],
    "described by a portal": [
        made("int"), UNTOLD, ("a", binary("i", INT4), describe("P"), execute(), sync()),
        altered("real"),
        *on_all_links(("a", binary("i", INT4), describe("P"), execute(), sync())), SEEN,
    ],
    "all in one batch": [
        made("int"), ("a", parse("i", INSERT), describe("S", "i"), run("i", INT4), run("i", INT4)),
        altered("real"), *on_all_links(("a", run("i", INT4))), SEEN,
    ],
    "an older and a newer client": [
        made("int"), TOLD, ("a", run("i", INT4)), altered("bigint"),
        ("b", parse("i", INSERT), describe("S", "i"), sync()),
        *on_all_links(("a", run("i", INT4))), *on_all_links(("b", run("i", INT8))), SEEN,
        *on_all_links(("a", run("i", INT4), describe("S", "i"), sync())),
        *on_all_links(("b", describe("S", "i"), sync())),
    ],
    "closed and prepared anew": [
        made("int"), TOLD, ("a", run("i", INT4)), altered("bigint"),
        *on_all_links(("a", run("i", INT4))), ("a", close("S", "i"), sync()), TOLD,
        *on_all_links(("a", run("i", INT8))), SEEN,
    ],
    "in a transaction": [
        made("int"), TOLD, ("a", run("i", INT4)), altered("real"),
        ("a", query("BEGIN")), ("a", run("i", INT4)), ("a", query("COMMIT")), NEXT,
        ("a", query("BEGIN")), ("a", run("i", INT4)), ("a", query("COMMIT")), SEEN,
    ],
    "no value of the type": [
        made("int"), UNTOLD, *on_all_links(("a", run("i", b"abc"))), ("a", run("i", INT4)), SEEN,
    ],
    "errors of the table": [
        made("int UNIQUE"), UNTOLD, ("a", run("i", INT4)),
        altered("real"), *on_all_links(("a", run("i", INT4))), SEEN,
    ],
    "a parameter that is none": [
        ("a", parse("q", "SELECT '$1', $$ $2 $$"), describe("S", "q"), sync()),
        *on_all_links(("a", bind("", "q"), execute(), sync())),
    ],
    "another search_path": [
        made("int"), ("z", query("CREATE TABLE s1.p (v real); GRANT ALL ON s1.p TO public")),
        TOLD, ("a", run("i", INT4)), ("a", query("SET search_path = s1, public")),
        *on_all_links(("a", run("i", INT4))), ("z", query("SELECT * FROM s1.p")), SEEN,
    ],
}


@pytest.mark.parametrize("name", TURNS)
def test_turns(make_pooler, pg, db, second_db, name):
    for target in (db, second_db):
        with pg.connect(target) as c:
            c.execute("CREATE SCHEMA s1; GRANT ALL ON SCHEMA s1 TO public")
    compare(make_pooler, pg, (db, second_db), TURNS[name])


@pytest.fixture
def pooler(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=3, session_state="track",
                         server_round_robin=1, worker_threads=1)
    warm_up(pooler, 3)
    return pooler


def test_that_flushes(pooler):
    z, a = pooler.raw(), pooler.raw()
    z.query("CREATE TABLE p (v int)")
    a.send(parse("i", INSERT) + describe("S", "i") + flush())
    assert "".join(a.recv().kind for _ in range(3)) == "1tn"
    a.run(sync())
    z.query("ALTER TABLE p ALTER v TYPE real")
    for _ in range(4):
        assert a.run(run("i", INT4)).tag == "INSERT 0 1"
    assert z.query("SELECT DISTINCT v FROM p").rows == [["5"]]


def test_link_that_has_them_is_not_asked(pooler, pg, db):
    """Once each link has said, a Bind costs what it did."""
    z, a = pooler.raw(), pooler.raw()
    z.query("CREATE TABLE p (v int)")
    a.run(parse("i", INSERT), describe("S", "i"), sync())
    for _ in range(6):
        a.run(run("i", INT4))
    with pg.connect(db) as c:
        c.execute("ALTER TABLE p ALTER v TYPE real")
    for _ in range(6):
        assert a.run(run("i", INT4)).kinds == "2CZ"
    assert z.query("SELECT DISTINCT v FROM p").rows == [["5"]]


@pytest.mark.parametrize("types", [0, 1])
def test_memory_is_counted(make_pooler, types):
    """What is known of a name is counted with it, and no longer than it lives."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track",
                         prepared_statement_bytes_client=4000)
    a = pooler.raw()
    a.query("CREATE TABLE p (v int)")
    for _ in range(50):
        assert a.run(parse("i", INSERT, (23,) * types), describe("S", "i"), close("S", "i"),
                     sync()).kinds == "1tn3Z"
