# SPDX-License-Identifier: PostgreSQL
"""currval() and lastval() tell what the session itself has drawn, or that it has drawn nothing; and
a session finds its last server again where nobody else has used that."""

import pytest

from lib.wire import bind, execute, parse, run_named, sync

pytestmark = pytest.mark.pgweir_only

NOT_YET = "55000"


@pytest.fixture
def one_link(make_pooler, pg, db):
    with pg.connect(db) as c:
        c.execute("CREATE SEQUENCE s; CREATE TABLE t (id serial, v text);"
                  "GRANT ALL ON SEQUENCE s TO PUBLIC; GRANT ALL ON TABLE t TO PUBLIC;"
                  "GRANT ALL ON SEQUENCE t_id_seq TO PUBLIC")
    return make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")


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
