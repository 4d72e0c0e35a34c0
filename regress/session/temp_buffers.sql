-- A setting that cannot change once temporary tables were used.
SET temp_buffers = '2MB';
SHOW temp_buffers;
SHOW temp_buffers;
CREATE TEMP TABLE tt (v int);
INSERT INTO tt VALUES (1);
SET temp_buffers = '3MB';
SHOW temp_buffers;
SELECT * FROM tt;
DROP TABLE tt;
SHOW temp_buffers;
