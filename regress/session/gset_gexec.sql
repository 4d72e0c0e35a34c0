-- psql's variables and commands.
SELECT 'work_mem' AS name, '5MB' AS value \gset
SET :name = :'value';
SHOW :name;
SELECT set_config('work_mem', '6MB', false) AS now \gset
\echo :now
SHOW work_mem;
SELECT format('SET %s = %L', n, v) FROM (VALUES ('work_mem', '7MB'), ('lock_timeout', '7s')) AS x (n, v) \gexec
SHOW work_mem;
SHOW lock_timeout;
SELECT 'CREATE TEMP TABLE tt AS SELECT ' || g || ' AS v' FROM generate_series(1, 2) AS g \gexec
SELECT * FROM tt;
SELECT 'DROP TABLE tt', 'SELECT * FROM tt' \gexec
SELECT 1 AS a, 'x'::text AS b, now() AS c, '{}'::int[] AS d \gdesc
SELECT set_config('work_mem', '8MB', false) AS s \gdesc
SHOW work_mem;
SELECT nothing \gdesc
CREATE TABLE a (v int) \gdesc
SELECT 1/0 \gdesc
SELECT 1 AS x, 2 AS y \gx
SELECT 1 AS x \g (format=unaligned)
SELECT * FROM (VALUES (1, 'a', 'x'), (2, 'b', 'y')) AS t (r, c, v) \crosstabview
SELECT 1/0;
\errverbose
\echo :ERROR :SQLSTATE :ROW_COUNT :LAST_ERROR_SQLSTATE
\if :ERROR
SET work_mem = '9MB';
\endif
SHOW work_mem;
\dconfig work_mem
\encoding
PREPARE p (int) AS SELECT $1 + 1 AS n;
EXECUTE p (1) \gset
\echo :n
EXECUTE p (1) \gdesc
DEALLOCATE p;
