-- Code that is made by dynamic SQL, where nobody can read it coming.
CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT 'harmless' $$;
SELECT f();
SELECT pg_sleep(1.5);
SELECT f();
DO $$ BEGIN EXECUTE 'CREATE OR REPLACE FUNCTION f() RETURNS text LANGUAGE sql AS $x$ SELECT set_config(''work_mem'', ''7MB'', false) $x$'; END $$;
SELECT f();
SHOW work_mem;
SHOW work_mem;
SHOW work_mem;
SHOW work_mem;
