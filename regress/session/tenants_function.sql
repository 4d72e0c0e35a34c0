-- A tenant that is set by a function which finds it in a table.
CREATE TABLE login (name text, tenant text);
INSERT INTO login VALUES ('x', 'one'), ('y', 'two');
CREATE TABLE doc (tenant text DEFAULT current_setting('my.tenant'), body text);
ALTER TABLE doc ENABLE ROW LEVEL SECURITY;
ALTER TABLE doc FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON doc USING (tenant = current_setting('my.tenant', true)) WITH CHECK (tenant = current_setting('my.tenant', true));
CREATE FUNCTION log_in(n text) RETURNS void LANGUAGE plpgsql AS $$ DECLARE t text; BEGIN SELECT tenant INTO STRICT t FROM login WHERE name = n; PERFORM set_config('my.tenant', t, false); END $$;
SELECT log_in('x');
INSERT INTO doc (body) VALUES ('of one');
SELECT * FROM doc;
SELECT log_in('y');
SELECT * FROM doc;
INSERT INTO doc (body) VALUES ('of two');
SELECT * FROM doc;
SELECT log_in('z');
SELECT * FROM doc;
BEGIN;
SELECT log_in('x');
SELECT * FROM doc;
ROLLBACK;
SELECT * FROM doc;
CREATE FUNCTION log_in_tx(n text) RETURNS void LANGUAGE sql AS $$ SELECT set_config('my.tenant', tenant, true) FROM login WHERE name = n $$;
BEGIN;
SELECT log_in_tx('x');
SELECT * FROM doc;
COMMIT;
SELECT * FROM doc;
SELECT log_in_tx('x') \; SELECT * FROM doc;
SELECT * FROM doc;
CREATE VIEW mine AS SELECT body FROM doc;
SELECT * FROM mine;
COPY doc (body) FROM STDIN;
copied
\.
SELECT * FROM mine ORDER BY 1;
RESET ALL;
SELECT count(*) FROM mine;
