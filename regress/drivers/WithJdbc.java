// SPDX-License-Identifier: PostgreSQL

import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.Array;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Timestamp;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;

/** JDBC as it comes: a statement gets a name the fifth time, batches, rows a few at a time. */
class WithJdbc {
	interface Topic {
		void run(Connection c) throws Exception;
	}

	interface Action {
		void run() throws Exception;
	}

	static void show(String what, Object... values) {
		StringBuilder line = new StringBuilder(what);
		for (Object v : values)
			line.append(' ').append(v instanceof Object[] ? Arrays.deepToString((Object[]) v) : String.valueOf(v));
		System.out.println(line.toString().replace("\n", "\\n"));
	}

	static Connection connect(String... more) throws SQLException {
		Properties p = new Properties();
		p.setProperty("user", System.getenv("PGUSER"));
		p.setProperty("password", System.getenv("PGPASSWORD"));
		p.setProperty("sslmode", "disable");
		for (int i = 0; i < more.length; i += 2)
			p.setProperty(more[i], more[i + 1]);
		return DriverManager.getConnection("jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT")
				+ "/" + System.getenv("PGDATABASE"), p);
	}

	static void execute(Connection c, String sql) throws SQLException {
		try (Statement s = c.createStatement()) {
			s.execute(sql);
		}
	}

	static List<List<Object>> rows(ResultSet r) throws SQLException {
		List<List<Object>> found = new ArrayList<>();
		while (r.next()) {
			List<Object> row = new ArrayList<>();
			for (int i = 1; i <= r.getMetaData().getColumnCount(); i++)
				row.add(r.getObject(i));
			found.add(row);
		}
		return found;
	}

	static List<List<Object>> rows(Connection c, String sql, Object... args) throws SQLException {
		try (PreparedStatement s = c.prepareStatement(sql)) {
			for (int i = 0; i < args.length; i++)
				s.setObject(i + 1, args[i]);
			return rows(s.executeQuery());
		}
	}

	static Object value(Connection c, String sql, Object... args) throws SQLException {
		return rows(c, sql, args).get(0).get(0);
	}

	/** Runs what must fail. */
	static void refused(Action action) throws Exception {
		try {
			action.run();
			show("not refused");
		} catch (SQLException e) {
			show("refused", e.getSQLState(), e.getMessage());
		}
	}

	static void settings(Connection c) throws Exception {
		show("new", value(c, "SHOW TimeZone"), value(c, "SHOW application_name"), value(c, "SHOW extra_float_digits"),
				value(c, "SHOW DateStyle"), value(c, "SHOW client_encoding"));
		execute(c, "SET TIME ZONE 'America/New_York'");
		execute(c, "SET work_mem = '7MB'; SET search_path = pg_catalog, public");
		value(c, "SELECT set_config('statement_timeout', ?, false)", "33s");
		for (int i = 0; i < 7; i++)
			show("set", value(c, "SHOW TimeZone"), value(c, "SHOW work_mem"), value(c, "SHOW search_path"),
					value(c, "SHOW statement_timeout"));
		c.setAutoCommit(false);
		execute(c, "SET LOCAL work_mem = '9MB'");
		show("local", value(c, "SHOW work_mem"));
		c.commit();
		show("after it", value(c, "SHOW work_mem"));
		execute(c, "SET work_mem = '11MB'");
		c.rollback();
		show("rolled back", value(c, "SHOW work_mem"));
		c.commit();
		c.setAutoCommit(true);
		refused(() -> execute(c, "SET work_mem = 'much'"));
		c.setSchema("pg_catalog");
		show("schema", c.getSchema());
		c.setClientInfo("ApplicationName", "named");
		show("info", c.getClientInfo("ApplicationName"), value(c, "SHOW application_name"));
		execute(c, "RESET ALL");
		show("reset", value(c, "SHOW TimeZone"), value(c, "SHOW work_mem"), value(c, "SHOW application_name"));
	}

	static void attributes(Connection c) throws Exception {
		c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
		c.setReadOnly(true);
		for (boolean auto : new boolean[] {true, false}) {
			c.setAutoCommit(auto);
			for (int i = 0; i < 3; i++) {
				show("set", value(c, "SHOW transaction_isolation"), value(c, "SHOW transaction_read_only"));
				if (!auto)
					c.commit();
			}
		}
		refused(() -> execute(c, "CREATE TABLE no (id int)"));
		c.rollback();
		c.setReadOnly(false);
		c.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
		show("unset", value(c, "SHOW transaction_isolation"), value(c, "SHOW transaction_read_only"));
		c.commit();
		c.setAutoCommit(true);
		show("valid", c.isValid(5));
	}

	static List<Object> shown(Connection c, String... names) throws SQLException {
		List<Object> found = new ArrayList<>();
		for (String name : names)
			found.add(value(c, "SHOW " + name));
		return found;
	}

	static void start_up(Connection unused) throws Exception {
		String[] names = {"work_mem", "app.start", "application_name", "search_path"};
		try (Connection c = connect("options", "-c work_mem=5MB -c app.start=one", "ApplicationName", "start",
				"currentSchema", "public,pg_catalog")) {
			for (int i = 0; i < 3; i++)
				show("options", shown(c, names));
			execute(c, "SET work_mem = '6MB'; SET app.start = 'two'");
			show("set", shown(c, names));
			execute(c, "DISCARD ALL");
			show("discarded", shown(c, names));
		}
		try (Connection c = connect("readOnly", "true", "autosave", "always", "prepareThreshold", "1")) {
			c.setAutoCommit(false);
			refused(() -> execute(c, "CREATE TABLE no (id int)"));
			value(c, "SELECT 1");
			refused(() -> value(c, "SELECT 1/0"));
			show("saved", value(c, "SELECT 2"));
			c.commit();
		}
	}

	static void custom(Connection c) throws Exception {
		for (String tenant : new String[] {"one", "two's", "drei \u00fc"}) {
			value(c, "SELECT set_config('app.tenant', ?, false)", tenant);
			show("tenant", value(c, "SELECT current_setting('app.tenant')"));
			c.setAutoCommit(false);
			value(c, "SELECT set_config('app.tenant', ?, true)", "within");
			show("within", value(c, "SHOW app.tenant"));
			c.commit();
			show("after it", value(c, "SHOW app.tenant"));
			c.commit();
			c.setAutoCommit(true);
		}
		refused(() -> value(c, "SHOW app.never_was"));
	}

	static void prepared(Connection c) throws Exception {
		execute(c, "CREATE TABLE p (id int PRIMARY KEY, v text)");
		try (PreparedStatement insert = c.prepareStatement("INSERT INTO p VALUES (?, ?)");
				PreparedStatement select = c.prepareStatement("SELECT * FROM p WHERE id = ?")) {
			for (int i = 0; i < 12; i++) {
				insert.setInt(1, i);
				insert.setString(2, "v" + i);
				show("inserted", insert.executeUpdate());
			}
			for (int i = 0; i < 9; i++) {
				select.setInt(1, i);
				show("row", rows(select.executeQuery()));
			}
			insert.setInt(1, 1);
			refused(() -> insert.executeUpdate());
			execute(c, "ALTER TABLE p ADD more int DEFAULT 3");
			for (int i = 0; i < 7; i++) {
				select.setInt(1, i);
				show("other shape", rows(select.executeQuery()));
			}
			c.setAutoCommit(false);
			execute(c, "ALTER TABLE p DROP more");
			select.setInt(1, 2);
			refused(() -> select.executeQuery());
			c.rollback();
			show("rolled back", rows(select.executeQuery()));
			c.commit();
			c.setAutoCommit(true);
		}
		for (int i = 0; i < 7; i++)
			show("types", value(c, "SELECT ? || '!'", i % 2 == 0 ? "text" : "other"), value(c, "SELECT ? + 1", i));
		execute(c, "DROP TABLE p");
	}

	static void prepared_dropped(Connection c) throws Exception {
		for (String text : new String[] {"DEALLOCATE ALL", "DISCARD ALL", "SET search_path = public"}) {
			for (int i = 0; i < 7; i++)
				show("row", value(c, "SELECT ? * 2", i));
			execute(c, text);
			for (int i = 0; i < 7; i++)
				show("row", value(c, "SELECT ? * 2", i));
		}
	}

	/** More than its cache holds, so statements are closed. */
	static void prepared_many(Connection unused) throws Exception {
		try (Connection c = connect("preparedStatementCacheQueries", "3", "prepareThreshold", "2")) {
			for (int round = 0; round < 4; round++)
				for (int i = 0; i < 6; i++)
					show("row", value(c, "SELECT ? + " + i, round));
		}
		for (String mode : new String[] {"simple", "extended", "extendedForPrepared", "extendedCacheEverything"})
			try (Connection c = connect("preferQueryMode", mode)) {
				execute(c, "SET work_mem = '9MB'");
				for (int i = 0; i < 7; i++)
					show(mode, value(c, "SELECT ? + 1", i), value(c, "SHOW work_mem"));
			}
	}

	static void cursors(Connection c) throws Exception {
		c.setAutoCommit(false);
		try (PreparedStatement s = c.prepareStatement("SELECT g FROM generate_series(1, ?) g");
				PreparedStatement other = c.prepareStatement("SELECT g * g FROM generate_series(1, 50) g")) {
			s.setFetchSize(7);
			other.setFetchSize(5);
			s.setInt(1, 30);
			for (int round = 0; round < 7; round++) {
				ResultSet one = s.executeQuery();
				ResultSet two = other.executeQuery();
				int sum = 0;
				while (one.next() && two.next())
					sum += one.getInt(1) * two.getInt(1);
				show("sum", sum, value(c, "SELECT 'meanwhile'"));
			}
		}
		c.commit();
		c.setAutoCommit(true);
		try (Statement s = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY)) {
			ResultSet r = s.executeQuery("SELECT generate_series(1, 20)");
			show("scrolled", r.absolute(15), r.getInt(1), r.previous(), r.getInt(1));
		}
		// The driver fetches all of such a result, as it has no cursors WITH HOLD.
		try (Statement s = c.createStatement(ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_READ_ONLY,
				ResultSet.HOLD_CURSORS_OVER_COMMIT)) {
			s.setFetchSize(2);
			show("held", rows(s.executeQuery("SELECT generate_series(1, 5)")));
		}
		execute(c, "DECLARE held CURSOR WITH HOLD FOR SELECT g FROM generate_series(1, 5) g");
		show("held", rows(c, "FETCH 2 FROM held"), value(c, "SELECT 'meanwhile'"), rows(c, "FETCH ALL FROM held"));
		execute(c, "CLOSE held");
	}

	static void refcursor(Connection c) throws Exception {
		execute(c, "CREATE FUNCTION open_one() RETURNS refcursor LANGUAGE plpgsql AS"
				+ " $$ DECLARE r refcursor; BEGIN OPEN r FOR SELECT generate_series(1, 4); RETURN r; END $$");
		c.setAutoCommit(false);
		try (Statement s = c.createStatement()) {
			ResultSet r = s.executeQuery("SELECT open_one()");
			r.next();
			show("rows", rows((ResultSet) r.getObject(1)));
		}
		c.commit();
		c.setAutoCommit(true);
		execute(c, "DROP FUNCTION open_one()");
	}

	static void batches(Connection c) throws Exception {
		execute(c, "CREATE TABLE q (id serial PRIMARY KEY, n int UNIQUE)");
		for (boolean auto : new boolean[] {true, false}) {
			c.setAutoCommit(auto);
			try (PreparedStatement s = c.prepareStatement("INSERT INTO q (n) VALUES (?)", Statement.RETURN_GENERATED_KEYS)) {
				for (int i = 0; i < 300; i++) {
					s.setInt(1, i + (auto ? 0 : 1000));
					s.addBatch();
				}
				show("batch", Arrays.stream(s.executeBatch()).sum(), rows(s.getGeneratedKeys()).size());
				for (int n : new int[] {7000, 7001, 5, 7002}) {
					s.setInt(1, n);
					s.addBatch();
				}
				try {
					s.executeBatch();
				} catch (BatchUpdateException e) {
					show("refused", e.getSQLState(), Arrays.toString(e.getUpdateCounts()));
				}
			}
			if (!auto)
				c.rollback();
			c.setAutoCommit(true);
			show("count", value(c, "SELECT count(*) FROM q"));
		}
		try (Statement s = c.createStatement()) {
			s.addBatch("SET work_mem = '8MB'");
			s.addBatch("DELETE FROM q WHERE n < 10");
			s.addBatch("SET app.batch = 'set'");
			show("batch", Arrays.toString(s.executeBatch()), value(c, "SHOW work_mem"), value(c, "SHOW app.batch"));
			show("several", s.execute("SET work_mem = '9MB'; SELECT 1; DELETE FROM q; SHOW work_mem"), s.getUpdateCount(),
					s.getMoreResults(), rows(s.getResultSet()), s.getMoreResults(), s.getUpdateCount(), s.getMoreResults(),
					rows(s.getResultSet()));
		}
		execute(c, "DROP TABLE q");
	}

	static void errors(Connection c) throws Exception {
		execute(c, "SET work_mem = '10MB'");
		for (String text : new String[] {"SELECT 1/0", "SELEC 1", "SELECT * FROM nowhere", "SELECT 'x'::int"}) {
			refused(() -> execute(c, text));
			refused(() -> value(c, text));
			show("after it", value(c, "SHOW work_mem"));
		}
		c.setAutoCommit(false);
		refused(() -> value(c, "SELECT 1/0"));
		refused(() -> value(c, "SELECT 1"));
		refused(() -> c.commit());
		show("after it", value(c, "SHOW work_mem"));
		c.rollback();
		c.setAutoCommit(true);
		try (Statement s = c.createStatement()) {
			s.execute("DO $$ BEGIN RAISE NOTICE 'hear %', 1; RAISE WARNING 'and this'; END $$");
			for (SQLWarning w = s.getWarnings(); w != null; w = w.getNextWarning())
				show("warning", w.getSQLState(), w.getMessage());
		}
	}

	static void savepoints(Connection c) throws Exception {
		execute(c, "CREATE TABLE s (id int PRIMARY KEY)");
		c.setAutoCommit(false);
		execute(c, "SET application_name = 'outer'");
		execute(c, "INSERT INTO s VALUES (1)");
		Savepoint a = c.setSavepoint();
		execute(c, "SET application_name = 'inner'");
		refused(() -> execute(c, "INSERT INTO s VALUES (1)"));
		c.rollback(a);
		show("undone", value(c, "SHOW application_name"));
		Savepoint b = c.setSavepoint("named");
		execute(c, "INSERT INTO s VALUES (3)");
		c.releaseSavepoint(b);
		c.commit();
		c.setAutoCommit(true);
		show("kept", rows(c, "SELECT * FROM s ORDER BY id"), value(c, "SHOW application_name"));
		execute(c, "DROP TABLE s");
	}

	static void copy(Connection c) throws Exception {
		execute(c, "CREATE TABLE c (id int PRIMARY KEY, v text)");
		var manager = c.unwrap(PGConnection.class).getCopyAPI();
		StringBuilder data = new StringBuilder();
		for (int i = 0; i < 500; i++)
			data.append(i).append("\tv").append(i).append('\n');
		show("in", manager.copyIn("COPY c FROM STDIN", new StringReader(data.toString())));
		StringWriter out = new StringWriter();
		show("out", manager.copyOut("COPY (SELECT * FROM c WHERE id < 4 ORDER BY id) TO STDOUT", out), out);
		ByteArrayOutputStream bytes = new ByteArrayOutputStream();
		show("out", manager.copyOut("COPY c TO STDOUT (FORMAT binary)", bytes), bytes.size());
		refused(() -> manager.copyIn("COPY c FROM STDIN", new StringReader("1\tagain\n")));
		var given_up = manager.copyIn("COPY c FROM STDIN");
		given_up.writeToCopy("1000\thalf".getBytes(), 0, 9);
		given_up.cancelCopy();
		show("count", value(c, "SELECT count(*) FROM c"));
		execute(c, "DROP TABLE c");
	}

	static List<String> heard(Connection c, String last) throws Exception {
		List<String> found = new ArrayList<>();
		for (long end = System.nanoTime() + 10_000_000_000L; System.nanoTime() < end;) {
			PGNotification[] all = c.unwrap(PGConnection.class).getNotifications(last == null ? 1 : 1000);
			for (PGNotification n : all == null ? new PGNotification[0] : all)
				found.add(n.getName() + "=" + n.getParameter());
			if (last == null || found.contains("here=" + last))
				break;
		}
		return found;
	}

	static void notify(Connection c) throws Exception {
		execute(c, "LISTEN here");
		execute(c, "NOTIFY here, 'mine'");
		show("own", heard(c, "mine"));
		c.setAutoCommit(false);
		value(c, "SELECT pg_notify('here', ?)::text", "in a transaction");
		show("not yet", heard(c, null));
		c.commit();
		c.setAutoCommit(true);
		show("now", heard(c, "in a transaction"));
		try (Connection other = connect()) {
			execute(other, "NOTIFY here, 'theirs'; NOTIFY elsewhere, 'not heard'; NOTIFY here, 'last'");
		}
		show("theirs", heard(c, "last"));
		execute(c, "UNLISTEN *");
		execute(c, "NOTIFY here");
		show("deaf", heard(c, null), rows(c, "SELECT pg_listening_channels()"));
	}

	static void temporary(Connection c) throws Exception {
		execute(c, "CREATE TEMP TABLE t0 AS SELECT g AS id FROM generate_series(1, 5) g");
		for (int i = 0; i < 7; i++)
			show("rows", value(c, "SELECT sum(id) FROM t0 WHERE id > ?", i));
		execute(c, "BEGIN; CREATE TEMP TABLE t1 ON COMMIT DROP AS SELECT 1; COMMIT");
		refused(() -> value(c, "SELECT * FROM t1"));
		execute(c, "DROP TABLE t0");
		refused(() -> value(c, "SELECT * FROM t0"));
	}

	static void advisory(Connection c) throws Exception {
		try (Connection other = connect()) {
			show("locked", value(c, "SELECT pg_try_advisory_lock(137)"));
			show("by others", value(other, "SELECT pg_try_advisory_lock(?)", 137));
			show("unlocked", value(c, "SELECT pg_advisory_unlock(137)"), value(c, "SELECT pg_advisory_unlock(137)"));
			show("by others", value(other, "SELECT pg_try_advisory_lock(137)"), value(other, "SELECT pg_advisory_unlock(137)"));
		}
	}

	static void types(Connection c) throws Exception {
		execute(c, "SET TIME ZONE 'Asia/Kolkata'");
		Map<String, Object> wanted = new LinkedHashMap<>();
		wanted.put("jsonb", "{\"a\": [1, null, \"\u00fc\"]}");
		wanted.put("int[]", c.createArrayOf("int", new Object[] {1, 2, 3}));
		wanted.put("text[]", c.createArrayOf("text", new Object[][] {{"a", "b"}, {"c", null}}));
		wanted.put("numeric", new BigDecimal("1234567890.000123"));
		wanted.put("bytea", new byte[] {0, -1, 92, 39});
		wanted.put("date", LocalDate.of(2020, 2, 29));
		wanted.put("timestamptz", OffsetDateTime.parse("2021-03-04T05:06:07.000089Z"));
		wanted.put("timestamp", Timestamp.valueOf("2021-03-04 05:06:07.000089"));
		wanted.put("bool", true);
		wanted.put("float8", 1.5e300);
		wanted.put("int8", 1L << 40);
		wanted.put("text", "text'\\");
		// The sixth time, in binary.
		for (int round = 0; round < 6; round++)
			for (Map.Entry<String, Object> e : wanted.entrySet()) {
				Object v = value(c, "SELECT ?::" + e.getKey(), e.getValue());
				if (v instanceof byte[])
					v = Arrays.toString((byte[]) v);
				if (v instanceof Array)
					v = ((Array) v).getArray();
				show(e.getKey(), v);
			}
		execute(c, "SET DateStyle = 'ISO, DMY'");
		show("date", value(c, "SELECT '03.04.2020'::date::text"));
		refused(() -> execute(c, "SET DateStyle = 'German'"));
	}

	static void unfit_encoding(Connection c) throws Exception {
		refused(() -> execute(c, "SET client_encoding = 'LATIN1'"));
		show("closed", c.isClosed());
	}

	/** By calls of functions in the protocol. */
	static void large_objects(Connection c) throws Exception {
		c.setAutoCommit(false);
		LargeObjectManager manager = c.unwrap(PGConnection.class).getLargeObjectAPI();
		long oid = manager.createLO();
		try (LargeObject lo = manager.open(oid)) {
			lo.write("0123456789".repeat(1000).getBytes());
			lo.seek(500);
			lo.write("here".getBytes());
		}
		c.commit();
		try (LargeObject lo = manager.open(oid)) {
			lo.seek(498);
			show("read", new String(lo.read(8)), lo.size());
		}
		manager.delete(oid);
		c.commit();
		refused(() -> manager.open(oid));
		c.rollback();
		c.setAutoCommit(true);
	}

	static void metadata(Connection c) throws Exception {
		execute(c, "CREATE TABLE m (id int PRIMARY KEY, v text[], r int REFERENCES m)");
		var data = c.getMetaData();
		show("columns", columns(data.getColumns(null, "public", "m", "%"), "COLUMN_NAME", "TYPE_NAME"));
		show("keys", columns(data.getPrimaryKeys(null, "public", "m"), "COLUMN_NAME", "PK_NAME"));
		show("foreign", columns(data.getImportedKeys(null, "public", "m"), "FKCOLUMN_NAME", "PKTABLE_NAME"));
		show("keywords", data.getSQLKeywords().length(), data.getMaxTableNameLength());
		execute(c, "DROP TABLE m");
	}

	static List<String> columns(ResultSet r, String... names) throws SQLException {
		List<String> found = new ArrayList<>();
		while (r.next())
			for (String name : names)
				found.add(r.getString(name));
		return found;
	}

	static void cancel(Connection c) throws Exception {
		execute(c, "SET work_mem = '9MB'");
		try (Statement s = c.createStatement()) {
			s.setQueryTimeout(1);
			refused(() -> s.execute("SELECT pg_sleep(30)"));
		}
		show("after it", value(c, "SHOW work_mem"));
		execute(c, "SET statement_timeout = 300");
		refused(() -> execute(c, "SELECT pg_sleep(30)"));
		show("after it", value(c, "SHOW statement_timeout"));
	}

	static void run(List<String> chosen, String name, Topic topic) throws Exception {
		if (!chosen.isEmpty() && !chosen.contains(name))
			return;
		System.out.println("== " + name);
		try (Connection c = connect()) {
			topic.run(c);
		} catch (Exception e) {
			show("broken", e);
		}
	}

	public static void main(String[] args) throws Exception {
		List<String> chosen = Arrays.asList(args);
		run(chosen, "settings", WithJdbc::settings);
		run(chosen, "attributes", WithJdbc::attributes);
		run(chosen, "start_up", WithJdbc::start_up);
		run(chosen, "custom", WithJdbc::custom);
		run(chosen, "prepared", WithJdbc::prepared);
		run(chosen, "prepared_dropped", WithJdbc::prepared_dropped);
		run(chosen, "prepared_many", WithJdbc::prepared_many);
		run(chosen, "cursors", WithJdbc::cursors);
		run(chosen, "refcursor", WithJdbc::refcursor);
		run(chosen, "batches", WithJdbc::batches);
		run(chosen, "errors", WithJdbc::errors);
		run(chosen, "savepoints", WithJdbc::savepoints);
		run(chosen, "copy", WithJdbc::copy);
		run(chosen, "notify", WithJdbc::notify);
		run(chosen, "temporary", WithJdbc::temporary);
		run(chosen, "advisory", WithJdbc::advisory);
		run(chosen, "types", WithJdbc::types);
		run(chosen, "unfit_encoding", WithJdbc::unfit_encoding);
		run(chosen, "large_objects", WithJdbc::large_objects);
		run(chosen, "metadata", WithJdbc::metadata);
		run(chosen, "cancel", WithJdbc::cancel);
	}
}
