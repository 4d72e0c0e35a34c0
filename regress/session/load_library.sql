-- LOAD stays.
LOAD 'plpgsql';
SELECT 1;
SHOW plpgsql.check_asserts;
SHOW plpgsql.check_asserts;
SET plpgsql.check_asserts = off;
SELECT 1;
SHOW plpgsql.check_asserts;
LOAD 'nothing';
LOAD '$libdir/plugins/nothing';
LOAD '$libdir/plpgsql';
RESET plpgsql.check_asserts;
SHOW plpgsql.check_asserts;
DO $$ BEGIN LOAD 'plpgsql'; END $$;
SHOW plpgsql.extra_errors;
