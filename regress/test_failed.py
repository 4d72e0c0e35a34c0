# SPDX-License-Identifier: PostgreSQL
"""What cannot be carried and cannot be asked about keeps its client, unless it failed before it
had done anything: which is not what a rollback is."""

import uuid

import pytest

from lib.wait import wait_for
from lib.wire import bind, describe, execute, parse, query, sync

pytestmark = pytest.mark.pgweir_only

SEED, LOAD = "setseed", "load"


@pytest.fixture
def login(pg):
    """One that may load libraries."""
    name = "r_" + uuid.uuid4().hex[:12]
    pg.execute(f"CREATE ROLE {name} LOGIN SUPERUSER PASSWORD 'pw'")
    yield name
    pg.execute(f"DROP ROLE {name}")


@pytest.fixture
def pooler(make_pooler, login):
    return make_pooler(pool_mode="transaction", default_pool_size=4, session_state="track",
                       auth={login: "pw"})


def pins(pooler):
    return [row["reasons"] for row in pooler.console("SHOW PINS")]


def batch(text, *args):
    return [parse("", text), bind("", "", args), describe("P", ""), execute(), sync()]


def named(text, *args):
    return [parse("s", text), bind("", "s", args), execute(), sync()]


# What a client sends at a time; the last of it fails.
NOTHING = {
    "LOAD": [[query("LOAD 'nothing'")]],
    "LOAD in a transaction": [[query("BEGIN")], [query("LOAD 'nothing'")], [query("ROLLBACK")]],
    "LOAD by messages": [batch("LOAD 'nothing'")],
    "LOAD of a statement": [named("LOAD 'nothing'")],
    "LOAD behind a failure": [[query("BEGIN")], [query("SELECT 1/0")], [query("LOAD 'plpgsql'")],
                              [query("ROLLBACK")]],
    "LOAD behind an error": [[query("SELECT nothing; LOAD 'plpgsql'")]],
    "LOAD in vain": [[query("SELECT 1; SELEC; LOAD 'plpgsql'")]],
    "code in vain": [[query("DO $$ BEGIN LOAD 'plpgsql'; EN $$")]],
    "seed in vain": [[query("SELECT setseed(0.5")]],
    "seed too large": [[query("SELECT setseed(2)")]],
    "seed of words": [[query("select pg_catalog.setseed('x') ;")]],
    "seed too large by messages": [batch("SELECT setseed($1)", b"2")],
    "seed too large in a statement": [named("SELECT setseed($1)", b"2")],
    "seed without a table": [[query("SELECT setseed(0.5) FROM nothing")]],
    "seed without a table by messages": [batch("SELECT setseed(0.5) FROM nothing")],
    "seed that cannot be bound": [batch("SELECT setseed($1)", b"x")],
    "setting of a seed": [[query("SET seed = 2")]],
    "name without a column": [[query("SELECT set_config(nothing, 'x', false)")]],
}


@pytest.mark.parametrize("what", NOTHING)
def test_nothing_was_done(pooler, login, what):
    conn = pooler.raw(login)
    has_failed = False
    for messages in NOTHING[what]:
        has_failed |= conn.run(*messages).error is not None
    assert has_failed
    pooler.wait_pool(user=login, sv_active=0)
    assert pins(pooler) == []
    assert conn.query("SELECT 1").value() == "1"


def test_library_that_is_not_allowed(pooler):
    conn = pooler.raw()
    assert conn.query("LOAD 'plpgsql'").error.code == "42501"
    pooler.wait_pool(sv_active=0)
    assert pins(pooler) == []


SOMETHING = {
    "LOAD": ([[query("LOAD 'plpgsql'")]], LOAD),
    "LOAD before an error": ([[query("LOAD 'plpgsql'; SELECT 1/0")]], LOAD),
    "LOAD before another": ([[query("LOAD 'plpgsql'; LOAD 'nothing'")]], LOAD),
    "LOAD rolled back": ([[query("BEGIN")], [query("LOAD 'plpgsql'")], [query("ROLLBACK")]], LOAD),
    "LOAD ahead in the queue": ([[query("LOAD 'plpgsql'"), query("LOAD 'nothing'")]], LOAD),
    "LOAD behind in the queue": ([[query("LOAD 'nothing'"), query("LOAD 'plpgsql'")]], LOAD),
    "LOAD in code": ([[query("DO $$ BEGIN LOAD 'plpgsql'; LOAD 'nothing'; END $$")]], LOAD),
    "LOAD in a pipeline": ([[parse("", "LOAD 'plpgsql'"), bind(), execute(),
                             parse("", "SELECT nothing"), bind(), execute(), sync()]], LOAD),
    "seed before code that fails": ([[query("DO $$ BEGIN PERFORM setseed(0.5);"
                                            " EXECUTE 'SELEC'; END $$")]], SEED),
    "seed before code that cannot be": ([[query(
        "DO $$ BEGIN PERFORM setseed(0.5); CREATE FUNCTION g() RETURNS int LANGUAGE plpgsql AS"
        " 'BEGIN bad'; END $$")]], SEED),
    "seed rolled back": ([[query("BEGIN")], [query("SELECT setseed(0.5)")], [query("ROLLBACK")]],
                         SEED),
    "seed before an error": ([[query("SELECT setseed(0.5), 1/(random()*0)::int")]], SEED),
    "one of several seeds": ([[query("SELECT setseed(v) FROM (VALUES (0.5), (2)) x (v)")]], SEED),
    "one of two seeds": ([[query("SELECT setseed(0.5); SELECT setseed(2)")]], SEED),
    "seed then one by messages": ([batch("SELECT setseed($1)", b"0.5")
                                   + batch("SELECT setseed($1)", b"2")], SEED),
}


@pytest.mark.parametrize("what", SOMETHING)
def test_something_was_done(pooler, login, what):
    conn = pooler.raw(login)
    sent, reason = SOMETHING[what]
    for messages in sent:
        conn.send(b"".join(messages))
        for message in messages:
            if message[:1] in b"QS":
                conn.result()
    wait_for(lambda: pins(pooler) == [reason])
