/* SPDX-License-Identifier: PostgreSQL
 *
 * What a session must see, told to others and heard of them: SHOW pgweir.lsn gives a position that
 * has all that it has written or seen, and SET pgweir.lsn, on any connection of any pgweir, lets
 * that one see as much. So a web request sees what the one before has written.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "pgweir/cluster/lsn.h"
#include "pgweir/pool/catalog.h"
#include "pgweir/proto/writer.h"
#include "route_priv.h"

/* What cannot be understood, as code has set it (route_settings.c refuses the rest), may be
 * anything: then all that there is by now is to be seen. */
static void import(struct pw_client *c, const char *text)
{
	struct pw_pool *pool = c->loan.pool;
	uint32_t timeline;
	uint64_t lsn;

	if (pw_token_parse(text, &timeline, &lsn))
		pw_pool_import(pool, &c->route->token, timeline, lsn);
	else
		pw_pool_note_now(pool, &c->route->token);
}

void pw_route_import(struct pw_client *c)
{
	const char *text = pw_state_find(c->settings, "pgweir.lsn");
	uint64_t hash = 0;

	if (text && text[0])
		hash = pw_hash(&c->clients->pools->hash_key, text, strlen(text)) | 1;
	if (hash == c->route->imported)
		return;
	c->route->imported = hash;
	if (hash != 0)
		import(c, text);
}

/* ---- telling ---- */

static bool is_question(const char *text)
{
	static const char show[] = "show", name[] = "pgweir.lsn";
	const char *p = pw_route_skip(text, true), *q;

	if (!pw_route_begins_with(p, show))
		return false;
	q = pw_route_skip(p + sizeof(show) - 1, true);
	if (q == p + sizeof(show) - 1 || !pw_route_begins_with(q, name))
		return false;
	q = pw_route_skip(q + sizeof(name) - 1, true);
	return *pw_route_skip(q + (*q == ';'), true) == '\0';
}

/* The position of whatever has been acknowledged by then, flushed or not. */
static const char of_primary[] =
    "('x'::pg_catalog.text" PW_OP("||") "pg_catalog.substr(pg_catalog.pg_walfile_name(lsn), 1, 8))"
					"::pg_catalog.bit(32)::pg_catalog.int8, lsn"
					" FROM pg_catalog.pg_current_wal_insert_lsn() AS p(lsn)";

/* What the session has been given, if only in this transaction. Past all that looks at it, it may
 * have been set to anything. */
static const char given[] =
    " UNION ALL SELECT pg_catalog.split_part(v, ':', 1)::pg_catalog.int8,"
    " pg_catalog.split_part(v, ':', 2)::pg_catalog.pg_lsn"
    " FROM (SELECT CASE WHEN s" PW_OP(
	"~") "'^[1-9][0-9]{0,9}:[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}$'"
	     " THEN s END FROM pg_catalog.current_setting('pgweir.lsn', true) AS c(s)) AS g(v)";

/* The latest of what the node has, what was given to the session, and what it must see otherwise: a
 * node may be behind what was given. On a later timeline is later. */
static void add_question(struct pw_strbuf *out, struct pw_client *c)
{
	const struct pw_token *token = &c->route->token;
	char floor[PW_LSN_SIZE];

	pw_strbuf_add_string(out,
			     "SELECT pg_catalog.concat(timeline, ':', lsn) AS \"pgweir.lsn\" FROM "
			     "(SELECT ");
	/* Whoever reads on a replica without a token has not looked yet which one it is on. */
	if (token->timeline == 0)
		pw_pool_follow(c->loan.pool, &c->route->token);
	/* A replica has replayed what it shows, of the timeline that the session is on. */
	if (pw_route_is_apart(c))
		pw_strbuf_printf(out, "%u::pg_catalog.int8, pg_catalog.pg_last_wal_replay_lsn()",
				 token->timeline);
	else
		pw_strbuf_add_string(out, of_primary);
	pw_strbuf_add_string(out, given);
	if (token->floor > 0) {
		pw_lsn_format(floor, token->floor);
		pw_strbuf_printf(out, " UNION ALL SELECT %u, '%s'", token->timeline, floor);
	}
	pw_strbuf_add_string(out, ") AS seen(timeline, lsn) ORDER BY timeline DESC NULLS LAST, lsn "
				  "DESC NULLS LAST LIMIT 1");
}

/* What is to be sent for the text; nothing: itself. That of a Parse is one statement. */
static void translate(struct pw_client *c, const char *text, size_t len, bool is_parse,
		      struct pw_strbuf *sql)
{
	if (is_question(text))
		add_question(sql, c);
	else if (!is_parse || pw_route_begins_with(pw_route_skip(text, true), "set"))
		pw_route_refuse_text(c, text, len, sql);
}

struct pw_piece pw_route_translate(struct pw_client *c, const struct pw_piece *piece,
				   struct pw_strbuf *out)
{
	struct pw_cursor body = pw_piece_body(piece);
	struct pw_strbuf sql = PW_STRBUF_INIT;
	const char *name = NULL, *text;
	size_t begin;

	if (!piece->is_last || !pw_route_is_split(c))
		return *piece;
	if (piece->type == 'P')
		name = pw_cursor_string(&body);
	text = pw_cursor_string(&body);
	if (body.has_failed)
		return *piece;
	translate(c, text, (size_t)((const char *)body.at - text) - 1, name != NULL, &sql);
	out->has_failed |= sql.has_failed;
	if (sql.len == 0)
		return *piece;
	begin = pw_writer_begin(out, (char)piece->type);
	if (name)
		pw_strbuf_add(out, name, strlen(name) + 1);
	pw_strbuf_add(out, sql.data, sql.len);
	pw_strbuf_add_char(out, '\0');
	pw_strbuf_add(out, body.at, pw_cursor_left(&body));
	pw_writer_end(out, begin);
	pw_strbuf_fini(&sql);
	return pw_route_piece_of(piece->type, out);
}
