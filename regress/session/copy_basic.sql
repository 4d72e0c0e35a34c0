-- COPY both ways under settings.
CREATE TABLE a (id int, v text, d date);
COPY a FROM STDIN;
1	one	2020-02-01
2	two	\N
\.
COPY a TO STDOUT;
SET DateStyle = 'German';
COPY a TO STDOUT WITH (FORMAT csv, HEADER);
COPY a (id, d) FROM STDIN WITH (FORMAT csv);
3,01.03.2020
\.
COPY (SELECT * FROM a WHERE id > 2) TO STDOUT;
COPY a FROM STDIN;
x	bad
\.
COPY a TO STDOUT;
BEGIN;
SET LOCAL DateStyle = 'ISO';
COPY a TO STDOUT;
COPY a FROM STDIN;
4	four	2020-04-04
\.
ROLLBACK;
SELECT count(*) FROM a;
CREATE TEMP TABLE tt (v int);
COPY tt FROM STDIN;
1
2
\.
COPY tt TO STDOUT;
\copy tt to stdout
\copy (select v + 1 from tt) to stdout
\copy tt from stdin
5
\.
SELECT count(*) FROM tt;
DROP TABLE tt;
SET client_encoding = 'LATIN1';
COPY (SELECT length('é')) TO STDOUT;
COPY a (v) FROM STDIN;
é
\.
SELECT length(v) FROM a WHERE id IS NULL;
RESET client_encoding;
SELECT length(v), v FROM a WHERE id IS NULL;
