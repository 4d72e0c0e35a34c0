-- Functions, triggers, notices, dynamic SQL.
BEGIN;
SELECT plan(6);
CREATE TABLE pg_temp.acc (id int PRIMARY KEY, v int, changed int DEFAULT 0) ON COMMIT DROP;
CREATE FUNCTION pg_temp.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.changed := OLD.changed + 1;
	RAISE NOTICE 'row % changed', OLD.id;
	RETURN NEW;
END $$;
CREATE TRIGGER touch BEFORE UPDATE ON pg_temp.acc FOR EACH ROW EXECUTE FUNCTION pg_temp.touch();
INSERT INTO acc SELECT g, g FROM generate_series(1, 10) g;
UPDATE acc SET v = v * 2 WHERE id <= 5;
SELECT is((SELECT sum(changed) FROM acc), 5::bigint, 'the trigger ran for each row');
CREATE FUNCTION pg_temp.fact(n int) RETURNS numeric LANGUAGE sql AS
	'SELECT CASE WHEN n < 2 THEN 1 ELSE n * pg_temp.fact(n - 1) END';
SELECT is(pg_temp.fact(20), 2432902008176640000::numeric, 'recursion');
CREATE FUNCTION pg_temp.pick(t text) RETURNS SETOF int LANGUAGE plpgsql AS $$
BEGIN RETURN QUERY EXECUTE format('SELECT v FROM %I ORDER BY id', t); END $$;
SELECT results_eq($$SELECT * FROM pg_temp.pick('acc') LIMIT 2$$, ARRAY[2, 4], 'dynamic SQL');
SELECT throws_ok($$SELECT pg_temp.pick('acc; DROP TABLE acc')$$, '42P01', NULL, 'quoted names stay names');
CREATE PROCEDURE pg_temp.bump(INOUT n int) LANGUAGE plpgsql AS 'BEGIN n := n + 1; END';
CREATE FUNCTION pg_temp.called() RETURNS int LANGUAGE plpgsql AS
	'DECLARE n int := 41; BEGIN CALL pg_temp.bump(n); RETURN n; END';
SELECT is(pg_temp.called(), 42, 'a procedure');
SELECT is((SELECT count(*) FROM pg_temp.pick('acc')), 10::bigint, 'a set');
SELECT * FROM finish();
ROLLBACK;
