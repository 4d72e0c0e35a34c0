/* SPDX-License-Identifier: PostgreSQL
 *
 * What a session must see, told to others and heard of them: SHOW pgweir.lsn gives a position that
 * has all that it has written or seen, and SET pgweir.lsn, on any connection of any pgweir, lets
 * that one see as much. So a web request sees what the one before has written.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pgweir/pool/catalog.h"
#include "pgweir/proto/writer.h"
#include "route_priv.h"

/* A position that is none yet, or cannot be understood, as code has set it (route_settings.c
 * refuses the rest), may be anything, and another one than the last time: all that there is when a
 * request comes is to be seen by it, as long as that is set. */
static void see_all(struct pw_client *c)
{
	c->route->imported = 0;
	/* Whoever waits for that already has said so. */
	if (c->route->waits_since_us == 0)
		pw_pool_note_now(c->loan.pool, &c->route->token);
}

void pw_route_import(struct pw_client *c)
{
	const char *text = pw_state_find(c->settings, "pgweir.lsn");
	uint32_t timeline;
	uint64_t lsn, hash;

	if (!text || !text[0]) {
		c->route->imported = 0;
		return;
	}
	if (!pw_token_parse(text, &timeline, &lsn) || timeline == PW_TOKEN_NOT_YET) {
		see_all(c);
		return;
	}
	hash = pw_hash(&c->clients->pools->hash_key, text, strlen(text)) | 1;
	if (hash == c->route->imported)
		return;
	c->route->imported = hash;
	pw_pool_import(c->loan.pool, &c->route->token, timeline, lsn);
}

/* ---- telling ---- */

#define TIMELINE(lsn)                                                                              \
	"('x'::pg_catalog.text" PW_OP("||") "pg_catalog.substr(pg_catalog.pg_walfile_name(" lsn    \
					    "), 1, 8))::pg_catalog.bit(32)::pg_catalog.int8"
#define NOT_YET "4294967295"

_Static_assert(PW_TOKEN_NOT_YET == 4294967295, "as it stands in the text");

/* The latest of what the node has and what the session has been given. It is one text on whichever
 * node it runs, for a driver may prepare it on one and run it on another. A replica has replayed
 * what it shows, of the timeline that stands in for %u: it cannot tell itself. What a transaction
 * has written so far has no position before it ends. What is given ahead of the primary, on its own
 * timeline or an older one, is nowhere; and past all that looks at it, it may be anything. */
static const char question[] =
    "SELECT pg_catalog.concat(timeline, ':', lsn) AS \"pgweir.lsn\" FROM (SELECT"
    " pg_catalog.pg_is_in_recovery(), pg_catalog.txid_current_if_assigned() IS NOT NULL,"
    " CASE WHEN NOT pg_catalog.pg_is_in_recovery()"
    " THEN pg_catalog.pg_current_wal_insert_lsn() END) AS node(is_standby, has_written, inserted),"
    " LATERAL (SELECT " NOT_YET ", '0/0'::pg_catalog.pg_lsn WHERE has_written"
    " UNION ALL SELECT %u, pg_catalog.pg_last_wal_replay_lsn() WHERE is_standby"
    " UNION ALL SELECT " TIMELINE(
	"inserted") ", inserted WHERE NOT is_standby"
		    " UNION ALL SELECT * FROM (SELECT pg_catalog.split_part(v, ':', "
		    "1)::pg_catalog.int8,"
		    " pg_catalog.split_part(v, ':', 2)::pg_catalog.pg_lsn"
		    " FROM (SELECT CASE WHEN s" PW_OP(
			"~") "'^[1-9][0-9]{0,9}:[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}$'"
			     " THEN s END FROM pg_catalog.current_setting('pgweir.lsn', true) AS "
			     "c(s)) AS g(v))"
			     " AS given(t, l) WHERE t" PW_OP("<=") NOT_YET
    " AND (is_standby OR (t" PW_OP("<") NOT_YET " AND t" PW_OP(">")
	TIMELINE("inserted") ")))"
			     " AS seen(timeline, lsn) ORDER BY timeline DESC NULLS LAST, lsn DESC "
			     "NULLS LAST LIMIT 1";

static void add_question(struct pw_client *c, struct pw_strbuf *out)
{
	/* Whoever reads on a replica without a token has not looked yet which one it is on. */
	if (c->route->token.timeline == 0)
		pw_pool_follow(c->loan.pool, &c->route->token);
	pw_strbuf_printf(out, question, c->route->token.timeline);
}

/* ---- texts ---- */

/* Quickly, for most texts do not. */
static bool speaks_of_own(const char *text, size_t len)
{
	static const char own[] = "pgweir", passed[] = " \t\r\n\f\v\"";
	const char *at = text, *end = text + len, *q;

	while ((at = memchr(at, '.', (size_t)(end - at)))) {
		for (q = at++; q > text && memchr(passed, q[-1], sizeof(passed) - 1); q--)
			;
		if ((size_t)(q - text) >= sizeof(own) - 1 &&
		    strncasecmp(q - (sizeof(own) - 1), own, sizeof(own) - 1) == 0)
			return true;
	}
	return false;
}

/* One without strings is read alike under all settings. */
static bool is_readable(struct pw_client *c, const char *text, size_t len)
{
	return pw_session_reads_now(c) || (!memchr(text, '\'', len) && !memchr(text, '$', len));
}

/* What is to be sent for the text; nothing: itself. Behind a SET that is refused nothing is run. */
static void translate(struct pw_client *c, const char *text, size_t len, struct pw_strbuf *sql)
{
	struct pw_sets sets;
	struct pw_set set;
	size_t done = 0, before;

	if (!speaks_of_own(text, len) || !is_readable(c, text, len))
		return;
	pw_sets_init(&sets, text, len);
	while (pw_sets_next(&sets, &set)) {
		before = done;
		if (!set.is_shown) {
			done = pw_route_refuse(sql, text, done, &set);
			if (done > before)
				break;
		} else if (strcmp(set.name, "pgweir.lsn") == 0) {
			pw_strbuf_add(sql, text + done, set.all.begin - done);
			add_question(c, sql);
			done = set.all.end;
		}
	}
	if (done > 0)
		pw_strbuf_add(sql, text + done, len - done);
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
	translate(c, text, (size_t)((const char *)body.at - text) - 1, &sql);
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
