/* SPDX-License-Identifier: PostgreSQL
 *
 * What a request is: how far it goes, and whether all that it runs is proved to read. The texts are
 * judged by PostgreSQL's grammar (sql/analysis.h) and by what the database's catalogue says of the
 * names in them (pool/readable.h); an EXECUTE, by the statement of the client's that it runs.
 */
#include "config.h"

#include <string.h>

#include "pgweir/base/clock.h"
#include "pgweir/pool/code.h"
#include "pgweir/pool/readables.h"
#include "pgweir/proto/messages.h"
#include "route_priv.h"

/* A statement that runs one that runs another ... is not looked into any deeper. */
enum { EXECUTES_MAX = 8 };

/* ---- walking ---- */

/* The messages of a request: the first is at hand, the others lie in the input. */
struct walk {
	const struct pw_piece *first; /* NULL = it was handed out */
	struct pw_slice rest;
	size_t max; /* of a message */
};

/* PW_AGAIN: the next one is not whole. PW_EPROTO: whoever reads it will say what is wrong with it.
 */
static enum pw_status next(struct walk *walk, struct pw_piece *message)
{
	const uint8_t *data = walk->rest.data;
	uint64_t total;

	if (walk->first) {
		*message = *walk->first;
		walk->first = NULL;
		return message->is_last ? PW_OK : PW_AGAIN;
	}
	if (walk->rest.len < PW_HEADER_SIZE)
		return PW_AGAIN;
	total = (uint64_t)pw_load_u32(data + 1) + 1;
	if (total < PW_HEADER_SIZE || total > walk->max)
		return PW_EPROTO;
	if (total > walk->rest.len)
		return PW_AGAIN;
	*message = (struct pw_piece){.data = data,
				     .len = (size_t)total,
				     .total = (uint32_t)total,
				     .type = data[0],
				     .is_first = true,
				     .is_last = true};
	walk->rest.data += total;
	walk->rest.len -= (size_t)total;
	return PW_OK;
}

static enum pw_message_role role_of(const struct pw_piece *message)
{
	return pw_frontend_messages.rows[message->type].role;
}

/* Parts of a request that others may follow. */
static bool is_inner(enum pw_message_role role)
{
	const unsigned inner = 1u << PW_ROLE_PARSE | 1u << PW_ROLE_BIND | 1u << PW_ROLE_DESCRIBE |
			       1u << PW_ROLE_EXECUTE | 1u << PW_ROLE_CLOSE;

	return inner >> role & 1;
}

static enum pw_extent measure(struct walk walk, size_t len)
{
	struct pw_piece message;
	enum pw_status status;

	while ((status = next(&walk, &message)) == PW_OK) {
		enum pw_message_role role = role_of(&message);

		if (role == PW_ROLE_SYNC || role == PW_ROLE_QUERY)
			return PW_EXTENT_WHOLE;
		if (!is_inner(role))
			return PW_EXTENT_OPEN;
	}
	return status == PW_AGAIN && len < walk.max ? PW_EXTENT_PART : PW_EXTENT_OPEN;
}

enum pw_extent pw_route_measure(const struct pw_client *c, const struct pw_piece *piece,
				const struct pw_slice *rest)
{
	size_t max = pw_relay_held_max(c);

	if (piece->total > max)
		return PW_EXTENT_OPEN;
	return measure((struct walk){piece, *rest, max}, piece->len + rest->len);
}

enum pw_extent pw_route_measure_held(const struct pw_client *c)
{
	const struct pw_slice all = {(const uint8_t *)c->held->data, c->held->len};

	return measure((struct walk){NULL, all, pw_relay_held_max(c)}, all.len);
}

size_t pw_route_first_held(const struct pw_strbuf *held)
{
	const uint8_t *data = (const uint8_t *)held->data;
	size_t at = 0;

	while (held->len - at >= PW_HEADER_SIZE) {
		uint8_t type = data[at];
		uint32_t total = pw_load_u32(data + at + 1) + 1;

		if (total < PW_HEADER_SIZE || total > held->len - at)
			return 0;
		at += total;
		if (type == 'Q' || type == 'F' || type == 'S')
			return at;
	}
	return 0;
}

/* ---- hints ---- */

enum hint { HINT_NONE, HINT_PRIMARY, HINT_REPLICA };

/* A comment ahead of all else. */
static enum hint hint_of(const char *text)
{
	static const char *const words[] = {[HINT_PRIMARY] = "primary", [HINT_REPLICA] = "replica"};
	const char *p = pw_route_skip(text, false);

	if (strncmp(p, "/*", 2) != 0)
		return HINT_NONE;
	p = pw_route_skip(p + 2, false);
	if (strncmp(p, "pgweir:", 7) != 0)
		return HINT_NONE;
	p = pw_route_skip(p + 7, false);
	for (enum hint hint = HINT_PRIMARY; hint <= HINT_REPLICA; hint++) {
		size_t len = strlen(words[hint]);

		if (strncmp(p, words[hint], len) == 0 &&
		    strncmp(pw_route_skip(p + len, false), "*/", 2) == 0)
			return hint;
	}
	return HINT_NONE;
}

/* ---- texts ---- */

/* One half of an id tells enough: the key of shapes is the process's secret. */
static bool was_refused(const struct pw_client *c, struct pw_id shape)
{
	const struct pw_shared_db *db = c->loan.pool->shared->db;

	if (atomic_load_explicit(&db->n_refused, memory_order_relaxed) == 0)
		return false;
	for (size_t i = 0; i < PW_COUNTOF(db->refused); i++) {
		if (atomic_load_explicit(&db->refused[i], memory_order_relaxed) == shape.hi)
			return true;
	}
	return false;
}

void pw_route_remember(struct pw_client *c, struct pw_id shape)
{
	struct pw_shared_db *db = c->loan.pool->shared->db;

	if (!was_refused(c, shape))
		atomic_store_explicit(
		    &db->refused[atomic_fetch_add(&db->n_refused, 1) % PW_COUNTOF(db->refused)],
		    shape.hi, memory_order_relaxed);
}

/* These write whatever else they say: no grammar need be asked. */
static bool is_write(const struct pw_shape *shape)
{
	const uint64_t writes = PW_SQL_BIT(INSERT) | PW_SQL_BIT(UPDATE) | PW_SQL_BIT(DELETE) |
				PW_SQL_BIT(MERGE) | PW_SQL_BIT(CREATE) | PW_SQL_BIT(ALTER) |
				PW_SQL_BIT(DROP) | PW_SQL_BIT(CALL) | PW_SQL_BIT(DO);

	return (shape->firsts & writes) != 0;
}

static bool is_plain_write(const struct pw_shape *shape, const char *text)
{
	const uint64_t writes = PW_SQL_BIT(INSERT) | PW_SQL_BIT(UPDATE) | PW_SQL_BIT(DELETE);

	return shape->statements == 1 && (shape->firsts & writes) != 0 &&
	       !strcasestr(text, "returning");
}

static void note_transaction(struct pw_request *request, const struct pw_analysis *analysis)
{
	bool begins = (analysis->transaction & PW_SQL_TRANSACTION_BEGINS) != 0;
	bool ends = (analysis->transaction & PW_SQL_TRANSACTION_ENDS) != 0;

	request->begins_again |= (begins && request->has_ended) ||
				 (analysis->transaction & PW_SQL_TRANSACTION_BEGINS_AGAIN);
	request->has_ended |= ends;
	request->transaction |= analysis->transaction;
}

/* While there is no primary nobody changes it, nor can be asked. */
static bool is_too_old(struct pw_pool *pool, uint64_t given_us)
{
	uint64_t now_us = pool->pools->loop->now_us, heard_us;

	if (pw_clock_since(given_us, now_us) <= PW_CODE_AGE_MAX_US)
		return false;
	heard_us = pw_pool_primary_heard(pool);
	return heard_us == 0 || pw_clock_since(given_us, heard_us) > PW_CODE_AGE_MAX_US;
}

/* Code that is changed past pgweir is noticed by that time: the request goes where it is asked for.
 */
static const struct pw_readable *readable_of(struct pw_client *c)
{
	struct pw_pool *pool = c->loan.pool;
	struct pw_shared_db *db = pool->shared->db;
	uint64_t given_us = atomic_load_explicit(&db->readables.given_us, memory_order_relaxed);
	unsigned epoch = atomic_load_explicit(&db->code_epoch, memory_order_relaxed);

	if (is_too_old(pool, given_us))
		return NULL;
	return pw_readable_look(&db->readables, &pool->readable, epoch);
}

/* Of current_setting() it is the literal that counts, which the shape has lost. */
static bool hangs_on_literals(const struct pw_analysis *analysis)
{
	for (unsigned i = 0; i < analysis->n_functions; i++) {
		if (strstr(analysis->functions[i].name, "current_setting"))
			return true;
	}
	return false;
}

/* Of each shape it is worked out once, as long as nothing changes. */
static enum pw_doubt doubt_of(struct pw_client *c, const char *text, size_t len,
			      const struct pw_shape *shape, const struct pw_analysis *analysis)
{
	const struct pw_readable *readable = readable_of(c);
	uint64_t id = c->loan.pool->shared->id;
	struct pw_shape_memo *memo = pw_shape_cache_memo(&c->clients->shapes, shape);
	uint64_t as_of = readable ? c->loan.pool->readable.version : 0;
	enum pw_doubt doubt;

#ifdef PW_MUTANT_DOUBT_IGNORED
	return PW_DOUBT_NONE;
#endif
	if (memo && as_of != 0 && memo->as_of == as_of && memo->whose == id)
		return (enum pw_doubt)memo->value;
	doubt = pw_readable_judge(readable, analysis, shape, text, len);
	if (memo && !hangs_on_literals(analysis))
		*memo = (struct pw_shape_memo){id, as_of, doubt};
	return doubt;
}

/* What a text runs by name. */
struct executed {
	struct pw_strbuf names; /* of statements, each with its zero byte */
	bool is_bare;           /* it does nothing else, and its arguments name nothing */
};

static void add_executed(struct executed *executed, const struct pw_analysis *analysis)
{
	executed->is_bare = analysis->statements == 1 && analysis->n_functions == 0 &&
			    analysis->n_operators == 0 && analysis->n_types == 0;
	for (unsigned i = 0; i < analysis->n_items; i++) {
		const struct pw_sql_item *item = &analysis->items[i];

		if (item->kind == PW_SQL_ITEM_EXECUTE)
			pw_strbuf_add(&executed->names, item->name, strlen(item->name) + 1);
	}
}

/* But for the statements that it runs, which are added to `executed`. */
static enum pw_route judge(struct pw_client *c, const char *text, size_t len,
			   const struct pw_shape *shape, struct pw_request *request,
			   struct executed *executed)
{
	const struct pw_analysis *analysis;

	if (is_write(shape))
		return PW_ROUTE_WRITE;
	analysis = pw_shape_cache_get(&c->clients->shapes, text, shape);
	if (!analysis || !analysis->is_parsed)
		return PW_ROUTE_UNREAD;
	if (analysis->read == PW_SQL_READ_NEVER)
		return PW_ROUTE_WRITE;
	request->kinds |= analysis->read_kinds;
	note_transaction(request, analysis);
	if (analysis->read_kinds & 1u << PW_SQL_READ_EXECUTE)
		add_executed(executed, analysis);
	if (analysis->read == PW_SQL_READ_TRANSACTION)
		return PW_ROUTE_READ;
	if (request->is_trusted)
		return PW_ROUTE_READ;
	if (was_refused(c, shape->id))
		return PW_ROUTE_REFUSED;
	request->doubt = doubt_of(c, text, len, shape, analysis);
	return request->doubt == PW_DOUBT_NONE ? PW_ROUTE_READ : PW_ROUTE_DOUBT;
}

static void look_at_listed(struct pw_client *c, struct pw_statement *statement,
			   struct pw_request *request);

/* To be looked at by itself. */
static struct pw_request part_of(const struct pw_request *request, unsigned depth)
{
	return (struct pw_request){.route = PW_ROUTE_READ,
				   .is_trusted = request->is_trusted,
				   .look = request->look,
				   .depth = depth};
}

/* One of the client's, by its name: what it does to a transaction it does where nobody expects it.
 */
static enum pw_route look_at_executed(struct pw_client *c, const char *name, bool is_bare,
				      struct pw_request *request)
{
	const unsigned reads = 1u << PW_SQL_READ_BY_NAMES | 1u << PW_SQL_READ_EXECUTE;
	struct pw_request runs = part_of(request, request->depth + 1);
	const struct pw_prepared_name *listed = pw_prepared_find(c->prepared, name);

	/* It may be SQL's, or none. */
	if (!listed || runs.depth > EXECUTES_MAX)
		return PW_ROUTE_UNREAD;
	look_at_listed(c, listed->statement, &runs);
	request->doubt = runs.doubt;
	request->has_trusted |= runs.has_trusted;
#ifdef PW_MUTANT_INNOCENT_BLAMED
	is_bare = true;
#endif
	/* If a replica refuses it, it can be nothing but that. */
	if (is_bare)
		request->shape = runs.shape;
	if (runs.route == PW_ROUTE_READ && runs.kinds & ~reads)
		return PW_ROUTE_TRANSACTION;
	return runs.route;
}

static enum pw_route look_at_all_executed(struct pw_client *c, const struct executed *executed,
					  struct pw_request *request)
{
	const struct pw_strbuf *names = &executed->names;
	enum pw_route route = PW_ROUTE_READ;

#ifdef PW_MUTANT_EXECUTED_UNSEEN
	return route;
#endif
	if (names->has_failed)
		return PW_ROUTE_UNREAD;
	for (size_t at = 0; at < names->len && route == PW_ROUTE_READ;
	     at += strlen(names->data + at) + 1)
		route = look_at_executed(c, names->data + at, executed->is_bare, request);
	return route;
}

void pw_route_look_at_text(struct pw_client *c, const char *text, size_t len,
			   struct pw_request *request)
{
	struct executed executed = {PW_STRBUF_INIT, false};
	bool is_trusted = request->is_trusted;
	enum hint hint = hint_of(text);
	const struct pw_shape *shape;
	enum pw_route route;

	request->n_texts++;
	request->is_trusted |= hint == HINT_REPLICA;
	request->has_trusted |= request->is_trusted;
	if (hint == HINT_PRIMARY) {
		request->route = PW_ROUTE_HINT;
		return;
	}
	if (!pw_session_is_readable(c)) {
		request->route = PW_ROUTE_UNREAD;
		return;
	}
	shape = pw_shape_cache_take(&c->clients->shapes, &c->clients->shape_key, text, len);
	request->shape = shape->id;
	request->n_statements = shape->statements;
	request->firsts = shape->firsts;
	request->is_plain_write = is_plain_write(shape, text);
	route = judge(c, text, len, shape, request, &executed);
	if (route == PW_ROUTE_READ)
		route = look_at_all_executed(c, &executed, request);
	pw_strbuf_fini(&executed.names);
	request->is_trusted = is_trusted;
	if (request->route == PW_ROUTE_READ)
		request->route = route;
}

/* ---- messages ---- */

static void look_at_parse(struct pw_client *c, struct pw_cursor *body, struct pw_request *request)
{
	const char *text;

	(void)pw_cursor_string(body); /* its name */
	text = pw_cursor_string(body);
	if (body->has_failed)
		request->route = PW_ROUTE_UNREAD;
	else
		pw_route_look_at_text(c, text, strlen(text), request);
}

/* Of an earlier request. */
static void look_at_unnamed(struct pw_client *c, struct pw_request *request)
{
	const struct pw_unnamed *u = c->session->unnamed.now;
	struct pw_cursor body;

	if (!u || u->parse.len <= PW_HEADER_SIZE || u->parse.has_failed) {
		request->route = PW_ROUTE_UNREAD;
		return;
	}
	body = pw_cursor(u->parse.data + PW_HEADER_SIZE, u->parse.len - PW_HEADER_SIZE);
	look_at_parse(c, &body, request);
}

/* What is known as of now of the database's names and of what replicas refuse; 0 = not all that is
 * needed. */
static uint64_t as_of(struct pw_client *c)
{
	const struct pw_pool *pool = c->loan.pool;

	if (!readable_of(c) || !pw_session_is_readable(c))
		return 0;
	return (uint64_t)pool->readable.version << 32 |
	       atomic_load_explicit(&pool->shared->db->n_refused, memory_order_relaxed);
}

/* Clients share it; what it runs by name is each one's own. */
static void look_at_anew(struct pw_client *c, struct pw_statement *statement, uint64_t now,
			 const struct pw_request *request)
{
	struct pw_statement_route *route = &statement->routes[request->is_trusted];
	struct pw_request looked = part_of(request, request->depth);
	uint64_t whose = c->loan.pool->shared->id;

	/* If it comes to itself again. */
	*route = (struct pw_statement_route){.looked_in = request->look, .route = PW_ROUTE_UNREAD};
	pw_route_look_at_text(c, (const char *)statement->body, statement->text_len, &looked);
#ifndef PW_MUTANT_EXECUTED_REMEMBERED
	if (looked.kinds & 1u << PW_SQL_READ_EXECUTE)
		now = 0;
#endif
	*route = (struct pw_statement_route){.whose = whose,
					     .as_of = now,
					     .looked_in = request->look,
					     .has_trusted = looked.has_trusted,
					     .shape = looked.shape,
					     .route = (uint8_t)looked.route,
					     .doubt = (uint8_t)looked.doubt,
					     .kinds = looked.kinds,
					     .transaction = looked.transaction};
}

/* It is looked at once, as long as nothing changes; and once for each request in any case, which
 * may use it a thousand times, however long it is. */
static void look_at_listed(struct pw_client *c, struct pw_statement *statement,
			   struct pw_request *request)
{
	const struct pw_statement_route *route = &statement->routes[request->is_trusted];
	uint64_t now = request->is_trusted ? 0 : as_of(c);

	if (route->looked_in != request->look &&
	    (now == 0 || route->as_of != now || route->whose != c->loan.pool->shared->id))
		look_at_anew(c, statement, now, request);
	request->has_trusted |= route->has_trusted;
	request->n_texts++;
	request->kinds |= route->kinds;
	request->begins_again |=
	    (route->transaction & PW_SQL_TRANSACTION_BEGINS && request->has_ended) ||
	    route->transaction & PW_SQL_TRANSACTION_BEGINS_AGAIN;
	request->has_ended |= (route->transaction & PW_SQL_TRANSACTION_ENDS) != 0;
	request->transaction |= route->transaction;
	request->shape = route->shape;
	request->is_plain_write = false;
	if (request->route == PW_ROUTE_READ) {
		request->route = (enum pw_route)route->route;
		request->doubt = (enum pw_doubt)route->doubt;
	}
}

/* What this request itself has parsed was looked at with its Parse; the unnamed one of before,
 * when it was used first. */
struct parsed {
	const char *last_name; /* of the last Parse of the request; NULL = there was none */
	bool has_unnamed;
	bool has_several;
};

static void look_at_statement(struct pw_client *c, const char *name, struct parsed *parsed,
			      struct pw_request *request)
{
	const struct pw_prepared_name *listed;

	if (name[0] == '\0' ? parsed->has_unnamed
			    : parsed->last_name && strcmp(parsed->last_name, name) == 0)
		return;
	if (name[0] == '\0') {
		look_at_unnamed(c, request);
		parsed->has_unnamed = true;
		return;
	}
	listed = pw_prepared_find(c->prepared, name);
	if (listed)
		look_at_listed(c, listed->statement, request);
	else if (!parsed->has_several)
		request->route = PW_ROUTE_UNREAD;
}

static void note_parsed(struct parsed *parsed, const char *name)
{
	if (name[0] == '\0') {
		parsed->has_unnamed = true;
		return;
	}
	parsed->has_several |= parsed->last_name != NULL;
	parsed->last_name = name;
}

static void look_at_message(struct pw_client *c, const struct pw_piece *message,
			    struct parsed *parsed, struct pw_request *request)
{
	struct pw_cursor body = pw_piece_body(message);
	const char *name;

	switch (role_of(message)) {
	case PW_ROLE_QUERY:
		name = pw_cursor_string(&body); /* its text */
		if (body.has_failed)
			request->route = PW_ROUTE_UNREAD;
		else
			pw_route_look_at_text(c, name, strlen(name), request);
		request->n_runs += request->n_statements;
		break;
	case PW_ROLE_EXECUTE:
		request->n_runs++;
		break;
	case PW_ROLE_PARSE:
		note_parsed(parsed, (const char *)body.at);
		look_at_parse(c, &body, request);
		break;
	case PW_ROLE_BIND:
		(void)pw_cursor_string(&body); /* its portal */
		name = pw_cursor_string(&body);
		if (!body.has_failed)
			look_at_statement(c, name, parsed, request);
		break;
	case PW_ROLE_DESCRIBE:
		if (pw_cursor_u8(&body) == 'S') {
			name = pw_cursor_string(&body);
			if (!body.has_failed)
				look_at_statement(c, name, parsed, request);
		}
		break;
	default: /* it names a portal, or nothing that runs */
		break;
	}
	/* Whoever reads it will say what is wrong with it. */
	if (body.has_failed)
		request->route = PW_ROUTE_UNREAD;
}

struct pw_request pw_route_request(struct pw_client *c)
{
	return (struct pw_request){.route = PW_ROUTE_READ, .look = ++c->clients->n_looks};
}

void pw_route_look(struct pw_client *c, const struct pw_piece *piece, const struct pw_slice *rest,
		   struct pw_request *request)
{
	struct walk walk = {piece, *rest, pw_relay_held_max(c)};
	struct parsed parsed = {NULL, false, false};
	struct pw_piece message;

	while (next(&walk, &message) == PW_OK) {
		enum pw_message_role role = role_of(&message);

		look_at_message(c, &message, &parsed, request);
		if (role == PW_ROLE_SYNC || role == PW_ROLE_QUERY ||
		    request->route != PW_ROUTE_READ)
			return;
	}
}
