-- Settings that code names, under another way to read strings.
SET escape_string_warning = off;
SET standard_conforming_strings = off;
CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN SET app.of_code = 'x'; END $$;
CREATE FUNCTION g() RETURNS void LANGUAGE sql AS $$ SELECT set_config('app.of_sql', 'y', false) $$;
SELECT f();
SHOW app.of_code;
SELECT g();
SHOW app.of_sql;
SHOW app.of_code;
CREATE FUNCTION h() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE TEMP TABLE tt (v int); END $$;
SELECT h();
SELECT * FROM tt;
SELECT * FROM tt;
DROP TABLE tt;
SHOW app.of_sql;
