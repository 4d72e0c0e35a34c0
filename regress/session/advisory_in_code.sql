-- Locks taken by functions, triggers and DO blocks.
CREATE FUNCTION take(n bigint) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_lock(n); END $$;
SELECT take(1);
SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() ORDER BY 1;
SELECT pg_advisory_unlock(1);
DO $$ BEGIN PERFORM pg_advisory_lock(2); EXECUTE 'SELECT pg_advisory_lock(3)'; END $$;
SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() ORDER BY 1;
DO $$ BEGIN PERFORM pg_advisory_unlock_all(); END $$;
SELECT pg_advisory_unlock(2);
CREATE TABLE a (v bigint);
CREATE FUNCTION trg() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM take(NEW.v); RETURN NEW; END $$;
CREATE TRIGGER trg BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION trg();
INSERT INTO a VALUES (4), (5);
SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() ORDER BY 1;
SELECT pg_advisory_unlock(4), pg_advisory_unlock(5);
COPY a FROM STDIN;
6
7
\.
SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() ORDER BY 1;
SELECT pg_advisory_unlock(v) FROM a ORDER BY v;
CREATE FUNCTION takesql(n bigint) RETURNS boolean LANGUAGE sql AS 'SELECT pg_try_advisory_lock(n)';
SELECT takesql(8);
SELECT pg_advisory_unlock(8);
CREATE VIEW v AS SELECT pg_try_advisory_lock(9) AS got;
SELECT * FROM v;
SELECT pg_advisory_unlock(9);
SELECT pg_advisory_unlock(9);
