-- pg_settings is written to by a condition that names nothing.
UPDATE pg_settings SET setting = 'off' WHERE name LIKE 'enable_%scan';
SHOW enable_seqscan;
SHOW enable_seqscan;
SHOW enable_indexscan;
UPDATE pg_settings SET setting = '5MB' WHERE name = concat('work', '_mem');
SHOW work_mem;
SHOW work_mem;
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name LIKE 'enable_%scan' ORDER BY name;
SHOW enable_seqscan;
SHOW enable_seqscan;
SHOW enable_indexscan;
