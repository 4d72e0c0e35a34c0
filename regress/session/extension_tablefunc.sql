-- Functions in C that run a text.
SET client_min_messages = warning;
CREATE EXTENSION tablefunc;
SELECT * FROM crosstab($$ SELECT 'r', 'c', set_config('work_mem', '5MB', false) $$) AS t (r text, v text);
SHOW work_mem;
SHOW work_mem;
SELECT * FROM crosstab($$ SELECT 'r', 'c', set_config('app.crosstab', 'x', false) $$) AS t (r text, v text);
SHOW app.crosstab;
SELECT * FROM crosstab($$ SELECT 'r', 'c', pg_advisory_lock(5)::text $$) AS t (r text, v text);
SELECT pg_advisory_unlock(5);
RESET ALL;
SHOW work_mem;
