-- Procedures with transactions of their own.
CREATE TABLE a (v int);
CREATE PROCEDURE p() LANGUAGE plpgsql AS $$
BEGIN
  SET work_mem = '5MB';
  INSERT INTO a VALUES (1);
  COMMIT;
  SET work_mem = '6MB';
  INSERT INTO a VALUES (2);
  ROLLBACK;
  SET LOCAL lock_timeout = '3s';
  INSERT INTO a VALUES (3);
END $$;
CALL p();
SHOW work_mem;
SHOW lock_timeout;
SELECT * FROM a;
BEGIN;
CALL p();
ROLLBACK;
SHOW work_mem;
RESET work_mem;
CALL p() \; SELECT 1;
SHOW work_mem;
DO $$ BEGIN SET work_mem = '7MB'; COMMIT; SET work_mem = '8MB'; RAISE division_by_zero; END $$;
SHOW work_mem;
CREATE PROCEDURE q(n int, INOUT r text) LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('work_mem', n || 'MB', false); r := current_setting('work_mem'); COMMIT; END $$;
CALL q(9, NULL);
SHOW work_mem;
CREATE PROCEDURE e() LANGUAGE plpgsql AS $$ BEGIN CREATE TEMP TABLE tt (v int); COMMIT; PERFORM pg_advisory_lock(5); COMMIT; PERFORM 1/0; END $$;
CALL e();
SELECT * FROM tt;
SELECT pg_advisory_unlock(5);
DROP TABLE tt;
DO $$ BEGIN FOR i IN 1..3 LOOP INSERT INTO a VALUES (10 + i); PERFORM set_config('app.i', i::text, true); IF i = 2 THEN ROLLBACK; ELSE COMMIT; END IF; END LOOP; END $$;
SELECT current_setting('app.i', true) = '';
SELECT * FROM a ORDER BY v;
