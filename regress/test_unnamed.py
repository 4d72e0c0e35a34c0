# SPDX-License-Identifier: PostgreSQL
"""The unnamed statement is what PostgreSQL would have: whatever was skipped or failed, on whatever
connection, and whatever the pooler has sent there on its own account."""

import pytest

from lib.wire import bind, close, describe, execute, flush, parse, query, run_named, sync

pytestmark = pytest.mark.pgweir_only

RUN = bind() + execute() + sync()
FAIL = bind("", "nosuch")
BAD = parse("", "SELEC 1")


def select(value):
    return parse("", f"SELECT '{value}'")


A, B, C = select("a"), select("b"), select("c")

# Messages that are sent at once, one row for each turn.
SCRIPTS = {
    "skipped": [A + sync(), FAIL + B + sync(), RUN],
    "skipped, described": [A + sync(), FAIL + parse("", "SELECT 1, 2") + sync(),
                           describe("S") + sync()],
    "skipped, taken": [A + sync(), FAIL + B + sync(), C + sync(), RUN],
    "both skipped": [A + sync(), FAIL + B + C + sync(), RUN],
    "first taken": [A + sync(), B + FAIL + C + sync(), RUN],
    "skipped by its own": [A + sync(), B + BAD + C + sync(), RUN],
    "failed": [A + sync(), BAD + sync(), RUN],
    "failed, taken": [A + sync(), BAD + sync(), B + sync(), RUN],
    "skipped, none before": [FAIL + B + sync(), RUN],
    "skipped behind another": [A + sync(), FAIL + B + sync(), FAIL + C + sync(), RUN],
    "run and skipped": [A + RUN, FAIL + B + RUN, RUN],
    "query": [A + sync(), query("SELECT 1"), RUN],
    "query that fails": [A + sync(), query("SELEC 1"), RUN],
    "query skipped": [A + sync(), FAIL + query("SELECT 1") + sync(), RUN],
    "query behind a skipped one": [A + sync(), FAIL + B + sync() + query("SELECT 1"), RUN],
    "closed": [A + sync(), close("S") + sync(), RUN],
    "closed, skipped": [A + sync(), FAIL + close("S") + sync(), RUN],
    "closed without a link": [A + sync(), close("S") + sync(), B + FAIL + sync(), RUN],
    "closed, taken": [A + sync(), close("S") + B + sync(), RUN],
    "flushed": [A + sync(), FAIL + B + flush() + sync(), RUN],
    "many": [b"".join(select(i) + (FAIL if i % 3 == 1 else b"") + select(f"{i} again") + sync()
                      for i in range(8)) + RUN],
    "many, none of them taken": [A + sync(), b"".join(FAIL + select(i) + sync() for i in range(8)),
                                 RUN],
}


def count_ends(data):
    return data.count(sync()) + data.count(query("SELECT 1")) + data.count(query("SELEC 1")) \
        - data.count(FAIL + query("SELECT 1"))


def outcome(result):
    return result.error.code if result.error else (result.kinds.replace("S", ""), result.rows)


def play(conn, turns, between=None):
    got = []
    for data in turns:
        conn.send(data)
        got += [outcome(conn.result()) for _ in range(count_ends(data))]
        if between:
            between()
    return got


@pytest.fixture(params=[200, 0], ids=["virtual names", "the server's names"])
def pooler(make_pooler, request):
    return make_pooler(pool_mode="transaction", default_pool_size=1, worker_threads=1,
                       max_pinned_share=0, max_prepared_statements=request.param,
                       session_state="track")


@pytest.fixture
def pair(pooler, pg):
    """A connection to PostgreSQL itself, and one by the pooler."""
    opened = []

    def begin(**params):
        opened.extend([pg.raw("alice", pooler.db, **params), pooler.raw(**params)])
        return opened[-2:]

    yield begin
    for conn in opened:
        conn.close()


def in_transaction(turns):
    """By statements with names: a simple query would drop what is unnamed."""
    head = [parse(name, text) + sync() for name, text in (("b", "BEGIN"), ("s", "SAVEPOINT s"),
                                                          ("r", "ROLLBACK TO s"))]
    head += [run_named("b"), run_named("s")]
    return head + [t for turn in turns for t in (turn, run_named("r"))]


@pytest.mark.parametrize("is_at_once", [False, True])
@pytest.mark.parametrize("how", ["alone", "beside another", "in a transaction"])
def test_as_with_postgresql(pooler, pair, how, is_at_once):
    other = pooler.raw()

    def use_link():
        assert other.run(select("theirs"), bind(), execute(), sync()).value() == "theirs"

    for script, turns in SCRIPTS.items():
        direct, pooled = pair()
        use_link()
        if how == "in a transaction":
            turns = in_transaction(turns)
        if is_at_once:
            turns = [b"".join(turns)]
        between = use_link if how == "beside another" else None
        assert play(pooled, turns, between) == play(direct, turns), script
        pooled.leave()
    other.close()


LEAVES = ("SELECT set_config('work_mem', '77MB', false), set_config('role', 'lim', false),"
          " set_config('app.x', 'left', false)")
LOOK = "SELECT current_setting('work_mem'), current_user, coalesce(current_setting('app.x', true), '')"


@pytest.mark.parametrize("is_pipeline", [False, True])
@pytest.mark.parametrize("harmless", [FAIL + parse("", "SELECT 1") + sync(),
                                      FAIL + query("SELECT 1") + sync(),
                                      FAIL + close("S") + sync()])
def test_what_it_leaves_when_another_was_skipped(pooler, pg, harmless, is_pipeline):
    with pg.connect(pooler.db) as conn:
        conn.execute("DO $$ BEGIN CREATE ROLE lim; EXCEPTION WHEN duplicate_object THEN NULL; END"
                     " $$; GRANT lim TO alice")
    a, b = pooler.raw(), pooler.raw()
    before = b.query(LOOK).rows
    turns = [parse(name, text) + sync()
             for name, text in (("b", "BEGIN"), ("s", "SAVEPOINT s"), ("r", "ROLLBACK TO s"),
                                ("c", "COMMIT"))]
    turns += [run_named("b"), run_named("s"), parse("", LEAVES) + sync(), describe("S") + sync(),
              harmless, run_named("r"), RUN, run_named("c")]
    play(a, [b"".join(turns)] if is_pipeline else turns)
    assert b.query(LOOK).rows == before
    assert a.query(LOOK).rows == [["77MB", "lim", "left"]]


@pytest.mark.parametrize("harmless", [FAIL + parse("", "SELECT 1") + sync(),
                                      FAIL + query("SELECT 1") + sync()])
def test_what_it_leaves_outside_a_transaction(pooler, harmless):
    a, b = pooler.raw(), pooler.raw()
    text = "SELECT set_config('work_mem', '77MB', false)"
    play(a, [parse("", text) + sync() + harmless + RUN])
    assert b.query("SHOW work_mem").value() != "77MB"
    assert a.query("SHOW work_mem").value() == "77MB"


def test_read_as_it_is_parsed_on_the_next_connection(pooler):
    """Where a backslash escapes, the comment is none."""
    a, b = pooler.raw(), pooler.raw()
    text = r"SELECT '\' /* ', set_config('work_mem', '77MB', false) --*/"
    before = b.query("SHOW work_mem").value()
    a.run(parse("off", "SET standard_conforming_strings = off"), sync())
    a.run(parse("", text), sync())
    a.run(bind(), execute(), sync())
    a.run(run_named("off"))
    for _ in range(3):
        a.run(bind(), execute(), sync())
        assert b.query("SHOW work_mem").value() == before


PINS = {
    "temporary table": "CREATE TEMP TABLE q (i int)",
    "advisory lock": "SELECT pg_advisory_lock(5)",
    "prepared": "PREPARE p AS SELECT 1",
    "cursor": "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "listen": "LISTEN ch",
}


# Each is run three times; is it given the number of that?
TEXTS = {
    "SELECT set_config('app.x', $1, false)": True,
    "SELECT pg_try_advisory_lock($1)": True,
    "CREATE TABLE IF NOT EXISTS made (i int)": False,
    "DROP TABLE IF EXISTS nosuch": False,
    "LISTEN other": False,
    "SELECT $1::int": True,
}


def rows_or_error(got):
    return got if isinstance(got, str) else got[1]


@pytest.mark.parametrize("pin", PINS)
def test_of_a_client_that_keeps_its_connection(pair, pin):
    for text, has_argument in TEXTS.items():
        got = []
        for conn in pair():
            assert conn.query(PINS[pin]).error is None
            turns = [parse("", text) + sync()]
            turns += [bind("", "", [i] if has_argument else []) + execute() + sync()
                      for i in range(3)]
            turns += [describe("S") + sync(), query("SELECT 1"), RUN]
            got.append([rows_or_error(o) for o in play(conn, turns)])
            conn.query("DROP TABLE IF EXISTS made; SELECT pg_advisory_unlock_all()")
            conn.leave()
        assert got[0] == got[1], text


@pytest.mark.parametrize("reset", ["SET TimeZone TO DEFAULT", "RESET TimeZone"])
@pytest.mark.parametrize("is_pipeline", [False, True])
def test_of_a_client_whose_settings_are_put_back(make_pooler, pg, reset, is_pipeline):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, session_state="track")
    got = []
    for begin, args in ((pg.raw, ("alice", pooler.db)), (pooler.raw, ())):
        conn = begin(*args, TimeZone="Asia/Tokyo")
        turns = [parse("b", "BEGIN") + run_named("b"), parse("", reset) + sync(), RUN, RUN,
                 describe("S") + sync(), parse("s", "SHOW TimeZone") + run_named("s")]
        got.append([rows_or_error(o)
                    for o in play(conn, [b"".join(turns)] if is_pipeline else turns)])
        conn.leave()
    assert got[0] == got[1]


@pytest.mark.parametrize("part", [
    lambda i: select(i) + sync(),
    lambda i: (FAIL if i % 3 == 1 else b"") + select(i) + sync(),
    lambda i: select(i) + (close("S") if i % 5 == 1 else b"") + (sync() if i % 700 == 699 else b""),
    select,
], ids=["each its own", "every third skipped", "some closed", "one pipeline"])
def test_more_than_can_be_remembered(pair, part):
    """All are sent before the first is answered; the last of them is run, in a pipeline and behind it."""
    count = 3000
    sent = b"".join(part(i) for i in range(count))
    got = []
    for conn in pair():
        conn.send(query("SELECT pg_sleep(0.3)") + sent + sync() + RUN + RUN)
        got.append([outcome(conn.result()) for _ in range(sent.count(sync()) + 4)])
        conn.send(RUN)
        got[-1].append(outcome(conn.result()))
        conn.leave()
    assert got[0] == got[1]
    assert got[0][-1][1] == [[str(count - 1)]]
