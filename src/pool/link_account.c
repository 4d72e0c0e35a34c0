/* SPDX-License-Identifier: PostgreSQL
 *
 * The account of answers: each server message is held against the queue of what is owed, passed
 * to the borrower or swallowed, and then settles what it answers.
 *
 * Two things need care. After an error in the extended protocol the server skips everything up to
 * the next Sync, so what was optimistically noted for the skipped messages is undone, last first.
 * And a COPY FROM STDIN in the extended protocol eats a Sync that was sent behind the Execute,
 * unless it failed before reading so far: then nobody can tell whether one more ReadyForQuery is
 * to come, and an empty query of our own (the marker) finds out before the link is free. Only its
 * borrower knows when that may go out, and not in the middle of a message.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link_priv.h"
#include "pgweir/base/assert.h"
#include "pgweir/pool/objects.h"
#include "pgweir/proto/row_description.h"
#include "pgweir/proto/writer.h"

enum verdict { PASS, SWALLOW, BROKEN };

/* What a message type means: decided at its first piece, done after its last one was passed on. */
struct account_row {
	enum verdict (*decide)(struct pw_link *link, const struct pw_piece *piece);
	void (*finish)(struct pw_link *link, const struct pw_piece *piece);
};

static bool head_is(const struct pw_link *link, enum pw_message_role role)
{
	const struct pw_expect *head = pw_expect_at(&link->expects, 0);

	return head && head->role == role;
}

/* Answers that come while the marker's own has not been seen are the borrower's still. */
static bool head_is_ours(const struct pw_link *link)
{
	const struct pw_expect *head = pw_expect_at(&link->expects, 0);

	return head && head->flags & PW_EXPECT_SWALLOW &&
	       (!(head->flags & PW_EXPECT_MARKER) || link->is_marker_seen);
}

/* ---- settling ---- */

static void pop_done(struct pw_link *link)
{
	struct pw_expect entry = pw_expect_pop(&link->expects);

	pw_link_settle(link, &entry, true);
	pw_link_settle_local(link);
}

/* Index of the first entry with the role; the number of entries where there is none. */
static uint32_t find_role(const struct pw_link *link, uint32_t from, enum pw_message_role role)
{
	uint32_t i = from;

	while (i < link->expects.n && pw_expect_at(&link->expects, i)->role != role)
		i++;
	return i;
}

/* ---- the types ---- */

static enum verdict decide_reply(struct pw_link *link, const struct pw_piece *piece)
{
	const struct pw_expect *head = pw_expect_at(&link->expects, 0);

	if (!head)
		return BROKEN;
	link->is_answering = true;
	if (head->flags & PW_EXPECT_MARKER && piece->type == 'I')
		return SWALLOW;
	return head_is_ours(link) ? SWALLOW : PASS;
}

/* PostgreSQL's tags have at most 63 bytes; the reader brings 256 together. What is longer comes in
 * parts and cannot be understood. */
static enum verdict decide_command(struct pw_link *link, const struct pw_piece *piece)
{
	return piece->is_last ? decide_reply(link, piece) : BROKEN;
}

static enum verdict decide_notice(struct pw_link *link, const struct pw_piece *piece PW_UNUSED)
{
	return head_is_ours(link) ? SWALLOW : PASS;
}

static enum verdict decide_pass(struct pw_link *link PW_UNUSED,
				const struct pw_piece *piece PW_UNUSED)
{
	return PASS;
}

static void finish_parse(struct pw_link *link, const struct pw_piece *piece PW_UNUSED)
{
	if (head_is(link, PW_ROLE_PARSE))
		pop_done(link);
}

static void finish_bind(struct pw_link *link, const struct pw_piece *piece PW_UNUSED)
{
	if (head_is(link, PW_ROLE_BIND))
		pop_done(link);
}

static void finish_close(struct pw_link *link, const struct pw_piece *piece PW_UNUSED)
{
	if (head_is(link, PW_ROLE_CLOSE))
		pop_done(link);
}

/* Of a statement that clients share: whoever holds an older description must learn of it. */
static void note_description(struct pw_link *link, struct pw_id statement,
			     const struct pw_piece *piece)
{
	struct pw_known *known = &link->facts.known;
	struct pw_description before = pw_known_description(known, statement);

	link->description.rows = before.rows;
	if (before.rows == 0)
		link->description.rows =
		    pw_row_description_hash(&link->pool->pools->hash_key, piece);
	pw_known_describe(known, statement, link->description);
}

static void forget_description(struct pw_link *link)
{
	link->description = (struct pw_description){0, 0};
	pw_strbuf_fini(&link->types);
}

/* Comes ahead of what is said of the rows, and is not there where a portal is described. */
static void finish_parameters(struct pw_link *link, const struct pw_piece *piece)
{
	const struct pw_expect *head = pw_expect_at(&link->expects, 0);
	struct pw_cursor body = pw_piece_body(piece);
	uint64_t hash;

	forget_description(link);
	if (!head || head->role != PW_ROLE_DESCRIBE || !head->object)
		return;
	hash = pw_parameter_description_hash(&link->pool->pools->hash_key, piece);
	if (hash > 0)
		pw_strbuf_add(&link->types, body.at, pw_cursor_left(&body));
	if (!link->types.has_failed)
		link->description.parameters = hash;
}

static void finish_description(struct pw_link *link, const struct pw_piece *piece)
{
	const struct pw_expect *head = pw_expect_at(&link->expects, 0);

	if (!head || head->role != PW_ROLE_DESCRIBE)
		return;
	if (head->object)
		note_description(link, head->statement, piece);
	pop_done(link);
	forget_description(link);
}

static void finish_execute(struct pw_link *link, const struct pw_piece *piece PW_UNUSED)
{
	const struct pw_expect *head = pw_expect_at(&link->expects, 0);

	if (head && head->role == PW_ROLE_EXECUTE)
		pop_done(link);
	else if (head && head->flags & PW_EXPECT_MARKER && piece->type == 'I')
		link->is_marker_seen = true;
}

static bool is_eaten_by_copy(const struct pw_expect *entry)
{
	return entry->role == PW_ROLE_SYNC || entry->role == PW_ROLE_COPY_END;
}

/* A COPY FROM STDIN has ended well: the server has read everything up to CopyDone. */
static void finish_copy_in(struct pw_link *link)
{
	uint32_t end;

	link->is_copy_in = false;
	if (link->expects.n_copy_ends == 0)
		return;
	end = find_role(link, 1, PW_ROLE_COPY_END);
	if (end < link->expects.n)
		(void)pw_expect_drop(&link->expects, 1, end + 1, is_eaten_by_copy);
}

static bool tag_is(const struct pw_piece *piece, const char *tag)
{
	size_t len = strlen(tag) + 1;

	return piece->len == PW_HEADER_SIZE + len &&
	       memcmp(piece->data + PW_HEADER_SIZE, tag, len) == 0;
}

static bool begins_with_any(const struct pw_piece *piece, const char *const *beginnings, size_t n)
{
	const char *tag = (const char *)piece->data + PW_HEADER_SIZE;
	size_t len = piece->len - PW_HEADER_SIZE;

	for (size_t i = 0; i < n; i++) {
		size_t begins = strlen(beginnings[i]);

		if (len >= begins && memcmp(tag, beginnings[i], begins) == 0)
			return true;
	}
	return false;
}

/* Plans made before may not fit any more, or names stand for something else: a schema that one may
 * not use is passed over. What else makes tables is seen in its text (session/effects.h). */
static bool is_ddl(const struct pw_piece *piece)
{
	static const char *const beginnings[] = {
	    "CREATE ",         "ALTER ",        "DROP ", "GRANT", "REVOKE", "IMPORT FOREIGN SCHEMA",
	    "COMMIT PREPARED", "SECURITY LABEL"};

	return begins_with_any(piece, beginnings, PW_COUNTOF(beginnings));
}

/* Of these, by which functions may come, or be run where they were not. DROP takes away; and what a
 * CREATE TABLE has of calls is seen in its text (session/effects.h). */
static bool is_code(const struct pw_piece *piece)
{
	static const char *const harmless[] = {"DROP ",
					       "GRANT",
					       "REVOKE",
					       "SECURITY LABEL",
					       "CREATE TABLE",
					       "CREATE INDEX",
					       "CREATE SEQUENCE",
					       "CREATE ROLE",
					       "CREATE DATABASE",
					       "CREATE TABLESPACE",
					       "CREATE STATISTICS",
					       "ALTER INDEX",
					       "ALTER SEQUENCE",
					       "ALTER ROLE",
					       "ALTER DATABASE",
					       "ALTER TABLESPACE",
					       "ALTER STATISTICS"};

	return !begins_with_any(piece, harmless, PW_COUNTOF(harmless));
}

static void raise_epochs(struct pw_link *link)
{
	struct pw_shared_db *db = link->shared->db;

	if (link->has_seen_ddl)
		atomic_fetch_add(&db->ddl_epoch, 1);
	if (link->has_seen_code)
		atomic_fetch_add(&db->code_epoch, 1);
}

/* Names with a dot stay, with an empty value. */
static void forget_settings(struct pw_link *link)
{
	struct pw_state *rest = pw_state_reset(link->settings);

	if (!rest) {
		link->facts.must_close = true;
		return;
	}
	pw_state_unref(link->settings);
	link->settings = rest;
}

static void finish_command(struct pw_link *link, const struct pw_piece *piece)
{
	if (is_ddl(piece)) {
		link->has_seen_ddl = true;
		link->has_seen_code |= is_code(piece);
		raise_epochs(link);
	}
	if (tag_is(piece, "DISCARD ALL") || tag_is(piece, "DEALLOCATE ALL"))
		pw_known_clear(&link->facts.known);
	if (tag_is(piece, "DISCARD ALL"))
		forget_settings(link);
	if (tag_is(piece, "DISCARD ALL") || tag_is(piece, "DISCARD SEQUENCES"))
		pw_link_forget_draws(link, 0);
	if (link->is_copy_in)
		finish_copy_in(link);
	finish_execute(link, piece);
}

static void finish_copy_response(struct pw_link *link, const struct pw_piece *piece)
{
	if (piece->type == 'G')
		link->is_copy_in = true;
	else if (piece->type == 'W')
		link->is_copy_both = true;
	/* Its borrower left before it began: the server would wait for data for ever. */
	if (!link->loan &&
	    (link->is_copy_both || find_role(link, 1, PW_ROLE_COPY_END) == link->expects.n))
		pw_link_close(link, PW_LINK_END_CLEAN, "client disconnect before COPY had begun",
			      NULL);
}

/* In a failed transaction nothing is discarded or restored, and nothing told or set either. */
static void note_own_error(struct pw_link *link, const struct pw_expect *head,
			   const struct pw_error_fields *fields)
{
	bool is_harmless = strcmp(fields->sqlstate, PW_SQLSTATE_IN_FAILED_TRANSACTION) == 0 &&
			   !(head->flags & PW_EXPECT_NEEDED);

	snprintf(link->own_error, sizeof(link->own_error), "%s", fields->message);
	snprintf(link->own_sqlstate, sizeof(link->own_sqlstate), "%s", fields->sqlstate);
	pw_log_debug(&link->log, "error in a query of our own: %s %s", fields->sqlstate,
		     fields->message);
	if (head->flags & PW_EXPECT_DISCARD) {
		pw_link_forget_draws(link, PW_DRAWER_UNKNOWN);
		link->has_discard_error |= !is_harmless;
	} else if (head->flags & PW_EXPECT_ENDS) {
		link->has_restore_error |= !is_harmless;
	} else {
		link->has_own_error = true;
	}
}

static enum verdict decide_error(struct pw_link *link, const struct pw_piece *piece)
{
	const struct pw_expect *head = pw_expect_at(&link->expects, 0);
	struct pw_error_fields fields;

	pw_parse_error_fields(piece->data + PW_HEADER_SIZE, piece->len - PW_HEADER_SIZE, &fields);
	if (strcmp(fields.severity, "FATAL") == 0 || strcmp(fields.severity, "PANIC") == 0)
		link->has_told_fatal = link->loan != NULL;
	if (!head || link->has_told_fatal)
		return PASS;
	if (head_is_ours(link) && head->role == PW_ROLE_QUERY) {
		note_own_error(link, head, &fields);
		return SWALLOW;
	}
	/* An error at a Parse that was ours is the answer to the Bind that needed it. */
	return PASS;
}

static bool is_sync(const struct pw_expect *entry)
{
	return entry->role == PW_ROLE_SYNC;
}

/* The server was reading COPY data when it failed: has it read the Syncs that were sent right
 * behind the command? What is made of their answers is not to be relied on by anybody else. */
static void fail_copy_in(struct pw_link *link)
{
	const struct pw_expect *entry;
	uint32_t end = 1;

	while ((entry = pw_expect_at(&link->expects, end)) &&
	       (is_sync(entry) || entry->flags & PW_EXPECT_LOCAL))
		end++;
	if (end > 1 && pw_expect_drop(&link->expects, 1, end, is_sync) > 0) {
		link->is_unsure = true;
		link->facts.must_close = true;
	}
}

static void finish_error(struct pw_link *link, const struct pw_piece *piece PW_UNUSED)
{
	const struct pw_expect *head = pw_expect_at(&link->expects, 0);

	if (!head)
		return;
	link->is_answering = true;
	forget_description(link);
	if (link->is_copy_in)
		fail_copy_in(link);
	link->is_copy_in = false;
	link->is_copy_both = false;
	if (!pw_expect_is_sync_point(head))
		link->is_skipping = true;
}

/* A ReadyForQuery to a Sync that was not eaten after all: such come before any answer to what was
 * sent later. One that meets another Sync may as well be that one's. */
static bool is_of_unsure_sync(const struct pw_link *link)
{
	const struct pw_expect *head = pw_expect_at(&link->expects, 0);

	if (!link->is_unsure || !head || link->is_skipping)
		return false;
	if (head->flags & PW_EXPECT_MARKER)
		return !link->is_marker_seen;
	return head->role != PW_ROLE_SYNC && !link->is_answering;
}

/* Index of what a ReadyForQuery answers. */
static uint32_t find_sync_point(const struct pw_link *link)
{
	uint32_t i = 0;

	while (i < link->expects.n) {
		const struct pw_expect *entry = pw_expect_at(&link->expects, i);

		if (link->is_skipping ? entry->role == PW_ROLE_SYNC
				      : pw_expect_is_sync_point(entry))
			break;
		i++;
	}
	return i;
}

static enum verdict decide_ready(struct pw_link *link, const struct pw_piece *piece)
{
	const struct pw_expect *head = pw_expect_at(&link->expects, 0);
	const struct pw_expect *answered;
	char status = (char)piece->data[PW_HEADER_SIZE];

	if (!piece->is_last || (status != 'I' && status != 'T' && status != 'E'))
		return BROKEN;
	if (!head)
		return link->is_unsure ? PASS : BROKEN;
	if (is_of_unsure_sync(link))
		return PASS;
	answered = pw_expect_at(&link->expects, find_sync_point(link));
	if (answered && answered->flags & PW_EXPECT_AHEAD)
		return SWALLOW;
	if (answered && answered->flags & (PW_EXPECT_GOES_ON | PW_EXPECT_ENDS))
		return answered->flags & PW_EXPECT_GOES_ON ? SWALLOW : PASS;
	return head_is_ours(link) && !link->is_skipping ? SWALLOW : PASS;
}

/* Pops the entry that this ReadyForQuery answers, and undoes what the server skipped before. */
static void pop_sync_point(struct pw_link *link)
{
	pw_link_undo_first(link, find_sync_point(link));
	link->is_skipping = false;
	if (link->expects.n > 0)
		pop_done(link);
	/* CopyDone behind a COPY that had already failed: the server ignores it. */
	while (head_is(link, PW_ROLE_COPY_END))
		pop_done(link);
}

static void note_times(struct pw_link *link)
{
	if (link->expects.n == 0)
		link->request_us = 0;
	if (link->transaction == 'I' && link->transaction_us > 0) {
		link->pool->stats.now.xact_time +=
		    link->pool->pools->loop->now_us - link->transaction_us;
		link->transaction_us = 0;
	}
	link->idle_in_transaction_us = link->pool->pools->loop->now_us;
}

void pw_link_find_out(struct pw_link *link)
{
	const struct pw_expect marker = {.role = PW_ROLE_QUERY,
					 .flags = PW_EXPECT_SWALLOW | PW_EXPECT_MARKER};
	static const uint8_t empty_query[] = {'Q', 0, 0, 0, 5, 0};

	if (!link->is_unsure || !pw_link_seems_free(link))
		return;
	link->is_marker_seen = false;
	if (pw_link_expect(link, &marker) != PW_OK)
		pw_link_close(link, PW_LINK_END_BROKEN, "out of memory", NULL);
	else
		pw_stream_send(&link->stream, empty_query, sizeof(empty_query));
}

static void finish_ready(struct pw_link *link, const struct pw_piece *piece)
{
	const struct pw_expect *head = pw_expect_at(&link->expects, 0);
	bool is_marker = head && head->flags & PW_EXPECT_MARKER;

	link->transaction = (char)piece->data[PW_HEADER_SIZE];
	if (is_of_unsure_sync(link))
		return;
	link->is_answering = false;
	link->is_copy_in = false;
	link->is_copy_both = false;
	if (head)
		pop_sync_point(link);
	if (is_marker)
		link->is_unsure = false;
	link->is_parse_unsure &= link->expects.n > 0;
	/* Once more at its commit: what others parsed meanwhile saw the tables as they had been. */
	if (link->has_seen_ddl && link->transaction == 'I') {
		raise_epochs(link);
		link->has_seen_ddl = false;
		link->has_seen_code = false;
	}
	note_times(link);
	if (link->loan)
		link->loan->ops->on_ready(link->loan, link->is_swallowing);
	else
		pw_link_clean_ready(link);
}

static enum verdict decide_parameter(struct pw_link *link, const struct pw_piece *piece)
{
	struct pw_params_table *table = &link->pool->pools->params;
	struct pw_cursor body = pw_piece_body(piece);
	const char *name = pw_cursor_string(&body);
	const char *value = pw_cursor_string(&body);
	int index = pw_tracked_find(table->tracked, name);
	struct pw_params *changed;

	if (body.has_failed)
		return BROKEN;
	if (index >= 0) {
		changed = pw_params_with(table, link->params, (size_t)index, value);
		if (!changed)
			return BROKEN;
		/* Which of the two was in force when the server parsed? What went ahead was first.
		 */
		if (link->is_parse_unsure && !(link->is_syncing && head_is_ours(link)) &&
		    !pw_id_equal(changed->parse_id, pw_params_parse_id(link->params)))
			link->facts.must_close = true;
		pw_params_unref(table, link->params);
		link->params = changed;
	}
	if (head_is_ours(link) && !(pw_expect_at(&link->expects, 0)->flags & PW_EXPECT_ENDS))
		return SWALLOW;
	if (link->loan)
		link->loan->ops->on_parameter(link->loan, name, value);
	return PASS;
}

static const struct account_row rows[256] = {
    ['1'] = {decide_reply, finish_parse},
    ['2'] = {decide_reply, finish_bind},
    ['3'] = {decide_reply, finish_close},
    ['n'] = {decide_reply, finish_description},
    ['T'] = {decide_reply, finish_description},
    ['t'] = {decide_reply, finish_parameters},
    ['D'] = {decide_reply, NULL},
    ['C'] = {decide_command, finish_command},
    ['I'] = {decide_reply, finish_execute},
    ['s'] = {decide_reply, finish_execute},
    ['V'] = {decide_reply, NULL},
    ['G'] = {decide_reply, finish_copy_response},
    ['H'] = {decide_reply, NULL},
    ['W'] = {decide_reply, finish_copy_response},
    ['d'] = {decide_reply, NULL},
    ['c'] = {decide_reply, NULL},
    ['E'] = {decide_error, finish_error},
    ['Z'] = {decide_ready, finish_ready},
    ['S'] = {decide_parameter, NULL},
    ['N'] = {decide_notice, NULL},
    ['A'] = {decide_pass, NULL},
};

/* ---- the loop ---- */

/* Nobody has the link and nothing is owed: what may a server still say? */
static bool is_welcome_when_idle(const struct pw_link *link, const struct pw_piece *piece)
{
	return link->expects.n > 0 || piece->type == 'S' || piece->type == 'N' ||
	       piece->type == 'A';
}

static void close_dirty(struct pw_link *link, const struct pw_piece *piece)
{
	struct pw_error_fields fields = {.message = ""};

	if (piece->type == 'E')
		pw_parse_error_fields(piece->data + PW_HEADER_SIZE, piece->len - PW_HEADER_SIZE,
				      &fields);
	pw_link_close(link, PW_LINK_END_BROKEN,
		      fields.message[0] ? fields.message : "idle server got dirty", NULL);
}

static void account_piece(struct pw_link *link, const struct pw_piece *piece)
{
	const struct account_row *row = &rows[piece->type];

	if (piece->is_first) {
		enum verdict verdict;

		if (!link->loan && !is_welcome_when_idle(link, piece)) {
			close_dirty(link, piece);
			return;
		}
		verdict = row->decide ? row->decide(link, piece) : BROKEN;
		if (verdict == BROKEN) {
			pw_link_close(link, PW_LINK_END_BROKEN, "broken message from server", NULL);
			return;
		}
		/* What begins while nobody has the link is nobody's to its end. */
		link->is_swallowing = verdict == SWALLOW || !link->loan;
	}
	if (link->loan && !link->is_swallowing)
		link->loan->ops->on_piece(link->loan, piece, pw_expect_at(&link->expects, 0));
	else if (link->learning)
		pw_link_learn_piece(link, piece);
	if (piece->is_last && row->finish && link->state != PW_LINK_CLOSED)
		row->finish(link, piece);
}

void pw_link_account_data(struct pw_link *link, const uint8_t *data, size_t len)
{
	struct pw_slice in = {data, len};
	struct pw_piece piece;
	enum pw_status status;

	link->is_reading_input = true;
	while (link->state != PW_LINK_CLOSED &&
	       (status = pw_reader_next(&link->reader, &in, &piece)) != PW_AGAIN) {
		if (status == PW_OK)
			account_piece(link, &piece);
		else
			pw_link_close(link, PW_LINK_END_BROKEN,
				      status == PW_ENOMEM ? "out of memory" : "unknown pkt", NULL);
	}
	link->is_reading_input = false;
	if (link->state == PW_LINK_CLOSED)
		return;
	if (link->loan)
		link->loan->ops->on_chunk_end(link->loan);
	if (link->state == PW_LINK_RETURNING)
		pw_link_clean_next(link);
}
