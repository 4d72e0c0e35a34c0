/* SPDX-License-Identifier: PostgreSQL
 *
 * The server's side of a connection, see lib/fake_pool.h.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_pool.h"
#include "pgweir/proto/reader.h"
#include "pgweir/proto/startup.h"
#include "pgweir/proto/writer.h"

static const uint8_t cancel_key[] = {0, 0, 0, 77, 0xde, 0xad, 0xbe, 0xef};

/* ---- connections ---- */

bool fake_accept(struct fake_env *env, struct fake_server *server)
{
	memset(server, 0, sizeof(*server));
	server->env = env;
	fake_turn(env);
	server->fd = env->listen_fd < 0
			 ? -1
			 : accept4(env->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	fake_turn(env);
	return server->fd >= 0;
}

void fake_server_close(struct fake_server *server)
{
	if (server->fd >= 0)
		close(server->fd);
	server->fd = -1;
	pw_strbuf_fini(&server->in);
	fake_turn(server->env);
}

/* False at the end of the connection. */
static bool receive(struct fake_server *server)
{
	char buf[4096];
	ssize_t n;

	fake_turn(server->env);
	while ((n = recv(server->fd, buf, sizeof(buf), 0)) > 0)
		pw_strbuf_add(&server->in, buf, (size_t)n);
	return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

void fake_must_receive(struct fake_server *server, const void *data, size_t len)
{
	(void)receive(server);
	assert_true(server->in.len >= len);
	assert_memory_equal(server->in.data, data, len);
	pw_strbuf_consume(&server->in, len);
}

void fake_must_receive_query(struct fake_server *server, const char *sql)
{
	struct pw_strbuf wanted = PW_STRBUF_INIT;

	pw_write_query(&wanted, sql);
	fake_must_receive(server, wanted.data, wanted.len);
	pw_strbuf_fini(&wanted);
}

void fake_must_be_silent(struct fake_server *server)
{
	assert_true(receive(server));
	assert_int_equal(server->in.len, 0);
}

bool fake_is_closed(struct fake_server *server)
{
	return !receive(server);
}

/* ---- answers ---- */

static void add_error(struct pw_strbuf *out, const char *sqlstate, enum pw_severity severity)
{
	struct pw_error err;

	pw_error_set(&err, sqlstate, "the server says %s", sqlstate);
	err.severity = severity;
	pw_write_error(out, &err);
}

static void add_parameter(struct pw_strbuf *out, char *pair)
{
	char *colon = strchr(pair, ':');

	assert_non_null(colon);
	*colon = '\0';
	pw_write_parameter_status(out, pair, colon + 1);
}

/* The smallest body that the table allows, in zeros. */
static void add_empty(struct pw_strbuf *out, char type)
{
	static const uint8_t zeros[64];
	const struct pw_message_row *row = &pw_backend_messages.rows[(uint8_t)type];

	assert_non_null(row->name);
	pw_write_message(out, type, zeros, row->min_body);
}

static void add_word(struct pw_strbuf *out, char *word)
{
	char *text = word + 2;

	for (char *p = word; *p; p++) {
		if (*p == '+')
			*p = ' ';
	}
	switch (word[1] == '=' ? word[0] : '\0') {
	case 'C':
		pw_write_command_complete(out, text);
		break;
	case 'E':
		add_error(out, text, PW_SEVERITY_ERROR);
		break;
	case 'X':
		add_error(out, text, PW_SEVERITY_FATAL);
		break;
	case 'Z':
		pw_write_ready(out, text[0]);
		break;
	case 'S':
		add_parameter(out, text);
		break;
	case 'd':
		pw_write_message(out, 'd', text, strlen(text));
		break;
	default:
		if (word[0] == 'P')
			pw_write_auth(out, PW_AUTH_REQ_OK, NULL, 0);
		else if (word[0] == 'K')
			pw_write_message(out, 'K', cancel_key, sizeof(cancel_key));
		else
			add_empty(out, word[0]);
	}
}

static size_t next_cut(struct fake_env *env, size_t len)
{
	size_t cut = env->cut > 0 ? env->cut : len;

	if (env->cut == FAKE_RANDOM_CUTS)
		cut = 1 + pw_rng_next(&env->rng) % 12;
	return cut < len ? cut : len;
}

void fake_send(struct fake_server *server, const void *data, size_t len)
{
	const char *bytes = data;
	size_t n;

	for (size_t at = 0; at < len; at += n) {
		n = next_cut(server->env, len - at);
		/* The other side may have hung up in the middle. */
		(void)send(server->fd, bytes + at, n, MSG_NOSIGNAL);
		if (server->env->cut > 0)
			fake_turn(server->env);
	}
	fake_turn(server->env);
}

void fake_answer(struct fake_server *server, const char *words)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	char copy[512], *save = NULL;

	assert_true((size_t)snprintf(copy, sizeof(copy), "%s", words) < sizeof(copy));
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		add_word(&out, word);
	fake_send(server, out.data, out.len);
	pw_strbuf_fini(&out);
}

/* ---- logins and cancel requests ---- */

static void receive_packet(struct fake_server *server, struct pw_startup *startup)
{
	struct pw_error err;
	size_t len;

	(void)receive(server);
	assert_true(server->in.len >= PW_STARTUP_MIN);
	len = pw_startup_length((const uint8_t *)server->in.data);
	assert_int_equal(len, server->in.len);
	assert_int_equal(pw_startup_parse((const uint8_t *)server->in.data, len, startup, &err),
			 PW_OK);
}

void fake_accept_startup(struct fake_env *env, struct fake_server *server, uint32_t version)
{
	struct pw_startup startup;

	assert_true(fake_accept(env, server));
	receive_packet(server, &startup);
	assert_int_equal(startup.kind, PW_STARTUP_MESSAGE);
	assert_int_equal(startup.version, version);
	assert_string_equal(pw_startup_get(&startup, "database"), "app");
	assert_non_null(pw_startup_get(&startup, "user"));
	pw_strbuf_reset(&server->in);
}

void fake_accept_login(struct fake_env *env, struct fake_server *server)
{
	fake_accept_startup(env, server, PW_PROTOCOL(3, 2));
	fake_answer(server, "P S=server_version:15.4 S=client_encoding:UTF8 S=TimeZone:UTC "
			    "S=DateStyle:ISO S=standard_conforming_strings:on "
			    "S=application_name: K Z=I");
}

void fake_accept_cancel(struct fake_env *env, struct fake_server *server)
{
	struct pw_startup startup;

	assert_true(fake_accept(env, server));
	receive_packet(server, &startup);
	assert_int_equal(startup.kind, PW_STARTUP_CANCEL);
	assert_int_equal(startup.cancel_key_len, sizeof(cancel_key));
	assert_memory_equal(startup.cancel_key, cancel_key, sizeof(cancel_key));
	pw_strbuf_reset(&server->in);
}
