-- psql begins transactions by itself, or savepoints.
\set AUTOCOMMIT off
SET work_mem = '5MB';
SHOW work_mem;
ROLLBACK;
SHOW work_mem;
COMMIT;
SET work_mem = '6MB';
COMMIT;
SHOW work_mem;
COMMIT;
CREATE TEMP TABLE tt (v int);
COMMIT;
INSERT INTO tt VALUES (1);
ROLLBACK;
SELECT * FROM tt;
COMMIT;
SELECT 1/0;
SHOW work_mem;
ROLLBACK;
\set AUTOCOMMIT on
\set ON_ERROR_ROLLBACK on
BEGIN;
SET work_mem = '7MB';
SELECT 1/0;
SHOW work_mem;
SET work_mem = 'bad';
SET lock_timeout = '5s';
COMMIT;
SHOW work_mem;
SHOW lock_timeout;
SELECT * FROM tt;
DROP TABLE tt;
\set ON_ERROR_ROLLBACK off
\set SHOW_ALL_RESULTS off
SET work_mem = '8MB' \; SELECT 1 \; SHOW work_mem;
\set SINGLELINE on
SHOW work_mem
\set SINGLELINE off
