-- The server converts as the client asks.
SHOW client_encoding;
SELECT length('é'), octet_length('é'), 'é';
SET client_encoding = 'LATIN1';
SHOW client_encoding;
SELECT length('é'), 'é';
SELECT length('é'), encode(convert_to('é', 'UTF8'), 'hex');
SET NAMES 'UTF8';
SELECT length('é'), 'é';
SET NAMES LATIN1;
SHOW client_encoding;
SELECT chr(8364);
SELECT length('é');
SET NAMES;
SHOW client_encoding;
SET NAMES DEFAULT;
SHOW client_encoding;
BEGIN;
SET client_encoding = 'LATIN1';
SELECT length('é');
ROLLBACK;
SELECT length('é');
BEGIN;
SET LOCAL client_encoding = 'WIN1252';
SHOW client_encoding;
COMMIT;
SHOW client_encoding;
\encoding LATIN9
\encoding
SHOW client_encoding;
SELECT length('é');
\encoding UTF8
SELECT length('é');
SELECT set_config('client_encoding', 'LATIN1', false);
SELECT length('é');
RESET client_encoding;
SHOW client_encoding;
