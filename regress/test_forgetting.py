# SPDX-License-Identifier: PostgreSQL
"""DISCARD ALL and DEALLOCATE ALL in the midst of pipelines: every answer, and what is left of every
name, is held against a direct connection that gets the same bytes."""

import itertools
import random

import pytest

from lib.wait import wait_for
from lib.wire import bind, close, describe, execute, flush, message, parse, query, sync

pytestmark = pytest.mark.pgweir_only

X, Y = "SELECT 'x'", "SELECT 'y'"


def run(name):
    return bind("", name) + execute()


def extended(sql):
    return parse("", sql) + bind() + execute()


# Whatever makes the server forget its statements.
FORGETTING = {
    "discard": query("DISCARD ALL"),
    "deallocate": query("DEALLOCATE ALL"),
    "lower": query("/* all of them */ deallocate\n all"),
    "last of several": query("SELECT 1; DEALLOCATE ALL"),
    "first of several": query("DEALLOCATE ALL; SELECT 2"),
    "extended discard": extended("DISCARD ALL"),
    "extended deallocate": extended("DEALLOCATE ALL"),
    "by name": parse("d", "DEALLOCATE ALL") + run("d"),
    "by portal": parse("", "DEALLOCATE ALL") + bind("p") + execute("p"),
}

OTHERS = {
    "parse a x": parse("a", X),
    "parse a y": parse("a", Y),
    "parse b x": parse("b", X),
    "run a": run("a"),
    "run b": run("b"),
    "run d": run("d"),
    "describe a": describe("S", "a"),
    "close a": close("S", "a"),
    "close b": close("S", "b"),
    "sync": sync(),
    "flush": flush(),
    "query": query("SELECT 3"),
    "begin": query("BEGIN"),
    "commit": query("COMMIT"),
    "unnamed": extended("SELECT 4"),
    "execute p": execute("p"),
    "fail": query("SELECT 1/0"),
    "bad parse": parse("bad", "SELEC"),
}

ALL = {**FORGETTING, **OTHERS}
END = "the end"
PROBE = sync() + query("ROLLBACK") + b"".join(
    run(name) + sync() for name in "abd") + query(f"SELECT '{END}'")


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
    """All that comes back for data and PROBE."""
    conn.send(data + PROBE, cut)
    messages = []
    while not messages or messages[-1].kind != "D" or messages[-1].values() != [END]:
        messages.append(conn.recv())
    messages += conn.recv_until("Z")
    return [told(m) for m in messages if m.kind not in "SN"]


class Pair:
    """A pooler with one link, and a direct connection; both begin anew for every script."""

    def __init__(self, pooler, pg):
        self.pooler = pooler
        self.pg = pg
        self.other = pooler.raw()
        self.other.run(parse("mine", X), sync())
        self.pid = self.backend()

    def backend(self):
        return self.other.query("SELECT pg_backend_pid()").value()

    def check(self, words, cut="whole"):
        data = b"".join(ALL[w] for w in words)
        with self.pg.raw("alice", self.pooler.db) as direct:
            wanted = answers(direct, data)
        with self.pooler.raw() as conn:
            try:
                assert answers(conn, data, cut) == wanted, words
            except TimeoutError:
                raise AssertionError(f"no answer: {words}") from None
        # Another client's statements are untouched, and it was no new server that said so.
        assert self.other.run(run("mine"), sync()).value() == "x", words
        assert self.backend() == self.pid, words


@pytest.fixture(params=["off", "track"])
def pair(make_pooler, pg, request):
    return Pair(make_pooler(pool_mode="transaction", default_pool_size=1,
                            session_state=request.param), pg)


@pytest.mark.parametrize("forget", FORGETTING)
def test_parse_behind_it(pair, forget):
    """As some drivers begin: the reset and the first statement in one packet."""
    for before in ([], ["parse a x", "sync"], ["parse b x", "run b", "sync"]):
        for after in (["parse a x", "run a"], ["parse a y", "run a"], ["run a", "sync", "parse a x"],
                      ["describe a"], ["close a", "parse a y"], ["parse b x", "parse a x"]):
            pair.check(before + [forget] + after)
            pair.check(before + [forget, "sync"] + after + ["sync"] + after)


@pytest.mark.parametrize("cut", ["bytes", "random"])
def test_in_pieces(pair, cut):
    for forget in FORGETTING:
        pair.check(["parse a x", "sync", forget, "parse a y", "run a", "sync", "run a"], cut)


def test_all_pairs_behind_it(pair):
    for first, second in itertools.product(OTHERS, OTHERS):
        pair.check(["parse a x", "sync", "discard", first, second])


def test_it_fails(pair):
    """In a transaction DISCARD ALL is refused, and nothing is forgotten."""
    pair.check(["parse a x", "sync", "begin", "discard", "parse a y", "sync", "commit", "run a"])
    pair.check(["parse a x", "sync", "begin", "extended discard", "parse a y", "sync", "run a"])
    pair.check(["begin", "fail", "deallocate", "parse a y", "sync", "commit", "parse a x"])
    pair.check(["bad parse", "extended deallocate", "parse a y", "sync", "parse a x"])


def test_rolled_back(pair):
    """Names do not take part in transactions."""
    pair.check(["parse a x", "sync", "begin", "deallocate", "parse a y", "fail"])


def check_random_orders(make_pooler, pg, bound, count, vocabulary):
    pair = Pair(make_pooler(pool_mode="transaction", default_pool_size=1,
                            max_prepared_statements=bound), pg)
    rng = random.Random(bound)
    for _ in range(count):
        words = rng.choices(list(vocabulary), k=rng.randint(2, 14))
        pair.check(words, rng.choice(["whole", "whole", "random"]))


@pytest.mark.parametrize("bound", [2, 200])
@pytest.mark.parametrize("vocabulary", [ALL, OTHERS], ids=["with", "without"])
def test_random_orders(make_pooler, pg, bound, vocabulary):
    check_random_orders(make_pooler, pg, bound, 100, vocabulary)


@pytest.mark.full
@pytest.mark.parametrize("bound", [1, 3, 200])
@pytest.mark.parametrize("vocabulary", [ALL, OTHERS], ids=["with", "without"])
def test_many_random_orders(make_pooler, pg, bound, vocabulary):
    check_random_orders(make_pooler, pg, bound, 1000, vocabulary)


@pytest.mark.parametrize("forget", ["extended discard", "by name", "discard"])
def test_behind_a_copy(tx_pooler, forget):
    """All is sent while the server waits for the data of a COPY."""
    with tx_pooler.raw() as conn:
        conn.query("CREATE TABLE t (v int)")
        conn.send(parse("", "COPY t FROM STDIN") + bind() + execute() + flush())
        conn.recv_until("G")
        conn.send(message("d", b"1\n") + message("c") + sync() + ALL[forget] + parse("a", X) +
                  query(f"SELECT '{END}'"))
        assert conn.recv_until("D")[-1].values() == [END]
        conn.recv_until("Z")
        assert conn.run(run("a"), sync()).value() == "x"


def test_long_text_that_forgets_at_its_end(make_pooler, pg):
    """Nobody reads so long a text; with session_state its server would go with the client."""
    pair = Pair(make_pooler(pool_mode="transaction", default_pool_size=1, session_state="off"), pg)
    ALL["long"] = query("SELECT " + "1 + " * 100_000 + "1; DEALLOCATE ALL")
    pair.check(["parse a x", "sync", "long", "parse a y", "run a"])


def test_goodbye_behind_it(pair):
    """What was asked before Terminate is done, also where it had to wait."""
    with pair.pooler.raw() as conn:
        conn.query("CREATE TABLE seen (v int)")
        conn.send(query("SELECT pg_sleep(0.1); DEALLOCATE ALL") +
                  parse("s", "INSERT INTO seen VALUES (7)") + run("s") + sync() + b"X\0\0\0\4")
        conn.recv_until("C")
    wait_for(lambda: pair.other.query("SELECT v FROM seen").rows == [["7"]])
