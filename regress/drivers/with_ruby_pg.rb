# SPDX-License-Identifier: PostgreSQL
# Ruby's pg as it comes, and as ActiveRecord uses it: exec_prepared with names of its own, which a
# DEALLOCATE of SQL drops.

require 'pg'

$stdout.sync = true

def show(what, *values)
  puts [what, *values.map(&:inspect)].join(' ')
end

def value(conn, text, *args)
  (args.empty? ? conn.exec(text) : conn.exec_params(text, args)).getvalue(0, 0)
end

# Runs what must fail.
def refused
  yield
  show 'not refused'
rescue PG::Error => e
  show 'refused', e.class, e.result && e.result.error_field(PG::Result::PG_DIAG_SQLSTATE), e.message
end

def settings(conn)
  conn.exec "SET TIME ZONE 'America/New_York'"
  conn.exec "SET work_mem = '7MB'; SET search_path = pg_catalog, public"
  conn.exec_params "SELECT set_config('statement_timeout', $1, false)", ['33s']
  6.times do
    show 'set', conn.parameter_status('TimeZone'), value(conn, 'SHOW TimeZone'), value(conn, 'SHOW work_mem'),
         value(conn, 'SHOW search_path'), value(conn, 'SHOW statement_timeout')
  end
  conn.transaction do
    conn.exec "SET LOCAL work_mem = '9MB'"
    show 'local', value(conn, 'SHOW work_mem')
  end
  show 'after it', value(conn, 'SHOW work_mem')
  conn.exec 'BEGIN'
  conn.exec "SET work_mem = '11MB'"
  conn.exec 'ROLLBACK'
  show 'rolled back', value(conn, 'SHOW work_mem')
  refused { conn.exec "SET work_mem = 'much'" }
  conn.set_client_encoding 'LATIN1'
  show 'latin1', conn.get_client_encoding, value(conn, 'SELECT $1::text', 'é').encode('UTF-8'),
       value(conn, 'SELECT length($1)', 'éü')
  conn.internal_encoding = 'UTF-8'
  show 'encoding', conn.get_client_encoding, value(conn, 'SHOW client_encoding')
  conn.exec 'RESET ALL'
  show 'reset', value(conn, 'SHOW TimeZone'), value(conn, 'SHOW work_mem')
end

def start_up(_)
  conn = PG.connect(options: '-c work_mem=5MB -c app.start=one', application_name: 'start')
  names = %w[work_mem app.start application_name]
  3.times { show 'options', names.map { |name| value(conn, "SHOW #{name}") } }
  conn.exec "SET work_mem = '6MB'; SET app.start = 'two'"
  show 'set', names.map { |name| value(conn, "SHOW #{name}") }
  conn.exec 'DISCARD ALL'
  show 'discarded', names.map { |name| value(conn, "SHOW #{name}") }
  conn.reset
  show 'again', names.map { |name| value(conn, "SHOW #{name}") }
  conn.close
end

def custom(conn)
  ['one', "two's", 'drei ü'].each do |tenant|
    conn.exec_params "SELECT set_config('app.tenant', $1, false)", [tenant]
    show 'tenant', value(conn, "SELECT current_setting('app.tenant')")
    conn.transaction do
      conn.exec_params "SELECT set_config('app.tenant', $1, true)", ['within']
      show 'within', value(conn, 'SHOW app.tenant')
    end
    show 'after it', value(conn, 'SHOW app.tenant')
  end
  refused { conn.exec 'SHOW app.never_was' }
end

def prepared(conn)
  conn.exec 'CREATE TABLE p (id int PRIMARY KEY, v text)'
  conn.prepare 'insert', 'INSERT INTO p VALUES ($1, $2)'
  conn.prepare 'named', 'SELECT * FROM p WHERE id = $1'
  10.times { |i| conn.exec_prepared 'insert', [i, "v#{i}"] }
  6.times { |i| show 'row', conn.exec_prepared('named', [i]).values }
  described = conn.describe_prepared('named')
  show 'described', described.nparams, described.paramtype(0), described.fields
  refused { conn.prepare 'named', 'SELECT 1' }
  refused { conn.prepare 'bad', 'SELECT nothing' }
  refused { conn.exec_prepared 'named', ['x'] }
  refused { conn.exec_prepared 'bad', [] }
  conn.transaction { conn.prepare 'within', 'SELECT 1' }
  show 'within', conn.exec_prepared('within').values
  conn.exec 'BEGIN'
  conn.prepare 'undone', 'SELECT 2'
  refused { conn.exec 'SELECT 1/0' }
  refused { conn.prepare 'failed', 'SELECT 3' }
  conn.exec 'ROLLBACK'
  show 'not undone', conn.exec_prepared('undone').values
  refused { conn.exec_prepared 'failed' }
  conn.exec 'ALTER TABLE p ADD more int DEFAULT 3'
  refused { conn.exec_prepared 'named', [1] }
  conn.exec 'DEALLOCATE ALL'
  refused { conn.exec_prepared 'insert', [100, 'x'] }
  conn.exec 'DROP TABLE p'
end

def deallocate(conn)
  # As ActiveRecord names them, and drops the oldest.
  20.times do |i|
    conn.prepare "a#{i}", "SELECT #{i} + $1::int"
    show 'row', conn.exec_prepared("a#{i}", [1]).values
    conn.exec "DEALLOCATE a#{i - 5}" if i >= 5
  end
  refused { conn.exec_prepared 'a3', [1] }
  refused { conn.exec 'DEALLOCATE a3' }
  conn.prepare 'a3', "SELECT 'again'"
  show 'again', conn.exec_prepared('a3').values
  show 'executed', conn.exec('EXECUTE a19 (1)').values
  conn.exec "PREPARE of_sql (int) AS SELECT $1 * 2"
  show 'of SQL', conn.exec_prepared('of_sql', [21]).values
  conn.exec 'DEALLOCATE of_sql'
  # In a transaction that fails, and is repeated.
  conn.exec 'BEGIN'
  conn.exec 'DEALLOCATE a18'
  refused { conn.exec 'SELECT 1/0' }
  conn.exec 'ROLLBACK'
  refused { conn.exec_prepared 'a18', [1] }
end

def cursors(conn)
  conn.transaction do
    conn.exec 'DECLARE numbers SCROLL CURSOR FOR SELECT g FROM generate_series(1, 20) g'
    show 'first', conn.exec('FETCH 3 FROM numbers').values, value(conn, "SELECT 'meanwhile'")
    conn.exec 'MOVE FORWARD 10 IN numbers'
    show 'next', conn.exec('FETCH PRIOR FROM numbers').values, conn.describe_portal('numbers').fields
  end
  refused { conn.exec 'FETCH ALL FROM numbers' }
  conn.exec 'DECLARE held CURSOR WITH HOLD FOR SELECT g FROM generate_series(1, 5) g'
  show 'held', conn.exec('FETCH 2 FROM held').values, value(conn, "SELECT 'meanwhile'"),
       conn.exec('FETCH ALL FROM held').values
  conn.exec 'CLOSE held'
  conn.send_query 'SELECT generate_series(1, 100)'
  conn.set_single_row_mode
  sum = 0
  conn.get_result.stream_each { |row| sum += row['generate_series'].to_i }
  conn.get_last_result
  show 'one by one', sum
end

def results(conn)
  found = []
  loop do
    result = conn.get_result
    found << (result ? [result.res_status(result.result_status), result.values] : nil)
    break if result && result.result_status == PG::PGRES_PIPELINE_SYNC && found.count { |f| f && f[0] =~ /SYNC/ } == 2
  rescue PG::Error => e
    found << e.message
  end
  found.compact
end

def pipeline(conn)
  conn.exec 'CREATE TABLE q (id int PRIMARY KEY)'
  conn.enter_pipeline_mode
  conn.send_query_params 'INSERT INTO q VALUES (1) RETURNING id', []
  conn.send_prepare 'pipe', 'SELECT $1::int + 1'
  conn.send_query_prepared 'pipe', [4]
  conn.send_query_params "SET work_mem = '8MB'", []
  conn.pipeline_sync
  conn.send_query_params 'INSERT INTO q VALUES (2) RETURNING id', []
  conn.send_query_params 'INSERT INTO q VALUES (1)', []
  conn.send_query_prepared 'pipe', [5]
  conn.pipeline_sync
  results(conn).each { |found| show 'result', found }
  conn.exit_pipeline_mode
  show 'after it', value(conn, 'SELECT count(*) FROM q'), value(conn, 'SHOW work_mem'),
       conn.exec_prepared('pipe', [6]).values
  conn.exec 'DROP TABLE q'
end

def errors(conn)
  conn.exec "SET work_mem = '10MB'"
  ['SELECT 1/0', 'SELEC 1', 'SELECT * FROM nowhere', "SELECT 'x'::int"].each do |text|
    refused { conn.exec text }
    refused { conn.exec_params text, [] }
    show 'after it', value(conn, 'SHOW work_mem')
  end
  conn.exec 'BEGIN'
  refused { conn.exec 'SELECT 1/0' }
  show 'state', conn.transaction_status == PG::PQTRANS_INERROR
  refused { conn.exec 'SELECT 1' }
  show 'commits', conn.exec('COMMIT').cmd_status
  heard = []
  conn.set_notice_receiver { |result| heard << result.error_message }
  conn.exec "DO $$ BEGIN RAISE NOTICE 'hear %', 1; RAISE WARNING 'and this'; END $$"
  show 'notices', heard
end

def savepoints(conn)
  conn.exec 'CREATE TABLE s (id int PRIMARY KEY)'
  conn.transaction do
    conn.exec "SET application_name = 'outer'"
    conn.exec 'INSERT INTO s VALUES (1)'
    conn.exec 'SAVEPOINT active_record_1'
    conn.exec "SET application_name = 'inner'"
    refused { conn.exec_params 'INSERT INTO s VALUES ($1)', [1] }
    conn.exec 'ROLLBACK TO SAVEPOINT active_record_1'
    show 'undone', value(conn, 'SHOW application_name')
    conn.exec 'INSERT INTO s VALUES (3)'
    conn.exec 'RELEASE SAVEPOINT active_record_1'
  end
  show 'kept', conn.exec('SELECT * FROM s ORDER BY id').values, value(conn, 'SHOW application_name')
  conn.exec 'DROP TABLE s'
end

def copy(conn)
  conn.exec 'CREATE TABLE c (id int PRIMARY KEY, v text)'
  encoder = PG::TextEncoder::CopyRow.new
  show 'in', conn.copy_data('COPY c FROM STDIN', encoder) { 500.times { |i| conn.put_copy_data [i, "v\t#{i}"] } }.cmd_status
  conn.copy_data('COPY (SELECT * FROM c WHERE id < 4 ORDER BY id) TO STDOUT', PG::TextDecoder::CopyRow.new) do
    while (row = conn.get_copy_data)
      show 'out', row
    end
  end
  refused { conn.copy_data('COPY c FROM STDIN', encoder) { conn.put_copy_data [1, 'again'] } }
  begin
    conn.copy_data('COPY c FROM STDIN') { raise 'enough' }
  rescue RuntimeError, PG::Error => e
    show 'given up', e.class, e.message
  end
  show 'count', value(conn, 'SELECT count(*) FROM c')
  conn.exec 'DROP TABLE c'
end

def heard(conn, wait = nil)
  found = []
  while (n = wait ? conn.wait_for_notify(wait) { |channel, _, payload| found << [channel, payload] } : conn.notifies)
    found << [n[:relname], n[:extra]] unless wait
    break if wait && found.last[1] == 'last'
  end
  found
end

def notify(conn)
  other = PG.connect
  conn.exec 'LISTEN here'
  conn.exec "NOTIFY here, 'mine'"
  show 'own', heard(conn)
  conn.transaction do
    conn.exec_params "SELECT pg_notify('here', $1)", ['in a transaction']
    show 'not yet', heard(conn)
  end
  show 'now', heard(conn)
  other.exec "NOTIFY here, 'theirs'; NOTIFY elsewhere, 'not heard'; NOTIFY here, 'last'"
  show 'theirs', heard(conn, 10)
  conn.exec 'UNLISTEN *'
  conn.exec 'NOTIFY here'
  show 'deaf', heard(conn), conn.exec('SELECT pg_listening_channels()').values
  other.close
end

def temporary(conn)
  conn.exec 'CREATE TEMP TABLE t0 AS SELECT g AS id FROM generate_series(1, 5) g'
  5.times { |i| show 'rows', value(conn, 'SELECT sum(id) FROM t0 WHERE id > $1', i) }
  conn.exec 'BEGIN; CREATE TEMP TABLE t1 ON COMMIT DROP AS SELECT 1; COMMIT'
  refused { conn.exec 'SELECT * FROM t1' }
  conn.exec 'DROP TABLE t0'
  refused { conn.exec 'SELECT * FROM t0' }
end

def advisory(conn)
  other = PG.connect
  show 'locked', value(conn, 'SELECT pg_try_advisory_lock(117)')
  show 'by others', value(other, 'SELECT pg_try_advisory_lock($1)', 117)
  show 'unlocked', value(conn, 'SELECT pg_advisory_unlock(117)'), value(conn, 'SELECT pg_advisory_unlock(117)')
  show 'by others', value(other, 'SELECT pg_try_advisory_lock(117)'), value(other, 'SELECT pg_advisory_unlock(117)')
  other.close
end

def types(conn)
  conn.exec "SET TIME ZONE 'Asia/Kolkata'"
  conn.type_map_for_results = PG::BasicTypeMapForResults.new(conn)
  conn.type_map_for_queries = PG::BasicTypeMapForQueries.new(conn)
  [1, 1.5e300, true, nil, "text'\\", [1, 2, 3], %w[a b]].each { |v| show 'value', value(conn, 'SELECT $1', v) }
  ["'{\"a\": [1, null]}'::jsonb", "'{{a,b},{c,NULL}}'::text[]", '1234567890.000123::numeric', "'\\x00ff'::bytea",
   "'2020-02-29'::date", "'2021-03-04 05:06:07.000089+00'::timestamptz"].each do |text|
    show 'value', value(conn, "SELECT #{text}").to_s
  end
  conn.exec "SET bytea_output = 'escape'"
  show 'bytes', value(conn, "SELECT '\\x00ff'::bytea")
  show 'escaped', conn.escape_string("it's \\"), conn.escape_literal("it's \\")
  conn.exec 'SET standard_conforming_strings = off'
  show 'escaped', conn.escape_string("it's \\")
end

def cancel(conn)
  conn.exec "SET work_mem = '9MB'"
  conn.send_query 'SELECT pg_sleep(30)'
  sleep 0.5
  show 'sent', conn.cancel
  refused { conn.get_last_result }
  show 'after it', value(conn, 'SHOW work_mem')
  conn.exec 'SET statement_timeout = 300'
  refused { conn.exec 'SELECT pg_sleep(30)' }
  show 'after it', value(conn, 'SHOW statement_timeout')
end

%i[settings start_up custom prepared deallocate cursors pipeline errors savepoints copy notify temporary advisory types
   cancel].each do |topic|
  next unless ARGV.empty? || ARGV.include?(topic.to_s)

  puts "== #{topic}"
  PG.connect do |conn|
    send topic, conn
  rescue StandardError => e
    show 'broken', e.class, e.message
  end
end
