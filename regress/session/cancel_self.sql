-- A statement that cancels itself.
SET work_mem = '5MB';
SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(20);
SHOW work_mem;
BEGIN;
SET work_mem = '6MB';
SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(20);
COMMIT;
SHOW work_mem;
CREATE TEMP TABLE tt (v int);
SELECT set_config('work_mem', '7MB', false), pg_cancel_backend(pg_backend_pid()), pg_sleep(20);
SELECT * FROM tt;
SHOW work_mem;
DO $$ BEGIN SET work_mem = '8MB'; COMMIT; PERFORM pg_cancel_backend(pg_backend_pid()); PERFORM pg_sleep(20); END $$;
SHOW work_mem;
DO $$ BEGIN PERFORM pg_cancel_backend(pg_backend_pid()); PERFORM pg_sleep(20); EXCEPTION WHEN query_canceled THEN SET work_mem = '9MB'; END $$;
SHOW work_mem;
DROP TABLE tt;
SHOW work_mem;
