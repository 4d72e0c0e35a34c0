/* SPDX-License-Identifier: PostgreSQL
 *
 * What the console takes for a command, and from whom.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/admin_priv.h"
#include "console_fixture.h"

static struct pw_request parsed(const char *text)
{
	struct pw_request request;
	struct pw_error err;

	if (!pw_request_parse(text, PW_RIGHT_ADMIN, &request, &err))
		fail_msg("%s: %s", text, err.message);
	return request;
}

static void assert_refused(const char *text, enum pw_console_right right, const char *message)
{
	struct pw_request request;
	struct pw_error err;

	assert_false(pw_request_parse(text, right, &request, &err));
	assert_string_equal(err.message, message);
	assert_string_equal(err.sqlstate, "08P01");
	assert_int_equal(err.severity, PW_SEVERITY_ERROR);
}

static void assert_command(const char *text, enum pw_command command, const char *argument)
{
	struct pw_request request = parsed(text);

	assert_int_equal(request.kind, PW_REQUEST_COMMAND);
	assert_int_equal(request.verb->command, command);
	assert_int_equal(request.has_argument, argument != NULL);
	if (argument)
		assert_string_equal(request.argument, argument);
}

static void test_show(void **state)
{
	static const char *const texts[] = {
	    "show pools",     "SHOW POOLS;",    " \t\r\n Show Pools ; ", "SELECT pools",
	    "show \"POOLS\"", "\"show\" pools", "show\npools;"};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(texts); i++) {
		struct pw_request request = parsed(texts[i]);

		assert_int_equal(request.kind, PW_REQUEST_SHOW);
		assert_ptr_equal(request.view, &pw_view_pools);
		assert_string_equal(request.tag, "SHOW");
	}
	assert_ptr_equal(parsed("show stats").view, &pw_view_stats);
	assert_ptr_equal(parsed("show stats_totals").view, &pw_view_stats_totals);
	assert_int_equal(parsed("show help").kind, PW_REQUEST_HELP);
	assert_int_equal(parsed("show TimeZone").kind, PW_REQUEST_SHOW_PARAMETER);
}

static void test_every_view_is_found(void **state)
{
	static const char *const words[] = {
	    "CLIENTS",      "SERVERS",        "POOLS",      "DATABASES", "USERS",  "STATS",
	    "STATS_TOTALS", "STATS_AVERAGES", "TOTALS",     "LISTS",     "CONFIG", "VERSION",
	    "STATE",        "PINS",           "PIN_COUNTS", "CLUSTERS",  "NODES",  "ROUTES"};
	char text[64];

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(words); i++) {
		snprintf(text, sizeof(text), "SHOW %s", words[i]);
		assert_string_equal(parsed(text).view->name, words[i]);
		assert_ptr_equal(pw_console_views[i], parsed(text).view);
	}
	assert_null(pw_console_views[PW_COUNTOF(words)]);
}

static void test_empty(void **state)
{
	static const char *const texts[] = {"", " \t\r\n", ";", " ; "};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(texts); i++)
		assert_int_equal(parsed(texts[i]).kind, PW_REQUEST_EMPTY);
}

static void test_commands(void **state)
{
	(void)state;
	assert_command("reload", PW_COMMAND_RELOAD, NULL);
	assert_command("PAUSE;", PW_COMMAND_PAUSE, NULL);
	assert_command("pause app", PW_COMMAND_PAUSE, "app");
	assert_command("pause App_2 ;", PW_COMMAND_PAUSE, "App_2");
	assert_command("pause \"my \"\"db\"\"\"", PW_COMMAND_PAUSE, "my \"db\"");
	assert_command("resume app", PW_COMMAND_RESUME, "app");
	assert_command("kill", PW_COMMAND_KILL, NULL);
	assert_command("kill app", PW_COMMAND_KILL, "app");
	assert_command("kill_client 42", PW_COMMAND_KILL_CLIENT, "42");
	assert_command("reconnect", PW_COMMAND_RECONNECT, NULL);
	assert_command("shutdown", PW_COMMAND_SHUTDOWN, NULL);
	assert_command("shutdown wait_for_servers", PW_COMMAND_SHUTDOWN_WAIT_FOR_SERVERS,
		       "wait_for_servers");
	assert_command("shutdown WAIT_FOR_CLIENTS", PW_COMMAND_SHUTDOWN_WAIT_FOR_CLIENTS,
		       "WAIT_FOR_CLIENTS");
	assert_string_equal(parsed("shutdown wait_for_clients").tag, "SHUTDOWN");
}

static void assert_about_node(const char *text, enum pw_command command, const char *node,
			      const char *value)
{
	struct pw_request request = parsed(text);

	assert_command(text, command, node);
	assert_int_equal(request.has_value, value != NULL);
	if (value)
		assert_string_equal(request.value, value);
}

static void test_commands_about_nodes(void **state)
{
	(void)state;
	assert_about_node("drain db1:5432", PW_COMMAND_DRAIN, "db1:5432", NULL);
	assert_about_node("DRAIN db-1.example.net;", PW_COMMAND_DRAIN, "db-1.example.net", NULL);
	assert_about_node("ban [::1]:5432", PW_COMMAND_BAN, "[::1]:5432", NULL);
	assert_about_node("ban shop/db1 force", PW_COMMAND_BAN_FORCE, "shop/db1", "force");
	assert_about_node("unban /run/postgresql:5432", PW_COMMAND_UNBAN, "/run/postgresql:5432",
			  NULL);
	assert_about_node("unban \"/my dir:5432\"", PW_COMMAND_UNBAN, "/my dir:5432", NULL);
	assert_about_node("weight db1 3", PW_COMMAND_WEIGHT, "db1", "3");
	assert_about_node("weight db1 Default ;", PW_COMMAND_WEIGHT, "db1", "Default");
	assert_about_node("promote db1", PW_COMMAND_PROMOTE, "db1", NULL);
	assert_about_node("max_lag shop 1.5s", PW_COMMAND_MAX_LAG, "shop", "1.5s");
	assert_about_node("max_lag shop '2 s'", PW_COMMAND_MAX_LAG, "shop", "2 s");
	assert_about_node("max_lag shop default", PW_COMMAND_MAX_LAG, "shop", "default");
	assert_string_equal(parsed("ban db1 FORCE").tag, "BAN");
}

static void test_invalid_commands_about_nodes(void **state)
{
	static const char *const texts[] = {"drain",
					    "ban ;",
					    "drain db1 now",
					    "ban db1 FORCE x",
					    "ban db1 FORCED",
					    "ban db1;ban x",
					    "unban db1 2",
					    "weight db1",
					    "weight db1 3 4",
					    "weight db1 '3",
					    "promote a b",
					    "max_lag",
					    "max_lag shop",
					    "ban\"db1\"",
					    "drain a,b",
					    "drain 'db1'",
					    "weight db1 \"3\"",
					    "drain db1;;"};
	char expected[256], text[600];

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(texts); i++) {
		snprintf(expected, sizeof(expected), "invalid command '%s', use SHOW HELP;",
			 texts[i]);
		assert_refused(texts[i], PW_RIGHT_ADMIN, expected);
		assert_refused(texts[i], PW_RIGHT_STATS, "admin access needed");
	}
	snprintf(text, sizeof(text), "drain %0327d", 0);
	assert_about_node(text, PW_COMMAND_DRAIN, text + 6, NULL);
	snprintf(text, sizeof(text), "drain %0328d", 0);
	assert_refused(text, PW_RIGHT_ADMIN, "bad arguments");
	snprintf(text, sizeof(text), "weight db1 %064d", 0);
	assert_refused(text, PW_RIGHT_ADMIN, "bad arguments");
	assert_refused("drain db1:5432", PW_RIGHT_STATS, "admin access needed");
}

static void test_forms_of_commands_about_nodes(void **state)
{
	static const struct {
		const char *text, *hint;
	} rows[] = {
	    {"MAX_LAG", "Write MAX_LAG <cluster> DEFAULT, or MAX_LAG <cluster> <time>."},
	    {"max_lag shop;", "Write MAX_LAG <cluster> DEFAULT, or MAX_LAG <cluster> <time>."},
	    {"WEIGHT db1", "Write WEIGHT <node> DEFAULT, or WEIGHT <node> <weight>."},
	    {"BAN ;", "Write BAN <node>, or BAN <node> FORCE."},
	    {"ban db1 forced", "Write BAN <node>, or BAN <node> FORCE."},
	    {"drain 'db1'", "Write DRAIN <node>."},
	    {"promote a b", "Write PROMOTE <node>."},
	    {"unban db1;;", "Write UNBAN <node>."},
	    {"weight db1 '3", "Write WEIGHT <node> DEFAULT, or WEIGHT <node> <weight>."},
	    /* These are PgBouncer's own. */
	    {"reload app", ""},
	    {"max_leg", ""},
	};
	struct pw_request request;
	struct pw_error err;

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(rows); i++) {
		assert_false(pw_request_parse(rows[i].text, PW_RIGHT_ADMIN, &request, &err));
		assert_string_equal(err.hint, rows[i].hint);
	}
}

static void test_invalid_commands(void **state)
{
	static const char *const texts[] = {
	    "show",          "show nothing",   "show pools x",    "select 1",
	    "reload app",    "shutdown now",   "suspend",         "disable app",
	    "show fds",      "show sockets",   "wait_close",      "set",
	    "pools",         "pause;pause",    "pause -- x",      "/* */ pause",
	    "pause a b",     "pause 'app'",    "pause \"app",     "pause;;",
	    "pause\"app\"",  "show pools\x01", "set verbose = 1", "begin x",
	    "pause \xc3\xa9"};
	char expected[256];

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(texts); i++) {
		snprintf(expected, sizeof(expected), "invalid command '%s', use SHOW HELP;",
			 texts[i]);
		assert_refused(texts[i], PW_RIGHT_ADMIN, expected);
	}
}

/* A typo is told nothing more. */
static void test_commands_of_pgbouncer(void **state)
{
	static const struct {
		const char *text, *detail, *hint;
	} rows[] = {
	    {"suspend", "SUSPEND", "pgweir(1)"},
	    {"Disable app", "DISABLE", ""},
	    {"enable app;", "ENABLE", ""},
	    {"wait_close", "WAIT_CLOSE", "close_needed"},
	    {"set verbose = 1", "SET", "RELOAD"},
	    {"set server_tls_sslmode = verify-full", "SET", "RELOAD"},
	    {"show fds", "SHOW FDS", ""},
	    {"select Sockets", "SHOW SOCKETS", "SHOW SERVERS"},
	    {"show active_sockets", "SHOW ACTIVE_SOCKETS", "SHOW SERVERS"},
	    {"show mem", "SHOW MEM", ""},
	    {"show dns_hosts", "SHOW DNS_HOSTS", ""},
	    {"show dns_zones", "SHOW DNS_ZONES", ""},
	    {"show peers", "SHOW PEERS", ""},
	    {"show peer_pools", "SHOW PEER_POOLS", ""},
	    {"suspemd", NULL, ""},
	    {"show fdss", NULL, ""},
	    {"show", NULL, ""},
	    {"fds", NULL, ""},
	    {"show suspend", NULL, ""},
	    {"set timezone", NULL, ""},
	};
	struct pw_request request;
	struct pw_error err;

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(rows); i++) {
		char detail[128] = "";

		assert_false(pw_request_parse(rows[i].text, PW_RIGHT_ADMIN, &request, &err));
		assert_non_null(strstr(err.message, "invalid command '"));
		if (rows[i].detail)
			snprintf(detail, sizeof(detail),
				 "PgBouncer has %s, it is not supported by pgweir.",
				 rows[i].detail);
		assert_string_equal(err.detail, detail);
		assert_non_null(strstr(err.hint, rows[i].hint));
		assert_int_equal(err.hint[0] == '\0', rows[i].hint[0] == '\0');
	}
}

static void test_long_pieces(void **state)
{
	char text[600];

	(void)state;
	assert_refused("sixteen_letters_", PW_RIGHT_ADMIN, "bad arguments");
	snprintf(text, sizeof(text), "pause %064d", 0);
	assert_refused(text, PW_RIGHT_ADMIN, "bad arguments");
	snprintf(text, sizeof(text), "pause \"%064d\"", 0);
	assert_refused(text, PW_RIGHT_ADMIN, "bad arguments");
	snprintf(text, sizeof(text), "pause %063d", 0);
	assert_command(text, PW_COMMAND_PAUSE, text + 6);
	snprintf(text, sizeof(text), "set timezone = '%0256d'", 0);
	assert_refused(text, PW_RIGHT_ADMIN, "bad arguments");
	snprintf(text, sizeof(text), "set timezone = '%0255d'", 0);
	assert_int_equal(parsed(text).kind, PW_REQUEST_SET_PARAMETER);
}

/* A cut never goes through a character. */
static void test_long_message_is_cut_between_characters(void **state)
{
	struct pw_request request;
	struct pw_error err;
	char text[402];

	(void)state;
	for (size_t shift = 0; shift < 2; shift++) {
		size_t len = 0;

		memset(text, 0, sizeof(text));
		text[0] = '-';
		for (len = shift; len + 2 < sizeof(text); len += 2)
			memcpy(text + len, "\xc3\xa9", 2);
		assert_false(pw_request_parse(text, PW_RIGHT_ADMIN, &request, &err));
		assert_null(strstr(err.message, "\xc3'"));
		assert_non_null(strstr(err.message, "\xa9', use SHOW HELP;"));
	}
}

static void test_kill_client_wants_a_number(void **state)
{
	static const char *const texts[] = {"kill_client", "kill_client abc", "kill_client 0x12",
					    "kill_client \"\"", "kill_client 99999999999999999999"};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(texts); i++)
		assert_refused(texts[i], PW_RIGHT_ADMIN, "invalid client pointer supplied");
}

static void test_console_is_spared(void **state)
{
	(void)state;
	assert_refused("pause pgbouncer", PW_RIGHT_ADMIN, "cannot pause admin db: pgbouncer");
	assert_refused("KILL pgweir", PW_RIGHT_ADMIN, "cannot kill admin db: pgweir");
	assert_refused("reconnect \"pgbouncer\"", PW_RIGHT_ADMIN,
		       "cannot reconnect admin db: pgbouncer");
}

static void test_rights(void **state)
{
	struct pw_request request;
	struct pw_error err;

	(void)state;
	for (const struct pw_console_verb *verb = pw_console_verbs; verb->word; verb++) {
		char text[64];

		snprintf(text, sizeof(text), "%s %s", verb->word, verb->mode ? verb->mode : "");
		assert_refused(text, PW_RIGHT_STATS, "admin access needed");
		assert_refused(text, PW_RIGHT_NONE, "admin access needed");
	}
	assert_refused("kill_client 1", PW_RIGHT_STATS, "admin access needed");
	assert_refused("show pools", PW_RIGHT_NONE, "admin access needed");
	assert_true(pw_request_parse("show pools", PW_RIGHT_STATS, &request, &err));
	assert_true(pw_request_parse("set timezone to x", PW_RIGHT_STATS, &request, &err));
	assert_refused("frobnicate", PW_RIGHT_STATS,
		       "invalid command 'frobnicate', use SHOW HELP;");
}

static void test_set_of_drivers(void **state)
{
	static const char *const good[] = {"set client_encoding = utf8",
					   "SET client_encoding TO 'UTF8';",
					   "set DateStyle='ISO'",
					   "set timezone =\t'a ''b'''",
					   "set standard_conforming_strings to on",
					   "set \"timezone\" = x"};
	static const char *const bad[] = {
	    "set timezone",         "set timezone tomorrow", "set timezone = ", "set timezone = 'x",
	    "set timezone = 'x' y", "set timezone=a-b",      "set nothing = x", "set timezoneto x"};
	struct pw_request request;
	struct pw_error err;

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(good); i++)
		assert_int_equal(parsed(good[i]).kind, PW_REQUEST_SET_PARAMETER);
	for (size_t i = 0; i < PW_COUNTOF(bad); i++)
		assert_false(pw_request_parse(bad[i], PW_RIGHT_ADMIN, &request, &err));
}

static void test_transactions_of_drivers(void **state)
{
	(void)state;
	assert_string_equal(parsed("begin").tag, "BEGIN");
	assert_true(parsed("begin transaction;").begins_block);
	assert_string_equal(parsed("commit work").tag, "COMMIT");
	assert_false(parsed("rollback").begins_block);
	assert_string_equal(parsed("rollback").tag, "ROLLBACK");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_show),
	    cmocka_unit_test(test_every_view_is_found),
	    cmocka_unit_test(test_empty),
	    cmocka_unit_test(test_commands),
	    cmocka_unit_test(test_commands_about_nodes),
	    cmocka_unit_test(test_invalid_commands_about_nodes),
	    cmocka_unit_test(test_forms_of_commands_about_nodes),
	    cmocka_unit_test(test_invalid_commands),
	    cmocka_unit_test(test_commands_of_pgbouncer),
	    cmocka_unit_test(test_long_pieces),
	    cmocka_unit_test(test_long_message_is_cut_between_characters),
	    cmocka_unit_test(test_kill_client_wants_a_number),
	    cmocka_unit_test(test_console_is_spared),
	    cmocka_unit_test(test_rights),
	    cmocka_unit_test(test_set_of_drivers),
	    cmocka_unit_test(test_transactions_of_drivers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
