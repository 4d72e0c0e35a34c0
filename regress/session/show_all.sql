-- Nothing of what others set is ever to be seen.
DO $$ BEGIN END $$;
\pset format unaligned
SELECT name, setting FROM pg_settings WHERE name NOT LIKE 'plpgsql.%' ORDER BY name;
SELECT name, setting FROM pg_settings WHERE setting <> boot_val AND context = 'user' ORDER BY name;
SELECT name, setting FROM pg_settings WHERE setting <> reset_val AND name <> 'application_name' ORDER BY name;
SELECT current_setting('my.tenant', true) IS NULL, current_setting('my.other', true) IS NULL;
SET work_mem = '5MB';
SELECT name, setting FROM pg_settings WHERE setting <> reset_val AND name <> 'application_name' ORDER BY name;
SELECT current_setting('my.tenant', true) IS NULL, current_setting('my.other', true) IS NULL;
SELECT name, setting, reset_val FROM pg_settings WHERE name = 'work_mem';
\dconfig work_mem
\dconfig *timeout
RESET work_mem;
SELECT name, setting FROM pg_settings WHERE setting <> reset_val AND name <> 'application_name' ORDER BY name;
SELECT name, setting FROM pg_settings WHERE setting <> boot_val AND context = 'user' ORDER BY name;
