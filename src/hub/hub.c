/* SPDX-License-Identifier: PostgreSQL
 *
 * The connection that listens for all clients of a database. What it is to listen to is gathered
 * while a query runs, and goes out as the next one; what it hears in one chunk of input goes to
 * each worker as one mail.
 */
#include "config.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub_priv.h"
#include "pgweir/base/assert.h"
#include "pgweir/pool/catalog.h"
#include "pgweir/proto/reader.h"

/* Before a link that failed is asked for anew; and how long a hub outlives its last listener. */
enum { RETRY_US = 1000 * 1000, LINGER_US = 10 * 1000 * 1000 };

static unsigned n_peers(const struct pw_hub *hub)
{
	return hub->hubs->pools->n_peers;
}

static uint64_t now(const struct pw_hub *hub)
{
	return hub->hubs->pools->loop->now_us;
}

uint64_t pw_hub_encoding_id(const struct pw_hubs *hubs, const char *encoding)
{
	return pw_hash(&hubs->pools->hash_key, encoding, strlen(encoding));
}

/* Any may be the primary one day. */
static bool has_node_for_one(const struct pw_conf_cluster *cluster)
{
	for (size_t i = 0; i < cluster->n_nodes; i++) {
		if (cluster->nodes[i].max_connections == 1)
			return true;
	}
	return false;
}

bool pw_hub_may_be_of(const struct pw_pool *pool)
{
	const struct pw_pool_conf *conf = &pool->conf;
	const char *const *hosts = pool->db ? pool->db->hosts : NULL;

	return pool->db && conf->pool_size != 1 && conf->max_db_connections != 1 &&
	       conf->max_user_connections != 1 && !has_node_for_one(&pool->cluster_conf) &&
	       !pw_pool_is_paused(pool) && (!hosts || !hosts[0] || !hosts[1]);
}

/* ---- its end ---- */

static void tell_all(struct pw_hub *hub, enum pw_hub_mail_kind kind, bool with_name)
{
	for (unsigned i = 0; i < n_peers(hub); i++) {
		struct pw_strbuf name = PW_STRBUF_INIT;

		if (with_name)
			pw_strbuf_add_string(&name, hub->db->name);
		/* Without memory a station finds out by itself before long. */
		(void)pw_hub_post(hub->hubs, i, kind, hub->id, 0, &name);
		pw_strbuf_fini(&name);
	}
}

static void release(struct pw_hub *hub)
{
	atomic_store(&hub->db->hub_pool, 0);
	atomic_store(&hub->db->hub, 0);
}

/* Nobody is to come to it any more; the link may still be there. */
static void resign(struct pw_hub *hub)
{
	if (hub->state != PW_HUB_HERE)
		return;
	release(hub);
	tell_all(hub, PW_HUB_MAIL_GONE, false);
	hub->state = PW_HUB_LEAVING;
	hub->id = 0;
}

/* The loan is void. */
static void forget(struct pw_hub *hub)
{
	resign(hub);
	hub->state = PW_HUB_AWAY;
	hub->is_asking = false;
	/* One that has just begun to fail would do so again. */
	hub->retry_at_us = hub->since_us > 0 && now(hub) - hub->since_us > RETRY_US
			       ? now(hub)
			       : now(hub) + RETRY_US;
	hub->since_us = 0;
	pw_board_clear(&hub->board);
	pw_strbuf_fini(&hub->sql);
	for (unsigned i = 0; i < n_peers(hub); i++) {
		pw_strbuf_fini(&hub->peers[i].heard);
		hub->peers[i].due = hub->peers[i].running = 0;
	}
	pw_loan_unbind(&hub->loan);
}

void pw_hub_give_up(struct pw_hub *hub, const char *why)
{
	struct pw_link *link = hub->loan.link;

	if (hub->state != PW_HUB_HERE)
		return;
	pw_log_info(&link->log, "no longer listens for other clients: %s", why);
	/* It listens, and has settings that nobody asked for. */
	link->facts.must_close = true;
	resign(hub);
	if (pw_link_is_free(link))
		pw_pool_return(&hub->loan, false, false);
	else
		pw_link_close(link, PW_LINK_END_CLEAN, why, NULL);
	if (hub->state == PW_HUB_LEAVING)
		forget(hub);
}

static void on_lost(struct pw_loan *loan, const struct pw_error *err PW_UNUSED)
{
	forget(PW_CONTAINER(loan, struct pw_hub, loan));
}

/* ---- asking the server ---- */

static void run(struct pw_hub *hub)
{
	struct pw_link *link = hub->loan.link;
	enum pw_status status = PW_ENOMEM;

	if (hub->is_asking || hub->sql.len == 0)
		return;
	link->has_own_error = false;
	if (!hub->sql.has_failed)
		status = pw_link_query(link, hub->sql.data);
	pw_strbuf_fini(&hub->sql);
	if (status != PW_OK) {
		pw_hub_give_up(hub, "out of memory");
		return;
	}
	hub->is_asking = true;
	for (unsigned i = 0; i < n_peers(hub); i++) {
		hub->peers[i].running = hub->peers[i].due;
		hub->peers[i].due = 0;
	}
}

static void say_it_listens(struct pw_hub *hub, unsigned worker, uint64_t ticket)
{
	/* Without memory whoever waits for it tires of it. */
	if (ticket > 0)
		(void)pw_hub_post(hub->hubs, worker, PW_HUB_MAIL_LISTENS, hub->id, ticket, NULL);
}

static void on_ready(struct pw_loan *loan, bool was_swallowed PW_UNUSED)
{
	struct pw_hub *hub = PW_CONTAINER(loan, struct pw_hub, loan);

	if (loan->link->expects.n > 0)
		return;
	if (loan->link->has_own_error) {
		pw_hub_give_up(hub, loan->link->own_error);
		return;
	}
	hub->is_asking = false;
	for (unsigned i = 0; i < n_peers(hub); i++) {
		say_it_listens(hub, i, hub->peers[i].running);
		hub->peers[i].running = 0;
	}
	run(hub);
}

static void answer_later(struct pw_hub *hub, unsigned worker, uint64_t ticket)
{
	struct pw_hub_peer *peer = &hub->peers[worker];

	if (hub->sql.len > 0)
		peer->due = ticket;
	else if (hub->is_asking)
		peer->running = ticket;
	else
		say_it_listens(hub, worker, ticket);
}

/* Each name with its zero byte. */
static const char *next_name(const struct pw_strbuf *names, size_t *at)
{
	const char *name = names->data + *at;

	if (*at >= names->len)
		return NULL;
	*at += strlen(name) + 1;
	return name;
}

void pw_hub_want(struct pw_hub *hub, unsigned worker, const struct pw_strbuf *names,
		 uint64_t ticket)
{
	const char *name;
	size_t at = 0;

	while ((name = next_name(names, &at))) {
		if (pw_board_want(&hub->board, name, worker, &hub->sql) == PW_OK)
			continue;
		pw_hub_give_up(hub, "out of memory");
		return;
	}
	answer_later(hub, worker, ticket);
	run(hub);
}

void pw_hub_drop(struct pw_hub *hub, unsigned worker, const struct pw_strbuf *names)
{
	const char *name;
	size_t at = 0;

	while ((name = next_name(names, &at)))
		pw_board_drop(&hub->board, name, worker, &hub->sql);
	run(hub);
}

/* ---- hearing ---- */

/* A mark begins with the number of its worker. */
static void route_mark(struct pw_hub *hub, const char *payload, const struct pw_piece *piece)
{
	unsigned long worker = strtoul(payload, NULL, 10);

	if (worker < n_peers(hub))
		pw_strbuf_add(&hub->peers[worker].heard, piece->data, piece->len);
}

static void on_piece(struct pw_loan *loan, const struct pw_piece *piece,
		     const struct pw_expect *about PW_UNUSED)
{
	struct pw_hub *hub = PW_CONTAINER(loan, struct pw_hub, loan);
	const struct pw_board_entry *entry;
	struct pw_notification n;

	if (piece->type != 'A')
		return;
	if (!piece->is_first || !piece->is_last ||
	    !pw_notification_read(piece->data, piece->len, &n)) {
		pw_hub_give_up(hub, "a notification was too long");
		return;
	}
	if (strcmp(n.channel, hub->hubs->channel) == 0) {
		route_mark(hub, n.payload, piece);
		return;
	}
	entry = pw_board_find(&hub->board, n.channel);
	for (unsigned i = 0; entry && i < n_peers(hub); i++) {
		if (pw_board_is_wanted_by(entry, i))
			pw_strbuf_add(&hub->peers[i].heard, piece->data, piece->len);
	}
}

static void on_chunk_end(struct pw_loan *loan)
{
	struct pw_hub *hub = PW_CONTAINER(loan, struct pw_hub, loan);

	for (unsigned i = 0; i < n_peers(hub) && hub->state == PW_HUB_HERE; i++) {
		struct pw_strbuf *heard = &hub->peers[i].heard;

		if ((heard->len > 0 || heard->has_failed) &&
		    !pw_hub_post(hub->hubs, i, PW_HUB_MAIL_HEARD, hub->id, 0, heard))
			pw_hub_give_up(hub, "out of memory");
	}
}

/* ---- its beginning ---- */

/* The session of whoever had the link before is to have no say in what it does now. */
static void set_up(struct pw_hub *hub)
{
	struct pw_strbuf *sql = &hub->sql;

	pw_strbuf_add_string(sql, "RESET SESSION AUTHORIZATION;RESET ROLE;RESET ALL;"
				  "SELECT pg_catalog.set_config('client_encoding', '");
	for (const char *at = hub->encoding; *at; at++) {
		if (*at != '\'' && *at != '\\')
			pw_strbuf_add_char(sql, *at);
	}
	pw_strbuf_add_string(
	    sql,
	    "', false);SELECT pg_catalog.set_config(name, '0', false) FROM "
	    "pg_catalog.pg_settings WHERE name" PW_IS_ONE_OF(
		"statement_timeout,lock_timeout,idle_session_timeout,transaction_timeout") ";");
	pw_channels_write(sql, "LISTEN", hub->hubs->channel);
}

/* Of all workers that try, one succeeds. Who pins a client tells first and then looks whether there
 * is a hub, and here the other way round: of two at the same moment one at least sees the other. */
static bool claim(struct pw_hub *hub, const struct pw_pool *pool, int n_ending)
{
	struct pw_hubs *hubs = hub->hubs;
	uint64_t serial = atomic_fetch_add(&hubs->pools->registry->next_id, 1);
	uint64_t encoding = pw_hub_encoding_id(hubs, hub->encoding);
	uint64_t before = atomic_load(&hub->db->hub_encoding), none = 0;

	/* Subscribers of the hub of before wait for one like it. */
	if (before != encoding && atomic_load(&hub->db->n_hearing) > 0)
		return false;
	if (!atomic_compare_exchange_strong(&hub->db->hub, &none, PW_HUB_IN_THE_MAKING))
		return false;
	atomic_store(&hub->db->hub_pool, pool->shared->id);
	if (!pw_pool_has_room_for_hub(pool, n_ending)) {
		release(hub);
		return false;
	}
	hub->id = serial << 16 | (hubs->pools->index + 1);
	atomic_store(&hub->db->hub_encoding, encoding);
	atomic_store(&hub->db->hub, hub->id);
	hub->unused_since_us = 0;
	return true;
}

static void begin(struct pw_hub *hub)
{
	hub->state = PW_HUB_HERE;
	hub->since_us = now(hub);
	pw_log_info(&hub->loan.link->log, "listens for all clients of the database");
	set_up(hub);
	run(hub);
	if (hub->state == PW_HUB_HERE)
		tell_all(hub, PW_HUB_MAIL_CAME, true);
}

static void on_link(struct pw_loan *loan)
{
	struct pw_hub *hub = PW_CONTAINER(loan, struct pw_hub, loan);

	if (claim(hub, loan->pool, 0)) {
		begin(hub);
		return;
	}
	pw_pool_return(loan, false, false);
	forget(hub);
}

static void on_refused(struct pw_loan *loan, const struct pw_error *err PW_UNUSED)
{
	forget(PW_CONTAINER(loan, struct pw_hub, loan));
}

static void ignore_parameter(struct pw_loan *loan PW_UNUSED, const char *name PW_UNUSED,
			     const char *value PW_UNUSED)
{
}

static void ignore_settled(struct pw_loan *loan PW_UNUSED, const struct pw_expect *entry PW_UNUSED,
			   bool is_done PW_UNUSED)
{
}

static void ignore(struct pw_loan *loan PW_UNUSED)
{
}

static void ignore_object(void *object PW_UNUSED)
{
}

static const struct pw_borrower_ops borrower_ops = {
    .on_link = on_link,
    .on_welcome = ignore,
    .on_refused = on_refused,
    .on_piece = on_piece,
    .on_settled = ignore_settled,
    .on_ready = on_ready,
    .on_chunk_end = on_chunk_end,
    .on_drained = ignore,
    .on_parameter = ignore_parameter,
    .on_lost = on_lost,
    .free_object = ignore_object,
};

enum pw_status pw_hub_init(struct pw_hub *hub, struct pw_hubs *hubs, struct pw_shared_db *db)
{
	hub->hubs = hubs;
	hub->db = db;
	hub->peers = calloc(hubs->pools->n_peers, sizeof(*hub->peers));
	pw_loan_init(&hub->loan, &borrower_ops);
	pw_board_init(&hub->board, &hubs->pools->hash_key);
	return hub->peers ? PW_OK : PW_ENOMEM;
}

void pw_hub_fini(struct pw_hub *hub)
{
	pw_assert(hub->state == PW_HUB_AWAY);
	pw_board_clear(&hub->board);
	pw_strbuf_fini(&hub->sql);
	free(hub->peers);
	hub->peers = NULL;
}

static void set_encoding(struct pw_hub *hub, const char *encoding)
{
	snprintf(hub->encoding, sizeof(hub->encoding), "%s", encoding);
}

void pw_hub_seek(struct pw_hub *hub, struct pw_pool *pool, const char *encoding)
{
	if (hub->state != PW_HUB_AWAY || now(hub) < hub->retry_at_us || !pw_hub_may_be_of(pool) ||
	    !pw_pool_has_room_for_hub(pool, 0))
		return;
	set_encoding(hub, encoding);
	pw_loan_bind(&hub->loan, pool);
	hub->state = PW_HUB_SEEKING;
	if (pw_pool_borrow(&hub->loan))
		on_link(&hub->loan);
}

void pw_hub_stop_seeking(struct pw_hub *hub)
{
	if (hub->state != PW_HUB_SEEKING)
		return;
	pw_pool_withdraw(&hub->loan);
	forget(hub);
}

bool pw_hub_take(struct pw_hub *hub, struct pw_loan *loan, const char *encoding, bool is_kept)
{
	if (!pw_pool_has_room_for_hub(loan->pool, is_kept) || pw_pool_recall_reason(loan) ||
	    !pw_list_is_empty(&loan->link->cancels))
		return false;
	pw_hub_stop_seeking(hub);
	if (hub->state != PW_HUB_AWAY)
		return false;
	set_encoding(hub, encoding);
	if (!claim(hub, loan->pool, is_kept))
		return false;
	pw_loan_bind(&hub->loan, loan->pool);
	pw_pool_pass_on(loan, &hub->loan);
	begin(hub);
	return true;
}

void pw_hub_tend(struct pw_hub *hub)
{
	const char *why;

	if (hub->state == PW_HUB_SEEKING && !pw_hub_may_be_of(hub->loan.pool) &&
	    !pw_pool_is_paused(hub->loan.pool))
		pw_hub_stop_seeking(hub);
	if (hub->state != PW_HUB_HERE)
		return;
	why = pw_pool_recall_reason(&hub->loan);
	if (!why && !pw_hub_may_be_of(hub->loan.pool))
		why = "it would be the only connection";
	if (hub->board.map.count > 0)
		hub->unused_since_us = 0;
	else if (hub->unused_since_us == 0)
		hub->unused_since_us = now(hub);
	else if (now(hub) - hub->unused_since_us > LINGER_US)
		why = "nobody listens any more";
	if (!why)
		return;
	pw_hub_give_up(hub, why);
}
