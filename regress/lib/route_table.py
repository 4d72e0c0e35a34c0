# SPDX-License-Identifier: PostgreSQL
"""Statements by the node that must run them where reads are split off, and a database in which they
mean something."""

# What a superuser must make.
GIVEN = """
GRANT CREATE ON SCHEMA public TO alice;
GRANT CREATE ON DATABASE postgres TO alice;
GRANT pg_checkpoint TO alice;
GRANT EXECUTE ON FUNCTION pg_switch_wal(), pg_create_restore_point(text), pg_stat_reset() TO alice;
CREATE ROLE bob IN ROLE pg_read_all_data;
GRANT bob TO alice;
CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION pg_trgm; CREATE EXTENSION tablefunc;
CREATE EXTENSION "uuid-ossp"; CREATE EXTENSION pgcrypto; CREATE EXTENSION sslinfo;
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER far FOREIGN DATA WRAPPER nowhere;
GRANT USAGE ON FOREIGN SERVER far TO alice;
CREATE FUNCTION in_c(text) RETURNS text STABLE LANGUAGE internal AS 'upper';
CREATE FUNCTION in_c_pid() RETURNS int STABLE LANGUAGE internal AS 'pg_backend_pid';
"""

TABLES = """
CREATE TABLE item (id int PRIMARY KEY, name text, price numeric, tags text[], data jsonb, doc tsvector,
                   span int4range, at timestamptz, twice int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO item SELECT i, 'item ' || i, i * 1.5, ARRAY['a', 'b' || i], jsonb_build_object('n', i, 'l', ARRAY[i]),
                        to_tsvector('english', 'the ' || i || ' cats'), int4range(i, i + 3),
                        '2024-01-01 00:00+00'::timestamptz + i * interval '1 day' FROM generate_series(1, 6) i;
CREATE TABLE sale (id serial PRIMARY KEY, item int REFERENCES item, n int DEFAULT 1, day date);
INSERT INTO sale (item, n, day) SELECT 1 + i % 5, i, date '2024-02-01' + i FROM generate_series(1, 12) i;
CREATE TABLE tree (id int, parent int);
INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 1), (4, 2);
CREATE TABLE log (v int);
CREATE TABLE doc (x xml);
INSERT INTO doc VALUES ('<a><b i="1">x</b><b i="2">y</b></a>');
CREATE SEQUENCE seq;
CREATE TABLE "Odd name" ("A column" int);
INSERT INTO "Odd name" VALUES (1);
CREATE TABLE "größe" (v int);
CREATE SCHEMA other;
CREATE TABLE other.here (v int);
INSERT INTO other.here VALUES (7);
SELECT lo_from_bytea(4711, 'large');
CREATE UNLOGGED TABLE unlogged_t (v int);
CREATE TABLE parent (v int);
CREATE UNLOGGED TABLE child () INHERITS (parent);
CREATE TABLE parent_well (v int);
CREATE TABLE child_well () INHERITS (parent_well);
CREATE TABLE parted (v int) PARTITION BY LIST (v);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE FOREIGN TABLE parted_2 PARTITION OF parted FOR VALUES IN (2) SERVER far;
CREATE TABLE parted_well (v int) PARTITION BY RANGE (v);
CREATE TABLE parted_well_1 PARTITION OF parted_well FOR VALUES FROM (1) TO (10);
INSERT INTO parted_well VALUES (3);
CREATE TABLE parted_badly (v int) PARTITION BY LIST (v);
CREATE UNLOGGED TABLE parted_badly_1 PARTITION OF parted_badly FOR VALUES IN (1);
CREATE MATERIALIZED VIEW stored AS SELECT id, clock_timestamp() > now() AS later FROM item;
CREATE MATERIALIZED VIEW stored_not AS SELECT 1 AS i WITH NO DATA;
"""

FUNCTIONS = """
CREATE FUNCTION vol() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION vol_plpgsql(x int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN x; END';
CREATE FUNCTION writes() RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO log VALUES (1); RETURN 7; END';
CREATE FUNCTION stable_sql() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM item';
CREATE FUNCTION stable_plpgsql(x int) RETURNS text STABLE LANGUAGE plpgsql AS
    $$ DECLARE r record; s text := ''; BEGIN FOR r IN SELECT name FROM item WHERE id <= x ORDER BY id LOOP
       s := s || r.name; END LOOP; RETURN s; EXCEPTION WHEN no_data_found THEN RETURN NULL; END $$;
CREATE FUNCTION immutable_sql(x int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT x + 1';
CREATE FUNCTION immutable_plpgsql(x int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN x * 2; END';
CREATE FUNCTION rows_of(x int) RETURNS TABLE (id int, name text) STABLE LANGUAGE sql AS
    'SELECT i.id, i.name FROM item i WHERE i.id > x ORDER BY 1';
CREATE FUNCTION rows_plpgsql() RETURNS SETOF item STABLE LANGUAGE plpgsql AS
    'BEGIN RETURN QUERY SELECT * FROM item ORDER BY id; END';
CREATE FUNCTION outs(OUT a int, OUT b text) STABLE LANGUAGE sql AS $$ SELECT 1, 'x'::text $$;
CREATE FUNCTION variadic_f(VARIADIC x int[]) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT cardinality(x)';
CREATE FUNCTION polymorphic(anyelement) RETURNS anyelement STABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION defaults(x int DEFAULT 3) RETURNS int STABLE LANGUAGE sql AS 'SELECT x';
CREATE FUNCTION defaults_badly(x int DEFAULT nextval('seq')::int) RETURNS int STABLE LANGUAGE sql AS 'SELECT x';
CREATE FUNCTION definer() RETURNS name STABLE SECURITY DEFINER SET search_path = public LANGUAGE sql AS
    'SELECT current_user';
CREATE FUNCTION definer_badly() RETURNS int SECURITY DEFINER LANGUAGE sql AS 'INSERT INTO log VALUES (1) RETURNING v';
CREATE FUNCTION noisy() RETURNS int STABLE LANGUAGE plpgsql AS
    $$ BEGIN RAISE NOTICE 'heard'; RETURN 1; END $$;
CREATE FUNCTION fails() RETURNS int STABLE LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'ZZ001'; END $$;
CREATE FUNCTION atomic() RETURNS bigint STABLE RETURN (SELECT sum(id) FROM item);
CREATE FUNCTION atomic_badly() RETURNS bigint STABLE RETURN nextval('seq');
CREATE FUNCTION lies() RETURNS bigint IMMUTABLE LANGUAGE sql AS $$ SELECT nextval('seq') $$;
CREATE FUNCTION lies_plpgsql() RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN writes(); END';
CREATE FUNCTION lies_deeply() RETURNS int STABLE LANGUAGE sql AS 'SELECT lies_plpgsql()';
CREATE FUNCTION lies_quoted() RETURNS int STABLE LANGUAGE sql AS 'SELECT public . "writes" ()';
CREATE FUNCTION lies_by_perform() RETURNS int STABLE LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN 1; END';
CREATE FUNCTION lies_by_txid() RETURNS bool STABLE LANGUAGE sql AS 'SELECT txid_current() > 0';
CREATE FUNCTION dynamic(q text) RETURNS int STABLE LANGUAGE plpgsql AS
    'DECLARE r int; BEGIN EXECUTE q INTO r; RETURN r; END';
CREATE FUNCTION of_node() RETURNS bool STABLE LANGUAGE sql AS 'SELECT pg_is_in_recovery()';
CREATE FUNCTION of_node_setting() RETURNS text STABLE LANGUAGE sql AS $$ SELECT current_setting('in_hot_standby') $$;
CREATE FUNCTION of_session_setting() RETURNS text STABLE LANGUAGE sql AS $$ SELECT current_setting('work_mem') $$;
CREATE FUNCTION of_unlogged() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM unlogged_t';
CREATE FUNCTION of_activity() RETURNS bool STABLE LANGUAGE sql AS 'SELECT count(*) > 0 FROM pg_stat_activity';
CREATE FUNCTION over(x int) RETURNS int STABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION over(x text) RETURNS int VOLATILE LANGUAGE sql AS 'SELECT 2';
CREATE FUNCTION over_well(x int) RETURNS int STABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION over_well(x text) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 2';
CREATE FUNCTION "Quoted"() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION "Quoted well"() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION "größer"() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION nextval(int) RETURNS int STABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION initcap(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION other.reverse(text) RETURNS text LANGUAGE sql AS $$ SELECT 'other' $$;
CREATE FUNCTION other.f() RETURNS int STABLE LANGUAGE sql AS 'SELECT v FROM other.here';
CREATE FUNCTION full_name(item) RETURNS text STABLE LANGUAGE sql AS $$ SELECT $1.name || '!' $$;
CREATE FUNCTION bad_name(item) RETURNS int LANGUAGE sql AS 'INSERT INTO log VALUES (1) RETURNING v';
CREATE PROCEDURE proc(x int) LANGUAGE sql AS 'INSERT INTO log VALUES (x)';
CREATE PROCEDURE proc_out(INOUT x int) LANGUAGE plpgsql AS 'BEGIN x := x + 1; END';
CREATE AGGREGATE sums(int) (sfunc = int4pl, stype = int, initcond = 0);
CREATE AGGREGATE sums_badly(int) (sfunc = adds, stype = int, initcond = 0);
CREATE FUNCTION with_setting() RETURNS text STABLE LANGUAGE sql SET work_mem = '9MB' AS
    $$ SELECT current_setting('work_mem') $$;
""".replace("CREATE AGGREGATE sums_badly",
            "CREATE FUNCTION adds(int, int) RETURNS int LANGUAGE sql AS 'SELECT $1 + $2';\n"
            "CREATE AGGREGATE sums_badly")

OBJECTS = """
CREATE VIEW plain AS SELECT id, upper(name) AS name FROM item;
CREATE VIEW over_plain AS SELECT p.*, s.n FROM plain p JOIN sale s ON s.item = p.id;
CREATE VIEW v_vol AS SELECT vol() AS i;
CREATE VIEW v_deep AS SELECT * FROM item WHERE EXISTS (SELECT FROM v_vol);
CREATE VIEW v_stable AS SELECT stable_sql() AS i;
CREATE VIEW v_node AS SELECT pg_is_in_recovery() AS i;
CREATE VIEW v_setting AS SELECT current_setting('transaction_read_only') AS i;
CREATE VIEW v_locking AS SELECT id FROM item FOR SHARE;
CREATE VIEW v_locking_within AS SELECT count(*) FROM (SELECT id FROM item FOR UPDATE) x;
CREATE VIEW v_seq AS SELECT last_value FROM seq;
CREATE VIEW v_invoker WITH (security_invoker = true, security_barrier = true) AS SELECT id FROM item;
CREATE RECURSIVE VIEW v_recursive (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM v_recursive WHERE n < 5;
CREATE TABLE ruled (v int);
CREATE RULE r AS ON INSERT TO ruled DO ALSO SELECT vol();
CREATE TABLE as_view (i int);
CREATE TABLE guarded (v int);
INSERT INTO guarded VALUES (1), (2);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY; ALTER TABLE guarded FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON guarded USING (v = immutable_sql(0));
CREATE TABLE guarded_badly (v int);
INSERT INTO guarded_badly VALUES (7);
ALTER TABLE guarded_badly ENABLE ROW LEVEL SECURITY; ALTER TABLE guarded_badly FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON guarded_badly USING (v = writes());
CREATE TABLE guarded_by_node (v bool);
INSERT INTO guarded_by_node VALUES (true), (false);
ALTER TABLE guarded_by_node ENABLE ROW LEVEL SECURITY; ALTER TABLE guarded_by_node FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON guarded_by_node FOR SELECT USING (v = pg_is_in_recovery());
CREATE TABLE guarded_by_tenant (v text);
INSERT INTO guarded_by_tenant VALUES ('a'), ('b');
ALTER TABLE guarded_by_tenant ENABLE ROW LEVEL SECURITY; ALTER TABLE guarded_by_tenant FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON guarded_by_tenant USING (v = current_setting('app.tenant', true));
CREATE TABLE guarded_locking (v int);
INSERT INTO guarded_locking VALUES (1);
ALTER TABLE guarded_locking ENABLE ROW LEVEL SECURITY; ALTER TABLE guarded_locking FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON guarded_locking USING (v IN (SELECT id FROM item FOR SHARE));
CREATE FUNCTION same(int, int) RETURNS bool LANGUAGE sql AS 'SELECT writes() > $1 - $2';
CREATE FUNCTION same_well(int, int) RETURNS bool STABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 = $2; END';
CREATE OPERATOR === (leftarg = int, rightarg = int, function = same);
CREATE OPERATOR ==> (leftarg = int, rightarg = int, function = same_well);
CREATE FUNCTION negator_badly(int, int) RETURNS bool LANGUAGE sql AS 'SELECT pg_is_in_recovery()';
CREATE FUNCTION negated(int, int) RETURNS bool STABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 = $2; END';
CREATE OPERATOR =@= (leftarg = int, rightarg = int, function = negated, negator = <@@>);
CREATE OPERATOR <@@> (leftarg = int, rightarg = int, function = negator_badly, negator = =@=);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN checked AS int CHECK (VALUE < writes() + 100);
CREATE DOMAIN of_primary AS int CHECK (NOT pg_is_in_recovery());
CREATE TYPE pair AS (a int, b positive);
CREATE TYPE pair_badly AS (a int, b checked);
CREATE TYPE mood AS ENUM ('sad', 'fine');
CREATE TABLE typed (a positive, b pair, c mood);
INSERT INTO typed VALUES (1, (1, 2), 'fine');
CREATE TABLE of_checked (a checked, b of_primary);
INSERT INTO of_checked VALUES (1, 1);
CREATE TYPE part AS (a int);
CREATE FUNCTION turns(part) RETURNS macaddr LANGUAGE sql AS
    $$ SELECT '08:00:2b:01:02:03'::macaddr WHERE writes() > 0 $$;
CREATE CAST (part AS macaddr) WITH FUNCTION turns(part);
CREATE FUNCTION turns_well(part) RETURNS uuid IMMUTABLE LANGUAGE sql AS
    $$ SELECT 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid $$;
CREATE CAST (part AS uuid) WITH FUNCTION turns_well(part);
CREATE TABLE columns_badly (v bigint DEFAULT lies(), w int DEFAULT writes());
GRANT SELECT ON ALL TABLES IN SCHEMA public TO bob;
CREATE STATISTICS stats ON item, n FROM sale;
CREATE INDEX ON sale (item, n);
"""

# ---- on a replica, with the same rows as from the primary ----

QUERIES = [
    "SELECT id, tag, o FROM item, unnest(tags) WITH ORDINALITY u (tag, o) ORDER BY 1, 2",
    "SELECT jsonb_populate_record(b, '{\"a\": 3}') FROM typed",
    "SELECT b FROM typed",
    "SELECT 1",
    "SELECT",
    "SELECT NULL",
    "select 1 as \"One\", 'a'\n'b'",
    "SELECT 1;",
    "SELECT 1 -- and a remark",
    "SELECT /* here /* too */ */ 1",
    "VALUES (1, 'a'), (2, NULL)",
    "TABLE tree",
    "SELECT * FROM item ORDER BY id",
    "SELECT count(*), sum(price), avg(price) FROM item",
    "SELECT name FROM item WHERE id IN (1, 3) OR name LIKE '%2' ORDER BY 1",
    "SELECT i.name, s.n FROM item i JOIN sale s ON s.item = i.id ORDER BY s.id",
    "SELECT i.id, s.n FROM item i LEFT JOIN sale s ON s.item = i.id AND s.n > 9 ORDER BY 1, 2",
    "SELECT * FROM tree a FULL JOIN tree b ON a.id = b.parent ORDER BY 1, 3",
    "SELECT * FROM tree NATURAL JOIN (VALUES (1, 'x')) v (id, w)",
    "SELECT * FROM tree JOIN sale USING (id) ORDER BY id",
    "SELECT a.id FROM tree a CROSS JOIN tree b ORDER BY 1",
    "SELECT item, sum(n) FROM sale GROUP BY item HAVING sum(n) > 9 ORDER BY 1",
    "SELECT item, day, sum(n), grouping(item, day) FROM sale GROUP BY GROUPING SETS ((item), (day), ()) "
    "ORDER BY 1, 2",
    "SELECT item, sum(n) FROM sale GROUP BY ROLLUP (item) ORDER BY 1",
    "SELECT item, n, sum(1) FROM sale GROUP BY CUBE (item, n) ORDER BY 1, 2",
    "SELECT DISTINCT item FROM sale ORDER BY 1",
    "SELECT DISTINCT ON (item) item, n FROM sale ORDER BY item, n DESC",
    "SELECT id, row_number() OVER w, lag(n) OVER w, ntile(3) OVER (ORDER BY id) FROM sale WINDOW w AS "
    "(PARTITION BY item ORDER BY id) ORDER BY id",
    "SELECT id, sum(n) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM sale "
    "ORDER BY id",
    "SELECT count(*) FILTER (WHERE n > 5), string_agg(n::text, ',' ORDER BY n), percentile_cont(0.5) "
    "WITHIN GROUP (ORDER BY n) FROM sale",
    "SELECT array_agg(DISTINCT item ORDER BY item), json_agg(n ORDER BY n), bool_and(n > 0) FROM sale",
    "WITH a AS (SELECT id FROM item), b AS MATERIALIZED (SELECT count(*) c FROM a) SELECT * FROM a, b "
    "ORDER BY 1",
    "WITH RECURSIVE r AS (SELECT id, 1 AS d FROM tree WHERE parent IS NULL UNION ALL SELECT t.id, d + 1 "
    "FROM tree t JOIN r ON r.id = t.parent) SELECT * FROM r ORDER BY 1",
    "WITH RECURSIVE r AS (SELECT id, parent FROM tree WHERE id = 1 UNION SELECT t.id, t.parent FROM tree "
    "t JOIN r ON t.parent = r.id) SEARCH DEPTH FIRST BY id SET o CYCLE id SET c USING p SELECT id, c FROM "
    "r ORDER BY o",
    "SELECT i.id, x.* FROM item i, LATERAL (SELECT n FROM sale s WHERE s.item = i.id ORDER BY n LIMIT 1) "
    "x ORDER BY 1",
    "SELECT * FROM ROWS FROM (generate_series(1, 3), unnest(ARRAY['a', 'b'])) r (a, b)",
    "SELECT id FROM item UNION SELECT item FROM sale ORDER BY 1",
    "SELECT id FROM item INTERSECT ALL SELECT item FROM sale ORDER BY 1",
    "SELECT id FROM item EXCEPT SELECT item FROM sale ORDER BY 1",
    "(SELECT 1 UNION ALL SELECT 2) UNION ALL VALUES (3) ORDER BY 1 LIMIT 2",
    "SELECT id FROM item ORDER BY id FETCH FIRST 2 ROWS WITH TIES",
    "SELECT id FROM item ORDER BY price USING > OFFSET 1 LIMIT 2",
    "SELECT CASE id WHEN 1 THEN 'one' ELSE 'more' END, COALESCE(NULL, id), NULLIF(id, 2), GREATEST(id, "
    "3), LEAST(id, 3) FROM item ORDER BY id",
    "SELECT id FROM item WHERE EXISTS (SELECT FROM sale WHERE item = item.id) AND id = ANY (SELECT item "
    "FROM sale) AND id <> ALL (ARRAY[9]) ORDER BY 1",
    "SELECT (SELECT max(n) FROM sale WHERE item = i.id), ARRAY(SELECT n FROM sale WHERE item = i.id ORDER "
    "BY 1) FROM item i ORDER BY i.id",
    "SELECT id BETWEEN 2 AND 3, id NOT BETWEEN SYMMETRIC 5 AND 1, id IS DISTINCT FROM 1, (id, 1) < (2, "
    "2), ROW(1, 2) = ROW(1, 2) FROM item ORDER BY id",
    "SELECT 'abc' SIMILAR TO 'a%', 'abc' ~* 'B', 'a' ILIKE 'A', 'x' || 1, 7 % 4, 2 ^ 3, |/ 4.0, @ -1, 5 & "
    "3, ~1, 1 << 3",
    "SELECT CAST('1' AS int), '2024-01-01'::date, int '5', '{1,2}'::int[], 1::bool, '1 day'::interval, "
    "1.5::numeric(4, 2), 'x'::char(3), B'101'::bit(3)",
    "SELECT EXTRACT(year FROM at), date_trunc('month', at), at AT TIME ZONE 'UTC', to_char(at, 'YYYY'), "
    "age(at, '2023-01-01'::timestamptz) FROM item ORDER BY id",
    "SELECT substring('abc' FROM 2), position('b' IN 'abc'), overlay('abc' PLACING 'x' FROM 2), trim(BOTH "
    "'x' FROM 'xax'), upper('a'), md5('a'), format('%s-%I', 1, 'A b')",
    "SELECT tags[1], tags[1:2], array_length(tags, 1), tags || 'z'::text, 'a' = ANY (tags), tags @> "
    "ARRAY['a'], array_to_string(tags, ',') FROM item ORDER BY id",
    "SELECT data->'n', data->>'n', data#>'{l,0}', data @> '{\"n\": 1}', data ? 'n', jsonb_set(data, "
    "'{n}', '5'), data['l'] FROM item ORDER BY id",
    "SELECT jsonb_path_query(data, '$.l[*]'), data @? '$.n' FROM item ORDER BY id",
    "SELECT k, v FROM item, jsonb_each(data) e (k, v) ORDER BY id, k",
    "SELECT * FROM jsonb_to_recordset('[{\"a\": 1, \"b\": \"x\"}]') AS r (a int, b text)",
    "SELECT row_to_json(t), to_jsonb(t) FROM tree t ORDER BY t.id",
    "SELECT json_build_object('a', 1), json_object_agg(id, parent) FROM tree",
    "SELECT * FROM json_populate_record(NULL::pair, '{\"a\": 1, \"b\": 2}')",
    "SELECT xmlelement(NAME a, xmlattributes(1 AS b), 'x'), xmlforest(1 AS a), xmlconcat('<a/>', '<b/>'), "
    "xmlserialize(CONTENT '<a/>'::xml AS text)",
    "SELECT xpath('//b/text()', x) FROM doc",
    "SELECT t.* FROM doc, XMLTABLE('//b' PASSING x COLUMNS i int PATH '@i', w text PATH '.') t",
    "SELECT '<a/>' IS DOCUMENT, xmlparse(CONTENT 'x'), xmlpi(NAME p), xmlagg(x) FROM doc",
    "SELECT id, ts_rank(doc, q), ts_headline('english', 'the cats', q) FROM item, to_tsquery('english', "
    "'cat') q WHERE doc @@ q ORDER BY id",
    "SELECT to_tsvector('simple', 'a b'), plainto_tsquery('a b') @@ 'a b', websearch_to_tsquery('a -b')",
    "SELECT * FROM ts_debug('english', 'a cat')",
    "SELECT span @> 2, lower(span), span * int4range(2, 4), '{[1,2)}'::int4multirange FROM item ORDER BY id",
    "SELECT item, (i).name, i FROM item i, sale s WHERE s.item = i.id AND s.id = 1",
    "SELECT * FROM typed",
    "SELECT a::positive, c::text FROM typed",
    "SELECT 5::positive, 'fine'::mood, enum_range(NULL::mood)",
    "SELECT '(1)'::part::uuid",
    'SELECT "A column" FROM "Odd name"',
    'SELECT U&"A \\0063olumn" FROM U&"Odd n\\0061me"',
    "SELECT * FROM postgres.public.tree ORDER BY id",
    "SELECT * FROM public.tree ORDER BY id",
    "SELECT v FROM other.here",
    "SELECT * FROM ONLY parent_well",
    'SELECT name COLLATE "C" FROM item ORDER BY name COLLATE "C" DESC NULLS LAST',
    "SELECT U&'\\0061', E'\\x61', $a$x$a$, X'1F'",
    "SELECT * FROM item TABLESAMPLE system (100) REPEATABLE (1) ORDER BY id",
    "SELECT count(*) FROM item TABLESAMPLE bernoulli (100)",
    "SELECT ctid, xmin, tableoid::regclass FROM item ORDER BY id",
    "SELECT twice FROM item ORDER BY id",
    "SELECT * FROM parent_well",
    "SELECT * FROM parted_well",
    "SELECT tableoid::regclass FROM parted_well",
    "SELECT * FROM stored ORDER BY id",
    "SELECT * FROM parted_well_1",
    "SELECT lo_get(4711)",
    "SELECT lo_get(4711, 1, 2)",
    "SELECT convert_from(data, 'UTF8') FROM pg_largeobject WHERE loid = 4711",
    "SELECT crypt('a', '$1$abcdefgh$'), digest('a', 'md5')",
    "SELECT 'A'::citext = 'a', 'a=>1'::hstore -> 'a', similarity('abc', 'abd')",
    "SELECT 1 / 0",
    "SELECT 'x'::int",
    "SELECT no_column FROM item",
    "SELECT * FROM no_table",
    "SELECT id FROM item WHERE id = 1 AND (SELECT true)",
    "SELECT merge FROM (SELECT 1 AS merge) x",
    "SELECT 'INSERT INTO log VALUES (1)'",
    "SELECT $$; DELETE FROM log; $$",
    "SELECT x.update FROM (VALUES (1)) AS x (update)",
    "SELECT current_date = current_date, localtime IS NULL",
    "SELECT hashtext('a'), width_bucket(5, 0, 10, 5), numrange(1, 2), gcd(4, 6), point(1, 2) <-> point(2, 2)",
]

FUNCTION_QUERIES = [
    "SELECT stable_sql(), public.stable_sql()",
    "SELECT stable_plpgsql(3)",
    "SELECT immutable_sql(1), immutable_plpgsql(2)",
    "SELECT * FROM rows_of(3)",
    "SELECT (rows_of(4)).name",
    "SELECT count(*) FROM rows_plpgsql()",
    "SELECT * FROM outs()",
    "SELECT a FROM outs()",
    "SELECT variadic_f(1, 2, 3), variadic_f(VARIADIC ARRAY[1])",
    "SELECT polymorphic(1), polymorphic('a'::text)",
    "SELECT defaults(), defaults(x => 4)",
    "SELECT definer()",
    "SELECT noisy()",
    "SELECT fails()",
    "SELECT atomic()",
    "SELECT of_session_setting(), with_setting()",
    "SELECT over_well(1), over_well('a'::text)",
    'SELECT "Quoted well"()',
    "SELECT other.f()",
    "SELECT full_name(i), i.full_name FROM item i ORDER BY id",
    "SELECT sums(id) FROM item",
    "SELECT id, sums(id) OVER (ORDER BY id) FROM item ORDER BY id",
    "SELECT in_c('a')",
    "SELECT 1 ==> 1, 1 OPERATOR(public.==>) 2",
    "SELECT pg_catalog.upper('a'), PG_CATALOG.Lower('A'), \"length\"('abc')",
    "SELECT other.here.v FROM other.here",
    "SELECT * FROM plain ORDER BY id",
    "SELECT * FROM over_plain ORDER BY id, n",
    "SELECT * FROM v_stable",
    "SELECT * FROM v_invoker ORDER BY id",
    "SELECT * FROM v_recursive",
    "SELECT * FROM guarded",
    "SELECT * FROM guarded_by_tenant",
    "SELECT * FROM ruled",
    "SELECT a FROM of_checked",
    "SELECT set_byte('abc', 0, 65)",
    "SELECT to_regclass('item'), 'item'::regclass, 'abs'::regproc IS NULL",
]

CATALOGUE = [
    "SELECT current_user, session_user, current_database(), current_catalog, current_schema, "
    "current_schemas(false)",
    "SELECT current_setting('work_mem'), current_setting('TimeZone'), current_setting('app.none', true)",
    "SELECT pg_catalog.current_setting('search_path')",
    "SELECT relname FROM pg_class WHERE relname LIKE 'item%' ORDER BY 1",
    "SELECT attname FROM pg_attribute WHERE attrelid = 'item'::regclass ORDER BY attnum",
    "SELECT nspname FROM pg_namespace ORDER BY 1",
    "SELECT proname FROM pg_proc WHERE oid = 'stable_sql'::regproc",
    "SELECT typname FROM pg_type WHERE typname = 'mood'",
    "SELECT rolname FROM pg_roles ORDER BY 1",
    "SELECT datname FROM pg_database ORDER BY 1",
    "SELECT seqstart FROM pg_sequence WHERE seqrelid = 'seq'::regclass",
    "SELECT indexdef FROM pg_indexes WHERE tablename = 'item'",
    "SELECT viewname FROM pg_views WHERE schemaname = 'public' ORDER BY 1",
    "SELECT tablename FROM pg_tables WHERE schemaname = 'other'",
    "SELECT matviewname FROM pg_matviews ORDER BY 1",
    "SELECT extname FROM pg_extension ORDER BY 1",
    "SELECT conname FROM pg_constraint WHERE conrelid = 'item'::regclass",
    "SELECT description FROM pg_description LIMIT 0",
    "SELECT usename FROM pg_user ORDER BY 1",
    "SELECT schema_name FROM information_schema.schemata ORDER BY 1",
    "SELECT count(*) FROM information_schema.table_constraints WHERE table_name = 'item'",
    "SELECT constraint_name FROM information_schema.referential_constraints ORDER BY 1",
    "SELECT policyname FROM pg_policies ORDER BY 1, tablename LIMIT 1",
    "SELECT has_table_privilege('item', 'SELECT'), has_schema_privilege('public', 'CREATE'), "
    "has_function_privilege('vol()', 'EXECUTE'), has_sequence_privilege('seq', 'USAGE')",
    "SELECT has_database_privilege('postgres', 'CONNECT'), has_column_privilege('item', 'id', 'UPDATE'), "
    "pg_has_role('bob', 'MEMBER'), has_type_privilege('mood', 'USAGE')",
    "SELECT pg_get_viewdef('plain'::regclass), pg_get_functiondef('stable_sql'::regproc), "
    "pg_get_indexdef('item_pkey'::regclass)",
    "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'sale'::regclass ORDER BY 1",
    "SELECT pg_get_userbyid(10), pg_get_serial_sequence('sale', 'id')",
    "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'item'::regclass",
    "SELECT pg_typeof(1), pg_column_size(1), format_type(23, NULL), col_description('item'::regclass, 1)",
    "SELECT pg_client_encoding(), getdatabaseencoding(), pg_encoding_to_char(6)",
    "SELECT pg_table_is_visible('item'::regclass), pg_describe_object('pg_class'::regclass, "
    "'item'::regclass, 0)",
    "SELECT pg_size_pretty(10240::bigint), pg_size_bytes('1 MB'), pg_wal_lsn_diff('0/2', '0/1')",
    "SELECT obj_description('item'::regclass), shobj_description(1, 'pg_database')",
    "SHOW search_path",
    "SHOW TimeZone",
    "SHOW TIME ZONE",
    "SHOW work_mem",
    "SHOW transaction_isolation",
    "SHOW TRANSACTION ISOLATION LEVEL",
    "SHOW DateStyle",
    "SHOW session_authorization",
    "SHOW client_encoding",
    "SHOW server_encoding",
    "SHOW standard_conforming_strings",
    "SHOW statement_timeout",
    "SHOW lc_messages",
    "SHOW is_superuser",
    "SHOW integer_datetimes",
    "SHOW max_identifier_length",
    "SHOW max_index_keys",
    "SHOW lc_collate",
    "SHOW no_such_setting",
    "SELECT current_setting('max_index_keys')",
]

EXPLAINED = [
    "EXPLAIN SELECT 1",
    "EXPLAIN (COSTS off) SELECT * FROM item WHERE id = 1",
    "EXPLAIN (COSTS off, VERBOSE, FORMAT json) SELECT count(*) FROM plain",
    "EXPLAIN (COSTS off, ANALYZE false) SELECT 1",
    "EXPLAIN (COSTS off) INSERT INTO log VALUES (1)",
    "EXPLAIN (COSTS off) INSERT INTO log SELECT id FROM item",
    "EXPLAIN (COSTS off) UPDATE log SET v = 2 WHERE v = 1",
    "EXPLAIN (COSTS off) DELETE FROM log WHERE v IN (SELECT id FROM item)",
    "EXPLAIN (COSTS off) INSERT INTO item (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = "
    "excluded.name RETURNING id",
    "EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT id FROM item",
    "COPY item TO STDOUT",
    "COPY item (id, name) TO STDOUT (FORMAT csv, HEADER)",
    "COPY (SELECT id FROM item ORDER BY id) TO STDOUT",
    "COPY (VALUES (1), (2)) TO STDOUT (FORMAT csv)",
    "COPY (SELECT stable_sql()) TO STDOUT",
    "COPY parted_well TO STDOUT",
    "COPY plain TO STDOUT",
]

SEVERAL = [
    "BEGIN; SELECT 1; SET TRANSACTION READ ONLY; COMMIT",
    "SELECT * FROM parted_1",
    'SELECT * FROM "größe"',
    "SELECT column_name FROM information_schema.columns WHERE table_name = 'item' ORDER BY ordinal_position",
    "SELECT 1; SELECT 2",
    "SELECT count(*) FROM item; SHOW work_mem; VALUES (1);",
    "BEGIN READ ONLY; SELECT count(*) FROM item; COMMIT",
    "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SELECT 1; ROLLBACK",
    "START TRANSACTION READ ONLY; DECLARE c CURSOR FOR SELECT id FROM item ORDER BY 1; FETCH 2 FROM c; "
    "CLOSE c; END",
    "BEGIN READ ONLY; SAVEPOINT a; SELECT 1; ROLLBACK TO a; RELEASE a; COMMIT",
    "SELECT 1; ; SELECT 2",
    "BEGIN; SET TRANSACTION READ ONLY; SELECT 1; COMMIT",
    "EXPLAIN (COSTS off) SELECT 1; SELECT 1 / 0; SELECT 2",
]

# Whose rows differ each time.
VARYING = [
    "SELECT now(), current_timestamp, transaction_timestamp(), statement_timestamp(), localtimestamp",
    "SELECT clock_timestamp(), timeofday()",
    "SELECT random()",
    "SELECT pg_catalog.gen_random_uuid()",
    "SELECT current_query()",
    "SELECT id FROM item ORDER BY random()",
    "SELECT age(now())",
    "SELECT date_part('epoch', clock_timestamp())",
    "SELECT pg_sleep(0.001), pg_sleep_for('1 ms')",
    "EXPLAIN ANALYZE SELECT 1",
    "EXPLAIN (ANALYZE, BUFFERS, WAL) SELECT count(*) FROM item",
    "SELECT age(datfrozenxid) >= 0 FROM pg_database",
    "TABLE pg_statistic",
]

READS = QUERIES + FUNCTION_QUERIES + CATALOGUE + EXPLAINED + SEVERAL

# ---- on the primary, as they must be ----

LOCKING = [
    "SELECT * FROM item ORDER BY id FOR UPDATE",
    "SELECT id FROM item WHERE id = 1 FOR SHARE",
    "SELECT id FROM item WHERE id = 1 FOR NO KEY UPDATE SKIP LOCKED",
    "SELECT id FROM item WHERE id = 1 FOR KEY SHARE NOWAIT",
    "SELECT * FROM (SELECT id FROM item ORDER BY id FOR UPDATE) x",
    "SELECT 1 WHERE EXISTS (SELECT FROM item FOR SHARE)",
    "WITH a AS (SELECT id FROM item ORDER BY id FOR SHARE) SELECT * FROM a",
    "SELECT * FROM v_locking ORDER BY id",
    "SELECT * FROM v_locking_within",
    "SELECT * FROM guarded_locking",
    "COPY (SELECT id FROM item ORDER BY id FOR SHARE) TO STDOUT",
    "TABLE tree FOR UPDATE",
    "BEGIN; SELECT 1 FROM item LIMIT 1 FOR UPDATE; COMMIT",
]

WRITES = [
    "INSERT INTO log VALUES (1)",
    "INSERT INTO log VALUES (1) RETURNING v",
    "WITH w AS (INSERT INTO log VALUES (1) RETURNING v) SELECT * FROM w",
    "WITH w AS (UPDATE log SET v = 1 WHERE v = -1 RETURNING v) SELECT count(*) FROM w",
    "WITH w AS (DELETE FROM log WHERE v = -1) SELECT 1",
    "SELECT * FROM (WITH w AS (SELECT 1) SELECT * FROM w) x, nextval('seq') n LIMIT 0",
    "UPDATE log SET v = 1 WHERE v = -1",
    "DELETE FROM log WHERE v = -1",
    "MERGE INTO log USING (VALUES (-1)) s (v) ON log.v = s.v WHEN MATCHED THEN DELETE",
    "TRUNCATE log",
    "LOCK TABLE log",
    "BEGIN; LOCK TABLE log; COMMIT",
    "COPY log FROM STDIN",
    "COPY log (v) FROM STDIN (FORMAT csv)",
    "EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) INSERT INTO log VALUES (1)",
    "EXPLAIN (ANALYZE on, COSTS off, TIMING off, SUMMARY off) DELETE FROM log WHERE v = -1",
    "COPY (INSERT INTO log VALUES (1) RETURNING v) TO STDOUT",
    "SELECT 1; INSERT INTO log VALUES (1)",
    "BEGIN; SELECT 1; COMMIT",
    "BEGIN; INSERT INTO log VALUES (1); ROLLBACK",
    "BEGIN READ WRITE; SELECT 1; COMMIT",
    "BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY; SELECT 1; COMMIT",
    "DO $$ BEGIN INSERT INTO log VALUES (1); END $$",
    "CALL proc(1)",
    "CALL proc_out(1)",
    "NOTIFY chan",
    "NOTIFY chan, 'x'",
    "LISTEN chan",
    "UNLISTEN *",
    "ROLLBACK PREPARED 'none'",
    "COMMIT PREPARED 'none'",
    "BEGIN; INSERT INTO log VALUES (1); PREPARE TRANSACTION 'none'",
    "CHECKPOINT",
    "VACUUM log",
    "ANALYZE log",
    "REINDEX TABLE log",
    "CLUSTER sale USING sale_pkey",
    "REFRESH MATERIALIZED VIEW stored",
    "SECURITY LABEL ON TABLE log IS NULL",
    "IMPORT FOREIGN SCHEMA x FROM SERVER far INTO public",
    "LOAD 'plpgsql'",
    "DISCARD PLANS",
    "ALTER SYSTEM SET work_mem = '4MB'",
    "INSERT INTO ruled VALUES (1)",
    "SELECT id INTO TEMP made FROM item; DROP TABLE made",
]

VOLATILE = [
    "SELECT nextval('seq') > 0",
    "SELECT pg_catalog.nextval('seq'::regclass) > 0",
    "SELECT \"nextval\"('seq') > 0",
    "VALUES (NEXTVAL('seq') > 0)",
    "SELECT 1 FROM generate_series(1, nextval('seq')) LIMIT 1",
    "SELECT 1 ORDER BY nextval('seq')",
    "SELECT 1 LIMIT nextval('seq')",
    "SELECT CASE WHEN true THEN 1 ELSE nextval('seq') END",
    "SELECT setval('seq', 5)",
    "SELECT setval('seq', 5, false)",
    "SELECT currval('no_seq')",
    "SELECT lastval() IS NULL",
    "SELECT lo_creat(-1) > 0",
    "SELECT lo_create(0) > 0",
    "SELECT lo_open(4711, 262144)",
    "SELECT loread(lo_open(4711, 262144), 3)",
    "SELECT lo_put(4711, 0, 'large')",
    "SELECT lo_from_bytea(0, 'x') > 0",
    "SELECT lo_unlink(lo_create(0))",
    "SELECT lo_import('/etc/hostname')",
    "SELECT lo_export(4711, '/nowhere')",
    "SELECT pg_notify('chan', 'x')",
    "SELECT pg_advisory_xact_lock(1)",
    "SELECT pg_advisory_xact_lock_shared(1, 2)",
    "SELECT pg_try_advisory_xact_lock(1)",
    "SELECT pg_advisory_lock_shared(3)",
    "SELECT pg_advisory_unlock(3)",
    "SELECT pg_advisory_unlock_all()",
    "SELECT txid_current() > 0",
    "SELECT txid_current_if_assigned() > 0",
    "SELECT txid_current_snapshot() IS NULL",
    "SELECT pg_current_xact_id() IS NULL",
    "SELECT pg_current_xact_id_if_assigned()",
    "SELECT pg_current_snapshot() IS NULL",
    "SELECT pg_xact_status('3'::xid8)",
    "SELECT txid_status(3)",
    "SELECT pg_switch_wal() IS NULL",
    "SELECT pg_create_restore_point('a') IS NULL",
    "SELECT pg_logical_emit_message(false, 'a', 'b') IS NULL",
    "SELECT pg_logical_emit_message(true, 'a', 'b') IS NULL",
    "SELECT set_config('work_mem', '5MB', false)",
    "SELECT set_config('app.x', 'y', true)",
    "SELECT setseed(0.5)",
    "SELECT setseed(0.5), random()",
    "SELECT pg_stat_reset()",
    "SELECT pg_promote()",
    "SELECT pg_reload_conf()",
    "SELECT pg_create_physical_replication_slot('x')",
    "SELECT pg_drop_replication_slot('x')",
    "SELECT pg_replication_origin_create('x')",
    "SELECT pg_export_snapshot() IS NULL",
    "SELECT brin_summarize_new_values('item_pkey')",
    "SELECT gin_clean_pending_list('item_pkey')",
    "SELECT query_to_xml('SELECT nextval(''seq'') > 0 AS n', true, false, '')",
    "SELECT query_to_xml('SELECT pg_is_in_recovery()', true, false, '')",
    "SELECT * FROM ts_stat('SELECT to_tsvector(pg_is_in_recovery()::text)')",
    "SELECT table_to_xml('v_node', true, false, '')",
    "SELECT uuid_generate_v4() IS NULL",
    "SELECT set_limit(0.3)",
    "SELECT ssl_is_used()",
    "SELECT gen_salt('md5') IS NULL",
]

OF_NODE = [
    "SELECT pg_is_in_recovery()",
    "SELECT NOT pg_catalog.pg_is_in_recovery()",
    "SELECT pg_backend_pid() > 0",
    "SELECT version()",
    "SELECT inet_server_port()",
    "SELECT inet_server_addr()",
    "SELECT inet_client_port() > 0",
    "SELECT inet_client_addr()",
    "SELECT pg_last_wal_receive_lsn()",
    "SELECT pg_last_wal_replay_lsn()",
    "SELECT pg_last_xact_replay_timestamp()",
    "SELECT pg_is_wal_replay_paused()",
    "SELECT pg_current_wal_lsn() IS NULL",
    "SELECT pg_current_wal_insert_lsn() IS NULL",
    "SELECT pg_current_wal_flush_lsn() IS NULL",
    "SELECT pg_walfile_name(pg_current_wal_lsn()) IS NULL",
    "SELECT pg_postmaster_start_time() IS NULL",
    "SELECT pg_conf_load_time() IS NULL",
    "SELECT timeline_id FROM pg_control_checkpoint()",
    "SELECT pg_trigger_depth()",
    "SELECT pg_jit_available()",
    "SELECT pg_listening_channels()",
    "SELECT pg_blocking_pids(1)",
    "SELECT pg_ls_dir('.')",
    "SELECT current_setting('in_hot_standby')",
    "SELECT current_setting('transaction_read_only')",
    "SELECT current_setting('default_transaction_read_only')",
    "SELECT current_setting('port')",
    "SELECT current_setting('cluster_name')",
    "SELECT current_setting('data' || '_directory', true) IS NULL",
    "SELECT current_setting(name) FROM (VALUES ('port')) v (name)",
    "SELECT current_setting('primary_slot_name')",
    "SELECT current_setting('max_connections')",
    "SELECT current_setting('server_version')",
    "SELECT current_setting('shared_buffers')",
    "SELECT current_setting('max_wal_senders')",
    "SELECT current_setting('recovery_target_name')",
    "SELECT current_setting('Log_Checkpoints', true)",
    "SHOW in_hot_standby",
    "SHOW transaction_read_only",
    "SHOW default_transaction_read_only",
    "SHOW port",
    "SHOW cluster_name",
    "SHOW max_connections",
    "SHOW server_version",
    "SHOW hot_standby",
    "SHOW listen_addresses",
    "SHOW primary_slot_name",
    "SHOW primary_conninfo",
    "SHOW data_directory",
    "SHOW archive_mode",
    'SHOW "port"',
    "SHOW shared_buffers",
    "SHOW max_wal_senders",
    "SHOW max_worker_processes",
    "SHOW wal_level",
    "SHOW ssl",
    "SHOW recovery_target_lsn",
    "SHOW max_standby_streaming_delay",
    "SHOW wal_receiver_timeout",
    "SHOW shared_preload_libraries",
    "SHOW autovacuum",
    "SHOW fsync",
    "SELECT count(*) FROM pg_stat_replication",
    "SELECT count(*) FROM pg_stat_wal_receiver",
    "SELECT count(*) > 0 FROM pg_stat_activity",
    "SELECT datname FROM pg_stat_database WHERE datname = 'postgres'",
    "SELECT relname FROM pg_stat_user_tables WHERE relname = 'item'",
    "SELECT count(*) FROM pg_statio_user_tables WHERE relname = 'item'",
    "SELECT count(*) FROM pg_stat_bgwriter",
    "SELECT archived_count FROM pg_stat_archiver",
    "SELECT count(*) > 0 FROM pg_locks",
    "SELECT pg_stat_get_numscans('item'::regclass) >= 0",
    "SELECT setting FROM pg_settings WHERE name = 'port'",
    "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'in_hot_standby'",
    "SELECT count(*) > 0 FROM pg_file_settings",
    "SELECT count(*) FROM pg_prepared_xacts",
    "SELECT count(*) FROM pg_prepared_statements WHERE name = 'none'",
    "SELECT count(*) FROM pg_cursors WHERE name = 'none'",
    "SELECT slot_name FROM pg_replication_slots ORDER BY 1",
    "SELECT count(*) FROM pg_replication_origin_status",
    "SELECT count(*) FROM pg_stat_progress_vacuum",
    "SELECT count(*) FROM pg_shmem_allocations",
    "SELECT sequencename, last_value IS NULL FROM pg_sequences WHERE sequencename = 'sale_id_seq'",
    "SELECT pg_relation_size('item')",
    "SELECT pg_table_size('item')",
    "SELECT pg_total_relation_size('item') > 0",
    "SELECT pg_database_size('postgres') > 0",
    "SELECT is_called IS NULL FROM seq",
    "SELECT increment_by FROM pg_sequences WHERE sequencename = 'seq'",
    "SELECT * FROM v_seq LIMIT 0",
    "COPY seq TO STDOUT",
    "TABLE sale_id_seq",
    "SELECT * FROM unlogged_t",
    "SELECT public.unlogged_t.v FROM public.unlogged_t",
    "SELECT count(*) FROM item WHERE id IN (SELECT v FROM unlogged_t)",
    "COPY unlogged_t TO STDOUT",
    "SELECT * FROM parent",
    "SELECT * FROM child",
    "SELECT * FROM parted",
    "SELECT * FROM parted_2",
    "SELECT * FROM parted_badly",
    "SELECT * FROM pg_temp.none",
    "EXPLAIN (COSTS off) SELECT * FROM unlogged_t",
    "EXPLAIN (COSTS off) INSERT INTO unlogged_t VALUES (1)",
]

OF_USERS = [
    "SELECT vol()",
    "SELECT public.vol()",
    "SELECT VOL ()",
    "SELECT vol_plpgsql(1)",
    "SELECT writes()",
    "SELECT * FROM writes()",
    "SELECT 1 FROM item WHERE id = writes()",
    "SELECT COALESCE(1, writes())",
    "EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT writes()",
    "COPY (SELECT writes()) TO STDOUT",
    "SELECT definer_badly()",
    "SELECT defaults_badly() IS NULL",
    "SELECT atomic_badly() IS NULL",
    "SELECT lies() IS NULL",
    "EXPLAIN (COSTS off, VERBOSE) SELECT 1 WHERE lies() < 0",
    "SELECT lies_plpgsql()",
    "SELECT lies_deeply()",
    "SELECT lies_quoted()",
    "SELECT lies_by_perform()",
    "SELECT lies_by_txid()",
    "SELECT dynamic('SELECT 1')",
    "SELECT dynamic('SELECT writes()')",
    "SELECT of_node()",
    "SELECT of_node_setting()",
    "SELECT of_unlogged()",
    "SELECT of_activity()",
    "SELECT over('a'::text)",
    'SELECT "Quoted"()',
    'SELECT "größer"()',
    'SELECT U&"Qu\\006fted"()',
    "SELECT other.reverse('abc')",
    "SELECT initcap(1)",
    "SELECT bad_name(i) FROM item i LIMIT 1",
    "SELECT i.bad_name FROM item i LIMIT 1",
    "SELECT (i).BAD_NAME FROM item i LIMIT 1",
    "SELECT sums_badly(id) FROM item",
    "SELECT in_c_pid() > 0",
    "SELECT * FROM v_vol",
    "SELECT count(*) FROM v_deep",
    "SELECT * FROM v_node",
    "SELECT * FROM v_setting",
    "SELECT * FROM guarded_badly",
    "SELECT * FROM guarded_by_node",
    "SELECT 1 === 2",
    "SELECT 1 OPERATOR(public.===) 2",
    "SELECT id FROM item WHERE id === ANY (ARRAY[1]) ORDER BY 1",
    "SELECT NOT 1 =@= id FROM item WHERE NOT (id =@= 1) ORDER BY id",
    "SELECT 1::checked",
    "SELECT CAST(id AS checked) FROM item ORDER BY id",
    "SELECT checked '1'",
    "SELECT '{1}'::checked[]",
    "SELECT '(1,2)'::pair_badly",
    "SELECT ROW(1, 2)::pair_badly",
    "SELECT 1::of_primary",
    "SELECT '(1)'::part::macaddr",
    "SELECT * FROM jsonb_to_record('{\"a\": 1}') AS r (a of_primary)",
    "SELECT * FROM json_populate_record(NULL::of_checked, '{\"a\": 1, \"b\": 1}')",
    "SELECT r.* FROM of_checked x, jsonb_populate_record(x, '{\"a\": 3}') r",
    "SELECT r.b FROM of_checked x, LATERAL json_populate_recordset(x, '[{\"b\": 3}]') r",
    "SELECT * FROM XMLTABLE('/a' PASSING '<a>1</a>'::xml COLUMNS a of_primary PATH '.') t",
    "SELECT * FROM crosstab('SELECT 1, 1, pg_is_in_recovery()::text') AS c (a int, b text)",
    "SELECT * FROM crosstab('SELECT 1, 1, writes()') AS c (a int, b int)",
    "SELECT NOT (1 =@= 2)",
    "SELECT normal_rand(1, 0, 0)",
]

SETTING = [
    "SET work_mem = '6MB'",
    "SET LOCAL work_mem = '6MB'",
    "SET app.x = 'y'",
    "RESET work_mem",
    "RESET ALL",
    "SET ROLE bob",
    "RESET ROLE",
    "SET SESSION AUTHORIZATION alice",
    "SET TIME ZONE 'UTC'",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "SET CONSTRAINTS ALL DEFERRED",
    "SET search_path = other",
    "DISCARD ALL",
    "PREPARE p AS SELECT 1",
    "DEALLOCATE ALL",
    "EXECUTE none",
    "DECLARE c CURSOR FOR SELECT 1",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "FETCH FROM none",
    "CLOSE none",
    "SAVEPOINT a",
    "COMMIT",
    "ROLLBACK",
    "SET TRANSACTION READ ONLY",
    "CREATE TEMP TABLE tmp (v int); SELECT * FROM tmp; DROP TABLE tmp",
]

DEFINING = [
    "CREATE TABLE IF NOT EXISTS made (v int)",
    "CREATE OR REPLACE VIEW made_view AS SELECT 1 AS i",
    "CREATE OR REPLACE FUNCTION made_f() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1'",
    "CREATE INDEX IF NOT EXISTS made_i ON made (v)",
    "CREATE SEQUENCE IF NOT EXISTS made_s",
    "CREATE SCHEMA IF NOT EXISTS made_schema",
    "ALTER TABLE made ALTER v SET STATISTICS 10",
    "ALTER SEQUENCE made_s RESTART",
    "GRANT SELECT ON made TO bob",
    "REVOKE SELECT ON made FROM bob",
    "COMMENT ON TABLE made IS 'x'",
    "ALTER TABLE made ENABLE ROW LEVEL SECURITY",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO bob",
    "CREATE TABLE IF NOT EXISTS made AS SELECT 1 AS v",
    "SELECT 1 AS v INTO made",
    "CREATE ROLE none",
    "CREATE DATABASE none",
    "ALTER ROLE alice SET app.y = 'z'",
    "CREATE MATERIALIZED VIEW stored AS SELECT 1 AS i",
    "DROP TABLE IF EXISTS none",
    "DROP FUNCTION IF EXISTS none()",
    "BEGIN; CREATE TABLE gone (v int); ROLLBACK",
    "DROP TABLE none",
]

MUST_WRITE = LOCKING + WRITES + VOLATILE + OF_NODE + OF_USERS + SETTING + DEFINING

MUST_WRITE_VARYING = [
    "SELECT pg_try_advisory_lock(2)",
    "SELECT pg_try_advisory_lock_shared(2)",
    "SELECT pg_my_temp_schema()",
    "SHOW ALL",
]

# PostgreSQL ends the session of whoever has an EXECUTE do this outside a transaction.
FATAL_BY_EXECUTE = ["SAVEPOINT a"]

# ---- on the primary, where a replica might do as well ----

CAUTIOUS = [
    # One of several of that name, or a name of PostgreSQL's own.
    "BEGIN READ ONLY; SELECT 1; COMMIT; BEGIN; SELECT 2; COMMIT",
    "SELECT over(1)",
    "SELECT nextval(1)",
    "SELECT initcap('a')",
    "SELECT reverse('abc')",
    "SELECT other.lower('A')",
    "SELECT v.lower FROM (SELECT 1 AS lower) v WHERE no_such_function(1)",
    # A column of a value that is no table's row may be a function that nobody knows.
    "SELECT id, t.o, t.tag FROM item, unnest(tags) WITH ORDINALITY t (tag, o) ORDER BY 1, 2",
    "SELECT (ROW(1, 2)::pair).b, (b).a FROM typed",
    "SELECT (jsonb_populate_record(b, '{\"a\": 3}')).a FROM typed",
    "SELECT * FROM ONLY parent",
    "SELECT * FROM parted WHERE v = 1",
    "SELECT table_name FROM information_schema.tables WHERE table_name = 'item'",
    "SELECT row_security_active('item')",
    "SELECT pg_tablespace_location(0)",
    "SELECT pg_relation_filepath('item') IS NULL",
    "SELECT tablename FROM pg_stats WHERE tablename = 'none'",
    "SELECT abbrev FROM pg_timezone_abbrevs WHERE abbrev = 'CET'",
    "SELECT name FROM pg_available_extensions WHERE name = 'plpgsql'",
    "SELECT pg_partition_tree('parted')",
    "SELECT table_to_xml('tree', true, false, '')",
    "SELECT query_to_xml('SELECT 1', true, false, '')",
    "SELECT current_setting(E'work_mem')",
    "SELECT current_setting('work' || '_mem')",
    "EXPLAIN (COSTS off) MERGE INTO log USING (VALUES (-1)) s (v) ON log.v = s.v WHEN MATCHED THEN DELETE",
    "EXPLAIN (COSTS off) CREATE TABLE none AS SELECT 1",
    "EXPLAIN (COSTS off) DECLARE c CURSOR FOR SELECT 1",
    "EXPLAIN (COSTS off) EXECUTE none",
    "SELECT * FROM crosstab('SELECT 1, 1, 1') AS c (a int, b int)",
    "SELECT ARRAY[ROW(1, 2)]::pair_badly[] IS NULL",
    "SELECT a IS NULL FROM of_checked WHERE a = 1::checked",
    "SELECT 1" + " + 1" * 1500,
    "SELECT " + "(" * 250 + "1" + ")" * 250,
]

# Asked on a replica, which cannot tell a fault of its own from one of the statement.
TWICE = ["SELECT * FROM stored_not"]

# ---- with parameters, by the extended protocol ----

PARAMETERS = [
    ("r", "SELECT name FROM item WHERE id = $1", [2]),
    ("r", "SELECT $1::text, $2::int + 1", ["a", 5]),
    ("r", "SELECT id FROM item WHERE id = ANY ($1) ORDER BY 1", ["{1,3}"]),
    ("r", "SELECT count(*) FROM item WHERE name LIKE $1", ["item%"]),
    ("r", "SELECT $1::positive", [1]),
    ("r", "SELECT $1::positive", [-1]),
    ("r", "SELECT id FROM item ORDER BY id LIMIT $1 OFFSET $2", [2, 1]),
    ("r", "SELECT stable_plpgsql($1)", [2]),
    ("r", "SELECT to_regclass($1)", ["item"]),
    ("r", "VALUES ($1::int)", [None]),
    ("p", "SELECT nextval($1) > 0", ["seq"]),
    ("p", "SELECT current_setting($1)", ["in_hot_standby"]),
    ("p", "SELECT current_setting($1)", ["port"]),
    ("p", "SELECT query_to_xml($1, true, false, '')", ["SELECT pg_is_in_recovery()"]),
    ("p", "SELECT set_config('app.z', $1, false)", ["1"]),
    ("p", "INSERT INTO log VALUES ($1)", [1]),
    ("p", "SELECT $1::checked", [1]),
    ("p", "SELECT id FROM item WHERE id = $1 FOR UPDATE", [1]),
    ("p", "SELECT pg_try_advisory_xact_lock($1)", [9]),
    ("p", "SELECT dynamic($1)", ["SELECT 1"]),
    ("p", "SELECT writes() + $1", [1]),
    ("p", "SELECT 1 === $1", [1]),
    ("p", "SELECT table_to_xml($1::regclass, true, false, '')", ["v_node"]),
    ("r", "SELECT pg_get_viewdef($1::regclass)", ["plain"]),
    ("r", "SELECT * FROM rows_of($1)", [4]),
]

# ---- one behind the other: where each must run ('-': it does not matter), and the text ----

SCRIPTS = [
    [("-", "BEGIN READ ONLY"), ("r", "SELECT count(*) FROM item"),
     ("r", "DECLARE c SCROLL CURSOR FOR SELECT id FROM item ORDER BY id"), ("r", "FETCH 2 FROM c"),
     ("r", "MOVE 1 IN c"), ("r", "FETCH ALL FROM c"), ("r", "FETCH PRIOR FROM c"), ("r", "CLOSE c"),
     ("r", "COMMIT"), ("r", "SELECT 1")],
    [("-", "BEGIN READ ONLY"), ("r", "DECLARE c CURSOR FOR SELECT id FROM item ORDER BY id"),
     ("r", "FETCH 1 FROM c"), ("r", "SELECT nextval('seq')"), ("r", "ROLLBACK")],
    [("-", "BEGIN"), ("p", "DECLARE c CURSOR FOR SELECT id FROM item ORDER BY id"), ("p", "FETCH 2 FROM c"),
     ("p", "INSERT INTO log VALUES (1)"), ("p", "COMMIT")],
    [("-", "BEGIN"), ("p", "DECLARE c CURSOR WITH HOLD FOR SELECT id FROM item ORDER BY id"), ("p", "COMMIT"),
     ("p", "FETCH 2 FROM c"), ("p", "SELECT 1"), ("p", "CLOSE c")],
    [("-", "BEGIN READ ONLY"), ("p", "SELECT vol()"), ("p", "SELECT 1"), ("p", "INSERT INTO log VALUES (1)"),
     ("p", "ROLLBACK")],
    [("-", "BEGIN READ ONLY"), ("r", "SAVEPOINT a"), ("r", "SELECT 1"), ("r", "SELECT 1 / 0"),
     ("r", "ROLLBACK TO a"), ("r", "SELECT 2"), ("r", "RELEASE a"), ("r", "COMMIT")],
    [("-", "BEGIN"), ("p", "SAVEPOINT a"), ("p", "SELECT 1"), ("p", "ROLLBACK TO a"), ("p", "COMMIT")],
    [("-", "BEGIN"), ("-", "SET TRANSACTION READ ONLY"), ("r", "SELECT count(*) FROM item"),
     ("r", "COMMIT AND CHAIN"), ("r", "SELECT 1"), ("r", "COMMIT")],
    [("-", "BEGIN"), ("p", "SET LOCAL work_mem = '7MB'"), ("p", "SHOW work_mem"), ("p", "COMMIT"),
     ("r", "SHOW work_mem")],
    [("-", "BEGIN READ ONLY"), ("p", "SHOW transaction_read_only"), ("p", "SELECT 1"), ("p", "COMMIT")],
    [("-", "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE"), ("p", "SELECT 1"), ("p", "COMMIT")],
    [("p", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"), ("-", "BEGIN"), ("r", "SELECT 1"),
     ("r", "COMMIT"), ("r", "SELECT 2"), ("p", "INSERT INTO log VALUES (1)"), ("-", "BEGIN READ WRITE"),
     ("p", "INSERT INTO log VALUES (1)"), ("p", "COMMIT")],
    [("p", "SET default_transaction_read_only = on"), ("-", "BEGIN"), ("r", "SELECT 1"), ("r", "COMMIT"),
     ("p", "SELECT nextval('seq')"), ("p", "SHOW default_transaction_read_only"),
     ("p", "RESET default_transaction_read_only"), ("-", "BEGIN"), ("p", "SELECT 1"), ("p", "COMMIT")],
    [("p", "SET default_transaction_isolation = 'serializable'"), ("p", "SELECT 1"), ("-", "BEGIN READ ONLY"),
     ("p", "SELECT 1"), ("p", "COMMIT")],
    [("p", "SET default_transaction_isolation = 'repeatable read'"), ("r", "SHOW transaction_isolation"),
     ("r", "SELECT count(*) FROM item")],
    [("p", "SET search_path = other, public"), ("r", "SELECT * FROM here"), ("r", "SELECT f()"),
     ("r", "SHOW search_path"), ("p", "SELECT reverse('abc')")],
    [("p", "SET search_path = other, pg_catalog"), ("p", "SELECT reverse('abc')"), ("r", "SELECT upper('a')")],
    [("p", "SET work_mem = '8MB'"), ("r", "SHOW work_mem"),
     ("r", "SELECT current_setting('work_mem'), of_session_setting()"), ("p", "RESET work_mem"),
     ("r", "SHOW work_mem")],
    [("p", "SET app.tenant = 'b'"), ("r", "SELECT current_setting('app.tenant')"),
     ("r", "SELECT * FROM guarded_by_tenant")],
    [("p", "SET TimeZone = 'Asia/Tokyo'"), ("r", "SELECT '2024-01-01 00:00+00'::timestamptz"),
     ("p", "SET DateStyle = 'German'"), ("r", "SELECT date '2024-02-01'")],
    [("p", "SET ROLE bob"), ("r", "SELECT current_user, session_user"), ("r", "SELECT count(*) FROM item"),
     ("r", 'SELECT * FROM "Odd name"'), ("p", "RESET ROLE"), ("r", "SELECT current_user")],
    [("p", "SET standard_conforming_strings = off"), ("-", "SELECT '\\\\x'"),
     ("p", "RESET standard_conforming_strings"), ("r", "SELECT '\\x'")],
    [("p", "PREPARE q AS SELECT count(*) FROM item"), ("p", "EXECUTE q"),
     ("p", "EXPLAIN (COSTS off) EXECUTE q"), ("p", "SELECT 1"), ("p", "DEALLOCATE q")],
    [("p", "CREATE TEMP TABLE tmp AS SELECT 1 AS v"), ("p", "SELECT * FROM tmp"),
     ("p", "SELECT count(*) FROM item"), ("p", "DROP TABLE tmp")],
    [("p", "CREATE TEMP TABLE item AS SELECT 1 AS v"), ("p", "SELECT * FROM item"),
     ("p", "DROP TABLE pg_temp.item")],
    [("p", "LISTEN chan"), ("p", "SELECT 1"), ("p", "SELECT pg_listening_channels()"), ("p", "UNLISTEN *")],
    [("p", "SELECT pg_advisory_lock(77)"), ("p", "SELECT 1"), ("p", "SELECT pg_advisory_unlock(77)")],
    [("p", "SELECT setseed(0.25)"), ("p", "SELECT random()"), ("p", "SELECT 1")],
    [("p", "SELECT nextval('seq') > 0"), ("p", "SELECT currval('seq') > 0"), ("p", "SELECT lastval() > 0")],
    [("-", "BEGIN"), ("p", "SELECT lo_open(4711, 262144)"), ("p", "SELECT loread(0, 2)"), ("p", "COMMIT")],
    [("-", "BEGIN"), ("p", "INSERT INTO log VALUES (1)"), ("p", "PREPARE TRANSACTION 'x'"),
     ("p", "ROLLBACK PREPARED 'x'")],
    [("-", "BEGIN READ ONLY"), ("p", "SELECT pg_export_snapshot() IS NULL"), ("p", "COMMIT")],
    [("-", "BEGIN"), ("-", "SET TRANSACTION SNAPSHOT 'none'"), ("-", "ROLLBACK")],
    [("-", "BEGIN READ ONLY"), ("r", "SELECT 1"), ("r", "SET LOCAL work_mem = '9MB'"), ("r", "SHOW work_mem"),
     ("r", "COMMIT"), ("r", "SHOW work_mem")],
]

# What one string or pipeline leaves open may write.
LEFT_OPEN = [
    [("p", "BEGIN READ ONLY; SELECT 1; COMMIT; BEGIN"), ("p", "INSERT INTO log VALUES (1)"), ("p", "COMMIT")],
    [("p", "BEGIN READ ONLY; COMMIT; BEGIN"), ("p", "INSERT INTO log VALUES (1)"), ("p", "COMMIT")],
    [("-", "BEGIN READ ONLY"), ("p", "COMMIT; BEGIN"), ("p", "INSERT INTO log VALUES (1)"), ("p", "COMMIT")],
    [("-", "BEGIN READ ONLY"), ("p", "ROLLBACK; SELECT 1; BEGIN; SELECT 2"),
     ("p", "INSERT INTO log VALUES (1)"), ("p", "COMMIT")],
    [("-", "BEGIN READ ONLY"), ("p", "COMMIT; INSERT INTO log VALUES (1)"), ("r", "SELECT 1")],
    [("r", "BEGIN READ ONLY; SELECT 1"), ("r", "SELECT 2"), ("r", "COMMIT")],
    [("r", "BEGIN READ ONLY; SELECT 1; COMMIT AND CHAIN"), ("r", "SELECT 2"), ("r", "COMMIT")],
    [("p", "BEGIN; SELECT 1"), ("p", "INSERT INTO log VALUES (1)"), ("p", "COMMIT")],
]

# Without a Sync between them.
PIPELINES = [
    ("r", ["SELECT 1", "SELECT count(*) FROM item", "VALUES (1)"]),
    ("p", ["SELECT 1", "INSERT INTO log VALUES (1)", "SELECT 2"]),
    ("p", ["SELECT 1", "SELECT writes()"]),
    ("r", ["BEGIN READ ONLY", "SELECT 1", "COMMIT"]),
    ("p", ["BEGIN", "SELECT 1", "COMMIT"]),
    ("p", ["BEGIN READ ONLY", "SELECT 1", "COMMIT", "BEGIN", "SELECT 2", "COMMIT"]),
    ("r", ["SELECT 1", "SELECT 2", "SELECT 1 / 0"]),
    ("p", ["SELECT pg_is_in_recovery()", "SELECT 1"]),
    ("r", ["SHOW work_mem", "EXPLAIN (COSTS off) SELECT 1"]),
    ("p", ["SET work_mem = '5MB'", "SHOW work_mem"]),
]
