# SPDX-License-Identifier: PostgreSQL
"""A Parse that any server would answer with ParseComplete needs no server.

One link, and somebody else is in a transaction on it: whoever is answered has not asked a server."""

import pytest

from lib.pgbench import pgbench
from lib.wire import bind, describe, execute, parse, sync

pytestmark = pytest.mark.pgweir_only

SQL = "SELECT 'known', current_user"


@pytest.fixture
def one_link(make_pooler):
    return make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")


def teach(pooler, sql=SQL, **settings):
    first = pooler.raw(**settings)
    assert first.run(parse("s", sql), sync()).kinds == "1Z"
    return first


def occupy(pooler):
    holder = pooler.raw()
    holder.query("BEGIN")
    return holder


def waits(pooler, conn, *messages):
    conn.send(b"".join(messages))
    pooler.wait_pool(cl_waiting=1)


def test_of_a_known_text(one_link):
    teach(one_link)
    holder = occupy(one_link)
    a = one_link.raw()
    assert a.run(parse("other name", SQL), sync()).kinds == "1Z"
    assert a.run(parse("third", SQL), sync()).kinds == "1Z"
    holder.query("COMMIT")
    assert a.run(bind("", "third"), execute(), sync()).rows == [["known", "alice"]]
    assert a.run(bind("", "other name"), execute(), sync()).rows == [["known", "alice"]]


def test_answer_comes_before_those_of_the_server(one_link):
    teach(one_link)
    a = one_link.raw()
    result = a.run(parse("s", SQL), bind("", "s"), describe("P"), execute(), sync())
    assert (result.kinds, result.rows) == ("12TDCZ", [["known", "alice"]])


def test_answer_does_not_wait_for_a_link(one_link):
    teach(one_link)
    holder = occupy(one_link)
    a = one_link.raw()
    waits(one_link, a, parse("s", SQL), bind("", "s"), execute(), sync())
    assert a.recv().kind == "1"
    holder.query("COMMIT")
    assert a.result().kinds == "2DCZ"


def test_of_an_unknown_text_waits(one_link):
    teach(one_link)
    holder = occupy(one_link)
    a = one_link.raw()
    waits(one_link, a, parse("s", SQL + ", 1"), sync())
    holder.query("COMMIT")
    assert a.result().kinds == "1Z"


def test_of_other_types_waits(one_link):
    teach(one_link, "SELECT $1")
    holder = occupy(one_link)
    a = one_link.raw()
    waits(one_link, a, parse("s", "SELECT $1", (23,)), sync())
    holder.query("COMMIT")
    assert a.result().kinds == "1Z"


def test_under_other_settings_waits(one_link):
    teach(one_link)
    holder = occupy(one_link)
    a = one_link.raw(search_path="pg_catalog")
    waits(one_link, a, parse("s", SQL), sync())
    holder.query("COMMIT")
    assert a.result().kinds == "1Z"


def test_a_name_that_exists_is_refused_by_the_server(one_link):
    a = teach(one_link)
    holder = occupy(one_link)
    waits(one_link, a, parse("s", SQL), sync())
    holder.query("COMMIT")
    assert a.result().error.code == "42P05"


def test_after_a_change_of_the_database_waits(one_link):
    first = one_link.raw()
    first.query("CREATE TABLE shortlived (v int)")
    assert first.run(parse("s", "SELECT v FROM shortlived"), sync()).kinds == "1Z"
    first.query("DROP TABLE shortlived")
    assert one_link.raw().run(parse("s", "SELECT v FROM shortlived"), sync()).error.code == "42P01"


def test_what_is_not_committed_is_nobody_elses(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, session_state="track")
    first = pooler.raw()
    first.query("BEGIN")
    first.query("CREATE TABLE uncommitted (v int)")
    assert first.run(parse("s", "SELECT v FROM uncommitted"), sync()).kinds == "1Z"
    a = pooler.raw()
    assert a.run(parse("s", "SELECT v FROM uncommitted"), sync()).error.code == "42P01"
    first.query("ROLLBACK")
    assert a.run(parse("s", "SELECT v FROM uncommitted"), sync()).error.code == "42P01"


def test_what_a_temporary_table_makes_possible_is_nobody_elses(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, session_state="track")
    first = pooler.raw()
    first.query("CREATE TEMP TABLE own (v int)")
    assert first.run(parse("s", "SELECT v FROM own"), sync()).kinds == "1Z"
    a = pooler.raw()
    assert a.run(parse("s", "SELECT v FROM own"), sync()).error.code == "42P01"


def test_what_a_user_may_see_others_may_not(one_link, pg, db):
    with pg.connect(db) as c:
        c.execute("CREATE SCHEMA closed; CREATE TABLE closed.t (v int);"
                  "GRANT USAGE ON SCHEMA closed TO bob")
    assert one_link.raw("bob").run(parse("s", "SELECT v FROM closed.t"), sync()).kinds == "1Z"
    a = one_link.raw("alice")
    assert a.run(parse("s", "SELECT v FROM closed.t"), sync()).error.code == "42501"


def test_pgbench_with_more_clients_than_threads(make_pooler, pg, db):
    """It blocks a thread while it prepares, and the others' transactions with it."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=8, session_state="track",
                         worker_threads=2)
    assert pgbench(pg, pooler, "-i", "-q", sslmode="disable").status == 0
    done = pgbench(pg, pooler, "-c", "64", "-j", "2", "-t", "20", "-b", "tpcb-like", "-M",
                   "prepared", sslmode="disable", timeout=60)
    assert (done.status, done.failed, done.processed) == (0, 0, 64 * 20), done.output
