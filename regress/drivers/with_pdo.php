<?php
// SPDX-License-Identifier: PostgreSQL
// PHP's PDO as it comes: statements that the server prepares, under names like pdo_stmt_00000001,
// and that a DEALLOCATE of SQL drops when their object goes.

function show($what, ...$values)
{
    echo implode(' ', [$what, ...array_map('json_encode', $values)]), "\n";
}

function connect($options = [], $more = '')
{
    $dsn = sprintf('pgsql:host=%s;port=%s;dbname=%s%s', getenv('PGHOST'), getenv('PGPORT'), getenv('PGDATABASE'), $more);
    return new PDO($dsn, getenv('PGUSER'), getenv('PGPASSWORD'), $options);
}

// Prepared and dropped again.
function run($db, $text, ...$args)
{
    $statement = $db->prepare($text);
    $statement->execute($args);
    return $statement;
}

function value($db, $text, ...$args)
{
    return run($db, $text, ...$args)->fetchColumn();
}

function rows($db, $text, ...$args)
{
    return run($db, $text, ...$args)->fetchAll(PDO::FETCH_NUM);
}

// Runs what must fail.
function refused($action)
{
    try {
        $action();
        show('not refused');
    } catch (PDOException $e) {
        show('refused', $e->getCode(), $e->getMessage());
    }
}

function settings($db)
{
    $db->exec("SET TIME ZONE 'America/New_York'");
    $db->exec("SET work_mem = '7MB'; SET search_path = pg_catalog, public");
    run($db, "SELECT set_config('statement_timeout', ?, false)", '33s');
    for ($i = 0; $i < 6; $i++) {
        show('set', value($db, 'SHOW TimeZone'), value($db, 'SHOW work_mem'), value($db, 'SHOW search_path'),
            $db->query('SHOW statement_timeout')->fetchColumn());
    }
    $db->beginTransaction();
    $db->exec("SET LOCAL work_mem = '9MB'");
    show('local', value($db, 'SHOW work_mem'));
    $db->commit();
    show('after it', value($db, 'SHOW work_mem'));
    $db->beginTransaction();
    run($db, "SET work_mem = '11MB'");
    $db->rollBack();
    show('rolled back', value($db, 'SHOW work_mem'));
    refused(fn() => $db->exec("SET work_mem = 'much'"));
    refused(fn() => run($db, "SET work_mem = 'much'"));
    $db->exec('RESET ALL');
    show('reset', value($db, 'SHOW TimeZone'), value($db, 'SHOW work_mem'));
}

function start_up($_)
{
    $db = connect([], ";application_name=start;options='-c work_mem=5MB -c app.start=one'");
    $all = fn() => [value($db, 'SHOW work_mem'), value($db, 'SHOW app.start'), value($db, 'SHOW application_name')];
    for ($i = 0; $i < 3; $i++) {
        show('options', $all());
    }
    $db->exec("SET work_mem = '6MB'; SET app.start = 'two'");
    show('set', $all());
    $db->exec('DISCARD ALL');
    show('discarded', $all());
}

function custom($db)
{
    foreach (['one', "two's", 'drei ü'] as $tenant) {
        run($db, "SELECT set_config('app.tenant', ?, false)", $tenant);
        show('tenant', value($db, "SELECT current_setting('app.tenant')"));
        $db->beginTransaction();
        run($db, "SELECT set_config('app.tenant', ?, true)", 'within');
        show('within', value($db, 'SHOW app.tenant'));
        $db->commit();
        show('after it', value($db, 'SHOW app.tenant'));
    }
    refused(fn() => run($db, 'SHOW app.never_was'));
}

function prepared($db)
{
    $db->exec('CREATE TABLE p (id int PRIMARY KEY, v text)');
    $insert = $db->prepare('INSERT INTO p VALUES (:id, :v)');
    for ($i = 0; $i < 10; $i++) {
        $insert->execute(['id' => $i, 'v' => "v$i"]);
    }
    $select = $db->prepare('SELECT * FROM p WHERE id = ?');
    for ($i = 0; $i < 6; $i++) {
        $select->execute([$i]);
        show('row', $select->fetchAll(PDO::FETCH_ASSOC), $select->getColumnMeta(0)['native_type']);
    }
    refused(fn() => $select->execute(['x']));
    refused(fn() => $insert->execute(['id' => 1, 'v' => 'again']));
    refused(fn() => run($db, 'SELECT nothing FROM p'));
    $select->execute([7]);
    show('row', $select->fetch(PDO::FETCH_NUM));
    $db->beginTransaction();
    run($db, 'DELETE FROM p WHERE id = ?', 7);
    run($db, 'DELETE FROM p WHERE id = ?', 8);
    $select->execute([8]);
    show('within', $select->fetchAll());
    $db->rollBack();
    $select->execute([8]);
    show('rolled back', $select->fetch(PDO::FETCH_NUM));
    $emulated = $db->prepare('SELECT ?::int + 1', [PDO::ATTR_EMULATE_PREPARES => true]);
    $emulated->execute([4]);
    show('emulated', $emulated->fetchColumn());
    $once = $db->prepare('SELECT ?::int + 2', [PDO::PGSQL_ATTR_DISABLE_PREPARES => true]);
    $once->execute([4]);
    show('once', $once->fetchColumn());
    $insert = $select = null;
    $db->exec('DROP TABLE p');
}

// Statements that live at the same time, and go in another order than they came.
function dropped($db)
{
    $kept = [];
    for ($i = 0; $i < 12; $i++) {
        $kept[$i] = $db->prepare("SELECT $i + ?::int");
        $kept[$i]->execute([1]);
        show('new', $kept[$i]->fetchColumn());
        unset($kept[($i * 5) % 12]);
        foreach ($kept as $number => $statement) {
            $statement->execute([100]);
            show('kept', $number, $statement->fetchColumn());
        }
    }
    $db->beginTransaction();
    $kept = [];
    refused(fn() => run($db, 'SELECT 1/0'));
    refused(fn() => run($db, 'SELECT 1'));
    $db->rollBack();
    show('after it', value($db, 'SELECT ?::int', 5));
    $statement = $db->prepare("SELECT 'discarded'");
    $statement->execute();
    $db->exec('DEALLOCATE ALL');
    refused(fn() => $statement->execute());
}

function cursors($db)
{
    $db->beginTransaction();
    $statement = $db->prepare('SELECT g FROM generate_series(1, ?::int) g', [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
    $statement->execute([20]);
    show('first', $statement->fetch(PDO::FETCH_NUM), value($db, "SELECT 'meanwhile'"));
    show('at', $statement->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_ABS, 15), $statement->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_PRIOR));
    $statement = null;
    $db->exec('DECLARE numbers CURSOR FOR SELECT g FROM generate_series(1, 20) g');
    show('first', rows($db, 'FETCH 3 FROM numbers'), rows($db, 'FETCH 2 FROM numbers'));
    $db->commit();
    refused(fn() => rows($db, 'FETCH 3 FROM numbers'));
    $db->exec('DECLARE held CURSOR WITH HOLD FOR SELECT g FROM generate_series(1, 5) g');
    show('held', rows($db, 'FETCH 2 FROM held'), value($db, "SELECT 'meanwhile'"), rows($db, 'FETCH ALL FROM held'));
    $db->exec('CLOSE held');
}

function several($db)
{
    show('changed', $db->exec("CREATE TABLE q (id int); SET work_mem = '8MB'; INSERT INTO q VALUES (1), (2)"));
    refused(fn() => $db->exec("SET work_mem = '12MB'; INSERT INTO q VALUES (0); SELECT 1/0"));
    show('undone', value($db, 'SHOW work_mem'), value($db, 'SELECT count(*) FROM q'));
    refused(fn() => run($db, 'SELECT 1; SELECT 2'));
    $db->exec('DROP TABLE q');
}

function errors($db)
{
    $db->exec("SET work_mem = '10MB'");
    foreach (['SELECT 1/0', 'SELEC 1', 'SELECT * FROM nowhere', "SELECT 'x'::int"] as $text) {
        refused(fn() => $db->query($text));
        refused(fn() => run($db, $text));
        show('after it', value($db, 'SHOW work_mem'));
    }
    $silent = connect([PDO::ATTR_ERRMODE => PDO::ERRMODE_SILENT]);
    show('silent', $silent->query('SELECT 1/0'), $silent->errorInfo());
    $db->beginTransaction();
    refused(fn() => run($db, 'SELECT 1/0'));
    show('state', $db->inTransaction());
    refused(fn() => run($db, 'SELECT 1'));
    $db->rollBack();
    show('state', $db->inTransaction(), value($db, 'SHOW work_mem'));
}

function savepoints($db)
{
    $db->exec('CREATE TABLE s (id int PRIMARY KEY)');
    $db->beginTransaction();
    $db->exec("SET application_name = 'outer'");
    run($db, 'INSERT INTO s VALUES (?)', 1);
    $db->exec('SAVEPOINT a');
    $db->exec("SET application_name = 'inner'");
    refused(fn() => run($db, 'INSERT INTO s VALUES (?)', 1));
    $db->exec('ROLLBACK TO SAVEPOINT a');
    show('undone', value($db, 'SHOW application_name'));
    run($db, 'INSERT INTO s VALUES (?)', 3);
    $db->commit();
    show('kept', rows($db, 'SELECT * FROM s ORDER BY id'), value($db, 'SHOW application_name'));
    $db->exec('DROP TABLE s');
}

function copying($db)
{
    $db->exec('CREATE TABLE c (id int PRIMARY KEY, v text)');
    show('in', $db->pgsqlCopyFromArray('c', array_map(fn($i) => "$i\tv$i", range(0, 499))));
    show('out', array_slice($db->pgsqlCopyToArray('c', ','), 0, 4));
    refused(fn() => $db->pgsqlCopyFromArray('c', ["1\tagain"]));
    refused(fn() => $db->pgsqlCopyFromArray('c', ['nonsense']));
    show('count', value($db, 'SELECT count(*) FROM c'));
    $db->exec('DROP TABLE c');
}

function heard($db, $wait = 0)
{
    $found = [];
    while ($n = $db->pgsqlGetNotify(PDO::FETCH_NUM, $wait)) {
        $found[] = [$n[0], $n[2]];
        if ($n[2] === 'last') {
            break;
        }
    }
    return $found;
}

function notify($db)
{
    $other = connect();
    $db->exec('LISTEN here');
    $db->exec("NOTIFY here, 'mine'");
    show('own', heard($db));
    $db->beginTransaction();
    run($db, "SELECT pg_notify('here', ?)", 'in a transaction');
    show('not yet', heard($db));
    $db->commit();
    show('now', heard($db));
    $other->exec("NOTIFY here, 'theirs'; NOTIFY elsewhere, 'not heard'; NOTIFY here, 'last'");
    show('theirs', heard($db, 10000));
    $db->exec('UNLISTEN *');
    $db->exec('NOTIFY here');
    show('deaf', heard($db), rows($db, 'SELECT pg_listening_channels()'));
}

function temporary($db)
{
    $db->exec('CREATE TEMP TABLE t0 AS SELECT g AS id FROM generate_series(1, 5) g');
    for ($i = 0; $i < 5; $i++) {
        show('rows', value($db, 'SELECT sum(id) FROM t0 WHERE id > ?', $i));
    }
    $db->exec('BEGIN; CREATE TEMP TABLE t1 ON COMMIT DROP AS SELECT 1; COMMIT');
    refused(fn() => run($db, 'SELECT * FROM t1'));
    $db->exec('DROP TABLE t0');
    refused(fn() => run($db, 'SELECT * FROM t0'));
}

function advisory($db)
{
    $other = connect();
    show('locked', value($db, 'SELECT pg_try_advisory_lock(127)'));
    show('by others', value($other, 'SELECT pg_try_advisory_lock(?)', 127));
    show('unlocked', value($db, 'SELECT pg_advisory_unlock(127)'));
    show('by others', value($other, 'SELECT pg_try_advisory_lock(127)'), value($other, 'SELECT pg_advisory_unlock(127)'));
}

function types($db)
{
    $db->exec("SET TIME ZONE 'Asia/Kolkata'");
    $wanted = [['jsonb', '{"a": [1, null, "ü"]}'], ['int[]', '{1,2,3}'], ['text[]', '{{a,b},{c,NULL}}'],
        ['numeric', '1234567890.000123'], ['date', '2020-02-29'], ['interval', '3 days 5 seconds'], ['float8', '1.5e300'],
        ['text', "text'\\"], ['timestamptz', '2021-03-04 05:06:07.000089+00'], ['int', null]];
    foreach ($wanted as [$type, $v]) {
        show($type, value($db, "SELECT ?::$type", $v));
    }
    $statement = $db->prepare('SELECT ?::bytea, ?::bool, ?::int');
    foreach (['hex', 'escape'] as $output) {
        $db->exec("SET bytea_output = '$output'");
        $statement->bindValue(1, "\0\xff\\'", PDO::PARAM_LOB);
        $statement->bindValue(2, false, PDO::PARAM_BOOL);
        $statement->bindValue(3, 42, PDO::PARAM_INT);
        $statement->execute();
        [$bytes, $bool, $int] = $statement->fetch(PDO::FETCH_NUM);
        show('bytes', bin2hex(stream_get_contents($bytes)), $bool, $int);
    }
    show('quoted', $db->quote("it's \\"));
    $db->beginTransaction();
    $number = $db->pgsqlLOBCreate();
    $stream = $db->pgsqlLOBOpen($number, 'w');
    fwrite($stream, str_repeat('0123456789', 100));
    $stream = null;
    $stream = $db->pgsqlLOBOpen($number, 'r');
    show('large object', strlen(stream_get_contents($stream)), $db->pgsqlLOBUnlink($number));
    $stream = null;
    $db->commit();
}

function timeout($db)
{
    $db->exec('SET statement_timeout = 300');
    refused(fn() => run($db, 'SELECT pg_sleep(30)'));
    show('after it', value($db, 'SHOW statement_timeout'));
}

function sequence($db)
{
    $db->exec('CREATE TABLE ids (id serial, v text)');
    $db->beginTransaction();
    run($db, 'INSERT INTO ids (v) VALUES (?)', 'x');
    show('last', $db->lastInsertId(), $db->lastInsertId('ids_id_seq'));
    $db->commit();
    $db->exec('DROP TABLE ids');
}

// What an INSERT got is asked for when its transaction is over.
function sequence_later($db)
{
    $db->exec('CREATE TABLE ids (id serial, v text)');
    for ($i = 0; $i < 3; $i++) {
        run($db, 'INSERT INTO ids (v) VALUES (?)', 'x');
        show('last', $db->lastInsertId());
    }
    $db->exec('DROP TABLE ids');
}

foreach (['settings', 'start_up', 'custom', 'prepared', 'dropped', 'cursors', 'several', 'errors', 'savepoints', 'copying',
    'notify', 'temporary', 'advisory', 'types', 'timeout', 'sequence', 'sequence_later'] as $topic) {
    if ($argc > 1 && !in_array($topic, $argv)) {
        continue;
    }
    echo "== $topic\n";
    try {
        $topic(connect());
    } catch (Throwable $e) {
        show('broken', get_class($e), $e->getMessage());
    }
}
