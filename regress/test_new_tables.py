# SPDX-License-Identifier: PostgreSQL
"""A name stands for another table than before, because one was made or has gone, or a schema may be
used now: a statement that is prepared afterwards is about that one, whoever has prepared the same
text before and on whatever link."""

import pytest

from lib.turns import compare
from lib.wire import bind, close, execute, parse, query, run_named, sync

pytestmark = pytest.mark.pgweir_only

SETUP = """
CREATE SCHEMA s1;
CREATE SCHEMA s2 AUTHORIZATION bob;
GRANT ALL ON SCHEMA s1 TO public;
CREATE TABLE public.t (v text);
INSERT INTO public.t VALUES ('old');
CREATE TABLE s2.t (v text);
INSERT INTO s2.t VALUES ('new');
GRANT ALL ON public.t, s2.t TO public;
CREATE FUNCTION public.make() RETURNS int LANGUAGE plpgsql AS
    $$BEGIN CREATE TABLE s1.t AS SELECT 'new'::text AS v; RETURN 1; END$$;
CREATE FUNCTION public.make_by_string() RETURNS int LANGUAGE plpgsql AS
    $$BEGIN EXECUTE format('CREATE TABLE %I.t AS SELECT ''new''::text AS v', 's1'); RETURN 1; END$$;
CREATE FUNCTION public.call_make() RETURNS int LANGUAGE plpgsql AS
    $$BEGIN PERFORM make(); RETURN 1; END$$;
CREATE PROCEDURE public.make_by_call() LANGUAGE plpgsql AS
    $$BEGIN PERFORM make(); END$$;
CREATE FUNCTION public.make_temp() RETURNS int LANGUAGE plpgsql AS
    $$BEGIN CREATE TEMP TABLE t AS SELECT 'new'::text AS v; RETURN 1; END$$;
"""
PATH = ("a", query("SET search_path = s1, public"))
# Prepared, run and closed.
X = ("a", parse("x", "SELECT v FROM t"), bind("", "x"), execute(), close("S", "x"), sync())
CTAS = "CREATE TABLE s1.t AS SELECT 'new'::text AS v"
NEXT = ("z", query("SELECT 1"))


def by(who, sql):
    return who, query(sql)


def messages(who, sql):
    return who, parse("", sql), bind(), execute(), sync()


def named(who, sql):
    return who, parse("made", sql), run_named("made")


def several(step):
    return [step, NEXT] * 4


def around(*steps):
    """What is prepared before and after, by one client, on all links."""
    return [PATH, *several(X), *steps, *several(X)]


# Who speaks, and what it says at once.
TURNS = {
    "create table": around(by("z", "CREATE TABLE s1.t (v text)")),
    "create table as": around(by("z", CTAS)),
    "by messages": around(messages("z", CTAS)),
    "by a prepared statement": around(named("z", CTAS)),
    "by a prepared statement that is run again": around(
        named("z", CTAS), by("z", "DROP TABLE s1.t"), *several(X), ("z", run_named("made"))),
    "without data": around(by("z", CTAS + " WITH NO DATA")),
    "without rows": around(by("z", CTAS + " WHERE false")),
    "select into": around(by("z", "SELECT 'new'::text AS v INTO s1.t")),
    "select into, by messages": around(messages("z", "SELECT 'new'::text AS v INTO s1.t")),
    "with into": around(by("z", "WITH w AS (SELECT 'new'::text AS v) SELECT v INTO s1.t FROM w")),
    "into behind an insert": around(
        by("z", "INSERT INTO public.t VALUES ('more'); SELECT 'new'::text AS v INTO s1.t")),
    "materialized view": around(
        by("z", "CREATE MATERIALIZED VIEW s1.t AS SELECT 'new'::text AS v")),
    "explain": around(by("z", f"EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) {CTAS}; "
                              "SELECT 1")),
    "of the client itself": around(by("a", CTAS)),
    "in a transaction": around(by("z", "BEGIN"), by("z", CTAS), X, by("z", "COMMIT")),
    "in a transaction, taken back": around(by("z", "BEGIN"), by("z", CTAS), X,
                                           by("z", "ROLLBACK")),
    "of the client in its transaction": around(
        by("a", "BEGIN"), X, by("a", CTAS), X, X, by("a", "COMMIT")),
    "begin in the same text": around(by("a", f"BEGIN; {CTAS}"), X, by("a", "ROLLBACK")),
    "by code": around(by("z", "SELECT public.make()")),
    "by code, by messages": around(messages("z", "SELECT public.make()")),
    "by code that puts it together": around(by("z", "SELECT public.make_by_string()")),
    "by code that calls code": around(by("z", "SELECT public.call_make()")),
    "by a procedure": around(by("z", "CALL public.make_by_call()")),
    "by code in the text": around(by("z", f"DO $$BEGIN {CTAS}; END$$")),
    "by code in a transaction": around(
        by("a", "BEGIN"), X, by("a", "SELECT public.make()"), X, by("a", "COMMIT")),
    "temporary": around(by("a", "CREATE TEMP TABLE t AS SELECT 'new'::text AS v"), X,
                        by("a", "DROP TABLE t")),
    "temporary, by code": around(by("a", "SELECT public.make_temp()"), X,
                                 by("a", "DROP TABLE t")),
    "dropped and taken back": [
        by("z", CTAS), *around(by("a", "BEGIN"), by("a", "SAVEPOINT s"), by("a", "DROP TABLE s1.t"),
                               X, by("a", "ROLLBACK TO s"), X, by("a", "COMMIT")),
    ],
    "kept by a client from its transaction": [
        PATH, *several(X), by("a", "BEGIN"), by("a", CTAS),
        ("a", parse("k", "SELECT v FROM t"), run_named("k")),
        ("b", query("SET search_path = s1, public")),
        *[("b", *X[1:]), NEXT] * 3, by("a", "COMMIT"),
        *several(("a", run_named("k"))),
    ],
    "a schema that may be used": [
        ("a", query("SET search_path = s2, public")), *several(X),
        ("bob", query("GRANT USAGE ON SCHEMA s2 TO public")), *several(X),
        ("bob", query("REVOKE USAGE ON SCHEMA s2 FROM public")), *several(X),
    ],
}


@pytest.mark.parametrize("name", TURNS)
def test_turns(make_pooler, pg, db, second_db, name):
    for target in (db, second_db):
        with pg.connect(target) as c:
            c.execute(SETUP)
    compare(make_pooler, pg, (db, second_db), TURNS[name])


def test_query_with_insert_is_no_change(make_pooler, pg, db):
    """What others have parsed is still good for a Parse without a link."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")
    a, holder = pooler.raw(), pooler.raw()
    a.query("CREATE TABLE n (v int)")
    a.run(parse("s", "SELECT 1"), sync())
    for sql in ("WITH w AS (INSERT INTO n VALUES (1) RETURNING v) SELECT * FROM w",
                "INSERT INTO n SELECT 1; SELECT 2", "INSERT INTO n VALUES (2)"):
        assert a.query(sql).error is None
    holder.query("BEGIN")
    assert pooler.raw().run(parse("s", "SELECT 1"), sync()).kinds == "1Z"
