-- A setting of one's own that is first named in SJIS.
SET client_encoding = 'SJIS';
SET app.text = E'Á\';
SELECT octet_length(current_setting('app.text'));
SELECT 1;
SHOW app.text;
SET client_encoding = 'UTF8';
SELECT encode(convert_to(current_setting('app.text'), 'UTF8'), 'hex');
