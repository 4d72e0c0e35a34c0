-- psql's own queries, under all kinds of search_path.
CREATE SCHEMA s;
CREATE TABLE s.a (id int PRIMARY KEY, v text DEFAULT 'x');
CREATE TABLE b (id int REFERENCES s.a);
CREATE VIEW v AS SELECT * FROM b;
CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
\d
\d b
\d+ v
SET search_path = s;
\d
\d a
SET search_path = pg_catalog;
\d s.a
\df public.f
\sf public.f
RESET search_path;
\dt s.*
\dn
\sv v
CREATE TEMP TABLE b2 (v int);
\d b2
DROP TABLE b2;
\d b2
BEGIN;
SET LOCAL search_path = s;
\dt
ROLLBACK;
\dt
\dT
\dv
\df
SET quote_all_identifiers = on;
\sv v
