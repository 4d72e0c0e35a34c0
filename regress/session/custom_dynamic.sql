-- A setting of one's own whose name is put together by code.
DO $$ DECLARE s text := 'app.' || 'dyn'; BEGIN PERFORM set_config(s, 'value', false); END $$;
SELECT current_setting('app.dyn');
SELECT current_setting('app.dyn');
SELECT set_config('app.' || name, 'v', false) FROM (VALUES ('col')) AS v (name);
SELECT current_setting('app.col');
SELECT current_setting('app.col');
CREATE FUNCTION f(n text) RETURNS text LANGUAGE sql AS $$ SELECT set_config('fn.' || n, 'v', false) $$;
SELECT f('x');
SHOW fn.x;
SHOW fn.x;
DO $$ BEGIN EXECUTE 'SET ex' || '.y = 1'; END $$;
SHOW ex.y;
SHOW ex.y;
SELECT set_config(chr(97) || '.z', 'w', false) \; SELECT 1;
SHOW a.z;
SHOW a.z;
RESET ALL;
SELECT current_setting('app.dyn', true) = '', current_setting('ex.y', true) = '';
