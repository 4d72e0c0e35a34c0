-- EXPLAIN ANALYZE does what it explains.
CREATE TABLE a (v text);
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) CREATE TEMP TABLE tt AS SELECT 1 AS v;
SELECT * FROM tt;
SELECT * FROM tt;
DROP TABLE tt;
EXPLAIN (COSTS off) CREATE TEMP TABLE tt AS SELECT 1 AS v;
SELECT * FROM tt;
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) DECLARE c CURSOR WITH HOLD FOR SELECT 1;
FETCH c;
PREPARE p AS SELECT set_config('work_mem', '5MB', false);
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) EXECUTE p;
SHOW work_mem;
EXPLAIN ANALYZE SELECT set_config('work_mem', '6MB', false) \g /dev/null
SHOW work_mem;
EXPLAIN ANALYZE VERBOSE SELECT set_config('work_mem', '7MB', false) \g /dev/null
SHOW work_mem;
EXPLAIN (ANALYZE off, COSTS off) SELECT set_config('work_mem', '8MB', false);
SHOW work_mem;
EXPLAIN (ANALYZE true, COSTS off, TIMING off, SUMMARY off) INSERT INTO a VALUES (set_config('work_mem', '9MB', false));
SHOW work_mem;
EXPLAIN (COSTS off, TIMING off, SUMMARY off, ANALYZE) SELECT pg_advisory_lock(5);
SELECT pg_advisory_unlock(5);
CREATE FUNCTION f() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT set_config('work_mem', '10MB', false) $$;
CREATE FUNCTION g() RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN set_config('work_mem', '11MB', false); END $$;
EXPLAIN (COSTS off) SELECT g();
SHOW work_mem;
EXPLAIN (COSTS off) SELECT 1 FROM a WHERE v = g();
SHOW work_mem;
PREPARE q AS SELECT g();
RESET work_mem;
EXECUTE q;
SHOW work_mem;
