# SPDX-License-Identifier: PostgreSQL
"""Which statements a standby may run, by what a real database says of its own objects: the question
that pgweir asks a primary, and what it makes of the answer (test/tools/readable)."""

import os
import subprocess
from pathlib import Path

import psycopg
import pytest

TOOL = Path(os.environ.get("PW_TOOLS", "/nonexistent")) / "readable"

pytestmark = [pytest.mark.pgweir_only,
              pytest.mark.skipif(not TOOL.exists(), reason="built without its tools")]

CODE = """
CREATE SEQUENCE s;
CREATE TABLE t (a int, b text);
CREATE FUNCTION vol() RETURNS int VOLATILE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION fine() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM t';
CREATE FUNCTION fine_too(x int) RETURNS bigint IMMUTABLE LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public AS 'DECLARE y bigint; BEGIN y := fine() + x; RETURN abs(y); END';
CREATE FUNCTION calls() RETURNS int STABLE LANGUAGE sql AS 'SELECT vol()';
CREATE FUNCTION deep() RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN calls(); END';
CREATE FUNCTION draws() RETURNS bigint STABLE LANGUAGE sql AS $$ SELECT pg_catalog.nextval('s') $$;
CREATE FUNCTION runs(q text) RETURNS int STABLE LANGUAGE plpgsql AS
    'DECLARE r int; BEGIN EXECUTE q INTO r; RETURN r; END';
CREATE FUNCTION shows() RETURNS void STABLE LANGUAGE sql AS 'SHOW in_hot_standby; SELECT';
CREATE FUNCTION spaced() RETURNS int STABLE LANGUAGE sql AS E'SELECT vol  \\n\\t ()';
CREATE FUNCTION remarked() RETURNS int STABLE LANGUAGE sql AS 'SELECT vol /* of */ ()';
CREATE FUNCTION remarked_too() RETURNS int STABLE LANGUAGE sql AS E'SELECT vol -- of\\n()';
CREATE FUNCTION escaped() RETURNS int STABLE LANGUAGE sql AS $$ SELECT U&"\\0076ol"() $$;
CREATE FUNCTION {long}() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION calls_long() RETURNS int STABLE LANGUAGE sql AS 'SELECT {long}_cut_off()';
CREATE FUNCTION upper_case() RETURNS int STABLE LANGUAGE sql AS 'SELECT VOL()';
CREATE FUNCTION column_vol() RETURNS int STABLE LANGUAGE sql AS
    'SELECT version FROM (SELECT 1 AS version, 2 AS vol) x WHERE vol = 2';
CREATE FUNCTION "Quoted, fn"() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION "a""b"() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION "Plain fn 2"() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION calls_quoted() RETURNS int STABLE LANGUAGE sql AS 'SELECT public."Quoted, fn" ()';
CREATE FUNCTION calls_quote() RETURNS int STABLE LANGUAGE sql AS 'SELECT "a""b"()';
CREATE FUNCTION "größe"() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION calls_beyond() RETURNS int STABLE LANGUAGE sql AS 'SELECT "größe"()';
CREATE FUNCTION o(int) RETURNS int STABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION o(text) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION calls_o() RETURNS int STABLE LANGUAGE sql AS 'SELECT o(1)';
CREATE FUNCTION many(int) RETURNS int STABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION many(int, int) RETURNS int LANGUAGE sql AS 'SELECT 2';
CREATE FUNCTION many(int, int, int, int DEFAULT 4) RETURNS int LANGUAGE sql AS 'SELECT 3';
CREATE FUNCTION many(int, int, int, int, int) RETURNS int STABLE LANGUAGE sql AS 'SELECT 5';
CREATE FUNCTION opens() RETURNS int STABLE LANGUAGE sql AS 'SELECT 0';
CREATE FUNCTION opens(VARIADIC int[] DEFAULT '{}') RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION defaults() RETURNS int STABLE LANGUAGE sql AS 'SELECT 0';
CREATE FUNCTION defaults(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION lower(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION upper(int) RETURNS int STABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION version(int) RETURNS int STABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION with_default(x int DEFAULT vol()) RETURNS int STABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION with_own_default(x int DEFAULT pg_backend_pid()) RETURNS int STABLE LANGUAGE sql
    AS 'SELECT 1';
CREATE FUNCTION of_internal() RETURNS int STABLE LANGUAGE internal AS 'pg_backend_pid';
CREATE FUNCTION of_internal_fine(int) RETURNS int IMMUTABLE LANGUAGE internal AS 'int4abs';
CREATE FUNCTION parsed() RETURNS bigint STABLE RETURN (SELECT count(*) FROM t);
CREATE FUNCTION parsed_own() RETURNS int STABLE RETURN pg_backend_pid();
CREATE FUNCTION parsed_calls() RETURNS int STABLE BEGIN ATOMIC SELECT deep(); END;
CREATE FUNCTION parsed_asks() RETURNS text STABLE RETURN current_setting('app.x', true);
CREATE FUNCTION parsed_asks_node() RETURNS text STABLE RETURN current_setting('cluster_name');
CREATE FUNCTION parsed_reads() RETURNS bigint STABLE RETURN (SELECT count(*) FROM pg_locks);
CREATE FUNCTION asks() RETURNS text STABLE LANGUAGE sql AS
    $$ SELECT current_setting('app.x', true) || current_setting ( 'app.y'::text ) $$;
CREATE FUNCTION asks_node() RETURNS text STABLE LANGUAGE sql AS
    $$ SELECT current_setting('app.x') || pg_catalog.current_setting('Transaction_Read_Only') $$;
CREATE FUNCTION asks_any(n text) RETURNS text STABLE LANGUAGE sql AS 'SELECT current_setting(n)';
CREATE FUNCTION asks_made() RETURNS text STABLE LANGUAGE sql AS
    $$ SELECT current_setting('in_hot' || '_standby') $$;
CREATE FUNCTION activity() RETURNS bigint STABLE LANGUAGE sql AS
    'SELECT count(*) FROM pg_stat_activity';
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE triggered (a int);
CREATE TRIGGER tr AFTER INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION noted();
CREATE AGGREGATE sums(int) (sfunc = int4pl, stype = int);
CREATE FUNCTION adds(int, int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE sums_badly(int) (sfunc = adds, stype = int);
CREATE FUNCTION full_name(t) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION nice_name(t) RETURNS int STABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION names() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT max(x.full_name) FROM t x';
CREATE LANGUAGE other HANDLER plpgsql_call_handler;
CREATE FUNCTION in_other() RETURNS int IMMUTABLE LANGUAGE other AS 'BEGIN RETURN 1; END';
CREATE EXTENSION citext;
CREATE EXTENSION tablefunc;
CREATE EXTENSION "uuid-ossp";
CREATE FUNCTION pg_catalog.put_there() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE configures(text, bool) (sfunc = set_config, stype = text);
""".replace("{long}", "l" * 63)

RELATIONS = """
CREATE VIEW plain AS SELECT a, upper(b) AS b, now() AS at FROM t;
CREATE VIEW over_plain AS SELECT t.*, at FROM plain JOIN t USING (a);
CREATE VIEW v AS SELECT vol() AS a;
CREATE VIEW over_v AS SELECT * FROM t WHERE EXISTS (SELECT FROM v);
CREATE VIEW over_over_v AS WITH x AS (SELECT * FROM over_v) SELECT * FROM x;
CREATE FUNCTION reads_v() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM over_over_v';
CREATE VIEW pid AS SELECT pg_backend_pid() AS a;
CREATE VIEW locks AS SELECT * FROM pg_locks;
CREATE VIEW own_tables AS SELECT * FROM pg_tables;
CREATE VIEW gathered AS SELECT sums_badly(a) FROM t;
CREATE VIEW windowed AS SELECT sums_badly(a) OVER () FROM t;
CREATE VIEW locking AS SELECT a FROM t FOR SHARE;
CREATE VIEW locking_within AS SELECT * FROM t WHERE a IN (SELECT a FROM t FOR UPDATE);
CREATE VIEW of_session AS SELECT * FROM t WHERE b = current_setting('app.x', true);
CREATE VIEW of_node AS SELECT * FROM t WHERE b = current_setting('in_hot_standby');
CREATE VIEW of_any AS SELECT current_setting(b, true) FROM t;
CREATE MATERIALIZED VIEW stored AS SELECT vol() AS a;
CREATE UNLOGGED TABLE unlogged_t (a int);
CREATE TABLE parent (a int);
CREATE UNLOGGED TABLE child () INHERITS (parent);
CREATE TABLE parted (a int) PARTITION BY LIST (a);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1) PARTITION BY LIST (a);
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER far FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE parted_1_1 PARTITION OF parted_1 FOR VALUES IN (1) SERVER far;
CREATE TABLE parted_well (a int) PARTITION BY LIST (a);
CREATE TABLE parted_well_1 PARTITION OF parted_well FOR VALUES IN (1);
CREATE TABLE ruled (a int DEFAULT vol() CHECK (vol() = a));
CREATE RULE r AS ON INSERT TO ruled DO ALSO SELECT vol();
CREATE TABLE guarded (a int);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON guarded USING (a = vol());
CREATE TABLE guarded_own (a int);
ALTER TABLE guarded_own ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON guarded_own FOR SELECT USING (pg_is_in_recovery());
CREATE TABLE guarded_by_view (a int);
ALTER TABLE guarded_by_view ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON guarded_by_view USING (a IN (SELECT a FROM over_v));
CREATE TABLE guarded_by_node (a text);
ALTER TABLE guarded_by_node ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON guarded_by_node USING (a = current_setting('port'));
CREATE TABLE tenants (a text);
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON tenants USING (a = current_setting('app.tenant'));
CREATE POLICY q ON tenants FOR INSERT WITH CHECK (vol() = 1);
CREATE TABLE not_guarded (a int);
CREATE POLICY p ON not_guarded USING (a = vol());
CREATE SCHEMA other;
CREATE VIEW other.pg_class AS SELECT vol();
CREATE VIEW "Odd. View" AS SELECT vol();
CREATE VIEW "größer" AS SELECT vol();
"""

TYPES = """
CREATE FUNCTION same(int, int) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR === (leftarg = int, rightarg = int, function = same);
CREATE FUNCTION same_well(int, int) RETURNS bool STABLE LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR ==> (leftarg = int, rightarg = int, function = same_well);
CREATE FUNCTION same_but(int, int) RETURNS bool STABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 = $2; END';
CREATE OPERATOR =@= (leftarg = int, rightarg = int, function = same_but, negator = <@@>);
CREATE OPERATOR <@@> (leftarg = int, rightarg = int, function = same, negator = =@=);
CREATE VIEW of_operator AS SELECT * FROM t WHERE a === 1;
CREATE FUNCTION by_operator() RETURNS bool STABLE LANGUAGE sql AS 'SELECT 1 OPERATOR(public.===) 2';
CREATE DOMAIN checked AS int CHECK (VALUE = vol());
CREATE DOMAIN checked_own AS int CHECK (pg_backend_pid() > VALUE);
CREATE DOMAIN checked_node AS text CHECK (VALUE <> current_setting('port'));
CREATE DOMAIN checked_well AS text CHECK (VALUE <> '' AND length(VALUE) < 9);
CREATE DOMAIN checked_twice AS checked;
CREATE TYPE pair AS (a int, b checked_twice);
CREATE TABLE of_checked (a checked, b checked_well, c pair);
CREATE FUNCTION takes(x checked) RETURNS int STABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION makes() RETURNS int STABLE LANGUAGE plpgsql AS
    'DECLARE x checked_twice := 1; BEGIN RETURN x; END';
CREATE VIEW of_cast AS SELECT a::checked FROM t;
CREATE TYPE odd;
CREATE FUNCTION odd_in(cstring) RETURNS odd IMMUTABLE STRICT LANGUAGE internal AS 'int4in';
CREATE FUNCTION odd_out(odd) RETURNS cstring VOLATILE STRICT LANGUAGE internal AS 'int4out';
CREATE TYPE odd (input = odd_in, output = odd_out, like = int4);
CREATE TABLE of_odd (a int, b odd[]);
CREATE TYPE pair_of_odd AS (a int, b odd);
CREATE TABLE of_pair_of_odd (a pair_of_odd);
CREATE FUNCTION gives_odd() RETURNS odd STABLE LANGUAGE sql AS 'SELECT NULL::odd';
CREATE TYPE hard;
CREATE FUNCTION hard_in(cstring) RETURNS hard VOLATILE STRICT LANGUAGE internal AS 'int4in';
CREATE FUNCTION hard_out(hard) RETURNS cstring IMMUTABLE STRICT LANGUAGE internal AS 'int4out';
CREATE TYPE hard (input = hard_in, output = hard_out, like = int4);
CREATE TYPE even;
CREATE FUNCTION even_in(cstring) RETURNS even IMMUTABLE STRICT LANGUAGE internal AS 'int4in';
CREATE FUNCTION even_out(even) RETURNS cstring IMMUTABLE STRICT LANGUAGE internal AS 'int4out';
CREATE TYPE even (input = even_in, output = even_out, like = int4);
CREATE TABLE of_even (a int, b even);
CREATE FUNCTION turns(t) RETURNS even LANGUAGE sql AS $$ SELECT '1'::even $$;
CREATE CAST (t AS even) WITH FUNCTION turns(t);
CREATE FUNCTION turns_to_date(even) RETURNS date LANGUAGE sql AS 'SELECT CURRENT_DATE';
CREATE CAST (even AS date) WITH FUNCTION turns_to_date(even) AS ASSIGNMENT;
"""

# Texts by what is said of them.
READS = [
    "SELECT 1", "SELECT * FROM t", "SELECT fine(), fine_too(1), public.fine_too(2)",
    "SELECT many(1), public.many(1, 2, 3, 4, 5)", "SELECT defaults()",
    "SELECT abs(-1), pg_catalog.lower('A'), upper('a'), upper(1)", "SELECT column_vol()",
    'SELECT "Plain fn 2"()', "SELECT of_internal_fine(-1)", "SELECT parsed()", "SELECT asks_x.a FROM"
    " t AS asks_x", "SELECT parsed_asks()", "SELECT sums(a) FROM t", "SELECT t.nice_name FROM t",
    'SELECT "full_name".a FROM t full_name', "SELECT b::citext = 'x' FROM t",
    "SELECT current_setting('app.x', true), current_setting('TimeZone')",
    "SELECT * FROM plain", "SELECT * FROM over_plain", "SELECT * FROM own_tables",
    "SELECT * FROM of_session", "SELECT * FROM stored", "SELECT * FROM parted_well",
    "SELECT * FROM ruled", "SELECT * FROM tenants", "SELECT * FROM not_guarded",
    "SELECT * FROM triggered", "SELECT * FROM pg_catalog.pg_class", "SELECT * FROM pg_attribute",
    "SELECT * FROM information_schema.schemata", "SELECT 1 ==> 2", "SELECT * FROM of_checked",
    "SELECT 'x'::checked_well, checked_well 'y'", "SELECT a::bigint FROM t", "SELECT a FROM of_even",
    "SELECT * FROM t TABLESAMPLE system (1)", "SELECT clock_timestamp(), random()",
    "SELECT * FROM t x, jsonb_populate_record(x, '{}') r", "SHOW work_mem", "SHOW max_index_keys",
]
FUNCTIONS = [
    "vol()", "public.vol()", "VOL()", "calls()", "deep()", "draws()", "runs('SELECT 1')", "shows()",
    "spaced()", "remarked()", "remarked_too()", "escaped()", "upper_case()", '"Quoted, fn"()',
    '"a""b"()', "calls_quoted()", "calls_quote()", '"größe"()', "calls_beyond()", "o(1)", "calls_o()",
    "many(1, 2)", "many(1, 2, 3)", "public.many(1, 2, 3, 4)", "many(many(1), 2)", "opens(1)", "opens(1, 2, 3)",
    "opens(VARIADIC '{1}')", "defaults(1)", "defaults(1, 2)", "defaults(b => 1, a => 2)",
    "lower('A')", "version(1)", "version()", "public.version(1)", "with_default()",
    "with_own_default(1)", "of_internal()", "parsed_own()", "parsed_calls()", "parsed_asks_node()",
    "parsed_reads()", "asks_node()", "asks_any('x')", "asks_made()", "activity()", "sums_badly(1)",
    "names()", "in_other()", "uuid_generate_v4()", "nextval('s')", "pg_backend_pid()",
    "pg_catalog.pg_is_in_recovery()", "put_there()", "pg_catalog.put_there()", "reads_v()",
    "by_operator()", "takes(1)", "makes()", "inet_client_addr()", "txid_current()", "calls_long()",
    "configures(b, true) FROM t", "gives_odd()",
    "* FROM crosstab('SELECT vol()') AS c (a int, b int)",
    "full_name(t) FROM t", "x.full_name FROM t x", 'x."full_name" FROM t x', "(x).FULL_NAME FROM t x",
    'x.U&"full_nam\\0065" FROM t x', "o(t.*) FROM t",
]
UNKNOWN = ["nobody_made_it()", "public.abs(1)", "noted()", '"Vol"()']
IN_DOUBT = [
    "v", "over_v", "over_over_v", "pid", "locks", "gathered", "windowed", "of_node", "of_any",
    "unlogged_t", "locking", "locking_within", "parent", "child", "parted", "parted_1", "parted_1_1", "guarded", "guarded_own",
    "guarded_by_view", "guarded_by_node", "pg_class", "other.pg_class", '"Odd. View"', '"größer"',
    "pg_locks", "pg_stat_activity", "pg_catalog.pg_settings", "pg_stat_user_tables", "pg_cursors",
    "pg_replication_slots", "information_schema.tables", "s", "of_operator", "of_cast", "of_odd",
    "of_temp", "of_pair_of_odd", "LATERAL (SELECT * FROM v) x",
    "of_checked x, jsonb_populate_record(x, '{}')", "of_checked x, json_populate_recordset(x, '[]')", "t WHERE EXISTS (SELECT FROM public.v)",
]
SETTINGS = [
    "current_setting('in_hot_standby')", "current_setting('In_Hot_Standby')",
    "pg_catalog.current_setting('transaction_read_only', true)", "current_setting(b) FROM t",
    "current_setting('default_transaction_read_only')", "current_setting('po' || 'rt')",
    "current_setting(E'port')", "current_setting('cluster_name')",
    "current_setting('shared_buffers')",
]
OPERATORS = ["1 === 2", "NOT (1 =@= 2)", "1 OPERATOR(public.===) 2", "1 === ANY (ARRAY[1])"]
CASTS = ["1::checked", "CAST(1 AS checked_twice)", "'{1}'::checked[]", "'(1,2)'::pair", "1::checked_own",
         "'x'::checked_node", "checked '1'", "checked(1)", "'1'::odd", "t::even FROM t", "b::date FROM"
         " of_even", "pair(1)", "'{}'::odd[]", "'1'::hard"]

EXPECTED = ([(text, "none") for text in READS] +
            [(f"SELECT {text}", "function") for text in FUNCTIONS] +
            [(f"SELECT {text}", "unknown function") for text in UNKNOWN] +
            [(f"SELECT * FROM {text}", "relation") for text in IN_DOUBT] +
            [(f"SELECT {text}", "setting") for text in SETTINGS] +
            [(f"SELECT {text}", "operator") for text in OPERATORS] +
            [(f"SELECT {text}", "type") for text in CASTS] +
            [("INSERT INTO t VALUES (1)", "statement"), ("SELECT * FROM t FOR UPDATE", "statement"),
             ("EXECUTE s(1)", "type"), ("EXPLAIN EXECUTE s(1)", "type"),
             ("SHOW in_hot_standby", "statement"), ("SHOW port", "statement"), ("SHOW Shared_Buffers", "statement"), ("BEGIN", "none")])


def question(version):
    return subprocess.run([TOOL, "question", str(version)], check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def ask(conn, version):
    """The rows of the answer."""
    cursor = conn.execute(question(version))
    while cursor.nextset():
        pass
    return sorted(row[0] for row in cursor.fetchall())


def judge(rows, texts):
    items = "".join(item + "\0" for item in [*rows, "", *texts])
    done = subprocess.run([TOOL, "judge"], input=items, check=True, text=True,
                          stdout=subprocess.PIPE)
    return done.stdout.splitlines()


def version_of(conn):
    return conn.info.server_version // 10000


@pytest.fixture(scope="module")
def made(pg):
    """A database full of such things, and somebody who has a temporary table there."""
    name = pg.create_database()
    with pg.connect(name) as conn, pg.connect(name) as other:
        other.execute("CREATE TEMP TABLE of_temp (a int)")
        for part in (CODE, RELATIONS, TYPES):
            conn.execute(part)
        yield conn
    pg.drop_database(name)


@pytest.fixture(scope="module")
def judgements(made):
    rows = ask(made, version_of(made))
    return dict(zip((text for text, _ in EXPECTED), judge(rows, [text for text, _ in EXPECTED])))


@pytest.mark.parametrize("text, wanted", EXPECTED)
def test_doubt(judgements, text, wanted):
    assert judgements[text] == wanted


@pytest.mark.parametrize("text", READS)
def test_what_reads_can_be_run(made, text):
    made.execute("BEGIN READ ONLY")
    try:
        made.execute(text)
    finally:
        made.execute("ROLLBACK")


def test_older_and_later_servers(made):
    """What an older server lacks is not asked for; what a later one has brings nothing here."""
    rows = ask(made, version_of(made))
    assert ask(made, 18) == rows
    older = ask(made, 12)
    assert "g0,0,parsed_own" in rows and "g0,0,parsed_own" not in older
    assert [row for row in older if "parsed" not in row and row[0] != "k"] \
        == [row for row in rows if "parsed" not in row and row[0] != "k"]


def test_search_path_of_others(made):
    """Nothing that users have made stands in for PostgreSQL's own."""
    rows = ask(made, version_of(made))
    made.execute("CREATE SCHEMA evil")
    try:
        for kind in ("int8", "text", "name", "bool", '"char"', "oid"):
            made.execute(f"""CREATE FUNCTION evil.lies({kind}, {kind}) RETURNS bool STABLE LANGUAGE plpgsql
                             AS 'BEGIN RAISE EXCEPTION $$lies$$; END'""")
            # Where PostgreSQL itself looks for = of numbers, it goes by the search_path.
            for operator in ("=", "<>", "<", ">=", "@>", "~", "+")[kind == "oid":]:
                made.execute(f"""CREATE OPERATOR evil.{operator} (leftarg = {kind}, rightarg = {kind},
                                 function = evil.lies)""")
        for name in ("replace(text, text, text)", "concat(text)", "lower(text)", "count()",
                     "strpos(text, text)", "split_part(text, text, int)", "unnest(anyarray)"):
            made.execute(f"""CREATE FUNCTION evil.{name} RETURNS text STABLE LANGUAGE plpgsql
                             AS 'BEGIN RAISE EXCEPTION $$lies$$; END'""")
        made.execute("SET search_path = evil, pg_catalog, public")
        made.execute("SET standard_conforming_strings = off")
        again = ask(made, version_of(made))
        assert {row for row in rows if row[0] != "k"} < set(again)
        assert "flies" in again
    finally:
        made.execute("RESET ALL")
        made.execute("DROP SCHEMA evil CASCADE")


@pytest.mark.parametrize("code", [
    """CREATE TYPE pair AS (a int);
       CREATE FUNCTION turns(pair) RETURNS int LANGUAGE sql AS 'SELECT 1';
       CREATE CAST (pair AS int) WITH FUNCTION turns(pair) AS IMPLICIT""",
    """CREATE TYPE pair AS (a int);
       CREATE FUNCTION turns(pair) RETURNS json LANGUAGE sql AS 'SELECT to_json(1)';
       CREATE CAST (pair AS json) WITH FUNCTION turns(pair)""",
    """CREATE FUNCTION compares(int, int) RETURNS int LANGUAGE sql AS 'SELECT 0';
       CREATE OPERATOR CLASS ops FOR TYPE int USING btree AS OPERATOR 1 <, FUNCTION 1
           compares(int, int)""",
    """CREATE FUNCTION less(int, int) RETURNS bool LANGUAGE sql AS 'SELECT false';
       CREATE OPERATOR <<< (leftarg = int, rightarg = int, function = less);
       CREATE OPERATOR CLASS ops FOR TYPE int USING btree AS OPERATOR 1 <<<, FUNCTION 1
           btint4cmp(int, int)""",
    """CREATE FUNCTION lies(int, int) RETURNS bool LANGUAGE sql AS 'SELECT false';
       CREATE OPERATOR pg_catalog.=== (leftarg = int, rightarg = int, function = lies)""",
])
def test_everything_is_in_doubt(pg, db, code):
    with pg.connect(db) as conn:
        before = ask(conn, version_of(conn))
        conn.execute(code)
        after = ask(conn, version_of(conn))
    assert judge(before, ["SELECT 1"]) == ["none"]
    assert judge(after, ["SELECT 1", "BEGIN"]) == ["database", "none"]


def test_stable_ones_put_nothing_in_doubt(pg, db):
    with pg.connect(db) as conn:
        conn.execute("""
            CREATE TYPE pair AS (a int);
            CREATE FUNCTION turns(pair) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
            CREATE CAST (pair AS int) WITH FUNCTION turns(pair) AS IMPLICIT;
            CREATE FUNCTION compares(int, int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 0';
            CREATE OPERATOR CLASS ops FOR TYPE int USING btree AS OPERATOR 1 <, FUNCTION 1
                compares(int, int)""")
        assert judge(ask(conn, version_of(conn)), ["SELECT 1::int ORDER BY 1", "EXECUTE s(1)"]) == ["none"] * 2


HARD = """CREATE TYPE hard;
          CREATE FUNCTION hard_in(cstring) RETURNS hard {0} STRICT LANGUAGE internal AS 'int4in';
          CREATE FUNCTION hard_out(hard) RETURNS cstring {1} STRICT LANGUAGE internal AS 'int4out';
          CREATE TYPE hard (input = hard_in, output = hard_out, like = int4);
          CREATE FUNCTION soften(hard) RETURNS date {2} LANGUAGE sql AS 'SELECT CURRENT_DATE';
          CREATE CAST {3}"""


@pytest.mark.parametrize("ways, cast, wanted", [
    ("vvv", "(hard AS date) WITH FUNCTION soften(hard)", "none"),
    ("iii", "(hard AS date) WITH FUNCTION soften(hard) AS ASSIGNMENT", "none"),
    ("iiv", "(hard AS date) WITH FUNCTION soften(hard) AS ASSIGNMENT", "type"),
    ("vii", "(date AS hard) WITH INOUT AS ASSIGNMENT", "type"),
    ("ivi", "(hard AS date) WITH INOUT AS ASSIGNMENT", "type"),
    ("iiv", "(hard AS date) WITH INOUT AS ASSIGNMENT", "none"),
])
def test_arguments_of_execute(pg, db, ways, cast, wanted):
    """They are cast to the parameters' types by assignment, which no text says."""
    with pg.connect(db) as conn:
        conn.execute(HARD.format(*[{"v": "VOLATILE", "i": "IMMUTABLE"}[way] for way in ways], cast))
        rows = ask(conn, version_of(conn))
    assert judge(rows, ["EXECUTE s(1)", "EXPLAIN EXECUTE s", "SELECT 1"]) == [wanted, wanted, "none"]


def test_name_without_letters(pg, db):
    """Any body may speak of it."""
    with pg.connect(db) as conn:
        conn.execute("""CREATE FUNCTION f() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1';
                        CREATE FUNCTION "+!"() RETURNS int LANGUAGE sql AS 'SELECT 1'""")
        assert judge(ask(conn, version_of(conn)), ["SELECT f()"]) == ["function"]


def test_hostile_names(pg, db):
    """They are what they are, and nothing else."""
    names = ["k99999", "a", "x\ny", "'; DROP TABLE t; --", "%s", "z" * 63, "f\\", "pg_catalog.abs"]
    with pg.connect(db) as conn:
        for name in names:
            conn.execute(psycopg.sql.SQL("CREATE FUNCTION {}() RETURNS int LANGUAGE sql AS 'SELECT 1'")
                         .format(psycopg.sql.Identifier(name)))
        rows = ask(conn, version_of(conn))
    texts = [f'SELECT "{name}"()' for name in names]
    assert judge(rows, texts) == ["function"] * len(names)
    assert judge(rows, ["SELECT 1", "SELECT upper('x')"]) == ["none", "none"]
    with pytest.raises(subprocess.CalledProcessError):
        judge(rows[1:], texts)
