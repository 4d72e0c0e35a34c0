# SPDX-License-Identifier: PostgreSQL
"""Named statements of the protocol belong to the client, whichever link runs them."""

import asyncio

import asyncpg
import pytest

from lib.fakepg import complete
from lib.wait import TIME_FACTOR
from lib.wire import (bind, close, describe, execute, flush, message, parse, query, run_named, sync)

pytestmark = pytest.mark.pgweir_only

ONE = "SELECT pg_backend_pid(), $1::int + 1"


def prepare(conn, name, sql, oids=()):
    result = conn.run(parse(name, sql, oids), sync())
    assert result.kinds == "1Z", result.error
    return result


def run(conn, name, *args):
    return conn.run(run_named(name, args))


@pytest.fixture
def one_link(make_pooler):
    return make_pooler(pool_mode="transaction", default_pool_size=1)


@pytest.fixture(autouse=True)
def of_link(pg, db):
    """What a server has prepared; a text that names its own view would be given the client's."""
    with pg.connect(db) as c:
        c.execute("CREATE VIEW of_link AS SELECT * FROM pg_prepared_statements;"
                  "GRANT SELECT ON of_link TO public")


def statements(conn):
    """Names on the link that answers."""
    return [r[0] for r in conn.query("SELECT name FROM of_link").rows]


def test_statement_on_several_links(tx_pooler):
    """Two links; the one that is not held is the one that must serve."""
    first, second, a = tx_pooler.raw(), tx_pooler.raw(), tx_pooler.raw()
    pids = []
    for holder in (first, second):
        holder.query("BEGIN")
        pids.append(holder.query("SELECT pg_backend_pid()").value())
    first.query("COMMIT")
    prepare(a, "s", ONE)
    assert run(a, "s", 1).rows == [[pids[0], "2"]]
    first.query("BEGIN")
    second.query("COMMIT")
    result = run(a, "s", 41)
    assert result.kinds == "2DCZ"
    assert result.rows == [[pids[1], "42"]]


# What a server makes of a literal when it parses: setting, of one client and of another, text,
# and what it is for each.
PARSED = [
    ("TimeZone", "Asia/Tokyo", "UTC",
     "SELECT extract(epoch FROM '2024-01-01 00:00'::timestamptz)::bigint",
     "1704034800", "1704067200"),
    ("DateStyle", "ISO, DMY", "ISO, MDY", "SELECT extract(month FROM '01/02/2020'::date)::int",
     "2", "1"),
    ("standard_conforming_strings", "off", "on", r"SELECT length('a\\b')", "3", "4"),
]


@pytest.mark.parametrize("setting, ours, theirs, sql, first, second", PARSED,
                         ids=[p[0] for p in PARSED])
class TestParseState:
    """A statement is shared only where a server would make the same of it."""

    @staticmethod
    def prepare(conn, sql):
        """There may be a warning about backslashes."""
        assert conn.run(parse("s", sql), sync()).kinds in ("1Z", "N1Z")

    def test_of_two_clients(self, one_link, setting, ours, theirs, sql, first, second):
        a, b, c = (one_link.raw(**{setting: value}) for value in (ours, theirs, ours))
        for conn in (a, b, c):
            self.prepare(conn, sql)
        for _ in range(2):
            assert [run(conn, "s").value() for conn in (a, b, c)] == [first, second, first]
        assert len(statements(b)) == 2

    def test_of_one_client(self, one_link, setting, ours, theirs, sql, first, second):
        conn = one_link.raw()
        for value, made in ((ours, first), (theirs, second), (ours, first)):
            conn.query(f"SET {setting} = '{value}'")
            conn.run(close("S", "s"), sync())
            self.prepare(conn, sql)
            assert run(conn, "s").value() == made

    def test_on_a_link_without_it(self, make_pooler, setting, ours, theirs, sql, first, second):
        """What is parsed there is parsed under the settings of that moment, and known as such."""
        pooler = make_pooler(pool_mode="transaction", default_pool_size=2)
        holder, a, b = pooler.raw(), pooler.raw(**{setting: ours}), pooler.raw(**{setting: ours})
        self.prepare(a, sql)
        a.query(f"SET {setting} = '{theirs}'")
        holder.query("BEGIN")
        run(a, "s")
        self.prepare(b, sql)
        assert run(b, "s").value() == first
        a.query(f"SET {setting} = '{ours}'")
        assert run(a, "s").value() == first

    def test_behind_a_change_in_the_same_pipeline(self, one_link, setting, ours, theirs, sql, first,
                                                  second):
        """The change is told only when the statement has been parsed."""
        a, b = (one_link.raw(**{setting: theirs}) for _ in range(2))
        results = a.run(parse("", f"SET {setting} = '{ours}'"), bind(), execute(),
                        parse("s", sql), bind("", "s"), execute(), sync())
        assert results.rows == [[first]]
        self.prepare(b, sql)
        assert run(b, "s").value() == second


def test_parse_state_has_no_label(one_link):
    conns = [one_link.raw(application_name=name) for name in ("one", "two")]
    for conn in conns:
        prepare(conn, "s", ONE)
    assert len(statements(conns[0])) == 1


def test_same_name_of_two_clients(one_link):
    a, b = one_link.raw(), one_link.raw()
    prepare(a, "s", "SELECT 'of a'")
    prepare(b, "s", "SELECT 'of b'")
    for _ in range(3):
        assert run(a, "s").value() == "of a"
        assert run(b, "s").value() == "of b"


def test_same_text_is_prepared_once_on_a_link(one_link):
    clients = [one_link.raw() for _ in range(4)]
    for i, c in enumerate(clients):
        prepare(c, f"name{i}", "SELECT 'shared'")
        assert run(c, f"name{i}").value() == "shared"
    assert len(statements(clients[0])) == 1


def test_same_text_with_other_types_is_another_statement(one_link):
    a = one_link.raw()
    prepare(a, "i", "SELECT pg_typeof($1)", (23,))
    prepare(a, "t", "SELECT pg_typeof($1)", (25,))
    assert run(a, "i", 1).value() == "integer"
    assert run(a, "t", 1).value() == "text"


def test_describe_statement(tx_pooler):
    a, b = tx_pooler.raw(), tx_pooler.raw()
    a.run(parse("s", "SELECT $1::int AS n, 'x'::text AS t"), sync())
    b.query("BEGIN")
    result = a.run(describe("S", "s"), sync())
    assert result.kinds == "tTZ"
    assert [c.name for c in result.columns] == ["n", "t"]
    b.query("ROLLBACK")


def test_parse_bind_describe_execute_in_one_batch(one_link):
    a = one_link.raw()
    result = a.run(parse("s", ONE), bind("", "s", [1]), describe("P"), execute(), sync())
    assert result.kinds == "12TDCZ"
    again = a.run(bind("", "s", [2]), describe("P"), execute(), close("S", "s"), sync())
    assert again.kinds == "2TDC3Z"


@pytest.mark.parametrize("cut", ["bytes", "random"])
def test_batch_in_pieces(tx_pooler, cut):
    a = tx_pooler.raw()
    result = a.run(parse("s", ONE), bind("", "s", [1]), describe("P"), execute(), sync(), cut=cut)
    assert result.kinds == "12TDCZ"
    assert a.run(run_named("s", [5]), cut=cut).rows[0][1] == "6"


def test_long_pipeline(tx_pooler):
    a, b = tx_pooler.raw(), tx_pooler.raw()
    prepare(a, "s", "SELECT $1::int")
    b.query("BEGIN")
    a.send(b"".join(run_named("s", [i]) for i in range(500)))
    for i in range(500):
        assert a.result().value() == str(i)
    b.query("ROLLBACK")


def test_long_batch_costs_no_more_per_message(make_pooler, make_fake):
    """The server answers nothing before it must, so as much as may be is expected at once."""
    def on_message(session, kind, _body):
        answers = {"B": message("2"), "E": complete("SELECT 0")}
        session.owed = getattr(session, "owed", b"")
        if kind in answers:
            session.owed += answers[kind]
            return True
        if kind in "SH":
            session.send(session.owed)
            session.owed = b""
        return kind == "H"

    fake = make_fake(on_message=on_message)
    pooler = make_pooler(databases={"f": {"host": fake.host, "port": fake.port}},
                         pool_mode="transaction", worker_threads=1)
    a = pooler.raw(dbname="f")
    a.sock.settimeout(60 * TIME_FACTOR)
    prepare(a, "s", "SELECT 1")

    def cost(count):
        before = pooler.cpu_seconds()
        a.send((close("S", "s") + parse("s", "SELECT 1") + bind("", "s") + execute()) * count)
        assert a.run(sync()).kinds == "312C" * count + "Z"
        return (pooler.cpu_seconds() - before) / count

    short = min(cost(5_000) for _ in range(5))
    assert min(cost(50_000) for _ in range(2)) < 3 * short


def test_closed_statements_count_while_their_answers_wait(make_pooler):
    """Behind a request that takes long nothing of this reaches the server: it is all ours to hold."""
    pooler = make_pooler(pool_mode="transaction", prepared_statement_bytes_client=1_000_000)
    a = pooler.raw()
    text = "SELECT 1 /*" + "x" * 100_000 + "*/"
    prepare(a, "s", text)
    a.send(parse("", "SELECT pg_sleep(60)") + bind() + execute() + flush())
    a.send((close("S", "s") + parse("s", text)) * 20)
    error = a.expect_error()
    assert (error.code, error.message) == ("54000", "too much memory used for prepared statements")


def test_pipeline_that_is_stopped_within_a_message(make_pooler):
    """So much is owed that the client is not read on; what it is in the midst of stays whole."""
    pooler = make_pooler(pool_mode="transaction")
    a = pooler.raw()
    a.sock.settimeout(60 * TIME_FACTOR)
    prepare(a, "s", "SELECT length($1::text)")
    long = "".join(chr(97 + i % 26) for i in range(1_000_000))
    head = parse("", "SELECT pg_sleep(1)") + bind() + execute()
    a.send(head + (bind("", "s", ["x"]) + execute()) * 35_000)
    result = a.run(bind("", "s", [long]) + execute(), sync())
    assert result.error is None
    assert result.rows[-1] == ["1000000"]
    assert len(result.rows) == 35_002


def test_many_executions_before_one_sync(tx_pooler):
    a = tx_pooler.raw()
    prepare(a, "s", "SELECT $1::int")
    result = a.run(*[bind("", "s", [i]) + execute() for i in range(50)], sync())
    assert [r[0] for r in result.rows] == [str(i) for i in range(50)]


def test_flush_brings_the_answer(tx_pooler):
    a = tx_pooler.raw()
    a.send(parse("s", "SELECT 7") + flush())
    assert a.recv().kind == "1"
    a.send(bind("", "s") + execute() + flush())
    assert [a.recv().kind for _ in range(3)] == ["2", "D", "C"]
    a.send(sync())
    assert a.result().status == "I"


def test_unnamed_statement(tx_pooler):
    a = tx_pooler.raw()
    for i in range(3):
        result = a.run(parse("", ONE), bind("", "", [i]), execute(), sync())
        assert result.rows[0][1] == str(i + 1)


@pytest.mark.parametrize("bound", [200, 0])
@pytest.mark.parametrize("cut", ["whole", "bytes"])
def test_unnamed_statement_on_another_link(make_pooler, bound, cut):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, max_prepared_statements=bound,
                         session_state="track")
    a, b = pooler.raw(), pooler.raw()
    a.run(parse("", "SELECT 'kept'"), sync(), cut=cut)
    b.query("BEGIN")
    for _ in range(2):
        result = a.run(describe("S"), bind(), execute(), sync(), cut=cut)
        assert (result.kinds, result.rows) == ("tT2DCZ", [["kept"]])
    a.query("SELECT 1")
    assert a.run(describe("S"), sync()).error.code == "26000"


def test_unnamed_statement_survives_within_a_transaction(one_link):
    a, b = one_link.raw(), one_link.raw()
    a.query("BEGIN")
    a.run(parse("", "SELECT 'kept'"), sync())
    assert a.run(bind(), execute(), sync()).value() == "kept"
    a.query("COMMIT")
    assert b.query("SELECT 1").value() == "1"


# -- errors are PostgreSQL's, and the connection lives --


def test_duplicate_name(tx_pooler, pg):
    direct = pg.raw("alice", tx_pooler.db)
    a = tx_pooler.raw()
    for conn in (direct, a):
        prepare(conn, "s", "SELECT 1")
        error = conn.run(parse("s", "SELECT 2"), sync()).error
        assert (error.severity, error.code) == ("ERROR", "42P05")
        assert error.message == 'prepared statement "s" already exists'
        assert run(conn, "s").value() == "1"
    direct.close()


@pytest.mark.parametrize("request_of", [
    lambda: bind("", "nope"), lambda: describe("S", "nope")], ids=["bind", "describe"])
def test_unknown_name(tx_pooler, pg, request_of):
    direct = pg.raw("alice", tx_pooler.db)
    a = tx_pooler.raw()
    for conn in (direct, a):
        result = conn.run(request_of(), execute(), sync())
        assert result.kinds == "EZ"
        assert (result.error.severity, result.error.code) == ("ERROR", "26000")
        assert result.error.message == 'prepared statement "nope" does not exist'
        assert result.status == "I"
        assert conn.query("SELECT 1").value() == "1"
    direct.close()


def test_unknown_name_fails_the_transaction(tx_pooler):
    a = tx_pooler.raw()
    a.query("BEGIN")
    result = a.run(bind("", "nope"), sync())
    assert result.error.code == "26000"
    assert result.status == "E"
    assert a.query("SELECT 1").error.code == "25P02"
    assert a.query("ROLLBACK").status == "I"


def test_what_follows_an_error_up_to_sync_is_skipped(tx_pooler):
    a = tx_pooler.raw()
    a.query("CREATE TABLE t (v int)")
    prepare(a, "ins", "INSERT INTO t VALUES (1)")
    result = a.run(bind("", "nope"), execute(), bind("", "ins"), execute(), sync())
    assert result.kinds == "EZ"
    assert a.query("SELECT count(*) FROM t").value() == "0"


def test_failed_parse_frees_its_name(tx_pooler):
    a = tx_pooler.raw()
    assert a.run(parse("s", "SELEC 1"), sync()).error.code == "42601"
    prepare(a, "s", "SELECT 'good'")
    assert run(a, "s").value() == "good"


def test_same_text_works_once_its_reason_to_fail_is_gone(tx_pooler):
    a = tx_pooler.raw()
    assert a.run(parse("s", "SELECT v FROM later"), sync()).error.code == "42P01"
    a.query("CREATE TABLE later (v int)")
    a.query("INSERT INTO later VALUES (9)")
    prepare(a, "s", "SELECT v FROM later")
    assert run(a, "s").value() == "9"


def test_parse_skipped_after_an_error_is_not_known(tx_pooler):
    a = tx_pooler.raw()
    result = a.run(parse("bad", "SELEC"), parse("good", "SELECT 1"), sync())
    assert result.kinds == "EZ"
    assert run(a, "good").error.code == "26000"
    prepare(a, "good", "SELECT 2")
    assert run(a, "good").value() == "2"


def test_close_skipped_after_an_error_did_not_happen(tx_pooler):
    a = tx_pooler.raw()
    prepare(a, "s", "SELECT 'still here'")
    a.run(parse("bad", "SELEC"), close("S", "s"), sync())
    assert run(a, "s").value() == "still here"


def test_failed_transaction_refuses_parse_of_a_known_text(one_link):
    """What another client has prepared must not be answered from memory in a failed transaction."""
    a, b = one_link.raw(), one_link.raw()
    prepare(a, "s", "SELECT 'known'")
    b.query("BEGIN")
    b.query("SELECT 1/0")
    assert b.run(parse("s", "SELECT 'known'"), sync()).error.code == "25P02"
    b.query("ROLLBACK")
    prepare(b, "s", "SELECT 'known'")
    assert run(b, "s").value() == "known"


def test_error_in_execute_keeps_the_statement(tx_pooler):
    a = tx_pooler.raw()
    prepare(a, "div", "SELECT 10 / $1::int")
    assert run(a, "div", 0).error.code == "22012"
    assert run(a, "div", 5).value() == "2"


# -- close, deallocate, discard --


def test_close_frees_the_name(tx_pooler):
    a = tx_pooler.raw()
    prepare(a, "s", "SELECT 1")
    assert a.run(close("S", "s"), sync()).kinds == "3Z"
    assert run(a, "s").error.code == "26000"
    prepare(a, "s", "SELECT 2")
    assert run(a, "s").value() == "2"


def test_close_of_an_unknown_name(tx_pooler):
    assert tx_pooler.raw().run(close("S", "nope"), sync()).kinds == "3Z"


def test_close_between_other_answers_keeps_the_order(tx_pooler):
    a = tx_pooler.raw()
    prepare(a, "s", "SELECT 1")
    result = a.run(bind("", "s"), execute(), close("S", "s"), parse("s", "SELECT 2"),
                   bind("", "s"), execute(), sync())
    assert result.kinds == "2DC312DCZ"
    assert [r[0] for r in result.rows] == ["1", "2"]


@pytest.mark.parametrize("command", ["DEALLOCATE ALL", "DISCARD ALL"])
def test_forgetting_all_statements(tx_pooler, command):
    a = tx_pooler.raw()
    prepare(a, "s", "SELECT 1")
    assert a.query(command).tag == command
    assert run(a, "s").error.code == "26000"
    prepare(a, "s", "SELECT 2")
    assert run(a, "s").value() == "2"


@pytest.mark.parametrize("command", ["DEALLOCATE ALL", "DISCARD ALL"])
def test_forgetting_is_of_one_client_only(one_link, command):
    a, b = one_link.raw(), one_link.raw()
    prepare(a, "s", "SELECT 'of a'")
    prepare(b, "s", "SELECT 'of b'")
    a.query(command)
    assert run(b, "s").value() == "of b"


# -- the bound --


def test_least_recently_used_is_closed(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, max_prepared_statements=3)
    a = pooler.raw()
    for i in range(6):
        prepare(a, f"s{i}", f"SELECT {i}")
        assert run(a, f"s{i}").value() == str(i)
        assert len(statements(a)) <= 3
    for i in range(6):
        assert run(a, f"s{i}").value() == str(i)
        assert len(statements(a)) <= 3


def test_use_keeps_a_statement(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, max_prepared_statements=2)
    a = pooler.raw()
    prepare(a, "hot", "SELECT 'hot'")
    for i in range(5):
        prepare(a, f"cold{i}", f"SELECT {i}")
        assert run(a, "hot").value() == "hot"
    texts = [r[0] for r in a.query("SELECT statement FROM pg_prepared_statements").rows]
    assert "SELECT 'hot'" in texts


def test_more_statements_than_the_bound_in_one_batch(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, max_prepared_statements=2)
    a = pooler.raw()
    result = a.run(*[parse(f"s{i}", f"SELECT {i}") + bind("", f"s{i}") + execute()
                     for i in range(8)], sync())
    assert not result.errors
    assert [r[0] for r in result.rows] == [str(i) for i in range(8)]
    assert run(a, "s0").value() == "0"


def test_bound_of_zero_sends_names_as_they_are(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, max_prepared_statements=0)
    a = pooler.raw()
    prepare(a, "plain_name", "SELECT 1")
    assert statements(a) == ["plain_name"]


def test_lowered_by_reload(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, max_prepared_statements=10)
    a = pooler.raw()
    for i in range(8):
        prepare(a, f"s{i}", f"SELECT {i}")
        run(a, f"s{i}")
    pooler.settings["max_prepared_statements"] = 2
    pooler.reload()
    prepare(a, "last", "SELECT 'last'")
    assert run(a, "last").value() == "last"
    assert len(statements(a)) <= 2
    assert run(a, "s0").value() == "0"


def test_turned_off_by_reload(make_pooler):
    """Whoever goes on under the old setting does not fill the server."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, max_prepared_statements=10)
    a = pooler.raw()
    prepare(a, "first", "SELECT 'first'")
    pooler.settings["max_prepared_statements"] = 0
    pooler.reload()
    for i in range(20):
        prepare(a, f"s{i}", f"SELECT {i}")
        assert run(a, f"s{i}").value() == str(i)
    assert len(statements(a)) == 1
    assert run(a, "first").value() == "first"


# -- sizes --


def test_long_name(tx_pooler):
    a = tx_pooler.raw()
    name = "n" * 40_000
    prepare(a, name, "SELECT 1")
    assert run(a, name).value() == "1"


def test_long_text(tx_pooler):
    a, b = tx_pooler.raw(), tx_pooler.raw()
    text = "SELECT '" + "x" * 200_000 + "'"
    prepare(a, "s", text)
    b.query("BEGIN")
    assert len(run(a, "s").value()) == 200_000
    b.query("ROLLBACK")


def test_long_argument(tx_pooler):
    a = tx_pooler.raw()
    prepare(a, "s", "SELECT md5($1::text), length($1)")
    assert run(a, "s", "y" * 3_000_000).rows[0][1] == "3000000"


def test_many_arguments(tx_pooler):
    a = tx_pooler.raw()
    prepare(a, "s", "SELECT " + "+".join(f"${i}::int" for i in range(1, 501)))
    assert run(a, "s", *range(500)).value() == str(sum(range(500)))


# -- other life --


def test_statement_outlives_its_link(one_link, pg, db):
    a = one_link.raw()
    prepare(a, "s", "SELECT 'again'")
    run(a, "s")
    pg.execute("SELECT pg_terminate_backend(%s)", (pg.backends(db)[0],))
    pg.wait_backends(db, 0)
    one_link.wait_pool(sv_idle=0, sv_used=0)
    assert run(a, "s").value() == "again"


def test_changed_table_gets_a_fresh_plan(one_link):
    """After PostgreSQL's error a new Parse of the same text must not find the stale plan."""
    a = one_link.raw()
    a.query("CREATE TABLE t (v int)")
    a.query("INSERT INTO t VALUES (1)")
    prepare(a, "s", "SELECT * FROM t")
    assert run(a, "s").rows == [["1"]]
    a.query("ALTER TABLE t ADD w int DEFAULT 2")
    result = run(a, "s")
    assert result.error is None or result.error.message == \
        "cached plan must not change result type"
    a.run(close("S", "s"), sync())
    prepare(a, "s", "SELECT * FROM t")
    assert run(a, "s").rows == [["1", "2"]]


def test_error_about_a_statement_that_is_parsed_anew_meanwhile(one_link):
    """The error is about the one that the link had before. It must not be taken for news of the
    one that another request of the same client has just been given a description of."""
    a = one_link.raw()
    for name in "bc":
        prepare(a, name, "SELECT $1::text")
    assert a.run(describe("S", "c"), sync()).kinds == "tTZ"
    too_many = bind("", "b", ["x", "y"]) + sync()
    again = close("S", "a") + parse("a", "SELECT $1::text") + bind("", "a", ["1"]) + execute()
    a.send(too_many + again + run_named("c", ["2"]))
    assert "".join(m.kind for m in a.recv_until("Z")) == "EZ"
    result = a.result()
    assert result.error is None
    assert result.kinds == "312DC2DCZ"


def test_setting_that_changes_while_a_description_is_asked_for(one_link):
    """What the link is asked about is no longer what it will run: another parse state, another
    statement. It is asked about that one too."""
    a = one_link.raw()
    prepare(a, "c", "SELECT $1::text")
    assert a.run(describe("S", "c"), sync()).kinds == "tTZ"
    again = parse("a", "SELECT $1::text") + bind("", "a", ["1"]) + execute()
    a.send(query("SET TimeZone = 'Asia/Tokyo'") + again + run_named("c", ["2"]))
    assert "".join(m.kind for m in a.recv_until("Z")) == "CSZ"
    result = a.result()
    assert result.error is None
    assert result.kinds == "12DC2DCZ"


@pytest.mark.pgweir_only
@pytest.mark.pgweir_only
@pytest.mark.parametrize("text", [
    "RESET ALL", "SELECT set_config(name, setting, true) FROM pg_settings WHERE name = 'search_path'"])
def test_description_is_asked_for_once_behind_settings(make_pooler, text):
    """What is parsed there is of no use to others, yet good for the client itself."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")
    conn, other = pooler.raw(), pooler.raw()
    conn.run(parse("s", "SELECT 1"), describe("S", "s"), sync())
    other.query("DISCARD ALL")  # the server has it no longer
    conn.query("BEGIN")
    conn.query(text)
    for _ in range(2):
        assert run(conn, "s").rows == [["1"]]
    conn.query("COMMIT")


def test_others_find_fresh_plans_after_a_change(make_pooler):
    """Every link has the statement as it was before the change; a client that comes after it must
    neither see the old plan nor an error."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=3)
    first = pooler.raw()
    first.query("CREATE TABLE t (v int)")
    first.query("INSERT INTO t VALUES (1)")
    holders = [pooler.raw() for _ in range(3)]
    for c in holders:
        c.query("BEGIN")
        prepare(c, "s", "SELECT * FROM t")
        assert run(c, "s").rows == [["1"]]
    for c in holders:
        c.query("COMMIT")
    first.query("ALTER TABLE t ADD w int DEFAULT 2")
    late = [pooler.raw() for _ in range(3)]
    prepare(late[0], "s", "SELECT * FROM t")
    for c in late[1:]:
        prepare(c, "s", "SELECT * FROM t")
    for c in late:
        c.query("BEGIN")
        assert run(c, "s").rows == [["1", "2"]]
    for c in late:
        c.query("COMMIT")
    # An old client holds the old description: PostgreSQL's error, or the rows it expects.
    result = run(holders[0], "s")
    assert result.error is None or result.error.message == \
        "cached plan must not change result type"


@pytest.mark.parametrize("body", [
    b"", b"\0", b"name", b"name\0", b"name\0SELECT 1\0", b"name\0SELECT 1\0\0\2\0\0\0\x17",
], ids=range(6))
def test_broken_parse(tx_pooler, body):
    a, other = tx_pooler.raw(), tx_pooler.raw()
    a.send(message("P", body) + sync())
    m = a.recv()
    assert m.kind == "E"
    assert m.error().code == "08P01"
    assert other.query("SELECT 1").value() == "1"


@pytest.mark.parametrize("kind, body", [
    ("B", b""), ("B", b"portal"), ("B", b"\0name"), ("D", b""), ("D", b"S"), ("D", b"Sname"),
    ("C", b""), ("C", b"Sname"), ("E", b""), ("D", b"?name\0"),
])
def test_other_broken_messages(tx_pooler, kind, body):
    a, other = tx_pooler.raw(), tx_pooler.raw()
    a.send(message(kind, body) + sync())
    m = a.recv()
    assert m.kind == "E"
    assert m.error().code == "08P01"
    assert other.query("SELECT 1").value() == "1"


def test_psycopg_prepares(tx_pooler):
    conns = [tx_pooler.connect(prepare_threshold=0) for _ in range(4)]
    for i in range(10):
        for c in conns:
            assert c.execute("SELECT %s::int * 2", (i,)).fetchone() == (2 * i,)
    holder = tx_pooler.raw()
    holder.query("BEGIN")
    for c in conns:
        assert c.execute("SELECT %s::int * 2", (21,)).fetchone() == (42,)


def test_psycopg_transactions_and_pipeline(tx_pooler):
    conn = tx_pooler.connect(prepare_threshold=0)
    conn.execute("CREATE TABLE t (v int)")
    with conn.transaction():
        for i in range(5):
            conn.execute("INSERT INTO t VALUES (%s)", (i,))
    with conn.pipeline():
        cursors = [conn.execute("SELECT v FROM t WHERE v = %s", (i,)) for i in range(5)]
        assert [c.fetchone()[0] for c in cursors] == list(range(5))


def test_asyncpg(tx_pooler):
    async def work():
        conns = [await asyncpg.connect(
            host="127.0.0.1", port=tx_pooler.port, user="alice", password="x",
            database=tx_pooler.db, ssl=False) for _ in range(3)]
        for i in range(5):
            for c in conns:
                assert await c.fetchval("SELECT $1::int + 1", i) == i + 1
        async with conns[0].transaction():
            assert await conns[0].fetchval("SELECT $1::text", "in") == "in"
        for c in conns:
            await c.close()

    asyncio.run(work())


def test_session_mode_leaves_names_alone(make_pooler):
    pooler = make_pooler(pool_mode="session")
    a = pooler.raw()
    prepare(a, "my_own", "SELECT 1")
    assert statements(a) == ["my_own"]
    assert a.run(parse("my_own", "SELECT 2"), sync()).error.code == "42P05"


def test_query_between_parts_of_the_extended_protocol(tx_pooler):
    a = tx_pooler.raw()
    a.send(parse("s", "SELECT 1") + query("SELECT 'simple'") + bind("", "s") + execute() + sync())
    first, second = a.result(), a.result()
    assert first.value() == "simple"
    assert second.value() == "1"
