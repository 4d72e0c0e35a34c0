// SPDX-License-Identifier: PostgreSQL
// node-postgres as it comes: unnamed and named queries, which queue up behind each other.

const { Client, Pool } = require("pg");

function show(what, ...values) {
	console.log([what, ...values.map((v) => JSON.stringify(v))].join(" "));
}

async function connect(options = {}) {
	const client = new Client(options);
	await client.connect();
	return client;
}

async function value(client, text, ...args) {
	return (await client.query({ text, values: args, rowMode: "array" })).rows[0][0];
}

// Awaits what must fail.
async function refused(promise) {
	try {
		await promise;
		show("not refused");
	} catch (e) {
		show("refused", e.code, e.message);
	}
}

async function settings(client) {
	await client.query("SET TIME ZONE 'America/New_York'");
	await client.query("SET work_mem = '7MB'; SET search_path = pg_catalog, public");
	await client.query("SELECT set_config('statement_timeout', $1, false)", ["33s"]);
	for (let i = 0; i < 6; i++)
		show("set", await value(client, "SHOW TimeZone"), await value(client, "SHOW work_mem"),
			await value(client, "SHOW search_path"), await value(client, "SHOW statement_timeout"));
	await client.query("BEGIN");
	await client.query("SET LOCAL work_mem = '9MB'");
	show("local", await value(client, "SHOW work_mem"));
	await client.query("COMMIT");
	show("after it", await value(client, "SHOW work_mem"));
	await client.query("BEGIN");
	await client.query("SET work_mem = '11MB'");
	await client.query("ROLLBACK");
	show("rolled back", await value(client, "SHOW work_mem"));
	await refused(client.query("SET work_mem = 'much'"));
	await client.query("RESET ALL");
	show("reset", await value(client, "SHOW TimeZone"), await value(client, "SHOW work_mem"));
}

async function start_up() {
	const client = await connect({ options: "-c work_mem=5MB -c app.start=one", application_name: "start",
		statement_timeout: 44000, lock_timeout: 45000, idle_in_transaction_session_timeout: 46000 });
	const names = ["work_mem", "app.start", "application_name", "statement_timeout", "lock_timeout",
		"idle_in_transaction_session_timeout", "client_encoding"];
	async function all() {
		const found = [];
		for (const name of names)
			found.push(await value(client, `SHOW ${name}`));
		return found;
	}
	for (let i = 0; i < 3; i++)
		show("options", await all());
	await client.query("SET work_mem = '6MB'; SET app.start = 'two'; SET statement_timeout = 0");
	show("set", await all());
	await client.query("DISCARD ALL");
	show("discarded", await all());
	await client.end();
}

async function custom(client) {
	for (const tenant of ["one", "two's", "drei ü"]) {
		await client.query("SELECT set_config('app.tenant', $1, false)", [tenant]);
		show("tenant", await value(client, "SELECT current_setting('app.tenant')"));
		await client.query("BEGIN");
		await client.query("SELECT set_config('app.tenant', $1, true)", ["within"]);
		show("within", await value(client, "SHOW app.tenant"));
		await client.query("COMMIT");
		show("after it", await value(client, "SHOW app.tenant"));
	}
	await refused(client.query("SHOW app.never_was"));
}

async function prepared(client) {
	await client.query("CREATE TABLE p (id int PRIMARY KEY, v text)");
	for (let i = 0; i < 10; i++)
		await client.query({ name: "insert", text: "INSERT INTO p VALUES ($1, $2)", values: [i, `v${i}`] });
	const select = { name: "named", text: "SELECT * FROM p WHERE id = $1" };
	for (let i = 0; i < 6; i++)
		show("row", (await client.query({ ...select, values: [i] })).rows);
	await refused(client.query({ name: "named", text: "SELECT 'another text'" }));
	await refused(client.query({ name: "bad", text: "SELECT nothing" }));
	await refused(client.query({ ...select, values: ["x"] }));
	show("row", (await client.query({ ...select, values: [7] })).rows);
	await client.query("ALTER TABLE p ADD more int DEFAULT 3");
	await refused(client.query({ ...select, values: [1] }));
	await refused(client.query({ ...select, values: [2] }));
	await client.query("DROP TABLE p");
	show("view", (await client.query({ name: "one", text: "SELECT 1 AS one" })).rows);
	await client.query("DEALLOCATE ALL");
	await refused(client.query({ name: "one", text: "SELECT 1 AS one" }));
}

async function prepared_dropped(client) {
	for (let i = 0; i < 3; i++)
		show("row", (await client.query({ name: "named", text: "SELECT $1::int AS n", values: [i] })).rows);
	await client.query("DEALLOCATE named");
	await refused(client.query({ name: "named", text: "SELECT $1::int AS n", values: [1] }));
	await client.query({ name: "by hand", text: "SELECT $1::int * 2 AS n", values: [1] });
	show("executed", (await client.query('EXECUTE "by hand" (21)')).rows);
}

async function cursors(client) {
	await client.query("BEGIN");
	await client.query("DECLARE numbers SCROLL CURSOR FOR SELECT g FROM generate_series(1, 20) g");
	show("first", (await client.query("FETCH 3 FROM numbers")).rows);
	show("another", await value(client, "SELECT 'meanwhile'"));
	show("moved", (await client.query("MOVE FORWARD 10 IN numbers")).rowCount);
	show("next", (await client.query("FETCH PRIOR FROM numbers")).rows);
	await client.query("COMMIT");
	await refused(client.query("FETCH ALL FROM numbers"));
	await client.query("DECLARE held CURSOR WITH HOLD FOR SELECT g FROM generate_series(1, 5) g");
	show("held", (await client.query("FETCH 2 FROM held")).rows, await value(client, "SELECT 'meanwhile'"),
		(await client.query("FETCH ALL FROM held")).rows);
	await client.query("CLOSE held");
	// Some rows at a time from the unnamed portal.
	show("in parts", (await client.query({ text: "SELECT generate_series(1, 10) AS g", rows: 3 })).rows.length);
}

async function queue(client) {
	await client.query("CREATE TABLE q (id int PRIMARY KEY)");
	const all = [client.query("BEGIN"), client.query("SET LOCAL work_mem = '12MB'")];
	for (let i = 0; i < 30; i++)
		all.push(client.query({ name: "insert", text: "INSERT INTO q VALUES ($1) RETURNING id", values: [i] }));
	all.push(client.query("SHOW work_mem"), client.query("COMMIT"), client.query("SHOW work_mem"));
	for (const result of await Promise.all(all))
		if (result.rows.length)
			show(result.command, result.rows);
	const settled = await Promise.allSettled([
		client.query({ name: "insert", text: "INSERT INTO q VALUES ($1) RETURNING id", values: [100] }),
		client.query({ name: "insert", text: "INSERT INTO q VALUES ($1) RETURNING id", values: [100] }),
		client.query("SELECT 1/0"),
		client.query({ name: "bad", text: "SELECT * FROM nowhere" }),
		client.query("SET work_mem = '13MB'"),
		client.query("SHOW work_mem"),
	]);
	show("settled", settled.map((s) => (s.value ? s.value.rows : s.reason.message)));
	const results = await client.query("SELECT 1 AS a; SET work_mem = '14MB'; SHOW work_mem; SELECT count(*) FROM q");
	show("several", results.map((r) => [r.command, r.rows]));
	await client.query("DROP TABLE q");
}

async function errors(client) {
	await client.query("SET work_mem = '10MB'");
	for (const text of ["SELECT 1/0", "SELEC 1", "SELECT * FROM nowhere", "SELECT 'x'::int"]) {
		await refused(client.query(text));
		await refused(client.query(`/* extended */ ${text}`, []));
		await refused(client.query({ text: `/* parameters */ ${text}`, values: [1] }));
		show("after it", await value(client, "SHOW work_mem"));
	}
	await client.query("BEGIN");
	await refused(client.query("SELECT 1/0"));
	await refused(client.query("SELECT 1"));
	show("commits", (await client.query("COMMIT")).command);
	const notices = [];
	client.on("notice", (n) => notices.push([n.severity, n.message]));
	await client.query("DO $$ BEGIN RAISE NOTICE 'hear %', 1; RAISE WARNING 'and this'; END $$");
	show("notices", notices);
}

async function savepoints(client) {
	await client.query("CREATE TABLE s (id int PRIMARY KEY)");
	await client.query("BEGIN");
	await client.query("SET application_name = 'outer'");
	await client.query("INSERT INTO s VALUES (1)");
	await client.query("SAVEPOINT a");
	await client.query("SET application_name = 'inner'");
	await client.query("INSERT INTO s VALUES ($1)", [2]);
	await refused(client.query("INSERT INTO s VALUES ($1)", [1]));
	await client.query("ROLLBACK TO SAVEPOINT a");
	show("undone", await value(client, "SHOW application_name"));
	await client.query("INSERT INTO s VALUES (3)");
	await client.query("COMMIT");
	show("kept", (await client.query("SELECT * FROM s ORDER BY id")).rows, await value(client, "SHOW application_name"));
	await client.query("DROP TABLE s");
}

// node-postgres alone has no data for a COPY FROM STDIN, and says so to the server.
async function copy(client) {
	await client.query("CREATE TABLE c (id int)");
	await refused(client.query("COPY c FROM STDIN"));
	show("copied", (await client.query("COPY (SELECT generate_series(1, 100)) TO STDOUT")).rowCount);
	show("count", await value(client, "SELECT count(*) FROM c"));
	await client.query("DROP TABLE c");
}

async function notify(client) {
	const other = await connect();
	const heard = [];
	let told;
	const last = new Promise((resolve) => (told = resolve));
	client.on("notification", (n) => {
		heard.push([n.channel, n.payload]);
		if (n.payload === "last")
			told();
	});
	await client.query("LISTEN here");
	await client.query("NOTIFY here, 'mine'");
	show("own", heard);
	await client.query("BEGIN");
	await client.query("SELECT pg_notify('here', $1)", ["in a transaction"]);
	show("not yet", heard);
	await client.query("COMMIT");
	show("now", heard);
	await other.query("NOTIFY here, 'theirs'; NOTIFY elsewhere, 'not heard'; NOTIFY here, 'last'");
	await last;
	show("heard", heard);
	await client.query("UNLISTEN here");
	await client.query("NOTIFY here");
	show("deaf", heard.length, (await client.query("SELECT pg_listening_channels()")).rows);
	await other.end();
}

async function temporary(client) {
	await client.query("CREATE TEMP TABLE t0 AS SELECT g AS id FROM generate_series(1, 5) g");
	for (let i = 0; i < 5; i++)
		show("rows", await value(client, "SELECT sum(id) FROM t0 WHERE id > $1", i));
	await client.query("BEGIN; CREATE TEMP TABLE t1 ON COMMIT DROP AS SELECT 1; COMMIT");
	await refused(client.query("SELECT * FROM t1"));
	await client.query("DROP TABLE t0");
	await refused(client.query("SELECT * FROM t0"));
}

async function advisory(client) {
	const other = await connect();
	show("locked", await value(client, "SELECT pg_try_advisory_lock(107)"));
	show("by others", await value(other, "SELECT pg_try_advisory_lock($1)", 107));
	show("unlocked", await value(client, "SELECT pg_advisory_unlock($1)", 107),
		await value(client, "SELECT pg_advisory_unlock(107)"));
	show("by others", await value(other, "SELECT pg_try_advisory_lock(107)"),
		await value(other, "SELECT pg_advisory_unlock(107)"));
	await other.end();
}

async function types(client) {
	await client.query("SET TIME ZONE 'Asia/Kolkata'");
	const wanted = [["jsonb", { a: [1, null, "ü"] }], ["int[]", [1, 2, 3]], ["text[]", [["a", "b"], ["c", null]]],
		["numeric", "1234567890.000123"], ["bytea", Buffer.from([0, 255, 92, 39])], ["date", "2020-02-29"],
		["interval", "3 days 5 seconds"], ["bool", true], ["float8", 1.5e300], ["text", "text'\\"], ["int8", "1099511627776"],
		["timestamptz", new Date("2021-03-04T05:06:07.089Z")], ["timestamptz", "2021-03-04 05:06:07+00"], ["int", null]];
	for (const [type, v] of wanted)
		show(type, await value(client, `SELECT $1::${type}`, v), await value(client, `SELECT $1::${type}::text`, v));
	for (const output of ["escape", "hex"]) {
		await client.query(`SET bytea_output = '${output}'`);
		show("bytes", await value(client, "SELECT $1::bytea", Buffer.from([0, 255, 92, 39])));
	}
}

async function timeout(client) {
	await client.query("SET statement_timeout = 300");
	await refused(client.query("SELECT pg_sleep(30)"));
	show("after it", await value(client, "SHOW statement_timeout"));
}

async function pool() {
	const made = new Pool({ max: 4, options: "-c app.pool=mine" });
	made.on("connect", (client) => client.query("SET statement_timeout = '41s'"));
	const one = async (number) => {
		const client = await made.connect();
		try {
			await client.query("BEGIN");
			await client.query("SELECT set_config('app.tenant', $1, true)", [`t${number}`]);
			return [await value(client, "SHOW app.tenant"), await value(client, "SHOW app.pool"),
				await value(client, "SHOW statement_timeout")];
		} finally {
			await client.query("COMMIT");
			client.release();
		}
	};
	show("seen", await Promise.all(Array.from({ length: 20 }, (_, number) => one(number))));
	await made.end();
}

async function main() {
	const named = process.argv.slice(2);
	for (const topic of [settings, start_up, custom, prepared, prepared_dropped, cursors, queue, errors, savepoints, copy,
		notify, temporary, advisory, types, timeout, pool]) {
		if (named.length && !named.includes(topic.name))
			continue;
		console.log("== " + topic.name);
		const client = await connect();
		try {
			await topic(client);
		} catch (e) {
			show("broken", e.message);
		}
		await client.end();
	}
}

main();
