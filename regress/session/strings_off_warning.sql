-- The pooler's own questions do not warn, nor are they read in another way.
SET standard_conforming_strings = off;
SHOW standard_conforming_strings;
SELECT 1;
SET work_mem = '5MB';
SHOW work_mem;
BEGIN;
SET LOCAL standard_conforming_strings = on;
SELECT 'a\';
COMMIT;
SELECT current_user;
CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN SET app.of_code = 'x'; END $$;
SELECT f();
SHOW app.of_code;
SHOW app.of_code;
DO $$ BEGIN SET work_mem = '6MB'; END $$;
SHOW work_mem;
RESET ALL;
SHOW work_mem;
