# SPDX-License-Identifier: PostgreSQL
"""Nothing of one client's session is ever another's, however it was made. One server for all, so
that the second client always comes to where the first has been."""

import struct

import pytest

from lib.wait import wait_for
from lib.wire import (bind, close, describe, execute, message, parse, query, run_named, sync,
                      terminate)

pytestmark = pytest.mark.pgweir_only


@pytest.fixture
def one(make_pooler):
    return make_pooler(pool_mode="transaction", default_pool_size=1, worker_threads=1,
                       session_state="track", server_reset_query="")


def value(conn, name):
    return conn.query(f"SELECT coalesce(current_setting('{name}', true), '')").value()


def define(pg, db, text):
    with pg.connect(db) as c:
        c.execute(text)


# What the database holds, what the first client runs, and the setting by which it would show.
HIDDEN = {
    "name given": ("""CREATE FUNCTION set_ctx(n text, v text) RETURNS text LANGUAGE plpgsql AS
                      $$ BEGIN RETURN set_config(n, v, false); END $$""",
                   "SELECT set_ctx(n, 'leak') FROM (SELECT reverse('1c.ppa') AS n) x", "app.c1"),
    "name of a built-in": ("""CREATE FUNCTION abs(t text) RETURNS text LANGUAGE sql AS
                              $$ SELECT set_config('work_mem', '14MB', false) $$""",
                           "SELECT abs('x'::text)", "work_mem"),
    "trigger in capitals": ("""CREATE FUNCTION setwm() RETURNS text LANGUAGE sql AS
                                 $$ SELECT set_config('work_mem', '9MB', false) $$;
                               CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS
                                 $$ BEGIN PERFORM SetWM(); RETURN NEW; END $$;
                               CREATE TABLE trg (a int); GRANT ALL ON trg TO public;
                               CREATE TRIGGER t BEFORE INSERT ON trg
                                 FOR EACH ROW EXECUTE FUNCTION tf()""",
                            "INSERT INTO trg VALUES (1)", "work_mem"),
    "view": ("""CREATE VIEW v AS SELECT set_config('work_mem', '8MB', false);
                GRANT ALL ON v TO public""", "SELECT * FROM v", "work_mem"),
    "like a column": ("""CREATE TABLE r (a int); INSERT INTO r VALUES (1); GRANT ALL ON r TO public;
                         CREATE FUNCTION evil(r) RETURNS text LANGUAGE sql AS
                           $$ SELECT set_config('work_mem', '7MB', false) $$""",
                      "SELECT r.evil FROM r", "work_mem"),
    "put together": ("""CREATE FUNCTION tset() RETURNS text LANGUAGE plpgsql AS
                        $$ BEGIN EXECUTE 'SET app.' || 'late = 1'; RETURN ''; END $$""",
                     "SELECT tset()", "app.late"),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_code_of_the_database(one, pg, db, name):
    code, text, setting = HIDDEN[name]
    define(pg, db, code)
    a, b = one.raw(), one.raw()
    before = value(b, setting)
    assert a.query(text).error is None
    assert value(b, setting) == before


def test_seed_within_a_function(one, pg, db):
    define(pg, db, "CREATE FUNCTION ss() RETURNS void LANGUAGE sql AS 'SELECT setseed(0.5)'")
    with pg.connect(db) as c:
        c.execute("SELECT setseed(0.5)")
        seeded = c.execute("SELECT random()").fetchone()[0]
    a, b = one.raw(), one.raw()
    b.query("SELECT 1")
    a.query("SELECT ss()")
    assert float(b.query("SELECT random()").value()) != seeded


def test_client_that_goes_while_its_settings_are_set(one):
    for how in ("close", "reset"):
        a, b = one.raw(), one.raw()
        a.query("SET work_mem = '33MB'")
        a.query(f"SET app.big = '{'x' * 200000}'")
        a.query("SET search_path = evil")
        b.query("SELECT 1")
        a.send(query("SELECT 1"))
        getattr(a, how)()
        assert value(b, "work_mem") != "33MB"
        assert value(b, "search_path") != "evil"


def test_text_that_reads_otherwise_under_another_setting(one):
    text = r"SELECT '\'' /* ' AS x -- */ , set_config('work_mem', '7MB', false)"
    a, b, c = one.raw(), one.raw(), one.raw()
    for conn in (a, b):
        conn.query("SET standard_conforming_strings = off")
        assert conn.run(parse("s", text), sync()).error is None
    a.query("SET standard_conforming_strings = on")
    a.run(bind("", "s"), execute(), sync())
    assert b.run(bind("", "s"), execute(), sync()).error is None
    assert value(b, "work_mem") == "7MB"
    assert value(c, "work_mem") != "7MB"


def test_statement_that_nobody_can_read(one):
    """Which settings it names is not known either."""
    a, b = one.raw(), one.raw()
    a.query("SET standard_conforming_strings = off")
    assert a.run(parse("s", "SET app.unread = 'leak'"), sync()).error is None
    assert a.run(bind("", "s"), execute(), sync()).error is None
    assert value(b, "app.unread") == ""
    assert value(a, "app.unread") == "leak"


def test_more_names_than_anybody_remembers(one, pg, db):
    define(pg, db, """CREATE FUNCTION tset() RETURNS text LANGUAGE sql AS
                      $$ SELECT set_config('zz.late', 'leak', false) $$""")
    clients = [one.raw() for _ in range(2)]
    for n, a in enumerate(clients):
        for i in range(45):
            a.query("; ".join(f"SET many{n}.n{i}_{k} = 1" for k in range(10)))
    clients[0].query("SELECT tset()")
    b = one.raw()
    assert value(b, "zz.late") == ""
    assert value(b, "many0.n0_0") == value(b, "many1.n44_9") == ""
    assert value(clients[0], "zz.late") == "leak"
    assert value(clients[0], "many0.n44_9") == "1"


def test_function_call(one, pg):
    oid = int(pg.execute("SELECT 'set_config(text, text, bool)'::regprocedure::oid::int")[0][0])
    args = [b"app.fc", b"leak", b"f"]
    body = oid.to_bytes(4, "big") + b"\0\0" + len(args).to_bytes(2, "big")
    for arg in args:
        body += len(arg).to_bytes(4, "big") + arg
    a, b = one.raw(), one.raw()
    a.send(message("F", body + b"\0\0"))
    assert a.recv_until("Z")[0].kind == "V"
    assert value(b, "app.fc") == ""


LARGE_OBJECTS = ("lo_creat", "lo_create", "lo_open", "lo_close", "loread", "lowrite", "lo_lseek",
                 "lo_lseek64", "lo_tell", "lo_tell64", "lo_truncate", "lo_truncate64", "lo_unlink",
                 "lo_import", "lo_export", "lo_from_bytea", "lo_get", "lo_put")


def test_large_objects_by_function_call(one, pg):
    """libpq's lo_creat() and its kin leave nothing, so no server connection is lost for them."""
    oids = [oid for oid, in pg.execute("SELECT oid::int FROM pg_proc WHERE proname = ANY (%s) AND"
                                       " pronamespace = 'pg_catalog'::regnamespace",
                                       (list(LARGE_OBJECTS),))]
    assert len(oids) >= len(LARGE_OBJECTS)
    a, b = one.raw(), one.raw()
    pid = b.query("SELECT pg_backend_pid()").value()
    a.query("BEGIN")
    a.send(message("F", struct.pack("!ihhhiih", 957, 1, 1, 1, 4, -1, 1)))
    assert a.recv_until("Z")[0].kind == "V"
    a.query("COMMIT")
    assert b.query("SELECT pg_backend_pid()").value() == pid
    for oid in oids:
        a.send(message("F", struct.pack("!ihhh", oid, 0, 0, 0)))
        assert a.recv_until("Z")[0].kind == "E"
        assert b.query("SELECT pg_backend_pid()").value() == pid


@pytest.fixture(params=[200, 0])
def one_of_names(make_pooler, request):
    """Names of statements are virtual, or the server's."""
    return make_pooler(pool_mode="transaction", default_pool_size=1, worker_threads=1,
                       session_state="track", server_reset_query="", max_prepared_statements=request.param)


def test_unnamed_statement_of_another(one_of_names):
    a, b = one_of_names.raw(), one_of_names.raw()
    assert a.run(parse("", "SELECT 'mine'"), sync()).error is None
    assert b.run(bind(), execute(), sync()).error.code == "26000"
    assert b.run(parse("", "SELECT 'theirs'"), sync()).error is None
    assert a.run(describe("S"), sync()).error is None
    result = a.run(bind(), execute(), sync())
    assert result.kinds == "2DCZ"
    assert result.value() == "mine"
    a.query("SELECT 1")
    assert a.run(bind(), execute(), sync()).error.code == "26000"


def test_goodbye_right_behind_a_setting(one):
    b = one.raw()
    for text in ("SET work_mem = '5MB'", "SET app.bye = 'x'", "SET ROLE NONE; SET work_mem = 64"):
        with one.raw() as a:
            a.send(query(text) + terminate())
        assert value(b, "work_mem") not in ("5MB", "64kB")
        assert value(b, "app.bye") == ""


def test_connect_query(make_pooler, pg, db):
    """What it has set is every client's, and stays: sessions are not tracked there."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track",
                         databases={db: {"host": pg.host, "port": pg.port,
                                         "connect_query": "SET work_mem = '21MB'"}})
    a, b = pooler.raw(), pooler.raw()
    a.query("SET lock_timeout = '5s'")
    assert value(b, "work_mem") == "21MB"
    assert value(pooler.raw(), "work_mem") == "21MB"


def test_values_in_several_encodings(one):
    a, b = one.raw(client_encoding="UTF8"), one.raw(client_encoding="LATIN1")
    a.send(query("SET app.name = 'José'"))
    assert a.result().error is None
    b.query("SELECT 1")
    assert value(a, "app.name") == "José"


def test_limits_of_the_client_are_not_its_end(one):
    """Where the server does not answer in time what the session has become, the client stays."""
    a = one.raw()
    a.query("SET statement_timeout = '1ms'")
    for _ in range(3):
        a.query("SELECT set_config('app.x', 'y', false)")
        a.query("DO $$ BEGIN PERFORM pg_sleep(0.01); EXCEPTION WHEN query_canceled THEN END $$")
    assert a.query("SELECT 1").value() == "1" or a.query("SELECT 1").error.code == "57014"


def test_client_from_before_tracking(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, worker_threads=1,
                         session_state="off")
    old = pooler.raw()
    old.query("SELECT 1")
    pooler.settings["session_state"] = "track"
    pooler.reload()
    new = pooler.raw()
    old.query("SET work_mem = '66MB'")
    assert value(new, "work_mem") != "66MB"


def test_close_and_describe_by_name_still_work(one):
    a = one.raw()
    assert a.run(parse("s", "SELECT 1"), describe("S", "s"), close("S", "s"), sync()).error is None
    wait_for(lambda: one.pool()["sv_active"] == 0)


LOCALLY = ["SET LOCAL transform_null_equals = on", "SAVEPOINT p; SET LOCAL transform_null_equals = on",
           "SELECT set_config('transform_null_equals', 'on', true)",
           'SET LOCAL "Transform_Null_Equals" = on']


@pytest.mark.parametrize("how", LOCALLY)
def test_parsed_under_a_setting_of_one_transaction(one, how):
    text = "SELECT count(*) FROM (VALUES (NULL::int)) v(a) WHERE a = NULL"
    a, b = one.raw(), one.raw()
    for end in ("ROLLBACK", "COMMIT"):
        a.query("BEGIN")
        a.query(how)
        assert a.run(parse(end, text), run_named(end)).value() == "1"
        a.query(end)
        assert b.run(parse(end, text), run_named(end)).value() == "0"


LEAVING = ["SET search_path = evil", "SET app.tenant = 'other'", "SET ROLE {role}",
           "CREATE TEMP TABLE IF NOT EXISTS leak (a int)", "SELECT pg_try_advisory_lock(77)"]
SEEN = ("SELECT current_user, current_setting('work_mem'), current_setting('search_path'),"
        " coalesce(current_setting('app.tenant', true), ''), to_regclass('pg_temp.leak')")


@pytest.mark.parametrize("first, second", [("track", "off"), ("off", "track")])
@pytest.mark.parametrize("size", [1, 3])
def test_session_state_changed_by_reload(make_pooler, pg, db, first, second, size):
    """Who is tracked never comes to what others have left, whoever logged in before."""
    pg.execute(f"CREATE ROLE of_{db}; GRANT of_{db} TO alice")
    pooler = make_pooler(pool_mode="transaction", default_pool_size=size, session_state=first)
    old = pooler.raw()
    old.query("SELECT 1")
    pooler.settings["session_state"] = second
    pooler.reload()
    new = pooler.raw()
    tracked, other = (old, new) if first == "track" else (new, old)
    tracked.query("SET work_mem = '7MB'")
    wanted = tracked.query(SEEN).rows
    for _ in range(3):
        for text in LEAVING:
            assert other.query(text.format(role=f"of_{db}")).error is None
            assert tracked.query(SEEN).rows == wanted, text
    pooler.settings["session_state"] = "track"
    pooler.reload()
    last = pooler.raw()
    last.query("SET work_mem = '7MB'")
    assert [last.query(SEEN).rows for _ in range(size + 1)] == [wanted] * (size + 1)


SETTERS = """
CREATE FUNCTION set_it() RETURNS text LANGUAGE sql AS
    $$SELECT set_config('transform_null_equals', 'on', true)$$;
CREATE FUNCTION set_by_name() RETURNS void LANGUAGE plpgsql AS
    $$BEGIN SET LOCAL transform_null_equals = on; END$$;
CREATE TABLE tt (a int);
CREATE FUNCTION set_by_trigger() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN SET LOCAL transform_null_equals = on; RETURN NEW; END$$;
CREATE TRIGGER tr BEFORE INSERT ON tt FOR EACH ROW EXECUTE FUNCTION set_by_trigger();
GRANT ALL ON tt TO public"""


@pytest.mark.parametrize("how", ["SELECT set_it()", "SELECT set_by_name()",
                                 "INSERT INTO tt VALUES (1)", "DO 'BEGIN PERFORM set_it(); END'"])
def test_parsed_under_a_setting_of_code(one, pg, db, how):
    define(pg, db, SETTERS)
    text = "SELECT count(*) FROM (VALUES (NULL::int)) v(a) WHERE a = NULL"
    a, b = one.raw(), one.raw()
    for end in ("ROLLBACK", "COMMIT"):
        a.query("BEGIN")
        assert a.query(how).error is None
        assert a.run(parse(end, text), run_named(end)).value() == "1"
        a.query(end)
        assert b.run(parse(end, text), run_named(end)).value() == "0"


@pytest.mark.parametrize("how", ["SET LOCAL search_path = priv", "SET search_path = priv",
                                 "SELECT set_config('search_path', 'priv', true)"])
@pytest.mark.parametrize("is_linked", [False, True])
def test_parsed_in_a_schema_of_one_transaction(one, pg, db, how, is_linked):
    """Whether its names are there the server says to each client."""
    define(pg, db, """CREATE SCHEMA priv; CREATE TABLE priv.tt (v int);
                      GRANT ALL ON SCHEMA priv TO public; GRANT ALL ON priv.tt TO public""")
    a, b = one.raw(), one.raw()
    a.query("BEGIN")
    a.query(how)
    assert a.run(parse("s", "SELECT * FROM tt"), run_named("s")).error is None
    a.query("ROLLBACK")
    if is_linked:
        b.query("BEGIN")
    assert b.run(parse("s", "SELECT * FROM tt"), sync()).error.code == "42P01"


def test_unnamed_statement_of_another_behind_an_error(one_of_names):
    """What was to bring the client's own, or to drop the other's, was skipped."""
    own = parse("", "SELECT 'mine'")
    for first in (b"", own, query("SELECT 1")):
        a, b = one_of_names.raw(), one_of_names.raw()
        a.run(parse("b", "BEGIN"), parse("sp", "SAVEPOINT p"), parse("rb", "ROLLBACK TO p"), own,
              sync())
        assert b.run(parse("", "SELECT 'theirs'"), bind(), execute(), sync()).error is None
        a.run(run_named("b"))
        a.run(run_named("sp"))
        a.send(bind("", "nope") + first + bind() + sync())
        a.send(run_named("rb") + bind() + execute() + sync())
        got = [a.result() for _ in range(3)]
        assert got[0].error.code == "26000"
        assert got[2].error or got[2].rows == [["mine"]], got[2].rows
        a.run(run_named("rb"))
        got = a.run(bind(), execute(), sync())
        assert got.error or got.rows == [["mine"]], got.rows
        a.close()
        b.close()


@pytest.mark.parametrize("text", ["SET seed TO 0.5", "SET SESSION \"seed\" = 0.5",
                                  "SET LOCAL seed TO 0.5"])
@pytest.mark.parametrize("first", ["SELECT 1", "SELECT f('1')"])
def test_seed_behind_a_call(make_pooler, pg, db, first, text):
    define(pg, db, "CREATE FUNCTION f(v text) RETURNS text LANGUAGE plpgsql AS"
                   " $$ BEGIN PERFORM set_config('app.fn', v, false); RETURN v; END $$")
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, worker_threads=1,
                         session_state="track", max_pinned_share=0)
    conn = pooler.raw()
    conn.query("SELECT 1")
    conn.send(query(first) + query("BEGIN; " + text + "; COMMIT"))
    conn.result()
    assert conn.result().error is None
    assert [row["reasons"] for row in pooler.console("SHOW PINS")] == ["setseed"]
    conn.leave()
    wait_for(lambda: not [r for r in pooler.console("SHOW SERVERS") if r["state"] == "used"])
