-- psql describes a statement without running it.
SELECT 1 AS a, 'x'::text AS b, now() AS c, '{}'::int[] AS d \gdesc
SET work_mem = '5MB';
SELECT current_setting('work_mem') AS w \gdesc
SHOW work_mem;
CREATE TEMP TABLE tt (v int, w text);
SELECT * FROM tt \gdesc
DROP TABLE tt;
SELECT * FROM tt \gdesc
BEGIN;
SELECT 1 AS a \gdesc
ROLLBACK;
