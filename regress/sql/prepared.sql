-- PREPARE and EXECUTE within a transaction.
BEGIN;
SELECT plan(4);
PREPARE add (int, int) AS SELECT $1 + $2;
CREATE TABLE pg_temp.r (v int) ON COMMIT DROP;
PREPARE keep (int) AS INSERT INTO r VALUES ($1);
EXECUTE keep(1);
EXECUTE keep(2);
SELECT is((SELECT sum(v) FROM r), 3::bigint, 'executed twice');
SELECT is((SELECT count(*) FROM pg_prepared_statements WHERE name IN ('add', 'keep')), 2::bigint, 'listed');
SELECT results_eq('EXECUTE add(20, 22)', ARRAY[42], 'a result');
DEALLOCATE add;
DEALLOCATE keep;
SELECT is((SELECT count(*) FROM pg_prepared_statements WHERE name IN ('add', 'keep')), 0::bigint, 'gone');
SELECT * FROM finish();
ROLLBACK;
