-- Locks and sequences within a transaction.
BEGIN;
SELECT plan(6);
CREATE SEQUENCE pg_temp.s;
SELECT is(nextval('pg_temp.s'), 1::bigint, 'first');
SELECT is(nextval('pg_temp.s'), 2::bigint, 'second');
SELECT is(currval('pg_temp.s'), 2::bigint, 'current');
SELECT pg_advisory_xact_lock(4711);
SELECT is((SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), 1::bigint, 'held');
CREATE TABLE pg_temp.q (id int PRIMARY KEY) ON COMMIT DROP;
INSERT INTO q SELECT generate_series(1, 5);
SELECT is((SELECT count(*) FROM (SELECT id FROM q FOR UPDATE SKIP LOCKED) l), 5::bigint, 'row locks');
LOCK TABLE pg_temp.q IN ACCESS EXCLUSIVE MODE;
SELECT is((SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'q'::regclass
	AND pid = pg_backend_pid()), 1::bigint, 'table lock');
SELECT * FROM finish();
ROLLBACK;
