# SPDX-License-Identifier: PostgreSQL
"""What the code of a database may leave in a session is known by the names of its functions: who
calls others pays nothing for it, and nothing of what they leave reaches anybody."""

import pytest

from lib.wait import wait_for
from lib.wire import bind, execute, parse, sync

pytestmark = pytest.mark.pgweir_only

OPAQUE = """CREATE FUNCTION set_ctx(n text, v text) RETURNS text LANGUAGE plpgsql AS
            $$ BEGIN RETURN set_config(n, v, false); END $$;"""
CODE = OPAQUE + """
    CREATE FUNCTION set_wm() RETURNS text LANGUAGE sql AS
      $$ SELECT set_config('work_mem', '9MB', false) $$;
    CREATE FUNCTION plain(a int) RETURNS int LANGUAGE sql AS $$ SELECT a + 1 $$;
    CREATE TABLE t (a int); GRANT ALL ON t TO public"""


@pytest.fixture
def make_one(make_pooler, pg, db):
    def make(code, **settings):
        with pg.connect(db) as c:
            c.execute(code)
        return make_pooler(pool_mode="transaction", default_pool_size=1, worker_threads=1,
                           session_state="track", server_reset_query="", **settings)

    return make


def pid(conn):
    return conn.query("SELECT pg_backend_pid()").value()


def value(conn, name):
    return conn.query(f"SELECT coalesce(current_setting('{name}', true), '')").value()


WHO_ASKS = ("SELECT pid FROM pg_stat_activity WHERE datname = %s AND state = 'active'"
            " AND query LIKE '%%inner_code%%'")


def askers(pg, db):
    """How many servers think about what code there is."""
    return len(pg.execute(WHO_ASKS, [db]))


def opened(pooler):
    """The server connections of the pool that there have been, as ids."""
    return {row["id"] for row in pooler.console("SHOW SERVERS")}


def keeps_its_link(pooler, conn, text):
    before = pid(conn), opened(pooler)
    assert conn.query(text).error is None
    return (pid(conn), opened(pooler)) == before


@pytest.mark.parametrize("text", [
    "SELECT plain(1)",
    "SELECT public.plain(1), abs(-1)",
    "SELECT * FROM t",
    "INSERT INTO t VALUES (plain(1))",
    "SELECT set_wm()",
    "BEGIN; SELECT set_wm(); COMMIT",
])
def test_calls_of_others_keep_their_link(make_one, text):
    one = make_one(CODE)
    a, b = one.raw(), one.raw()
    b.query("SELECT 1")
    for _ in range(3):
        assert keeps_its_link(one, a, text)
    assert value(b, "work_mem") != "9MB"
    assert value(a, "work_mem") == ("9MB" if "set_wm" in text else value(b, "work_mem"))


@pytest.mark.parametrize("text", [
    "SELECT set_ctx({name}, 'leak')",
    "SELECT public.SET_CTX({name}, 'leak')",
    'SELECT "set_ctx"({name}, \'leak\')',
    'SELECT U&"\\0073et_ctx"({name}, \'leak\')',
    "BEGIN; SELECT plain(1); SELECT set_ctx({name}, 'leak'); COMMIT",
    "DO $$ BEGIN PERFORM set_ctx({name}, 'leak'); END $$",
    "PREPARE p AS SELECT set_ctx({name}, 'leak'); EXECUTE p; DEALLOCATE p",
    "COPY (SELECT set_ctx({name}, 'leak')) TO STDOUT",
    "SELECT query_to_xml('SELECT set_ctx({quoted}, ''leak'')', true, true, '')",
    "SELECT " + "+".join(["1"] * 2000) + ", set_ctx({name}, 'leak')",
])
def test_calls_of_the_opaque_one_leave_nothing(make_one, text):
    one = make_one(CODE)
    a, b = one.raw(), one.raw()
    before = pid(b)
    name = "(SELECT reverse('1c.ppa'))"
    quoted = name.replace("'", "''")
    assert a.query(text.replace("{name}", name).replace("{quoted}", quoted)).error is None
    assert value(b, "app.c1") == ""
    assert pid(b) != before


# How an opaque function is called without its name in the text.
UNNAMED = {
    "through another": ("""CREATE FUNCTION outer_one() RETURNS text LANGUAGE sql AS
                           $$ SELECT SET_CTX /* */ ('app' || '.c1', 'leak') $$""",
                        "SELECT outer_one()"),
    "through an aggregate": ("""CREATE AGGREGATE agg(text) (sfunc = set_ctx, stype = text,
                                                            initcond = 'app.c1')""",
                             "SELECT agg('leak')"),
    "by a default of an argument": ("""CREATE FUNCTION f(x text DEFAULT
                                         set_ctx('app' || '.c1', 'leak')) RETURNS text
                                       LANGUAGE sql AS 'SELECT x'""", "SELECT f()"),
    "by an operator": ("""CREATE OPERATOR ~~> (leftarg = text, rightarg = text,
                                               procedure = set_ctx)""",
                       "SELECT ('app' || '.c1') ~~> 'leak'"),
    "by a cast": ("""CREATE TYPE pair AS (n text); CREATE FUNCTION cast_it(pair) RETURNS int
                     LANGUAGE sql AS $$ SELECT length(set_ctx('app' || '.c1', 'leak')) $$;
                     CREATE CAST (pair AS int) WITH FUNCTION cast_it(pair)""",
                  "SELECT ROW('x')::pair::int"),
    "as a column": ("""CREATE FUNCTION col(t, x int DEFAULT 1) RETURNS text LANGUAGE sql AS
                       $$ SELECT set_ctx('app' || '.c1', 'leak') $$; INSERT INTO t VALUES (1)""",
                    "SELECT t.col FROM t"),
    "by a default": ("""CREATE TABLE d (a text DEFAULT set_ctx('app' || '.c1', 'leak'), b int);
                        GRANT ALL ON d TO public""", "INSERT INTO d (b) VALUES (1)"),
    "by a cascade": ("""CREATE TABLE p (a int PRIMARY KEY); INSERT INTO p VALUES (1);
                        CREATE TABLE c (a int REFERENCES p ON DELETE CASCADE);
                        INSERT INTO c VALUES (1); GRANT ALL ON p, c TO public;
                        CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS
                          $$ BEGIN PERFORM set_ctx('app' || '.c1', 'leak'); RETURN OLD; END $$;
                        CREATE TRIGGER tr BEFORE DELETE ON c FOR EACH ROW
                          EXECUTE FUNCTION tf()""", "DELETE FROM p"),
    "by a policy": ("""ALTER TABLE t ENABLE ROW LEVEL SECURITY; INSERT INTO t VALUES (1);
                       CREATE POLICY p ON t USING (set_ctx('app' || '.c1', 'leak') = 'leak')""",
                    "SELECT * FROM t"),
    "by a rule": ("""CREATE RULE r AS ON INSERT TO t WHERE set_ctx('app' || '.c1', 'leak') = ''
                     DO ALSO NOTHING""", "INSERT INTO t VALUES (1)"),
}


# PostgreSQL calls f(x) for (x).f, its own functions too.
NOTATIONS = {
    "of a value": "SELECT ('evil'::text).settenant",
    "behind others": "SELECT 1, ('evil'::text).settenant",
    "of an element": "SELECT a[1].settenant FROM (SELECT ARRAY['evil'::text] AS a) x",
    "of a function's row": "SELECT x.settenant FROM unnest(ARRAY['evil'::text]) x",
    "of a word's row": "SELECT x.settenant FROM current_user x",
    "of a subquery": "SELECT (SELECT 'evil'::text).settenant",
    "within another": "SELECT wrapped()",
}


@pytest.mark.parametrize("how", NOTATIONS)
def test_functional_notation(make_one, how):
    one = make_one("""CREATE FUNCTION settenant(text) RETURNS text LANGUAGE sql AS
                      $$ SELECT set_config('app.tenant', $1, false) $$;
                      CREATE FUNCTION wrapped() RETURNS text LANGUAGE sql AS
                      $$ SELECT ('evil'::text).settenant $$""")
    a, b = one.raw(), one.raw()
    b.query("SELECT 1")
    assert a.query(NOTATIONS[how]).error is None
    assert value(a, "app.tenant") in ("evil", a.query("SELECT current_user").value())
    assert value(b, "app.tenant") == ""


def test_functional_notation_of_parameters(make_one):
    one = make_one("""CREATE FUNCTION settenant(text) RETURNS text LANGUAGE sql AS
                      $$ SELECT set_config('app.tenant', $1, false) $$""")
    a, b = one.raw(), one.raw()
    a.send(parse("", "SELECT $1.settenant", [25]) + bind("", "", [b"evil"]) + execute() + sync())
    assert a.result().error is None
    assert value(b, "app.tenant") == ""
    assert value(a, "app.tenant") == "evil"


def test_functional_notation_pins(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, worker_threads=1,
                         session_state="track")
    a = pooler.raw()
    assert a.query("SELECT 1, (42::bigint).pg_advisory_lock").error is None
    wait_for(lambda: [row["reasons"] for row in pooler.console("SHOW PINS")] == ["advisory locks"])


@pytest.mark.parametrize("how", UNNAMED)
def test_opaque_function_that_is_not_named(make_one, how):
    code, text = UNNAMED[how]
    one = make_one(CODE + ";" + code)
    a, b = one.raw(), one.raw()
    b.query("SELECT 1")
    assert a.query(text).error is None
    assert value(b, "app.c1") == ""


# Code that runs where a table is written to, or where something is made; and the ways there.
TRIGGER = """CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN PERFORM set_ctx('app' || '.c1', 'leak'); RETURN NEW; END $$;
             CREATE TRIGGER tr AFTER INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION tf();
             CREATE FUNCTION writer() RETURNS int LANGUAGE sql AS
               $$ INSERT INTO t VALUES (1); SELECT 1 $$;
             CREATE FUNCTION reader() RETURNS bigint LANGUAGE sql AS
               $$ SELECT count(*) FROM t $$;
             CREATE FUNCTION outer_writer() RETURNS int LANGUAGE plpgsql AS
               $$ BEGIN RETURN writer(); END $$;
             CREATE FUNCTION dynamic() RETURNS int LANGUAGE plpgsql AS
               $$ BEGIN EXECUTE 'INS' || 'ERT INTO t VALUES (1)'; RETURN 1; END $$;
             CREATE VIEW tv AS SELECT * FROM t; GRANT ALL ON tv TO public"""
EVENT_TRIGGER = """CREATE FUNCTION ef() RETURNS event_trigger LANGUAGE plpgsql AS
                     $$ BEGIN PERFORM set_ctx('app' || '.c1', 'leak'); END $$;
                   CREATE EVENT TRIGGER et ON ddl_command_end EXECUTE FUNCTION ef();
                   GRANT CREATE ON SCHEMA public TO public;
                   CREATE FUNCTION maker() RETURNS int LANGUAGE plpgsql AS
                     $$ BEGIN EXECUTE 'CRE' || 'ATE TABLE made (a int)'; RETURN 1; END $$;
                   CREATE PROCEDURE proc() LANGUAGE plpgsql AS
                     $$ BEGIN CREATE TABLE made (a int); END $$"""
RUNS_TRIGGER = [
    "INSERT INTO t VALUES (1)",
    "INSERT INTO tv VALUES (1)",
    "WITH i AS (INSERT INTO t VALUES (1) RETURNING a) SELECT * FROM i",
    "EXPLAIN ANALYZE INSERT INTO t VALUES (1)",
    "MERGE INTO t USING (VALUES (1)) x ON false WHEN NOT MATCHED THEN INSERT VALUES (1)",
    "SELECT writer()",
    "SELECT outer_writer()",
    "SELECT dynamic()",
    "BEGIN; SELECT 1; INSERT INTO t VALUES (1); SELECT 1; COMMIT",
    "PREPARE p AS INSERT INTO t VALUES (1); EXECUTE p; DEALLOCATE p",
    "DO $$ BEGIN INSERT INTO t VALUES (1); END $$",
]
RUNS_EVENT_TRIGGER = [
    "CREATE TABLE made (a int)",
    "SELECT 1 AS a INTO made",
    "WITH a AS (SELECT 1) SELECT * INTO made FROM a",
    "COMMENT ON FUNCTION maker() IS 'x'",
    "SELECT maker()",
    "CALL proc()",
    "EXPLAIN ANALYZE CREATE TABLE made AS SELECT 1",
]


USES = {"trigger": TRIGGER, "event trigger": EVENT_TRIGGER}


@pytest.mark.parametrize("kind, text", [("trigger", text) for text in RUNS_TRIGGER] +
                         [("event trigger", text) for text in RUNS_EVENT_TRIGGER])
def test_use_of_tables_leaves_nothing(make_one, pg, db, kind, text):
    one = make_one(CODE + ";" + USES[kind])
    if "COMMENT" in text:
        with pg.connect(db) as c:
            c.execute("ALTER FUNCTION maker() OWNER TO alice")
    a, b = one.raw(), one.raw()
    assert keeps_its_link(one, a, "SELECT 1")
    before = pid(b)
    assert a.query(text).error is None
    assert value(b, "app.c1") == ""
    assert pid(b) != before


@pytest.mark.parametrize("kind, text", [
    ("trigger", "SELECT * FROM t"),
    ("trigger", "SELECT reader(), plain(1)"),
    ("trigger", "BEGIN; DECLARE c CURSOR FOR SELECT * FROM tv; FETCH c; COMMIT"),
    ("trigger", "SET LOCAL work_mem = '1MB'"),
    ("event trigger", "SELECT reader()"),
    ("event trigger", "INSERT INTO t VALUES (plain(1))"),
    ("event trigger", "COPY t TO STDOUT"),
    ("event trigger", "SELECT log_it()"),
])
def test_other_use_of_tables_costs_nothing(make_one, kind, text):
    """An audit trigger somewhere is no reason to give up the links of those who only read."""
    readers = "" if kind == "trigger" else """;CREATE FUNCTION reader() RETURNS bigint
        LANGUAGE sql AS $$ SELECT count(*) FROM t $$; CREATE FUNCTION log_it() RETURNS int
        LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (1); RETURN 1; END $$"""
    one = make_one(CODE + ";" + USES[kind] + readers)
    a = one.raw()
    a.query("SELECT 1")
    for _ in range(3):
        assert keeps_its_link(one, a, text)


# What the database holds without any function named above, what is run, where it shows.
HIDDEN = {
    "aggregate over a built-in": ("""CREATE AGGREGATE agg(text, bool) (sfunc = set_config,
                                     stype = text, initcond = 'app.c1')""",
                                  "SELECT agg('leak', false)"),
    "default of an argument": ("""CREATE FUNCTION f(x text DEFAULT
                                    set_config('app' || '.c1', 'leak', false)) RETURNS text
                                  LANGUAGE sql AS 'SELECT x'""", "SELECT f()"),
    "default of a domain": ("""CREATE DOMAIN d AS text DEFAULT set_config('app.c1', 'leak', false);
                               CREATE TABLE dt (a d, b int); GRANT ALL ON dt TO public""",
                            "INSERT INTO dt (b) VALUES (1)"),
    "check of a domain": ("""CREATE DOMAIN d AS text CHECK
                               (set_config('app.c1', 'leak', false) = 'leak')""",
                          "SELECT 'x'::d"),
    "check of a table": ("""CREATE TABLE ct (a int CHECK
                              (set_config('app.c1', 'leak', false) = 'leak'));
                            GRANT ALL ON ct TO public;
                            CREATE FUNCTION f() RETURNS int LANGUAGE sql AS
                            $$ INSERT INTO ct VALUES (1) RETURNING a $$""", "SELECT f()"),
    "view of a function that writes": (
        """CREATE TABLE wt (a int DEFAULT length(set_config('app.c1', 'leak', false)), b int);
           GRANT ALL ON wt TO public; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS
           $$ INSERT INTO wt (b) VALUES (1) RETURNING a $$; CREATE VIEW v AS SELECT f();
           GRANT ALL ON v TO public""", "SELECT * FROM v"),
    "condition of a rule": ("""CREATE TABLE rt (a int); GRANT ALL ON rt TO public;
                               CREATE RULE r AS ON INSERT TO rt
                               WHERE set_config('app.c1', 'leak', false) = '' DO ALSO NOTHING""",
                            "INSERT INTO rt VALUES (1)"),
    "name in a view": ("""CREATE VIEW v AS SELECT set_config('app.c1', 'leak', false);
                          GRANT ALL ON v TO public""", "SELECT * FROM v"),
    "name in escapes": ("""CREATE FUNCTION f() RETURNS text LANGUAGE sql AS
                           $f$ SELECT U&"set\\005fconfig"('app.c1', 'leak', false) $f$""",
                        "SELECT f()"),
    "DO within a function": ("""CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $f$
                                DO 'BEGIN PERFORM set_'
                                'config(''app.c1'', ''leak'', false); END';
                                SELECT 'x'::text $f$""", "SELECT f()"),
    "three parts": ("""CREATE FUNCTION f() RETURNS text LANGUAGE sql AS
                       $$ SELECT set_config('app.c1.x', 'leak', false) $$""", "SELECT f()"),
    "two literals": ("""CREATE FUNCTION f() RETURNS text LANGUAGE sql AS
                        $$ SELECT set_config('app' || '.c1', 'leak', false) $$""", "SELECT f()"),
    "quoted name": ("""CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS
                       $$ BEGIN SET "app"."c1" = 'leak'; RETURN ''; END $$""", "SELECT f()"),
    "spaces in a name": ("""CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS
                            $$ BEGIN SET app . c1 = 'leak'; RETURN ''; END $$""", "SELECT f()"),
    "SET of a name": ("""CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS
                         $$ DECLARE n text := reverse('1c.ppa'); BEGIN
                         EXECUTE 'SET ' || n || ' = leak'; RETURN ''; END $$""", "SELECT f()"),
    "SET by format": ("""CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS
                         $$ BEGIN EXECUTE format('SET %s = leak', reverse('1c.ppa'));
                         RETURN ''; END $$""", "SELECT f()"),
    "EXECUTE of an argument": ("""CREATE FUNCTION f(q text) RETURNS text LANGUAGE plpgsql AS
                                  $$ BEGIN EXECUTE q; RETURN ''; END $$""",
                               "SELECT f(reverse('kael=1c.ppa TES'))"),
    "EXECUTE from a table": ("""CREATE TABLE cmd (c text); INSERT INTO cmd VALUES
                                  ('SET app.c1 = leak'); GRANT ALL ON cmd TO public;
                                CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS
                                $$ BEGIN EXECUTE (SELECT c FROM cmd); RETURN ''; END $$""",
                             "SELECT f()"),
    "query of an argument": ("""CREATE FUNCTION f(q text) RETURNS xml LANGUAGE sql AS
                                $$ SELECT query_to_xml(q, true, true, '') $$""",
                             "SELECT f('SELECT set_config(''app'' || ''.c1'', ''leak'', false)')"),
    "another language": ("""CREATE TRUSTED LANGUAGE other HANDLER plpgsql_call_handler;
                            GRANT USAGE ON LANGUAGE other TO public;
                            CREATE FUNCTION f() RETURNS text LANGUAGE other AS
                            $$ BEGIN SET app.c1 = 'leak'; RETURN ''; END $$""", "SELECT f()"),
    "DO in the text": ("", "DO $$ BEGIN EXECUTE 'SET ' || 'app' || '.c1 = leak'; END $$"),
    "set_config within DO": ("", "DO $$ BEGIN PERFORM set_config('app' || '.c1', 'leak', false);"
                                 " END $$"),
    "function for a moment": ("GRANT CREATE ON SCHEMA public TO public",
                              "BEGIN; CREATE FUNCTION f(n text) RETURNS text LANGUAGE sql AS"
                              " 'SELECT set_config(n, ''leak'', false)'; SELECT f('app' || '.c1');"
                              " DROP FUNCTION f(text); COMMIT"),
    "threshold of pg_trgm": ("CREATE EXTENSION pg_trgm", "SELECT set_limit(0.77)"),
}


# Its client keeps the link until it goes.
PINNED = ("set_config within DO", "query of an argument", "function for a moment")


@pytest.mark.parametrize("how", HIDDEN)
def test_hidden(make_one, how):
    code, text = HIDDEN[how]
    one = make_one(code or "SELECT 1")
    a, b = one.raw(), one.raw()
    b.query("SELECT 1")
    assert a.query(text).error is None
    if how in PINNED:
        a.close()
    name = {"three parts": "app.c1.x", "threshold of pg_trgm": "pg_trgm.similarity_threshold"}
    assert value(b, name.get(how, "app.c1")) not in ("leak", "0.77")


def test_weak_input_of_isn(make_one):
    one = make_one("CREATE EXTENSION isn")
    a, b = one.raw(), one.raw()
    b.query("SELECT 1")
    a.query("SELECT isn_weak(true)")
    assert b.query("SELECT isn_weak()").value() == "f"


# Bodies that look dangerous at first sight.
HARMLESS = {
    "dynamic query": """DECLARE q text; BEGIN q := 'SELECT 1 WHERE ' || 'true'; EXECUTE q;
                        RETURN 1; END""",
    "dynamic query of format": """BEGIN EXECUTE format('UPDATE %I SET %I = 1', 't', 'a');
                                  RETURN 1; END""",
    "quoted column": """BEGIN UPDATE t SET "a" = 2; RETURN 1; END""",
    "name for a transaction": """BEGIN PERFORM set_config(n, coalesce(n, 'x'), true) FROM
                                 (SELECT 'app' || '.z' AS n) x; RETURN 1; END""",
    "name in a comment": """BEGIN -- set_config is for others, load too
                            RETURN 1; END""",
}


@pytest.mark.parametrize("how", HARMLESS)
def test_no_link_is_lost_for_nothing(make_one, how):
    one = make_one(CODE + f"""; CREATE FUNCTION g() RETURNS int LANGUAGE plpgsql AS
                              $g$ {HARMLESS[how]} $g$""")
    a = one.raw()
    a.query("SELECT 1")
    for _ in range(3):
        assert keeps_its_link(one, a, "SELECT g()")


def test_function_that_is_made_through_the_pooler(make_one):
    """It counts at once, whoever makes it."""
    one = make_one(CODE + "; GRANT CREATE ON SCHEMA public TO public")
    a, b = one.raw(), one.raw()
    assert keeps_its_link(one, a, "SELECT plain(1)")
    assert b.query("CREATE FUNCTION late(n text) RETURNS text LANGUAGE sql AS"
                   " $$ SELECT set_ctx(n, 'leak') $$").error is None
    a.query("SELECT late(reverse('1c.ppa'))")
    assert value(b, "app.c1") == ""


MAKERS = {
    "of a trigger": """CREATE FUNCTION leaves() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN CREATE TEMP TABLE IF NOT EXISTS seen (a int); RETURN NEW; END $$;
        CREATE PROCEDURE make() SECURITY DEFINER LANGUAGE plpgsql AS $$ BEGIN
        CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION leaves(); END $$""",
    "of a function": """CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
        ALTER FUNCTION f() OWNER TO alice;
        CREATE PROCEDURE make() LANGUAGE plpgsql AS $$ BEGIN
        EXECUTE 'CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE plpgsql AS
                 $x$ BEGIN CREATE TEMP TABLE IF NOT EXISTS seen (a int); RETURN 1; END $x$'; END $$""",
    "by another": """CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE FUNCTION g() RETURNS int LANGUAGE plpgsql AS
        $$ BEGIN CREATE TEMP TABLE IF NOT EXISTS seen (a int); RETURN 1; END $$;
        CREATE FUNCTION inner_make() RETURNS void SECURITY DEFINER LANGUAGE plpgsql AS $$ BEGIN
        CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT g()'; END $$;
        CREATE PROCEDURE make() LANGUAGE plpgsql AS $$ BEGIN PERFORM inner_make(); END $$""",
}


@pytest.mark.parametrize("how", MAKERS)
def test_code_that_makes_code(make_pooler, pg, db, how):
    """What a function makes others of counts from the end of its transaction."""
    pooler = make_shared(make_pooler, pg, db, CODE + ";" + MAKERS[how], 2)
    use = "INSERT INTO t VALUES (1)" if "trigger" in how else "SELECT f()"
    a, b = pooler.raw(), pooler.raw()
    for _ in range(3):
        assert a.query(use).error is None
        assert pooler.console("SHOW PINS") == []
    assert a.query("CALL make()").error is None
    assert a.query(use).error is None
    wait_for(lambda: [row["reasons"] for row in pooler.console("SHOW PINS")] == ["temporary objects"])
    b.query("BEGIN")
    assert a.query("SELECT count(*) FROM seen").error is None


@pytest.mark.parametrize("text, is_asked", [
    ("CREATE TEMP TABLE x (a int) ON COMMIT DROP", False),
    ("CREATE TABLE y (a int)", False),
    ("CREATE TABLE z (a int DEFAULT plain(1))", True),
    ("CREATE VIEW v AS SELECT 1", True),
])
def test_new_tables_are_no_new_code(make_pooler, pg, db, text, is_asked):
    """After a change of code the first one asks what that is, on its own server."""
    with pg.connect(db) as c:
        c.execute(CODE + "; GRANT CREATE ON SCHEMA public TO public")
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, worker_threads=1,
                         session_state="track")
    a = pooler.raw()
    a.query("BEGIN")
    assert a.query(text).error is None
    with pg.connect(db, autocommit=False) as lock:
        lock.execute("LOCK TABLE pg_catalog.pg_policy IN ACCESS EXCLUSIVE MODE")
        a.query("ROLLBACK" if "z" in text else "COMMIT")
        wait_for(lambda: askers(pg, db) == 1 or pooler.pool()["sv_active"] == 0)
        assert (askers(pg, db) == 1) == is_asked
        lock.rollback()


@pytest.mark.parametrize("before", ["set_config('app.tenant', $1, false)", "set_ctx('app.tenant', $1)"])
def test_function_that_is_replaced_before_the_transaction_ends(make_pooler, pg, db, before):
    """What counts is what was called, not what bears its name at the end."""
    with pg.connect(db) as c:
        c.execute(CODE + "; GRANT CREATE ON SCHEMA public TO public")
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, worker_threads=1,
                         session_state="track")
    a, b, other = pooler.raw(), pooler.raw(), pooler.raw()
    make = "CREATE OR REPLACE FUNCTION sett(text) RETURNS text LANGUAGE sql AS $$ SELECT {} $$"
    assert b.query(make.format(before)).error is None
    b.query("BEGIN")
    backend = pid(b)
    assert b.query("SELECT sett('evil')").error is None
    assert a.query(make.format("$1")).error is None
    assert a.query("SELECT sett('x')").error is None
    a.query("BEGIN")
    b.query("COMMIT")
    if "ctx" not in before:
        assert value(b, "app.tenant") == "evil"
    assert pid(other) == backend or "ctx" in before
    assert value(other, "app.tenant") == ""


def test_change_past_the_pooler(make_one, pg, db):
    """It is noticed after a while; then all connections from before are replaced."""
    one = make_one(CODE)
    a = one.raw()
    before = pid(a)
    with pg.connect(db) as c:
        c.execute(OPAQUE.replace("set_ctx", "plain2"))
    wait_for(lambda: pid(a) != before, timeout=40)


def make_shared(make_pooler, pg, db, code, size=4):
    with pg.connect(db) as c:
        c.execute(code)
    return make_pooler(pool_mode="transaction", default_pool_size=size, worker_threads=1,
                       session_state="track")


def test_server_that_cannot_say(make_pooler, pg, db):
    """What keeps it from saying what code there is says nothing about anybody's session."""
    pooler = make_shared(make_pooler, pg, db, CODE + """;
        REVOKE EXECUTE ON FUNCTION pg_get_function_sqlbody(oid) FROM PUBLIC""")
    clients = [pooler.raw() for _ in range(6)]
    for a in clients:
        assert a.query("SELECT * FROM t").error is None
    before = opened(pooler)
    for a in clients:
        for text in ("SELECT plain(1)", "SELECT set_wm()", "CREATE TEMP TABLE x (a int)",
                     "SELECT * FROM x", "DROP TABLE x", "SELECT 'app.' || a FROM t"):
            assert a.query(text).error is None
        assert value(a, "work_mem") == "9MB"
    assert pooler.console("SHOW PINS") == []
    assert value(pooler.raw(), "work_mem") != "9MB"
    assert opened(pooler) >= before
    assert pooler.log_count("did not say what code the database holds") == 1
    assert pooler.log_count("permission denied for function pg_get_function_sqlbody") == 1


def test_server_that_cannot_say_any_more(make_pooler, pg, db):
    """What was known of the worst still counts."""
    pooler = make_shared(make_pooler, pg, db, CODE + "; GRANT CREATE ON SCHEMA public TO public",
                         size=1)
    a, b = pooler.raw(), pooler.raw()
    assert keeps_its_link(pooler, a, "SELECT plain(1)")
    with pg.connect(db) as c:
        c.execute("REVOKE EXECUTE ON FUNCTION pg_get_function_sqlbody(oid) FROM PUBLIC")
    assert a.query("CREATE VIEW v AS SELECT 1").error is None
    assert a.query("SELECT plain(1)").error is None
    pooler.wait_log("did not say what code the database holds")
    assert keeps_its_link(pooler, a, "SELECT plain(1)")
    assert a.query("SELECT set_ctx(reverse('1c.ppa'), 'leak')").error is None
    assert value(b, "app.c1") == ""


@pytest.mark.parametrize("setting", ["lock_timeout", "statement_timeout"])
def test_answer_that_is_late(make_pooler, pg, db, setting):
    """Where the server cannot tell at the moment, it is asked again after the next transaction."""
    pooler = make_shared(make_pooler, pg, db, CODE)
    a = pooler.raw()
    a.query(f"SET {setting} = '50ms'")
    a.query("SELECT 1")
    with pg.connect(db) as holder:
        holder.execute("BEGIN; LOCK TABLE pg_catalog.pg_depend IN ACCESS EXCLUSIVE MODE")
        assert a.query("DO $$ BEGIN PERFORM set_config('app.x', 'y', false); END $$").error is None
        wait_for(lambda: [row["reasons"] for row in pooler.console("SHOW PINS")]
                 == ["no answer yet"])
        assert a.query("SELECT 1").error is None
        holder.execute("COMMIT")
    assert a.query("SELECT 1").error is None
    wait_for(lambda: pooler.console("SHOW PINS") == [])
    b = pooler.raw()
    a.query("BEGIN")
    assert value(b, "app.x") == ""
    a.query("COMMIT")
    b.query("BEGIN")
    assert value(a, "app.x") == "y"


def test_client_that_leaves_before_the_answer(make_pooler, pg, db):
    pooler = make_shared(make_pooler, pg, db, CODE, size=1)
    a = pooler.raw()
    a.query("SET lock_timeout = '50ms'")
    before = pid(a)
    with pg.connect(db) as holder:
        holder.execute("BEGIN; LOCK TABLE pg_catalog.pg_depend IN ACCESS EXCLUSIVE MODE")
        assert a.query("DO $$ BEGIN PERFORM set_config('app.x', 'y', false); END $$").error is None
        wait_for(lambda: pooler.console("SHOW PINS") != [])
        a.close()
        holder.execute("COMMIT")
    b = pooler.raw()
    assert value(b, "app.x") == ""
    assert pid(b) != before


def many_names(n):
    executes = " ".join(f"EXECUTE v{i};" for i in range(n))
    return f"""SET check_function_bodies = off; CREATE FUNCTION many() RETURNS void
               LANGUAGE plpgsql AS $$ BEGIN IF false THEN {executes} END IF; END $$"""


def test_body_with_endless_names(make_one):
    """No more of them are looked up than takes a moment."""
    one = make_one(CODE + ";" + many_names(8000))
    a = one.raw()
    assert keeps_its_link(one, a, "SELECT plain(1)")
    assert not keeps_its_link(one, a, "SELECT many()")
    assert one.log_count("did not say what code the database holds") == 0


@pytest.mark.parametrize("extension", ["postgres_fdw", "dblink", "tablefunc"])
def test_extensions_that_no_table_uses(make_pooler, pg, db, extension):
    """What leads to a foreign server, or makes up a type, is no code that a query may run."""
    pooler = make_shared(make_pooler, pg, db, CODE + f"; CREATE EXTENSION {extension}", size=1)
    a = pooler.raw()
    a.query("SELECT 1")
    backend = pid(a)
    a.query("SELECT * FROM t")
    wait_for(lambda: pooler.pool()["sv_active"] == 0)
    assert pg.execute("SELECT query FROM pg_stat_activity WHERE pid = %s",
                      (backend,))[0][0] == "SELECT * FROM t"


# ---- the code has changed, and nobody knows how as yet ----

@pytest.fixture
def made_anew(make_pooler, pg, db):
    """Five clients that have all called functions since one of them has made one anew, while no
    server can say what code there is; and what ends that."""
    with pg.connect(db) as c:
        c.execute(CODE)
    pooler = make_pooler(pool_mode="transaction", default_pool_size=5, worker_threads=2,
                         session_state="track", server_reset_query="")
    conns = [pooler.raw() for _ in range(5)]
    for conn in conns:
        conn.query("BEGIN")
    for conn in conns:
        conn.query("COMMIT")
    with pg.connect(db, autocommit=False) as lock:
        lock.execute("LOCK TABLE pg_catalog.pg_policy IN ACCESS EXCLUSIVE MODE")
        conns[0].query("CREATE FUNCTION another() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        wait_for(lambda: askers(pg, db) == 1)
        for conn in conns[1:4]:
            assert conn.query("SELECT plain(1)").value() == "2"
        assert conns[4].query("SELECT set_ctx('app.x', 'secret')").error is None
        pooler.wait_pool(sv_active=5)
        assert askers(pg, db) == 1
        yield pooler, conns, lock
        lock.rollback()


def test_one_asks_for_all(made_anew, pg, db):
    pooler, conns, lock = made_anew
    before = opened(pooler)
    lock.rollback()
    pooler.wait_pool(sv_active=0)
    assert all(conn.query("SELECT plain(1)").value() == "2" for conn in conns)
    assert len(before & opened(pooler)) == 4
    assert all(value(conn, "app.x") == "" for conn in conns[:4])


def test_who_asks_may_leave(made_anew, pg, db):
    """Another one asks, then."""
    pooler, conns, lock = made_anew
    first = pg.execute(WHO_ASKS, [db])
    conns[0].close()
    wait_for(lambda: pg.execute(WHO_ASKS, [db]) not in (first, []))
    wait_for(lambda: askers(pg, db) == 1)
    lock.rollback()
    pooler.wait_pool(sv_active=0)
    assert all(value(conn, "app.x") == "" for conn in conns[1:4])


def test_who_waits_may_leave(made_anew):
    pooler, conns, lock = made_anew
    for conn in conns[1:]:
        conn.leave()
    lock.rollback()
    pooler.wait_pool(sv_active=0)
    assert conns[0].query("SELECT plain(1)").value() == "2"
