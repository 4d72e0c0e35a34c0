-- Partitioned tables, foreign keys, generated columns.
BEGIN;
SELECT plan(6);
CREATE SCHEMA part;
CREATE TABLE part.parent (id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE part.eu PARTITION OF part.parent FOR VALUES IN ('de', 'fr');
CREATE TABLE part.other PARTITION OF part.parent DEFAULT;
INSERT INTO part.parent VALUES (1, 'de'), (2, 'fr'), (3, 'jp');
SELECT is((SELECT count(*) FROM part.eu), 2::bigint, 'routed by list');
SELECT is((SELECT tableoid::regclass::text FROM part.parent WHERE id = 3), 'part.other', 'default partition');
UPDATE part.parent SET region = 'fr' WHERE id = 3;
SELECT is((SELECT count(*) FROM part.eu), 3::bigint, 'moved by update');
CREATE TABLE part.h (k int) PARTITION BY HASH (k);
CREATE TABLE part.h0 PARTITION OF part.h FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE part.h1 PARTITION OF part.h FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO part.h SELECT generate_series(1, 1000);
SELECT is((SELECT count(*) FROM part.h0) + (SELECT count(*) FROM part.h1), 1000::bigint, 'hashed');
CREATE TABLE part.child (id int, region text, twice int GENERATED ALWAYS AS (id * 2) STORED,
	FOREIGN KEY (id, region) REFERENCES part.parent);
INSERT INTO part.child VALUES (1, 'de');
SELECT is((SELECT twice FROM part.child), 2, 'generated');
SELECT throws_ok($$INSERT INTO part.child VALUES (9, 'xx')$$, '23503', NULL, 'foreign key');
SELECT * FROM finish();
ROLLBACK;
