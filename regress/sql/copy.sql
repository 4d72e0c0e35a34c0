-- COPY by psql, and a large object, in one transaction.
BEGIN;
SELECT plan(3);
CREATE TABLE pg_temp.c (a int, b text) ON COMMIT DROP;
COPY pg_temp.c FROM STDIN;
1	one
2	\N
3	thr\tee
\.
SELECT is((SELECT count(*) FROM c), 3::bigint, 'three rows');
SELECT is((SELECT b FROM c WHERE a = 3), E'thr\tee', 'escapes');
SELECT lo_from_bytea(0, repeat('x', 100000)::bytea) AS lo \gset
SELECT is(length(lo_get(:lo)), 100000, 'large object');
SELECT * FROM finish();
ROLLBACK;
