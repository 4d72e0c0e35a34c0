# SPDX-License-Identifier: PostgreSQL
"""Clients whose start-up packet asked for settings: what RESET and its kin put back is that, also
for what follows at once; or it is refused."""

import pytest

from lib.wire import bind, execute, parse, query, sync

pytestmark = pytest.mark.pgweir_only

OPTIONS = "-c search_path=tenant1 -c role=lim -c app.t=one -c TimeZone=Asia/Tokyo"
WHO = ("SELECT current_user, current_setting('app.t', true), current_setting('TimeZone'),"
       " (SELECT n FROM users)")
SCHEMA = """
    CREATE SCHEMA tenant1; CREATE SCHEMA t2;
    CREATE TABLE public.users (n text); INSERT INTO public.users VALUES ('PUBLIC');
    CREATE TABLE tenant1.users (n text); INSERT INTO tenant1.users VALUES ('tenant1');
    CREATE TABLE t2.users (n text); INSERT INTO t2.users VALUES ('t2');
    GRANT ALL ON SCHEMA public, tenant1, t2 TO public;
    GRANT ALL ON ALL TABLES IN SCHEMA public, tenant1, t2 TO public;
    DO $$ BEGIN CREATE ROLE lim; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
    GRANT lim TO alice;
"""


@pytest.fixture
def both(make_pooler, pg, db):
    """A connection to PostgreSQL itself and one by a pooler, which begin alike."""
    with pg.connect(db) as conn:
        conn.execute(SCHEMA)
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, session_state="track")
    opened = []

    def begin(options=OPTIONS, **params):
        pair = pg.raw("alice", db, options=options, **params), pooler.raw(options=options, **params)
        opened.extend(pair)
        return pair

    yield begin
    for conn in opened:
        conn.close()


def messages(conn, texts):
    answers = []
    for text in texts:
        result = conn.query(text)
        answers.append(result.error.code if result.error else result.rows)
    return answers


def pipeline(*texts):
    return b"".join(parse("", text) + bind() + execute() for text in texts) + sync()


def assert_refused(result, status):
    assert result.error.code == "0A000", result.error
    assert result.error.message == "RESET must be the last statement of its message or pipeline"
    assert result.error.severity == "ERROR"
    assert result.status == status


@pytest.mark.parametrize("text", [
    "RESET ALL; SELECT n FROM users",
    "RESET search_path; SELECT n FROM users",
    "SET search_path TO DEFAULT; SELECT n FROM users",
    "BEGIN; SET LOCAL search_path TO DEFAULT; SELECT n FROM users; COMMIT",
    "SELECT set_config('search_path', NULL, false); SELECT n FROM users",
    "SELECT set_config('search_path', NULL::text, true); SELECT n FROM users",
    "SELECT set_config('search_path', nullif('a', 'a'), false); SELECT n FROM users",
    "RESET ALL; INSERT INTO users VALUES ('x')",
    "RESET ALL; DO $$ BEGIN END $$",
    "RESET ROLE; SELECT current_user",
    "RESET app.t; SELECT current_setting('app.t')",
    "SELECT 1; RESET TIME ZONE; SELECT now()",
    "RESET ROLE; SET ROLE NONE",
    "SET LOCAL app.t TO DEFAULT; RESET search_path",
])
def test_what_follows_in_the_message_is_refused(both, text):
    _, conn = both()
    before = conn.query(WHO).rows
    assert_refused(conn.query(text), "I")
    assert conn.query(WHO).rows == before
    conn.query("BEGIN")
    assert_refused(conn.query(text), "E")
    assert conn.query("SELECT 1").error.code == "25P02"
    assert conn.query("ROLLBACK").error is None
    assert conn.query(WHO).rows == before
    assert conn.query("SELECT n FROM users").rows == [["tenant1"]]


@pytest.mark.parametrize("text", [
    "SET search_path = t2; RESET ALL",
    "SET search_path = t2; SELECT 1; RESET search_path",
    "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *; "
    "SELECT pg_advisory_unlock_all(); DISCARD SEQUENCES; DISCARD TEMP",
    "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;",
    "RESET work_mem; SELECT n FROM users",
    "RESET ALL; SET search_path = t2",
    "SELECT set_config('search_path', 't2', false); SELECT n FROM users",
    "SELECT set_config('work_mem', NULL, false); SELECT n FROM users",
])
def test_what_makes_no_difference_is_not(both, text):
    direct, conn = both()
    for texts in ([text, WHO, WHO], ["BEGIN", text, WHO, "COMMIT", WHO],
                  ["BEGIN", text, WHO, "ROLLBACK", WHO]):
        assert messages(conn, texts) == messages(direct, texts)


def test_a_name_alone_is_not_what_rows_hang_on(both):
    direct, conn = both(options="", application_name="psql")
    texts = ["RESET ALL; SELECT n FROM users", "SHOW application_name"]
    assert messages(conn, texts) == messages(direct, texts)


@pytest.mark.parametrize("texts", [
    ["BEGIN", "SET LOCAL search_path TO DEFAULT", WHO, "COMMIT", WHO],
    ["SET search_path = t2", "BEGIN", "SET LOCAL search_path TO DEFAULT", WHO, "COMMIT", WHO],
    ["BEGIN", "SET LOCAL TimeZone TO DEFAULT", "SET LOCAL app.t TO DEFAULT", WHO, "COMMIT", WHO],
    ["SET app.t = 'two'", "BEGIN", "SET LOCAL app.t TO DEFAULT", WHO, "COMMIT", WHO],
    ["BEGIN", "SELECT set_config('search_path', NULL, true) IS NULL", WHO, "COMMIT", WHO],
    ["BEGIN", "SET LOCAL search_path = t2", "SAVEPOINT a", "SET LOCAL search_path TO DEFAULT", WHO,
     "ROLLBACK TO a", WHO, "COMMIT", WHO],
    ["SET LOCAL search_path TO DEFAULT", WHO],
    ["BEGIN", "RESET ALL", WHO, "SELECT 1/0", "ROLLBACK", WHO],
    ["BEGIN", "SET LOCAL ROLE NONE", WHO, "SET LOCAL role TO DEFAULT", WHO, "COMMIT", WHO],
    ["BEGIN", "SET ROLE NONE", WHO, "RESET ROLE", WHO, "COMMIT", WHO],
    ["SET ROLE NONE", WHO, WHO, "RESET ROLE", WHO],
    ["RESET ROLE", WHO],
    ["SET ROLE NONE", "RESET ALL", WHO, "BEGIN", WHO, "COMMIT"],
    ["RESET SESSION AUTHORIZATION", WHO, WHO, "RESET ROLE", WHO],
    ["SET SESSION AUTHORIZATION DEFAULT", WHO, "BEGIN", WHO, "COMMIT"],
    ["SET search_path = t2", "DISCARD ALL", WHO, WHO],
])
def test_messages_are_as_on_a_connection_of_ones_own(both, texts):
    direct, conn = both()
    assert messages(conn, texts) == messages(direct, texts)


def test_none_is_carried(both):
    """Another server connection, which others have used meanwhile."""
    _, conn = both()
    _, other = both()
    conn.query("SET ROLE NONE")
    other.query("BEGIN")
    third = both()[1]
    third.query("BEGIN")
    for holder in (third, other):
        assert holder.query("SELECT current_user").value() == "lim"
    other.query("COMMIT")
    assert conn.query("SELECT current_user").value() == "alice"
    third.query("COMMIT")


@pytest.mark.parametrize("reset", [
    "RESET ALL", "RESET search_path", "SET LOCAL search_path TO DEFAULT", "DISCARD ALL",
    "SELECT set_config('search_path', NULL, false)"])
def test_what_follows_in_the_pipeline_is_refused(both, reset):
    _, conn = both()
    assert_refused(conn.run(pipeline(reset, "SELECT n FROM users")), "I")
    assert conn.query("SELECT n FROM users").rows == [["tenant1"]]
    assert_refused(conn.run(pipeline(reset, "SELECT n FROM users", "SELECT 1")), "I")
    assert conn.run(pipeline("SELECT n FROM users")).rows == [["tenant1"]]


def test_named_statements_in_a_pipeline(both):
    _, conn = both()
    conn.run(parse("r", "RESET ALL"), parse("s", "SELECT n FROM users"), sync())
    for _ in range(2):
        assert_refused(conn.run(bind("", "r"), execute(), bind("", "s"), execute(), sync()), "I")
        assert conn.run(bind("", "s"), execute(), sync()).rows == [["tenant1"]]
    conn.query("BEGIN")
    assert_refused(conn.run(bind("", "r"), execute(), parse("t", "SELECT 1"), sync()), "E")
    conn.query("ROLLBACK")
    assert conn.run(parse("t", "SELECT 2"), bind("", "t"), execute(), sync()).rows == [["2"]]


def test_a_portal_that_is_run_behind_it(both):
    _, conn = both()
    result = conn.run(parse("", "SELECT current_setting('app.t')"), bind("late"),
                      parse("r", "RESET app.t"), bind("", "r"), execute(), execute("late"), sync())
    assert_refused(result, "I")


def test_a_query_behind_it_without_a_sync(both):
    _, conn = both()
    conn.send(parse("", "RESET ALL") + bind() + execute() + query("SELECT n FROM users") + sync())
    assert_refused(conn.result(), "I")
    assert conn.result().error is None
    assert conn.query("SELECT n FROM users").rows == [["tenant1"]]


def test_pipelines_that_end_with_it(both):
    direct, conn = both()
    for texts in (["SELECT n FROM users", "RESET ALL"], ["SET search_path = t2", "RESET ALL"],
                  ["BEGIN", "SET LOCAL search_path TO DEFAULT"]):
        wanted = [direct.run(pipeline(*texts)).rows, direct.query(WHO).rows]
        assert [conn.run(pipeline(*texts)).rows, conn.query(WHO).rows] == wanted


def test_without_prepared_statements_of_the_pooler(make_pooler, pg, db):
    with pg.connect(db) as admin:
        admin.execute(SCHEMA)
    pooler = make_pooler(pool_mode="transaction", session_state="track", max_prepared_statements=0)
    conn = pooler.raw(options="-c search_path=tenant1")
    assert_refused(conn.query("RESET ALL; SELECT n FROM users"), "I")
    assert_refused(conn.run(pipeline("RESET ALL", "SELECT n FROM users")), "I")
    assert conn.run(pipeline("SELECT n FROM users")).rows == [["tenant1"]]


CODE = """
    CREATE FUNCTION f(v text) RETURNS text LANGUAGE plpgsql AS
        $$ BEGIN PERFORM set_config('app.fn', v, false); RETURN v; END $$;
    CREATE FUNCTION reset_timezone() RETURNS void LANGUAGE plpgsql AS
        $$ BEGIN RESET TimeZone; END $$;
    CREATE FUNCTION empties() RETURNS void LANGUAGE plpgsql AS
        $$ BEGIN PERFORM set_config('app.t', '', false); SET ROLE NONE; END $$;
"""
WITH_CODE = "-c role=lim -c app.t=one -c work_mem=3MB -c TimeZone=Asia/Tokyo"
SHOWN = ["SHOW TimeZone", "SHOW app.t", "SHOW role", "SHOW work_mem"]


@pytest.fixture
def with_code(both, pg, db):
    with pg.connect(db) as conn:
        conn.execute(CODE)
    return both


def answered(conn, data):
    """The errors of a pipeline of queries and of batches, by the answers to their ends."""
    conn.send(b"".join(data))
    return [(r.error.code if r.error else None, r.status) for r in (conn.result() for _ in data)]


DOUBTS = {
    "a call": "SELECT f('1')",
    "a DO": "DO $$ BEGIN NULL; END $$",
    "an EXECUTE": "EXECUTE x",
    "another meaning of quotes": "SET standard_conforming_strings = off",
}


@pytest.mark.parametrize("back", [
    "DISCARD ALL", "RESET ALL", "RESET ROLE", "RESET TIME ZONE", "RESET app.t",
    "SET app.t TO DEFAULT", "SET ROLE TO DEFAULT", "SELECT set_config('app.t', NULL, false)",
    "SET SESSION AUTHORIZATION DEFAULT", "SET ROLE NONE", "SET app.t = ''",
])
@pytest.mark.parametrize("doubt", DOUBTS)
def test_behind_what_keeps_a_text_from_being_read(with_code, doubt, back):
    pair = with_code(options=WITH_CODE)
    answers = []
    for conn in pair:
        conn.query("PREPARE x AS SELECT 1" if doubt == "an EXECUTE" else "SELECT 1")
        said = answered(conn, [query(DOUBTS[doubt]), query(back)])
        conn.query("RESET standard_conforming_strings")
        answers.append([said, messages(conn, SHOWN), messages(conn, SHOWN), conn.params])
    assert answers[1][:3] == answers[0][:3]


@pytest.mark.parametrize("back", ["DISCARD ALL", "RESET ALL", "RESET ROLE", "RESET app.t"])
@pytest.mark.parametrize("ends", [True, False])
def test_behind_a_call_in_batches(with_code, back, ends):
    pair = with_code(options=WITH_CODE)
    answers = []
    for conn in pair:
        conn.query("SELECT 1")
        if ends or back != "DISCARD ALL":
            parts = [pipeline("SELECT f('1')"), pipeline(back)] if ends else [
                pipeline("SELECT f('1')", back)]
            said = answered(conn, parts)
        else:
            said = []
        answers.append([said, messages(conn, SHOWN), messages(conn, SHOWN)])
    assert answers[1] == answers[0]


@pytest.mark.parametrize("text", [
    "DO $$ BEGIN RESET TimeZone; END $$",
    "DO $$ BEGIN RESET ALL; END $$",
    "DO $$ BEGIN RESET app.t; RESET work_mem; END $$",
    "DO $$ BEGIN RESET ROLE; END $$",
    "DO $$ BEGIN RESET ALL; END $$; RESET ALL",
    "DO $$ BEGIN SET app.t = ''; SET TimeZone = 'Etc/UTC'; END $$",
    "DO $$ BEGIN SET ROLE NONE; END $$",
    "SELECT reset_timezone()",
    "SELECT empties()",
])
def test_code_that_goes_back(with_code, text):
    pair = with_code(options=WITH_CODE)
    answers = []
    for conn in pair:
        conn.query("SELECT 1")
        conn.query(text)
        answers.append([messages(conn, SHOWN), messages(conn, SHOWN)])
    assert answers[1] == answers[0]


def test_client_is_told_what_code_took_back(with_code):
    direct, conn = with_code(options=WITH_CODE)
    for each in (direct, conn):
        each.query("DO $$ BEGIN RESET ALL; END $$")
    told = [m.parameter() for m in conn.query("SELECT 1").messages if m.kind == "S"]
    assert dict(told).get("TimeZone", conn.params["TimeZone"]) == "Asia/Tokyo"


def test_what_was_set_to_the_servers_default_stays(with_code, pg, db):
    """It is nowhere said to be set where the server has it anyway."""
    before = pg.raw("alice", db).query("SHOW TimeZone").value()
    direct, conn = with_code(options=WITH_CODE)
    for each in (direct, conn):
        each.query(f"SET TimeZone = '{before}'")
        each.query("SET app.t = ''; SET ROLE NONE")
        each.query("RESET work_mem")
    texts = ["SELECT f('1')", *SHOWN, "BEGIN", "SET LOCAL TimeZone = 'Asia/Tokyo'",
             "DO $$ BEGIN RESET work_mem; END $$", "COMMIT", *SHOWN]
    assert messages(conn, texts) == messages(direct, texts)


def test_what_the_server_does_not_give_back_ends_the_client(both, pg, db):
    """The right to the role was taken away: PostgreSQL itself goes back without a question."""
    _, conn = both()
    assert conn.query("SET ROLE NONE").error is None
    with pg.connect(db) as admin:
        admin.execute("REVOKE lim FROM alice")
        try:
            conn.send(query("RESET ROLE"))
            assert conn.expect_fatal().code == "08006"
        finally:
            admin.execute("GRANT lim TO alice")
