-- pg_settings written to by code.
DO $$ BEGIN UPDATE pg_settings SET setting = '5MB' WHERE name = 'work_mem'; END $$;
SHOW work_mem;
CREATE FUNCTION f(n text, v text) RETURNS void LANGUAGE sql AS $$ UPDATE pg_settings SET setting = v WHERE name = n $$;
SELECT f('work_mem', '6MB');
SHOW work_mem;
CREATE VIEW s AS SELECT name, setting FROM pg_settings;
UPDATE s SET setting = '7MB' WHERE name = 'work_mem';
SHOW work_mem;
PREPARE p AS UPDATE pg_settings SET setting = '8MB' WHERE name = 'work_mem';
EXECUTE p;
SHOW work_mem;
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) UPDATE pg_settings SET setting = '9MB' WHERE false;
SHOW work_mem;
