-- COPY among other statements of one message.
CREATE TABLE a (v int);
SET work_mem = '5MB' \; COPY (SELECT current_setting('work_mem')) TO STDOUT \; SET work_mem = '6MB';
SHOW work_mem;
COPY a FROM STDIN \; SELECT count(*) FROM a \; SET work_mem = '7MB';
1
2
\.
SHOW work_mem;
COPY a FROM STDIN \; SELECT 1/0;
3
\.
SELECT count(*) FROM a;
SET work_mem = '8MB' \; COPY a FROM STDIN;
bad
\.
SHOW work_mem;
BEGIN \; CREATE TEMP TABLE tt (v int) ON COMMIT DROP \; COPY tt FROM STDIN \; SELECT sum(v) FROM tt \; COMMIT;
10
20
\.
SELECT * FROM tt;
COPY a TO '/nowhere/file';
COPY a FROM PROGRAM 'true';
COPY no_table FROM STDIN;
COPY no_table TO STDOUT;
SHOW work_mem;
