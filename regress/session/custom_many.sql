-- Dozens of settings of one's own.
SELECT count(set_config('app.n' || g, 'v' || g, false)) FROM generate_series(1, 100) AS g;
SELECT count(*) FROM generate_series(1, 100) AS g WHERE current_setting('app.n' || g) = 'v' || g;
BEGIN;
SELECT count(set_config('app.n' || g, 'w' || g, false)) FROM generate_series(1, 50) AS g;
ROLLBACK;
SELECT count(*) FROM generate_series(1, 100) AS g WHERE current_setting('app.n' || g) = 'v' || g;
BEGIN;
SELECT count(set_config('app.n' || g, 'w' || g, true)) FROM generate_series(1, 50) AS g;
SELECT count(*) FROM generate_series(1, 100) AS g WHERE current_setting('app.n' || g) = 'v' || g;
COMMIT;
SELECT count(*) FROM generate_series(1, 100) AS g WHERE current_setting('app.n' || g) = 'v' || g;
RESET app.n7;
SELECT current_setting('app.n7') = '', current_setting('app.n8');
DO $$ BEGIN FOR i IN 1..30 LOOP EXECUTE format('SET app.n%s = %L', i, 'do' || i); END LOOP; END $$;
SELECT current_setting('app.n1'), current_setting('app.n30'), current_setting('app.n31');
SELECT current_setting('app.n1'), current_setting('app.n30'), current_setting('app.n31');
RESET ALL;
SELECT count(*) FROM generate_series(1, 100) AS g WHERE current_setting('app.n' || g) = '';
