-- Leaving in the midst of a transaction, or of a failed one.
\set QUIET on
CREATE TABLE a (v int);
BEGIN;
INSERT INTO a VALUES (1);
SET work_mem = '5MB';
SET LOCAL app.mine = 'x';
CREATE TEMP TABLE tt (v int);
PREPARE p AS SELECT 1;
\c -
SHOW work_mem;
-- NULL, or '' where another connection's past is shared.
SELECT coalesce(current_setting('app.mine', true), '') = '';
SELECT * FROM tt;
EXECUTE p;
SELECT * FROM a;
BEGIN;
SET work_mem = '6MB';
SELECT 1/0;
\c -
SHOW work_mem;
SELECT 1;
BEGIN;
LISTEN ch;
SET ROLE alice;
SET TimeZone = 'Asia/Tokyo';
\c -
SELECT current_user, pg_listening_channels();
SELECT current_user;
SHOW TimeZone;
