-- The first temporary table of a session changes what its name means to a prepared statement.
CREATE TABLE a (v text);
INSERT INTO a VALUES ('permanent');
PREPARE q AS SELECT count(*) FROM a;
EXECUTE q;
CREATE TEMP TABLE a (v text);
INSERT INTO a VALUES ('x'), ('y');
EXECUTE q;
DROP TABLE a;
EXECUTE q;
