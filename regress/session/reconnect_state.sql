-- A new session has nothing of the old one.
\set QUIET on
SET work_mem = '5MB';
SET app.mine = 'x';
SET my.tenant = 'mine';
SET ROLE alice;
PREPARE a AS SELECT 1;
LISTEN ch;
CREATE TEMP TABLE tt (v int);
DECLARE c CURSOR WITH HOLD FOR SELECT 1;
SET search_path = pg_catalog;
SET client_encoding = 'LATIN1';
SET standard_conforming_strings = off;
\c -
SHOW work_mem;
SELECT coalesce(current_setting('app.mine', true), '') = '', coalesce(current_setting('my.tenant', true), '') = '';
SELECT current_user;
EXECUTE a;
SELECT pg_listening_channels();
SELECT * FROM tt;
FETCH c;
SHOW search_path;
SHOW client_encoding;
SHOW standard_conforming_strings;
SHOW application_name;
SET work_mem = '6MB';
SET app.mine = 'y';
\c -
SHOW work_mem;
SELECT coalesce(current_setting('app.mine', true), '') = '';
