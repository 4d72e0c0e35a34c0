-- set_config() within other commands than SELECT.
CREATE TABLE a (v text);
INSERT INTO a VALUES (set_config('work_mem', '5MB', false));
SHOW work_mem;
UPDATE a SET v = set_config('work_mem', '6MB', false);
SHOW work_mem;
DELETE FROM a WHERE set_config('work_mem', '7MB', false) = 'x';
SHOW work_mem;
INSERT INTO a VALUES ('y') RETURNING set_config('work_mem', '8MB', false);
SHOW work_mem;
COPY (SELECT set_config('work_mem', '9MB', false)) TO STDOUT;
SHOW work_mem;
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT set_config('work_mem', '10MB', false);
SHOW work_mem;
EXPLAIN (COSTS off) SELECT set_config('work_mem', '11MB', false);
SHOW work_mem;
CREATE TABLE b AS SELECT set_config('work_mem', '12MB', false) AS v;
SHOW work_mem;
ALTER TABLE b ADD COLUMN w text DEFAULT set_config('work_mem', '13MB', false);
SHOW work_mem;
ALTER TABLE b ALTER COLUMN v TYPE text USING set_config('work_mem', '14MB', false);
SHOW work_mem;
ALTER TABLE b ADD CHECK (set_config('work_mem', '15MB', false) IS NOT NULL);
SHOW work_mem;
CREATE MATERIALIZED VIEW m AS SELECT set_config('lock_timeout', '15s', false) AS v;
SHOW lock_timeout;
SET lock_timeout = '1s';
REFRESH MATERIALIZED VIEW m;
SHOW lock_timeout;
MERGE INTO a USING (VALUES ('y')) AS n (v) ON a.v = n.v WHEN MATCHED THEN UPDATE SET v = set_config('lock_timeout', '16s', false);
SHOW lock_timeout;
COPY a FROM STDIN WHERE set_config('lock_timeout', '17s', false) IS NOT NULL;
one
two
\.
SHOW lock_timeout;
CREATE PROCEDURE p(x text) LANGUAGE sql AS 'SELECT 1';
CALL p(set_config('lock_timeout', '18s', false));
SHOW lock_timeout;
DECLARE c CURSOR WITH HOLD FOR SELECT set_config('lock_timeout', '19s', false);
SHOW lock_timeout;
CLOSE c;
SELECT set_config('lock_timeout', '20s', false) INTO d;
SHOW lock_timeout;
