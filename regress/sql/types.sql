-- Values of many types come through unharmed.
BEGIN;
SELECT plan(13);
SELECT is('\xdeadbeef00'::bytea, decode('3q2+7wA=', 'base64'), 'bytea');
SELECT is('{"a": [1, {"b": null}]}'::jsonb #> '{a,1}', '{"b": null}'::jsonb, 'jsonb');
SELECT is(ARRAY[[1, 2], [3, NULL]]::text, '{{1,2},{3,NULL}}', 'arrays');
SELECT is('2024-02-29'::date + 366, '2025-03-01'::date, 'dates');
SELECT is('12:00+02'::timetz AT TIME ZONE 'UTC', '10:00+00'::timetz, 'time with zone');
SELECT is(('[1,5)'::int4range * '[3,9)'::int4range)::text, '[3,5)', 'ranges');
SELECT is('10.1.2.3/24'::inet << '10.1.0.0/16', true, 'inet');
SELECT is(to_tsvector('english', 'the cats sat') @@ 'cat'::tsquery, true, 'text search');
SELECT is(123456789012345678901234567890.123456789::numeric::text, '123456789012345678901234567890.123456789', 'numeric');
SELECT is(length('žluťoučký kůň 🐎'), 15, 'characters, not bytes');
SELECT is(E'a\tb\nc', 'a' || chr(9) || 'b' || chr(10) || 'c', 'escapes');
SELECT is($q$dollar $$ quoted$q$::text, 'dollar $$ quoted'::text, 'dollar quotes');
SELECT is(NULL::text, NULL, 'null');
SELECT * FROM finish();
ROLLBACK;
