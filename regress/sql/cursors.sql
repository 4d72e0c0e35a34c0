-- Cursors live within their transaction.
BEGIN;
SELECT plan(5);
DECLARE c SCROLL CURSOR FOR SELECT generate_series(1, 1000);
MOVE FORWARD 10 IN c;
CREATE TABLE pg_temp.seen (v int) ON COMMIT DROP;
CREATE FUNCTION pg_temp.take() RETURNS int LANGUAGE plpgsql AS $$
DECLARE v int; c refcursor := 'c';
BEGIN
	FETCH c INTO v;
	RETURN v;
END $$;
SELECT is(pg_temp.take(), 11, 'next row');
SELECT is(pg_temp.take(), 12, 'and the next');
MOVE BACKWARD 2 IN c;
SELECT is(pg_temp.take(), 11, 'back again');
SELECT is((SELECT count(*) FROM pg_cursors WHERE name = 'c'), 1::bigint, 'listed');
CLOSE c;
SELECT is((SELECT count(*) FROM pg_cursors WHERE name = 'c'), 0::bigint, 'closed');
SELECT * FROM finish();
ROLLBACK;
