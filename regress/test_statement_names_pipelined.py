# SPDX-License-Identifier: PostgreSQL
"""SQL and the protocol speak of the same prepared statements, and nobody waits for the answers:
every answer, and what is left of every name, is held against a direct connection that gets the same
bytes."""

import random

import pytest

from lib.wire import bind, close, describe, execute, flush, message, parse, query, sync

pytestmark = pytest.mark.pgweir_only

NAMES = "SELECT name FROM pg_prepared_statements WHERE name IN ('a', 'b') ORDER BY name"


def run(name):
    return bind("", name) + execute()


def extended(sql):
    return parse("", sql) + bind() + execute()


MISSING = bind("", "missing")
PROBE = sync() + query("ROLLBACK") + b"".join(
    run(name) + sync() + query(f"EXECUTE {name}") + query(f"DEALLOCATE {name}") + run(name) +
    sync() for name in "ab")

# name: what is sent in one go, and the next when that is answered.
SCRIPTS = {
    "another batch behind deallocate": [
        parse("a", "SELECT 1") + sync(),
        extended("DEALLOCATE a") + sync() + extended("SELECT 2") + sync(),
        run("a") + sync(), parse("a", "SELECT 3") + sync(),
    ],
    "another statement behind deallocate": [
        parse("a", "SELECT 1") + sync(),
        extended("DEALLOCATE a") + extended("SELECT 2") + sync(),
        run("a") + sync(), parse("a", "SELECT 3") + sync(),
    ],
    "several deallocated": [
        parse("a", "SELECT 1") + parse("b", "SELECT 2") + sync(),
        extended("DEALLOCATE a") + extended("SELECT 3") + extended("DEALLOCATE b") +
        extended("SELECT 4") + sync() + query("SELECT 5"),
        parse("a", "SELECT 6") + sync(), parse("b", "SELECT 7") + sync(),
    ],
    "deallocated by portals": [
        parse("a", "SELECT 1") + parse("b", "SELECT 2") + parse("", "DEALLOCATE a") +
        bind("one") + parse("", "DEALLOCATE b") + bind("two") + parse("", "SELECT 3") + bind() +
        execute("two") + execute() + execute("one") + sync(),
        parse("a", "SELECT 6") + sync(), parse("b", "SELECT 7") + sync(),
    ],
    "deallocated by one of two portals": [
        parse("a", "SELECT 1") + parse("b", "SELECT 2") + parse("", "DEALLOCATE a") +
        bind("one") + parse("", "DEALLOCATE b") + bind("two") + execute("two") + sync(),
        run("b") + sync(), run("a") + sync(),
    ],
    "deallocated by a portal that is bound anew": [
        parse("a", "SELECT 1") + parse("b", "SELECT 2") + parse("", "DEALLOCATE a") + bind() +
        parse("", "DEALLOCATE b") + bind() + execute() + sync(),
        run("b") + sync(), run("a") + sync(),
    ],
    "deallocated by a prepared statement": [
        parse("a", "SELECT 1") + parse("d", "DEALLOCATE a") + sync(),
        run("d") + extended("SELECT 2") + sync() + extended("SELECT 3") + sync(),
        run("a") + sync(), parse("a", "SELECT 4") + sync(),
    ],
    "deallocated and made anew": [
        parse("a", "SELECT 1") + sync(),
        extended("DEALLOCATE a") + parse("a", "SELECT 2") + run("a") + sync(),
        query("DEALLOCATE a") + parse("a", "SELECT 3") + run("a") + sync(),
        query("DEALLOCATE a; SELECT 1/0") + parse("a", "SELECT 4") + run("a") + sync(),
        query("SELECT 1/0; DEALLOCATE a") + query("EXECUTE a") + run("a") + sync(),
    ],
    "deallocated twice": [
        parse("a", "SELECT 1") + sync(),
        query("DEALLOCATE a") + query("DEALLOCATE a") + query("EXECUTE a") + query("SELECT 2"),
        parse("a", "SELECT 3") + sync(),
        extended("DEALLOCATE a") + sync() + extended("DEALLOCATE a") + sync(),
    ],
    "deallocate is skipped": [
        parse("a", "SELECT 1") + sync(),
        MISSING + extended("DEALLOCATE a") + sync() + extended("SELECT 2") + sync(),
        run("a") + sync(),
        MISSING + extended("DEALLOCATE a") + sync() + extended("DEALLOCATE a") + sync(),
        run("a") + sync(),
    ],
    "execute is skipped": [
        parse("a", "SELECT 7") + sync(), query("BEGIN; SAVEPOINT s"),
        MISSING + extended("EXECUTE a") + sync(), query("ROLLBACK TO s"),
        extended("EXECUTE a") + sync(), query("EXECUTE a"), query("DEALLOCATE a"),
        query("COMMIT"),
    ],
    "execute is skipped, then deallocate": [
        parse("a", "SELECT 7") + sync(), query("BEGIN; SAVEPOINT s"),
        MISSING + extended("EXECUTE a") + sync(), query("ROLLBACK TO s"),
        query("DEALLOCATE a"), query("COMMIT"),
    ],
    "execute fails, then deallocate": [
        query("CREATE TABLE IF NOT EXISTS gone (v int)"),
        parse("a", "SELECT * FROM gone") + sync(), query("DROP TABLE IF EXISTS gone"),
        query("BEGIN; SAVEPOINT s"), query("EXECUTE a"), query("ROLLBACK TO s"),
        query("DEALLOCATE a"), query("COMMIT"), run("a") + sync(),
    ],
    "execute and the like in a pipeline": [
        parse("a", "SELECT 7") + sync(),
        MISSING + extended("EXECUTE a") + sync() + query("EXECUTE a") + extended("EXECUTE a") +
        sync() + query(NAMES) + run("a") + sync(),
    ],
    "parse is skipped": [
        MISSING + parse("a", "SELECT 7") + sync() + query("EXECUTE a"),
        MISSING + parse("a", "SELECT 7") + sync() + extended("EXECUTE a") + sync(),
        MISSING + parse("a", "SELECT 7") + sync() + query(NAMES),
        MISSING + parse("a", "SELECT 7") + sync() + query("EXPLAIN (COSTS off) execute a"),
        parse("b", "SELECT 7") + sync(),
        MISSING + parse("a", "SELECT 7") + sync() + query("DEALLOCATE a") + query("EXECUTE b"),
        MISSING + parse("a", "SELECT 7") + sync() + query("PREPARE a AS SELECT 8"),
        query("EXECUTE a"), query("DEALLOCATE a"),
    ],
    "an unnamed statement behind a parse that is skipped": [
        parse("", "EXECUTE a") + sync(),
        MISSING + parse("a", "SELECT 7") + sync() + bind() + execute() + sync(),
        MISSING + parse("a", "SELECT 7") + sync() + describe("S") + sync(),
        parse("", "EXECUTE a") + sync(), parse("a", "SELECT 8") + sync(),
        MISSING + close("S", "a") + sync() + describe("S") + sync(),
    ],
    "close is skipped": [
        parse("a", "SELECT 7") + sync(),
        MISSING + close("S", "a") + sync() + query("EXECUTE a"),
        MISSING + close("S", "a") + sync() + extended("EXECUTE a") + sync(),
        MISSING + close("S", "a") + sync() + query("DEALLOCATE a"), run("a") + sync(),
    ],
    "close is skipped where the link has the name": [
        parse("a", "SELECT 7") + sync(), query("BEGIN"), query("EXECUTE a"),
        query("SAVEPOINT s"), MISSING + close("S", "a") + sync() + query("ROLLBACK TO s"),
        query("EXECUTE a"), query("DEALLOCATE a"), query("COMMIT"), run("a") + sync(),
    ],
    "closed, made anew and deallocated": [
        parse("a", "SELECT 7") + sync(), query("BEGIN"), query("EXECUTE a"),
        close("S", "a") + sync(), parse("a", "SELECT 8") + sync(), query("DEALLOCATE a"),
        query("COMMIT"), run("a") + sync(),
    ],
    "closed and prepared in one batch": [
        parse("a", "SELECT 7") + sync(), query("BEGIN"), query("EXECUTE a"),
        close("S", "a") + extended("PREPARE a AS SELECT 8") + extended("EXECUTE a") + sync(),
        query("COMMIT"), query("EXECUTE a"), query("DEALLOCATE a"),
    ],
    "closed and prepared in a batch that is skipped": [
        parse("a", "SELECT 7") + sync(), query("BEGIN"), query("EXECUTE a"),
        query("SAVEPOINT s"),
        MISSING + close("S", "a") + extended("PREPARE a AS SELECT 8") + sync(),
        query("ROLLBACK TO s"), query("COMMIT"), query("EXECUTE a"),
    ],
    "without a sync": [
        MISSING + parse("a", "SELECT 7") + flush() + query("EXECUTE a") +
        extended("EXECUTE a") + sync(),
        parse("a", "SELECT 7") + flush() + extended("EXECUTE a") + flush() +
        extended("DEALLOCATE a") + flush() + extended("EXECUTE a") + sync(),
    ],
}


def told(m):
    """What counts of a message."""
    if m.kind == "E":
        return m.kind, m.fields()["C"], m.fields()["M"]
    if m.kind == "D":
        return m.kind, *m.values()
    if m.kind in "CZ":
        return m.kind, m.text()
    return m.kind


def answers(conn, data, cut="whole"):
    """All that comes back for data: an empty query ends it, also in a failed transaction."""
    conn.send(data + query(""), cut)
    return [told(m) for m in conn.recv_until("I") + conn.recv_until("Z") if m.kind not in "SN"]


class Pair:
    """A pooler with one link, and a direct connection; both begin anew for every script."""

    def __init__(self, pooler, pg):
        self.pooler = pooler
        self.pg = pg
        self.other = pooler.raw()
        self.other.run(parse("mine", "SELECT 'x'"), sync())

    def check(self, name, script, cut="whole"):
        with self.pg.raw("alice", self.pooler.db) as direct, self.pooler.raw() as conn:
            for i, data in enumerate([*script, PROBE]):
                wanted = answers(direct, data)
                try:
                    assert answers(conn, data, cut) == wanted, f"{name}: {i}"
                except TimeoutError:
                    raise AssertionError(f"no answer: {name}: {i}") from None
        # Nothing of it is there for others.
        assert self.other.query(NAMES).rows == [], name
        assert self.other.run(run("mine"), sync()).value() == "x", name


@pytest.fixture
def pair(make_pooler, pg):
    return Pair(make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track",
                            max_pinned_share=100), pg)


@pytest.mark.parametrize("cut", ["whole", "bytes"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_script(pair, name, cut):
    pair.check(name, SCRIPTS[name], cut)


WORDS = {
    "parse a": parse("a", "SELECT 'a'"),
    "parse b": parse("b", "SELECT 'b'"),
    "run a": run("a"),
    "run b": run("b"),
    "describe a": describe("S", "a"),
    "close a": close("S", "a"),
    "close b": close("S", "b"),
    "execute a": query("EXECUTE a"),
    "execute b": query("EXECUTE b"),
    "extended execute a": extended("EXECUTE a"),
    "extended execute b": extended("EXECUTE b"),
    "deallocate a": query("DEALLOCATE a"),
    "deallocate b": query("DEALLOCATE b"),
    "deallocate both": query("DEALLOCATE a; SELECT 1; DEALLOCATE b"),
    "extended deallocate a": extended("DEALLOCATE a"),
    "extended deallocate b": extended("DEALLOCATE b"),
    "deallocate all": query("DEALLOCATE ALL"),
    "prepare a": query("PREPARE a AS SELECT 'sql'"),
    "extended prepare b": extended("PREPARE b AS SELECT 'sql'"),
    "sync": sync(),
    "more sync": sync(),
    "flush": flush(),
    "begin": query("BEGIN"),
    "commit": query("COMMIT"),
    "savepoint": query("SAVEPOINT s"),
    "back": query("ROLLBACK TO s"),
    "fail": MISSING,
    "query": query("SELECT 3"),
    "unnamed": extended("SELECT 4"),
}


def word(name):
    """Behind messages without a Sync, a Query finds only what the link has already."""
    return sync() + WORDS[name] if WORDS[name][:1] == b"Q" else WORDS[name]


def check_random_orders(pair, seed, count):
    rng = random.Random(seed)
    for _ in range(count):
        script, names = [], []
        for _ in range(rng.randint(1, 4)):
            words = rng.choices(list(WORDS), k=rng.randint(1, 8))
            names.append(words)
            script.append(b"".join(word(w) for w in words) + sync())
        pair.check(names, script)


def test_random_orders(pair):
    check_random_orders(pair, 1, 60)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(2, 6))
def test_many_random_orders(pair, seed):
    check_random_orders(pair, seed, 500)


def test_behind_a_copy(pair):
    """All is sent while the server waits for the data of a COPY."""
    with pair.pooler.raw() as conn:
        conn.query("CREATE TABLE t (v int)")
        conn.send(parse("a", "SELECT 7") + parse("", "COPY t FROM STDIN") + bind() + execute() +
                  flush())
        conn.recv_until("G")
        conn.send(message("d", b"1\n") + message("c") + sync() + query("EXECUTE a") +
                  extended("DEALLOCATE a") + sync() + parse("a", "SELECT 8") + run("a") + sync())
        assert [m.values() for m in conn.recv_until("Z") if m.kind == "D"] == []
        for wanted in (["7"], [], ["8"]):
            if wanted:
                assert conn.recv_until("D")[-1].values() == wanted
            conn.recv_until("Z")
