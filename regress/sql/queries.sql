-- Windows, recursion, data-modifying CTEs, upserts, lateral joins, grouping sets.
BEGIN;
SELECT plan(7);
CREATE TABLE pg_temp.s (k text PRIMARY KEY, v int) ON COMMIT DROP;
INSERT INTO s VALUES ('a', 1), ('b', 2), ('c', 3);
SELECT results_eq('SELECT sum(v) OVER (ORDER BY k) FROM s', ARRAY[1, 3, 6]::bigint[], 'window');
SELECT is((WITH RECURSIVE f(n, a, b) AS (SELECT 1, 0::numeric, 1::numeric UNION ALL
	SELECT n + 1, b, a + b FROM f WHERE n < 90) SELECT max(a) FROM f), 1779979416004714189::numeric, 'recursion');
CREATE TABLE pg_temp.log (k text) ON COMMIT DROP;
WITH gone AS (DELETE FROM s WHERE v = 3 RETURNING k) INSERT INTO log SELECT k FROM gone;
SELECT results_eq('SELECT k FROM log', ARRAY['c'], 'data-modifying CTE');
INSERT INTO s VALUES ('a', 10), ('z', 26) ON CONFLICT (k) DO UPDATE SET v = s.v + excluded.v;
SELECT results_eq('SELECT v FROM s ORDER BY k', ARRAY[11, 2, 26], 'upsert');
SELECT is((SELECT count(*) FROM s, LATERAL generate_series(1, s.v)), 39::bigint, 'lateral');
SELECT is((SELECT count(*) FROM (SELECT k, sum(v) FROM s GROUP BY ROLLUP (k)) r), 4::bigint, 'rollup');
MERGE INTO s USING (VALUES ('a'), ('new')) n(k) ON s.k = n.k WHEN MATCHED THEN DELETE
	WHEN NOT MATCHED THEN INSERT VALUES (n.k, 0);
SELECT results_eq('SELECT k FROM s ORDER BY k', ARRAY['b', 'new', 'z'], 'merge');
SELECT * FROM finish();
ROLLBACK;
