-- Transaction modes hold for their transaction and not for the next.
BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE;
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT plan(5);
SELECT is(current_setting('transaction_isolation'), 'repeatable read', 'isolation as asked');
SELECT is(current_setting('transaction_read_only'), 'off', 'read only did not stay');
SELECT is(current_setting('transaction_deferrable'), 'off', 'deferrable did not stay');
SET LOCAL lock_timeout = '3s';
SELECT is(current_setting('lock_timeout'), '3s', 'a local setting holds');
SET LOCAL lock_timeout TO DEFAULT;
SELECT is(current_setting('lock_timeout'), '0', 'and goes');
SELECT * FROM finish();
ROLLBACK;
