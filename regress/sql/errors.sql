-- Errors carry their codes through, and a transaction goes on after a savepoint.
BEGIN;
SELECT plan(8);
SELECT throws_ok('SELECT 1/0', '22012', 'division by zero');
SELECT throws_ok('SELECT * FROM nowhere', '42P01');
SELECT throws_ok('SELEC 1', '42601');
SELECT throws_ok($$SELECT 'x'::int$$, '22P02');
SELECT throws_ok('SELECT nofunction()', '42883');
SELECT throws_ok($q$DO $d$ BEGIN RAISE EXCEPTION 'mine' USING ERRCODE = 'AB123', DETAIL = 'd', HINT = 'h'; END $d$ $q$,
	'AB123', 'mine');
SELECT throws_ok($$SELECT repeat('x', 2000000000)$$, NULL, NULL, 'too much memory is refused');
SELECT lives_ok('SELECT 1', 'and life goes on');
SELECT * FROM finish();
ROLLBACK;
