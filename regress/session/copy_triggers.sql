-- COPY FROM runs triggers, defaults and policies.
CREATE TABLE a (v int, tenant text DEFAULT current_setting('app.mine'));
CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('SET app.last = %L', NEW.v); SET work_mem = '9MB'; RETURN NEW; END $$;
CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION t();
SET app.mine = 'me';
COPY a (v) FROM STDIN;
1
2
\.
SHOW app.last;
SHOW work_mem;
RESET work_mem;
SELECT * FROM a;
COPY a (v) FROM STDIN;
3
x
\.
SHOW app.last;
SHOW work_mem;
SET app.mine = 'you';
COPY a (v) FROM STDIN;
4
\.
SELECT * FROM a ORDER BY v;
SHOW work_mem;
CREATE FUNCTION leak() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('lock_timeout', '7s', false); RETURN 'x'; END $$;
ALTER TABLE a ADD COLUMN w text;
ALTER TABLE a ALTER COLUMN w SET DEFAULT leak();
SHOW lock_timeout;
COPY a (v) FROM STDIN;
5
\.
SHOW lock_timeout;
