# SPDX-License-Identifier: PostgreSQL
"""currval() and lastval() tell what the session itself has drawn, or that it has drawn nothing; and
a session finds its last server again where nobody else has used that."""

import struct

import pytest

from lib import fakepg
from lib.wait import wait_for
from lib.wire import bind, describe, execute, flush, message, parse, query, run_named, sync

pytestmark = pytest.mark.pgweir_only

NOT_YET = "55000"


@pytest.fixture
def one_link(make_pooler, pg, db):
    with pg.connect(db) as c:
        c.execute("CREATE SEQUENCE s; CREATE TABLE t (id serial, v text);"
                  "GRANT ALL ON SEQUENCE s TO PUBLIC; GRANT ALL ON TABLE t TO PUBLIC;"
                  "GRANT ALL ON SEQUENCE t_id_seq TO PUBLIC")
    return make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")


def messages(sql):
    return parse("", sql) + bind() + execute()


def learn(pooler):
    """From now on it is known that somebody asks."""
    assert pooler.raw().query("SELECT lastval()").error.code == NOT_YET


@pytest.mark.parametrize("question", ["SELECT currval('s')", "SELECT lastval()",
                                      "SELECT currval(('s'::text)::regclass)",
                                      "DO $$ BEGIN PERFORM currval('s'); END $$"])
def test_what_others_have_drawn_is_not_seen(one_link, question):
    a, b = one_link.raw(), one_link.raw()
    for _ in range(2):
        a.query("SELECT nextval('s')")
        assert b.query(question).error.code == NOT_YET


def test_not_by_messages(one_link):
    a, b = one_link.raw(), one_link.raw()
    b.run(parse("q", "SELECT currval('s')"), sync())
    a.query("SELECT nextval('s')")
    assert b.run(run_named("q")).error.code == NOT_YET
    a.query("SELECT nextval('s')")
    assert b.run(parse("", "SELECT lastval()"), bind(), execute(), sync()).error.code == NOT_YET


def test_long_statements_are_read_once(one_link):
    """Whether one asks is not looked for in its text whenever it is bound."""
    conn = one_link.raw()
    conn.run(parse("long", "SELECT nextval('s') --" + "x" * 8_000_000), sync())
    assert conn.run(run_named("long")).value() == "1"
    before = one_link.cpu_seconds()
    for _ in range(200):
        conn.run(run_named("long"))
    assert one_link.cpu_seconds() - before < 0.5


def test_within_a_transaction(one_link):
    learn(one_link)
    a, b = one_link.raw(), one_link.raw()
    b.query("SELECT nextval('s')")
    a.query("BEGIN")
    a.query("INSERT INTO t (v) VALUES ('mine')")
    assert a.query("SELECT currval('t_id_seq'), lastval()").rows == [["1", "1"]]
    a.query("SAVEPOINT p")
    assert a.query("SELECT currval('s')").error.code == NOT_YET
    a.query("ROLLBACK")
    assert b.query("SELECT currval('s')").error.code == NOT_YET


def test_in_one_text(one_link):
    a, b = one_link.raw(), one_link.raw()
    b.query("SELECT nextval('s')")
    result = a.query("INSERT INTO t (v) VALUES ('mine'); SELECT lastval()")
    assert result.rows == [["1"]]


def test_in_a_later_transaction_of_the_same_server(one_link):
    learn(one_link)
    a = one_link.raw()
    a.query("INSERT INTO t (v) VALUES ('mine')")
    assert a.query("SELECT lastval()").value() == "1"


def test_session_finds_its_server_again(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=3, session_state="track",
                         worker_threads=1)
    with pg.connect(db) as c:
        c.execute("CREATE SEQUENCE s; GRANT ALL ON SEQUENCE s TO PUBLIC")
    conns = [pooler.raw() for _ in range(3)]
    for conn in conns:
        conn.query("BEGIN")
    pids = [conn.query("SELECT pg_backend_pid()").value() for conn in conns]
    for conn in conns:
        conn.query("COMMIT")
    for _ in range(3):
        for i in (1, 0, 2):
            drawn = conns[i].query("SELECT nextval('s'), pg_backend_pid()").rows[0]
            assert drawn[1] == pids[i]
            assert conns[i].query("SELECT lastval()").value() == drawn[0]


def test_not_with_server_round_robin(make_pooler):
    """Whoever wants all servers used in turn gets that."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, session_state="track",
                         server_round_robin=1, worker_threads=1)
    holder, a = pooler.raw(), pooler.raw()
    holder.query("BEGIN")
    a.query("SELECT 1")
    holder.query("COMMIT")
    pooler.wait_pool(sv_idle=2)
    assert len({a.query("SELECT pg_backend_pid()").value() for _ in range(2)}) == 2


def test_a_client_that_leaves_forgets_its_server(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, session_state="track")
    for _ in range(5):
        a, b = pooler.raw(), pooler.raw()
        a.query("BEGIN")
        assert b.query("SELECT 1").value() == "1"
        a.close()
        assert b.query("SELECT 2").value() == "2"
        b.close()


@pytest.mark.parametrize("begin", [None, "BEGIN"])
def test_the_first_who_asks(one_link, begin):
    """Nobody has asked before, and something of the client's goes ahead of its question."""
    a, b = one_link.raw(application_name="a"), one_link.raw(application_name="b")
    b.query("SELECT 1")
    a.query("SELECT nextval('s')")
    if begin:
        b.query(begin)
    assert b.query("SELECT lastval()").error.code == NOT_YET


def test_the_first_who_asks_within_its_transaction(one_link):
    a, b = one_link.raw(), one_link.raw()
    a.query("SELECT nextval('s')")
    b.query("BEGIN")
    b.query("INSERT INTO t (v) VALUES ('mine')")
    assert b.query("SELECT lastval()").rows == [["1"]]


DRAWS = [("SELECT nextval('s')", "s"), ("INSERT INTO t (v) VALUES ('mine')", "t_id_seq")]


@pytest.mark.parametrize("draw, sequence", DRAWS)
@pytest.mark.parametrize("earlier", ["SELECT 1", "SELECT nextval('s')"])
def test_the_first_question_of_a_database(one_link, draw, sequence, earlier):
    """Somebody has had the server before, and nobody has asked for a value before."""
    a, b = one_link.raw(), one_link.raw()
    b.query(earlier)
    a.query(draw)
    value = a.query("SELECT lastval()").value()
    assert value is not None
    assert a.query(f"SELECT currval('{sequence}')").value() == value


@pytest.mark.parametrize("reads", ["SELECT 1", "BEGIN; SELECT count(*) FROM t; COMMIT", "SHOW work_mem",
                                   "SET work_mem = '5MB'", "SELECT last_value FROM s"])
def test_who_only_reads_leaves_the_values(one_link, reads):
    a, b = one_link.raw(), one_link.raw()
    for _ in range(2):
        drawn = a.query("SELECT nextval('s')").value()
        b.query(reads)
        b.run(parse("", "SELECT 2"), bind(), execute(), sync())
        assert a.query("SELECT currval('s'), lastval()").rows == [[drawn, drawn]]


QUESTIONS = [lambda c: c.query("SELECT currval('s')"),
             lambda c: c.run(parse("", "SELECT currval('s')"), bind(), execute(), sync()),
             lambda c: c.run(run_named("q"))]


@pytest.fixture(params=[1, 3])
def in_turn(make_pooler, pg, db, request):
    with pg.connect(db) as c:
        c.execute("CREATE SEQUENCE s; GRANT ALL ON SEQUENCE s TO PUBLIC")
    return make_pooler(pool_mode="transaction", default_pool_size=2, session_state="track",
                       server_round_robin=1, worker_threads=request.param)


@pytest.mark.parametrize("ask", QUESTIONS)
def test_who_asks_comes_back_to_its_server(in_turn, ask):
    a, b, c = (in_turn.raw() for _ in range(3))
    b.query("BEGIN")
    c.query("SELECT 1")
    b.query("COMMIT")
    in_turn.wait_pool(sv_idle=2)
    a.run(parse("q", "SELECT currval('s')"), sync())
    for _ in range(4):
        drawn = a.query("SELECT nextval('s')").value()
        b.query("SELECT 1")
        assert ask(a).value() == drawn


def take_both(in_turn):
    """Two clients, each within a batch; the first is where `a` has drawn."""
    a, b, c = (in_turn.raw() for _ in range(3))
    drawn, pid = a.query("SELECT nextval('s'), pg_backend_pid()").rows[0]
    others = {}
    for conn in (b, c):
        conn.send(messages("SELECT pg_backend_pid()") + flush())
        others[conn.recv_until("C")[-2].values()[0]] = conn
    return a, drawn, others.pop(pid), others.popitem()[1]


def let_go(conn):
    assert conn.run(sync()).error is None


def test_who_asks_waits_for_its_server(in_turn):
    a, drawn, there, elsewhere = take_both(in_turn)
    a.send(query("SELECT currval('s')"))
    in_turn.wait_pool(cl_waiting=1)
    let_go(elsewhere)
    assert elsewhere.query("SELECT 1").value() == "1"
    in_turn.wait_pool(cl_waiting=1)
    let_go(there)
    assert a.result().value() == drawn


def test_not_for_long(in_turn):
    a, _, there, elsewhere = take_both(in_turn)
    a.send(query("SELECT currval('s')"))
    in_turn.wait_pool(cl_waiting=1)
    let_go(elsewhere)
    assert a.result().error.code == NOT_YET
    let_go(there)


def test_a_server_that_was_lost_is_not_waited_for(in_turn):
    a, _, there, elsewhere = take_both(in_turn)
    let_go(elsewhere)
    a.send(query("SELECT currval('s')"))
    in_turn.wait_pool(cl_waiting=1)
    there.run(messages("SELECT nextval('s')"), sync())
    assert a.result().error.code == NOT_YET


@pytest.mark.parametrize("first", ["SELECT 1", "BEGIN"])
def test_who_draws_in_the_middle_of_a_batch(one_link, first):
    learn(one_link)
    a, b = one_link.raw(), one_link.raw()
    for _ in range(2):
        a.query("SELECT nextval('s')")
        result = b.run(parse("", first), bind(), execute(),
                       parse("", "INSERT INTO t (v) VALUES ('mine') RETURNING id"), bind(), execute(),
                       parse("", "SELECT lastval()"), bind(), execute(), sync())
        assert result.rows[-1] == result.rows[-2]
        assert b.query("SELECT currval('s')").error.code == NOT_YET
        b.query("ROLLBACK")


def test_who_draws_behind_others_of_its_queries(one_link):
    learn(one_link)
    a, b = one_link.raw(), one_link.raw()
    a.query("SELECT nextval('s')")
    b.send(query("BEGIN") + query("SELECT 1") + query("INSERT INTO t (v) VALUES ('mine')")
           + query("SELECT currval('s')") + query("ROLLBACK"))
    results = [b.result() for _ in range(5)]
    assert [r.error and r.error.code for r in results] == [None, None, None, NOT_YET, None]


def test_a_draw_that_an_error_prevents(one_link):
    """Nor is what stands before it discarded then."""
    learn(one_link)
    a, b = one_link.raw(), one_link.raw()
    a.query("SELECT nextval('s')")
    b.run(parse("", "SELECT 1/0"), bind(), execute(),
          parse("", "INSERT INTO t (v) VALUES ('mine')"), bind(), execute(), sync())
    for conn in (a, b):
        assert conn.query("SELECT lastval()").error.code == NOT_YET
        assert conn.query("SELECT nextval('s')").value() is not None
        assert conn.query("SELECT lastval()").value() is not None


CODE_THAT_ASKS = ["CREATE FUNCTION tells() RETURNS bigint LANGUAGE sql AS 'SELECT lastval()'",
                  "CREATE VIEW tells AS SELECT lastval(); GRANT ALL ON tells TO PUBLIC",
                  "CREATE OPERATOR @?@ (PROCEDURE = currval, RIGHTARG = regclass)",
                  "CREATE DOMAIN d AS regclass CHECK (currval(VALUE) > 0)"]
ASKING_IT = ["SELECT tells()", "SELECT * FROM tells", "SELECT @?@ 's'::regclass", "SELECT 's'::regclass::d"]


@pytest.mark.parametrize("code, ask", zip(CODE_THAT_ASKS, ASKING_IT))
def test_code_that_asks_is_known(one_link, pg, db, code, ask):
    with pg.connect(db) as c:
        c.execute(code)
    a, b = one_link.raw(), one_link.raw()
    for _ in range(2):
        a.query("SELECT nextval('s')")
        assert b.query(ask).error.code == NOT_YET


CODE_THAT_DRAWS = [
    ("CREATE VIEW draws AS SELECT nextval('s') AS n; GRANT ALL ON draws TO PUBLIC", "SELECT * FROM draws"),
    ("CREATE FUNCTION f(t) RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('s') $$;"
     "INSERT INTO t (v) VALUES ('x')", "SELECT t.f FROM t"),
    ("CREATE DOMAIN d AS regclass CHECK (nextval(VALUE) > 0)", "SELECT 's'::regclass::d"),
    ("CREATE OPERATOR @#@ (PROCEDURE = nextval, RIGHTARG = regclass)", "SELECT @#@ 's'::regclass")]


@pytest.mark.parametrize("code, read", CODE_THAT_DRAWS)
def test_to_read_may_be_to_draw(one_link, pg, db, code, read):
    with pg.connect(db) as c:
        c.execute(code)
    a, b = one_link.raw(), one_link.raw()
    a.query("SELECT nextval('s')")
    assert b.query(read).error is None
    assert a.query("SELECT currval('s')").error.code == NOT_YET


def test_the_latest_of_two_servers_counts(in_turn):
    """What was drawn on the other before is not told any more."""
    a, b, c = (in_turn.raw() for _ in range(3))
    for _ in range(4):
        b.query("BEGIN")
        first = a.query("SELECT nextval('s'), pg_backend_pid()").rows[0]
        b.query("COMMIT")
        c.query("BEGIN")
        second = a.query("SELECT nextval('s'), pg_backend_pid()").rows[0]
        c.query("COMMIT")
        assert a.query("SELECT currval('s')").value() == second[0] != first[0]


@pytest.fixture
def plain(one_link, pg, db):
    with pg.connect(db) as c:
        c.execute("CREATE TABLE plain (v text); GRANT ALL ON TABLE plain TO PUBLIC")
    return one_link


def begin_elsewhere(b, *more):
    """A transaction that begins where another's values are: behind something that is not answered
    yet."""
    texts = ("SELECT 1", "BEGIN", *more)
    b.send(b"".join(query(t) for t in texts))
    return [b.result() for _ in texts]


def test_nothing_is_asked_before_the_first_query_of_a_transaction(plain, pg, db):
    """A snapshot is taken by what the client asks for, and not before."""
    learn(plain)
    a, b = plain.raw(), plain.raw()
    a.query("SELECT nextval('s')")
    b.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
    assert b.query("LOCK TABLE plain IN ACCESS SHARE MODE").error is None
    with pg.connect(db) as c:
        c.execute("INSERT INTO plain VALUES ('x')")
    assert b.query("SELECT count(*) FROM plain").value() == "1"
    b.query("INSERT INTO t (v) VALUES ('mine')")
    assert b.query("SELECT lastval()").value() == "1"


def test_transaction_modes_are_set_behind_begin(plain):
    learn(plain)
    a, b = plain.raw(), plain.raw()
    a.query("SELECT nextval('s')")
    b.query("BEGIN")
    assert b.query("DECLARE c CURSOR FOR SELECT 1").error is None
    b.query("ROLLBACK")
    a.query("SELECT nextval('s')")
    begin_elsewhere(b, "LOCK TABLE plain IN ACCESS SHARE MODE")
    assert b.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").error is None


def test_an_error_ahead_of_the_question(one_link):
    """The next question is no part of what the error has ended."""
    a, b = one_link.raw(), one_link.raw()
    a.query("SELECT nextval('s')")
    ask = messages("SELECT currval('s')")
    b.send(messages("SELECT 1/0") + ask + sync() + ask + sync() + query("SELECT lastval()"))
    assert [b.result().error.code for _ in range(3)] == ["22012", NOT_YET, NOT_YET]


def test_an_error_ahead_of_the_question_in_a_savepoint(one_link):
    a, b = one_link.raw(), one_link.raw()
    a.query("SELECT nextval('s')")
    begin_elsewhere(b, "SAVEPOINT p")
    ask = messages("SELECT currval('s')")
    assert b.run(messages("SELECT 1/0"), ask, sync()).error.code == "22012"
    for _ in range(2):
        b.query("ROLLBACK TO p")
        assert b.run(ask, sync()).error.code == NOT_YET
    b.query("ROLLBACK")
    assert b.query("SELECT nextval('s')").value() == b.query("SELECT lastval()").value()


def test_who_asks_twice_in_a_batch_keeps_its_own(one_link):
    a, b = one_link.raw(), one_link.raw()
    a.query("SELECT nextval('s')")
    begin_elsewhere(b)
    result = b.run(messages("SELECT 1"), messages("SELECT CASE WHEN false THEN lastval() END"),
                   messages("INSERT INTO t (v) VALUES ('mine')"), messages("SELECT lastval()"), sync())
    assert result.rows[-1] == ["1"]


@pytest.mark.parametrize("name", ["", "q"])
def test_not_where_names_are_the_servers(make_pooler, pg, db, name):
    with pg.connect(db) as c:
        c.execute("CREATE SEQUENCE s; GRANT ALL ON SEQUENCE s TO PUBLIC")
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track",
                         max_prepared_statements=0)
    a, b = pooler.raw(), pooler.raw()
    a.query("SELECT nextval('s')")
    result = b.run(parse(name, "SELECT currval('s')"), bind("", name), execute(), sync())
    assert result.error.code == NOT_YET


@pytest.mark.parametrize("oid", [1575, 2559])
def test_not_by_a_call_of_the_function(one_link, oid):
    a, b = one_link.raw(), one_link.raw()
    regclass = int(a.query("SELECT 's'::regclass::oid").value())
    a.query("SELECT nextval('s')")
    args = [struct.pack("!ii", 4, regclass)] if oid == 1575 else []
    b.send(message("F", struct.pack("!ihhh", oid, 1, 1, len(args)) + b"".join(args)
                   + struct.pack("!h", 1)))
    assert b.result().error.code == NOT_YET


def test_behind_a_failed_transaction(one_link):
    a, b = one_link.raw(), one_link.raw()
    a.query("SELECT nextval('s')")
    b.query("BEGIN")
    b.query("SELECT 1/0")
    assert b.query("ROLLBACK; SELECT currval('s')").error.code == NOT_YET
    a.query("SELECT nextval('s')")
    b.query("BEGIN")
    b.query("SELECT 1/0")
    b.send(query("ROLLBACK") + query("SELECT currval('s')"))
    assert [r.error and r.error.code for r in (b.result(), b.result())] == [None, NOT_YET]


def test_behind_a_failed_transaction_with_anothers_values(one_link):
    """Nothing can be discarded before that ends, and nothing behind it in the same text."""
    a, b, c = one_link.raw(), one_link.raw(), one_link.raw()
    a.query("SELECT nextval('s')")
    begin_elsewhere(b, "SELECT 1/0")
    assert b.query("SELECT currval('s')").error.code == "25P02"
    b.send(query("ROLLBACK; SELECT currval('s')"))
    assert b.expect_fatal().code == "25P02"
    begin_elsewhere(c, "SELECT 1/0")
    c.send(query("ROLLBACK") + query("SELECT currval('s')"))
    assert [r.error and r.error.code for r in (c.result(), c.result())] == [None, NOT_YET]


@pytest.mark.parametrize("ahead", [["COPY plain TO STDOUT"], []])
def test_behind_a_copy(plain, ahead):
    a, b = plain.raw(), plain.raw()
    a.query("SELECT nextval('s')")
    begin_elsewhere(b, *ahead)
    if ahead:
        assert b.query("SELECT currval('s')").error.code == NOT_YET
        return
    b.send(query("COPY plain TO STDOUT") + query("SELECT currval('s')"))
    assert [r.error and r.error.code for r in (b.result(), b.result())] == [None, NOT_YET]


def test_within_a_copy(plain):
    a, b = plain.raw(), plain.raw()
    a.query("SELECT nextval('s')")
    begin_elsewhere(b)
    b.send(query("COPY plain FROM STDIN"))
    b.recv_until("G")
    b.send(query("SELECT currval('s')") * 2)
    assert b.expect_fatal().code == "08P01"


def test_the_first_who_asks_later_than_that(plain):
    """After a thousand times nobody is taken to ask; who does all the same is not told another's."""
    a, b, c = plain.raw(), plain.raw(), plain.raw()
    for _ in range(510):
        a.query("SELECT nextval('s')")
        b.query("SELECT nextval('s')")
    c.query("BEGIN")
    c.query("INSERT INTO plain VALUES ('x')")
    assert c.query("SELECT lastval()").error.code == NOT_YET


def test_vacuum_by_messages(plain):
    """It may not be run behind anything in its batch."""
    learn(plain)
    a, b = plain.raw(), plain.raw()
    assert b.run(parse("", "VACUUM t"), sync()).error is None
    for _ in range(2):
        a.query("SELECT nextval('s')")
        assert b.run(bind(), execute(), sync()).error is None
    assert a.query("SELECT currval('s')").error.code == NOT_YET
    a.query("SELECT nextval('s')")
    assert b.run(describe("S"), bind(), execute(), sync()).error is None


@pytest.mark.parametrize("ahead", ["SELECT nextval('s')", "SET application_name = 'a'"])
def test_a_changed_table_is_not_seen_behind_what_goes_ahead(plain, pg, db, ahead):
    a, b = plain.raw(), plain.raw()
    b.run(parse("p", "INSERT INTO plain VALUES ('x') RETURNING *"), sync())
    assert b.run(run_named("p")).rows == [["x"]]
    with pg.connect(db) as c:
        c.execute("ALTER TABLE plain ADD COLUMN more int")
    a.query(ahead)
    assert b.run(run_named("p")).rows == [["x", None]]


def test_statements_of_that_name(one_link):
    a, b = one_link.raw(), one_link.raw()
    a.query("SELECT nextval('s')")
    begin_elsewhere(b, "SAVEPOINT p", "PREPARE pgweir_discard AS SELECT 1")
    ask = messages("SELECT currval('s')")
    assert b.run(messages("SELECT 1"), ask, sync()).error.code == NOT_YET


def discards_fail(make_pooler, make_fake, code):
    """A server that refuses to discard, once."""
    failed, seen = [], []

    def answer(session, kind, body):
        if kind != "Q":
            return False
        text = body[:-1].decode()
        seen.append(text)
        if text == "DISCARD SEQUENCES":
            if not failed:
                failed.append(text)
                session.send(fakepg.error("canceling statement due to user request", code)
                             + fakepg.ready(session.status))
            else:
                session.send(fakepg.complete("DISCARD SEQUENCES") + fakepg.ready(session.status))
            return True
        return False

    fake = make_fake(on_message=answer)
    pooler = make_pooler(databases={"fake": {"host": fake.host, "port": fake.port}},
                         pool_mode="transaction", default_pool_size=1, session_state="track")
    return pooler, seen


def test_what_is_not_discarded_is_not_taken_for_it(make_pooler, make_fake):
    pooler, seen = discards_fail(make_pooler, make_fake, "57014")
    a, b = pooler.raw(dbname="fake"), pooler.raw(dbname="fake")
    a.query("SELECT nextval('s')")
    assert b.query("SELECT nextval('s')").error is None
    assert b.query("SELECT currval('s')").error is None
    assert seen[-4:] == ["DISCARD SEQUENCES", "SELECT nextval('s')", "DISCARD SEQUENCES",
                         "SELECT currval('s')"]


def test_nor_is_anybody_told_what_is_left(make_pooler, make_fake):
    pooler, _ = discards_fail(make_pooler, make_fake, "57014")
    a, b = pooler.raw(dbname="fake"), pooler.raw(dbname="fake")
    a.query("SELECT nextval('s')")
    b.send(query("SELECT currval('s')"))
    assert b.expect_fatal().code == "57014"


def waited_us(pooler):
    row = pooler.pool()
    return row["maxwait"] * 1000000 + row["maxwait_us"]


def test_who_has_waited_longer_comes_first(in_turn):
    """Even if the server has the values that another waits for."""
    a, drawn, there, elsewhere = take_both(in_turn)
    w = in_turn.raw()
    w.send(query("SELECT nextval('s')"))
    wait_for(lambda: waited_us(in_turn) > 100000, what="a long wait")
    a.send(query("SELECT currval('s')"))
    in_turn.wait_pool(cl_waiting=2)
    let_go(there)
    assert w.result().value() != drawn
    assert a.result().error.code == NOT_YET
    let_go(elsewhere)


def test_who_has_waited_longer_and_reads_leaves_the_values(in_turn):
    a, drawn, there, elsewhere = take_both(in_turn)
    w = in_turn.raw()
    w.send(query("SELECT 1"))
    wait_for(lambda: waited_us(in_turn) > 100000, what="a long wait")
    a.send(query("SELECT currval('s')"))
    in_turn.wait_pool(cl_waiting=2)
    let_go(there)
    assert w.result().value() == "1"
    assert a.result().value() == drawn
    let_go(elsewhere)
