/* SPDX-License-Identifier: PostgreSQL
 *
 * A link that nobody has asks its server what code its database holds (pool/code.h), and what of it
 * a standby may read (pool/readable.h), as the last steps before it is usable. The second is asked
 * of a primary alone: what a standby says may be older than a change that was seen, and would be
 * taken for what holds since. Each question is one round; one that fails leaves the other's answer.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link_priv.h"
#include "pgweir/base/clock.h"
#include "pgweir/pool/objects.h"
#include "pgweir/pool/readable.h"
#include "pgweir/proto/writer.h"
#include "pool_priv.h"

enum { ANSWER_MAX = 1024 * 1024 };

static struct pw_shared_db *db_of(const struct pw_link *link)
{
	return link->shared->db;
}

static bool matters(const struct pw_link *link)
{
	const struct pw_pool *pool = link->pool;

	/* What replicas say of the database is older than what its primary does. */
	return pool->pools->snapshot->conf->session_state == PW_SESSION_TRACK &&
	       !pool->shared->of_replicas && pool->conf.mode != PW_MODE_SESSION &&
	       link->replication == PW_REPLICATION_NONE;
}

static bool is_read_elsewhere(const struct pw_link *link)
{
	return matters(link) && link->pool->is_split && pw_nodes_is_of_primary(link);
}

/* The caller is the one who asks. */
static bool begin_learning(struct pw_link *link, unsigned epoch, bool is_of_readable)
{
	uint64_t now = link->pool->pools->loop->now_us;

	link->learning = calloc(1, sizeof(*link->learning));
	if (!link->learning) {
		if (is_of_readable)
			pw_readables_end(&db_of(link)->readables, NULL, now);
		else
			pw_code_end(&db_of(link)->code, NULL, now);
		return false;
	}
	link->learning->epoch = epoch;
	link->learning->since_us = now;
	link->learning->is_of_readable = is_of_readable;
	return true;
}

static void send_question(struct pw_link *link)
{
	const struct pw_expect entry = {.role = PW_ROLE_QUERY};
	struct pw_strbuf sql = PW_STRBUF_INIT, out = PW_STRBUF_INIT;

	if (link->learning->is_of_readable)
		pw_readable_add_question(&sql, link->facts.server_version);
	else
		pw_code_add_question(&sql, link->facts.server_version);
	pw_write_query(&out, sql.data ? sql.data : "");
	if (sql.has_failed || out.has_failed || pw_link_expect(link, &entry) != PW_OK)
		pw_link_close(link, PW_LINK_END_CLEAN, "out of memory", NULL);
	else
		pw_stream_send(&link->stream, out.data, out.len);
	pw_strbuf_fini(&sql);
	pw_strbuf_fini(&out);
}

static bool begin_due(struct pw_link *link)
{
	struct pw_shared_db *db = db_of(link);
	unsigned epoch = atomic_load(&db->code_epoch);
	uint64_t now = link->pool->pools->loop->now_us;
	bool is_waited_for = !pw_list_is_empty(&link->pool->waiting);

	if (matters(link) && pw_code_begin(&db->code, epoch, now, is_waited_for))
		return begin_learning(link, epoch, false);
	if (is_read_elsewhere(link) &&
	    pw_readables_begin(&db->readables, epoch, now, is_waited_for))
		return begin_learning(link, epoch, true);
	return false;
}

/* It comes here again after each answer. */
bool pw_link_learn(struct pw_link *link)
{
	if (!begin_due(link))
		return false;
	link->pool->n_learning++;
	pw_link_goto(link, PW_LINK_LEARNING);
	send_question(link);
	return true;
}

bool pw_link_learn_lent(struct pw_link *link)
{
	struct pw_shared_db *db = db_of(link);
	unsigned epoch = atomic_load(&db->code_epoch);

	if (!pw_code_begin_now(&db->code, link->pool->pools->loop->now_us) ||
	    !begin_learning(link, epoch, false))
		return false;
	send_question(link);
	return true;
}

void pw_link_learn_piece(struct pw_link *link, const struct pw_piece *piece)
{
	struct pw_link_learning *learning = link->learning;
	struct pw_error_fields fields;

	if (piece->type == 'E' && piece->is_first) {
		pw_parse_error_fields(piece->data + PW_HEADER_SIZE, piece->len - PW_HEADER_SIZE,
				      &fields);
		snprintf(learning->error, sizeof(learning->error), "%s", fields.message);
		learning->is_canceled = strcmp(fields.sqlstate, PW_SQLSTATE_QUERY_CANCELED) == 0;
	}
	if (piece->type == 'E')
		learning->has_failed = true;
	else if (learning->rows.len + piece->len > ANSWER_MAX)
		learning->is_too_long = true;
	else if (piece->type == 'D')
		pw_strbuf_add(&learning->rows, piece->data, piece->len);
}

/* The only column of a row; NULL where it is something else. */
static const uint8_t *read_row(struct pw_cursor *rows, size_t *len)
{
	uint8_t type = pw_cursor_u8(rows);
	uint32_t message_len = pw_cursor_u32(rows);
	uint16_t columns = pw_cursor_u16(rows);
	uint32_t column_len = pw_cursor_u32(rows);

	if (rows->has_failed || type != 'D' || columns != 1 || column_len > PW_MESSAGE_MAX ||
	    message_len != 4 + 2 + 4 + column_len)
		return NULL;
	*len = column_len;
	return pw_cursor_bytes(rows, column_len);
}

static unsigned mark_of(uint8_t letter)
{
	switch (letter) {
	case 'd':
		return PW_CODE_DOUBTFUL;
	case 'o':
		return PW_CODE_DOUBTFUL | PW_CODE_OPAQUE;
	case 'm':
		return PW_CODE_DOUBTFUL | PW_CODE_MAKES;
	case 'n':
		return PW_CODE_DOUBTFUL | PW_CODE_TABLES;
	default:
		return 0;
	}
}

/* The use, and what it may leave; or nothing. */
static bool take_use(struct pw_verdict *verdict, const uint8_t *column, size_t len)
{
	int use = len > 0 ? pw_code_use_of((char)column[0]) : 0;

	for (size_t i = 1; use >= 0 && i < len; i++)
		pw_verdict_add_use(verdict, (enum pw_code_use)use, mark_of(column[i]));
	return use >= 0;
}

static void take_setting(struct pw_code *code, const uint8_t *column, size_t len)
{
	char name[256];

	/* No setting has a longer one. */
	if (len >= sizeof(name))
		return;
	memcpy(name, column, len);
	name[len] = '\0';
	pw_code_add_name(code, &code->dotted, name);
}

static void take_sequences(struct pw_shared_db *db, struct pw_verdict *verdict, const char *letters,
			   size_t len)
{
	verdict->reading_draws = memchr(letters, 'r', len) != NULL;
	if (memchr(letters, 'a', len))
		atomic_store_explicit(&db->reads_sequences, true, memory_order_relaxed);
}

static bool read_code(struct pw_link *link, struct pw_verdict *verdict)
{
	struct pw_cursor rows = pw_cursor(link->learning->rows.data, link->learning->rows.len);
	bool has_uses = false;

	while (pw_cursor_left(&rows) > 0) {
		size_t len;
		const uint8_t *column = read_row(&rows, &len);

		if (!column || len == 0)
			return false;
		if (column[0] == 't' && !take_use(verdict, column + 1, len - 1))
			return false;
		if (column[0] == 's')
			take_setting(&db_of(link)->code, column + 1, len - 1);
		else if (column[0] == 'q')
			take_sequences(db_of(link), verdict, (const char *)column + 1, len - 1);
		else if (column[0] != 't')
			pw_verdict_add(verdict, mark_of(column[0]), (const char *)column + 1,
				       len - 1);
		has_uses |= column[0] == 't';
	}
	return has_uses;
}

/* ---- what has come ---- */

static bool learn_code(struct pw_link *link)
{
	struct pw_verdict *verdict = pw_verdict_create(link->learning->epoch);

	if (!verdict || link->learning->is_too_long || !read_code(link, verdict)) {
		pw_verdict_unref(verdict);
		return false;
	}
	pw_verdict_finish(verdict);
	link->learning->verdict = verdict;
	return true;
}

static bool read_readable(struct pw_link *link, struct pw_readable *readable)
{
	struct pw_cursor rows = pw_cursor(link->learning->rows.data, link->learning->rows.len);

	while (pw_cursor_left(&rows) > 0) {
		size_t len;
		const uint8_t *column = read_row(&rows, &len);

		if (!column)
			return false;
		pw_readable_take_row(readable, (const char *)column, len);
	}
	return pw_readable_finish(readable);
}

static bool learn_readable(struct pw_link *link)
{
	struct pw_readable *readable = pw_readable_create(link->learning->epoch);

	if (readable && link->learning->is_too_long)
		pw_readable_doubt_all(readable);
	else if (!readable || !read_readable(link, readable)) {
		pw_readable_unref(readable);
		return false;
	}
	link->learning->readable = readable;
	return true;
}

static void tell_of_failure(struct pw_link *link)
{
	const struct pw_link_learning *learning = link->learning;
	uint64_t now = link->pool->pools->loop->now_us;

	/* A cancel request that was meant for the client's own statement says nothing. */
	if (learning->is_canceled && pw_clock_since(learning->since_us, now) < PW_CODE_TIMEOUT_US)
		return;
	if (learning->is_of_readable)
		pw_readables_failed(&link->log, &db_of(link)->readables, learning->error, now);
	else
		pw_code_failed(&link->log, &db_of(link)->code, learning->error, now);
}

void pw_link_learned(struct pw_link *link)
{
	const struct pw_link_learning *learning = link->learning;
	bool has_answer = !learning->has_failed && !learning->rows.has_failed;

	if (!has_answer || !(learning->is_of_readable ? learn_readable(link) : learn_code(link)))
		tell_of_failure(link);
	pw_link_end_learning(link);
}
