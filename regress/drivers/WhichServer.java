// SPDX-License-Identifier: PostgreSQL

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;

/** For each targetServerType: is the server that it finds a standby, or what else is said? */
class WhichServer {
	static String ask(String url) {
		try (Connection c = DriverManager.getConnection(url)) {
			ResultSet r = c.createStatement().executeQuery("SELECT pg_is_in_recovery()");
			r.next();
			return r.getString(1) + " " + c.isReadOnly();
		} catch (SQLException e) {
			return e.getSQLState();
		}
	}

	public static void main(String[] args) {
		for (int i = 1; i < args.length; i++)
			System.out.println(args[i] + " " + ask(args[0] + "&targetServerType=" + args[i]));
	}
}
