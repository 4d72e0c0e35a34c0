-- Texts that are not easy to read.
SELECT $$ ; SET work_mem = '1MB'; $$;
SELECT $a$ $$ ; SET work_mem = '1MB'; $b$ $a$;
SELECT 'it''s; SET work_mem = ''1MB''', E'it\'s; SET x', "?column?" FROM (SELECT 1) AS x;
/* /* nested */ SET work_mem = '1MB'; */ SELECT 2;
-- SET work_mem = '1MB';
SELECT 3 -- SET work_mem = '1MB';
;
SELECT U&'d!0061t!+000061' UESCAPE '!', U&"d!0061t!+000061" UESCAPE '!' FROM (SELECT 1 AS data) AS x;
SELECT 1 AS "set work_mem = '1MB'", 2 AS "a""b; SET";
SELECT B'101', X'1f', N'national', 1.5e3, .5, 1e-3;
SELECT 'a'
  'b'
  'c; SET work_mem = ''1MB''';
SELECT 5 -/* c */- 3, 5 - -3;
SELECT 1::int4::text || '::', 'a' <> 'b', 3 !=- 3, 2 ^ 3, @ -5, |/ 25.0;
SELECT (ARRAY[1, 2, 3])[1:2], '{1,2}'::int[] && ARRAY[2];
SELECT $1;
SELECT 1a;
SHOW work_mem;
CREATE TABLE "set_config" ("work_mem" text, "set" int);
SELECT set_config.work_mem, set_config."set" FROM set_config;
INSERT INTO set_config VALUES ('x', 1) RETURNING set_config;
SELECT set_config FROM set_config;
SELECT (set_config).work_mem FROM set_config;
SELECT pg_catalog . set_config ( 'work_mem' , '5MB' , false );
SHOW work_mem;
SELECT pg_catalog /* x */ . -- y
 set_config('work_mem', '6MB', false);
SHOW work_mem;
SELECT pg_catalog."set_config"('work_mem', $x$7MB$x$, 'off');
SHOW work_mem;
SELECT U&"pg!005fcatalog" UESCAPE '!' . U&"set!005fconfig" UESCAPE '!' ('work_mem', '8MB', false);
SHOW work_mem;
SELECT set_config(U&'work!005fmem' UESCAPE '!', E'\x39MB', false);
SHOW work_mem;
