/* SPDX-License-Identifier: PostgreSQL
 *
 * auth_query: the secret of a user that no file knows is asked of a server, on a link of auth_user
 * that is borrowed for one query. Nothing the client has sent is applied to that link: no SQL runs
 * on behalf of somebody who has not logged in.
 */
#include "config.h"

#include <string.h>

#include "client_priv.h"
#include "pgweir/base/assert.h"
#include "pgweir/proto/writer.h"

enum { ROW_MAX = PW_SECRET_MAX + 1024 };

static void config_error(struct pw_client *c)
{
	pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION, "bouncer config error");
}

static const char *first_set(const char *a, const char *b)
{
	return a && a[0] ? a : b && b[0] ? b : NULL;
}

static const char *auth_user_of(const struct pw_client *c)
{
	const struct pw_conf_db *db = c->login->db;

	return first_set(db ? db->auth_user : NULL, c->login->snapshot->conf->auth_user);
}

static const char *auth_query_of(const struct pw_client *c)
{
	const struct pw_conf_db *db = c->login->db;

	return first_set(db ? db->auth_query : NULL, c->login->snapshot->conf->auth_query);
}

static const char *auth_dbname_of(const struct pw_client *c)
{
	const struct pw_conf_db *db = c->login->db;
	const char *own = c->login->is_console ? NULL : c->login->database;

	return first_set(
	    first_set(db ? db->auth_dbname : NULL, c->login->snapshot->conf->auth_dbname), own);
}

static struct pw_pool *find_pool(struct pw_client *c, const char *dbname, const char *user)
{
	struct pw_pools *pools = c->clients->pools;
	const struct pw_conf_db *db = pw_conf_find_db(pools->snapshot->conf, dbname);
	struct pw_shared_db *shared;
	bool is_disabled;

	if (!db)
		db = pw_conf_find_db(pools->snapshot->conf, "*");
	if (!db) {
		pw_log_error(&c->log, "authentication database \"%s\" is not configured.", dbname);
		config_error(c);
		return NULL;
	}
	shared = pw_registry_find_db(pools->registry, dbname);
	is_disabled = shared && atomic_load(&shared->is_disabled);
	pw_registry_put_db(pools->registry, shared);
	if (is_disabled) {
		pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION,
			       "authentication database \"%s\" is disabled", dbname);
		return NULL;
	}
	return pw_pools_get(pools, db, dbname, user);
}

bool pw_login_look_up(struct pw_client *c, void (*then)(struct pw_client *c))
{
	const char *user = auth_user_of(c);
	const char *dbname = auth_dbname_of(c);
	struct pw_pool *pool;

	if (!user || !auth_query_of(c) || strcmp(user, c->login->user) == 0)
		return false;
	if (!dbname || pw_conf_is_console(dbname)) {
		pw_log_error(&c->log,
			     "cannot use the reserved \"pgbouncer\" database as an auth_dbname");
		config_error(c);
		return true;
	}
	pool = find_pool(c, dbname, user);
	if (!pool) {
		if (c->state != PW_CLIENT_CLOSED)
			config_error(c);
		return true;
	}
	c->login->after_look_up = then;
	pw_client_goto(c, PW_CLIENT_LOOKUP);
	pw_loan_bind(&c->loan, pool);
	c->loan.params = NULL;
	if (pw_pool_borrow(&c->loan))
		pw_lookup_on_link(c);
	return true;
}

static void add_query(struct pw_strbuf *out, const char *query, const char *user)
{
	size_t begin = pw_writer_begin(out, 'P');

	pw_strbuf_add(out, "", 1);
	pw_strbuf_add(out, query, strlen(query) + 1);
	pw_strbuf_add_u16(out, 0);
	pw_writer_end(out, begin);

	begin = pw_writer_begin(out, 'B');
	pw_strbuf_add(out, "\0\0", 2); /* unnamed portal and statement */
	pw_strbuf_add_u16(out, 0);     /* text parameters */
	pw_strbuf_add_u16(out, 1);
	pw_strbuf_add_u32(out, (uint32_t)strlen(user));
	pw_strbuf_add(out, user, strlen(user));
	pw_strbuf_add_u16(out, 0); /* text results */
	pw_writer_end(out, begin);

	pw_write_message(out, 'D', "P", 2);
	pw_write_message(out, 'E', "\0\0\0\0", 5);
	pw_write_message(out, 'S', NULL, 0);
}

void pw_lookup_on_link(struct pw_client *c)
{
	static const enum pw_message_role roles[] = {PW_ROLE_PARSE, PW_ROLE_BIND, PW_ROLE_DESCRIBE,
						     PW_ROLE_EXECUTE, PW_ROLE_SYNC};
	struct pw_strbuf out = PW_STRBUF_INIT;
	bool ok = true;

	add_query(&out, auth_query_of(c), c->login->user);
	for (size_t i = 0; i < PW_COUNTOF(roles); i++) {
		const struct pw_expect entry = {.role = roles[i]};

		ok = ok && pw_link_expect(c->loan.link, &entry) == PW_OK;
	}
	if (ok && !out.has_failed)
		pw_stream_send(&c->loan.link->stream, out.data, out.len);
	else
		pw_client_fail(c, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
	pw_strbuf_fini(&out);
}

/* What the server says is not for a stranger: which databases it has, say. */
void pw_lookup_on_refused(struct pw_client *c, const struct pw_error *err)
{
	pw_log_error(&c->log, "auth_query could not be run: %s", err->message);
	config_error(c);
}

static void note_error(struct pw_client *c, const struct pw_piece *piece)
{
	struct pw_error_fields fields;

	pw_parse_error_fields(piece->data + PW_HEADER_SIZE, piece->len - PW_HEADER_SIZE, &fields);
	pw_log_error(&c->log, "S: error in auth_query: %s", fields.message);
	pw_error_set(&c->login->lookup_error, PW_SQLSTATE_PROTOCOL_VIOLATION,
		     "bouncer config error");
}

static void misfit(struct pw_client *c, const char *what)
{
	pw_log_error(&c->log, "auth_query: %s", what);
	pw_error_set(&c->login->lookup_error, PW_SQLSTATE_PROTOCOL_VIOLATION,
		     "bouncer config error");
}

/* One column of a DataRow; false = malformed. NULL gives is_null. */
static bool read_column(struct pw_cursor *body, const uint8_t **data, size_t *len, bool *is_null)
{
	uint32_t n = pw_cursor_u32(body);

	*is_null = n == UINT32_MAX;
	*len = *is_null ? 0 : n;
	*data = *is_null ? NULL : pw_cursor_bytes(body, n);
	return !body->has_failed;
}

static void take_row(struct pw_client *c, const struct pw_strbuf *row)
{
	struct pw_client_login *login = c->login;
	struct pw_cursor body = pw_cursor(row->data + PW_HEADER_SIZE, row->len - PW_HEADER_SIZE);
	const uint8_t *name, *secret;
	size_t name_len, secret_len;
	bool no_name, no_secret;

	if (login->is_row_seen)
		return;
	login->is_row_seen = true;
	if (pw_cursor_u16(&body) != 2) {
		misfit(c, "must return exactly two columns: user name and password");
		return;
	}
	if (!read_column(&body, &name, &name_len, &no_name) ||
	    !read_column(&body, &secret, &secret_len, &no_secret)) {
		misfit(c, "broken row");
		return;
	}
	/* The database's spelling of the name is the login name from now on. */
	if (no_name || name_len == 0 || name_len > PW_USERNAME_MAX || memchr(name, 0, name_len)) {
		misfit(c, "returned an unusable user name");
		return;
	}
	memcpy(login->user, name, name_len);
	login->user[name_len] = '\0';
	login->is_known = true;
	login->is_dynamic = true;
	/* No password: the name is known, and nothing matches. */
	if (!no_secret && secret_len <= PW_SECRET_MAX &&
	    pw_secret_set(&login->secret, secret, secret_len) != PW_OK)
		misfit(c, "out of memory");
}

void pw_lookup_on_piece(struct pw_client *c, const struct pw_piece *piece)
{
	struct pw_strbuf *row = &c->login->row;
	/* Of several rows the first counts. */
	size_t len = piece->is_first && piece->len > piece->total ? piece->total : piece->len;

	if (piece->type == 'E' && piece->is_first) {
		note_error(c, piece);
		return;
	}
	if (piece->type != 'D')
		return;
	if (piece->is_first)
		pw_strbuf_reset(row);
	if (row->len + len > ROW_MAX) {
		misfit(c, "returned too long a row");
		return;
	}
	pw_strbuf_add(row, piece->data, len);
	if (piece->is_last && !row->has_failed)
		take_row(c, row);
}

void pw_lookup_on_ready(struct pw_client *c)
{
	struct pw_client_login *login = c->login;
	struct pw_error err = login->lookup_error;

	pw_strbuf_wipe(&login->row);
	pw_pool_return(&c->loan, true, false);
	pw_loan_unbind(&c->loan);
	if (err.message[0]) {
		pw_client_close(c, err.message, &err);
		return;
	}
	if (!login->is_row_seen) {
		pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION, "no such user");
		return;
	}
	if (login->is_console && !pw_login_enter_console(c))
		return;
	login->after_look_up(c);
	/* What the client had already sent behind its start-up packet. */
	if (c->state != PW_CLIENT_CLOSED && c->held)
		pw_relay_release(c);
}
