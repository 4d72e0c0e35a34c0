/* SPDX-License-Identifier: PostgreSQL
 *
 * Statements are interned per worker by content id and counted by the names that refer to them; a
 * client's names are a map of its own.
 */
#include "config.h"

#include "pgweir/session/prepared.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pgweir/base/assert.h"
#include "pgweir/base/strbuf.h"
#include "pgweir/proto/reader.h"

/* What an entry costs beside its text: what malloc and the maps take, roughly. */
enum { ENTRY_BYTES = 128 + PW_STATEMENT_NAME_SIZE };

/* Servers know statements and portals by no more of their names (NAMEDATALEN), wherever that cuts a
 * character. */
enum { NAME_MAX_BYTES = 63 };

/* ---- texts ---- */

static bool begins_with(const char *text, size_t len, const char *word)
{
	size_t n = strlen(word);

	return len >= n && strncasecmp(text, word, n) == 0;
}

static bool has_word(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((text[i] | 0x20) == 'd' && (begins_with(text + i, len - i, "discard") ||
						begins_with(text + i, len - i, "deallocate")))
			return true;
	}
	return false;
}

static size_t skip_spaces(const char *text, size_t len, size_t at)
{
	while (at < len && (text[at] == ' ' || (text[at] >= '\t' && text[at] <= '\r')))
		at++;
	return at;
}

bool pw_statement_may_forget(const char *text, size_t len)
{
	size_t at = skip_spaces(text, len, 0);
	const char *semicolon;

	/* Most texts are one command that begins with another word: no need to look on. */
	if (at < len && (text[at] | 0x20) != 'd' && text[at] != '-' && text[at] != '/') {
		semicolon = memchr(text, ';', len);
		if (!semicolon)
			return false;
		at = skip_spaces(text, len, (size_t)(semicolon - text) + 1);
	}
	return has_word(text + at, len - at);
}

/* Behind a comment that begins there; they nest. */
static size_t skip_block(const char *text, size_t len, size_t at)
{
	int depth = 0;

	do {
		bool begins = begins_with(text + at, len - at, "/*");
		bool ends = begins_with(text + at, len - at, "*/");

		depth += begins ? 1 : ends ? -1 : 0;
		at += begins || ends ? 2 : 1;
	} while (depth > 0 && at < len);
	return at;
}

/* Behind all that stands before the first command. */
static size_t skip_idle(const char *text, size_t len)
{
	size_t at = skip_spaces(text, len, 0);

	while (at < len) {
		if (begins_with(text + at, len - at, "/*"))
			at = skip_block(text, len, at);
		else if (begins_with(text + at, len - at, "--"))
			at += strcspn(text + at, "\r\n");
		else if (text[at] == ';')
			at++;
		else
			break;
		at = skip_spaces(text, len, at);
	}
	return at;
}

bool pw_statement_is_of_session(const char *text, size_t len)
{
	size_t at = skip_idle(text, len);

	return begins_with(text + at, len - at, "fetch") ||
	       begins_with(text + at, len - at, "execute");
}

/* The view of statements is prepared, too, or its name is written with escapes. */
bool pw_statement_may_name(const char *text, size_t len)
{
	static const char *const words[] = {"execute", "prepare", "deallocate", "u&\""};

	for (size_t i = 0; i + 2 < len; i++) {
		char second = (char)(text[i + 1] | 0x20);

		/* Most places are none of them by their second letter. */
		if (second != 'x' && second != 'r' && second != 'e' && text[i + 1] != '&')
			continue;
		for (size_t w = 0; w < PW_COUNTOF(words); w++) {
			if (begins_with(text + i, len - i, words[w]))
				return true;
		}
	}
	return false;
}

bool pw_statement_may_unbind(const char *text, size_t len)
{
	static const char *const words[] = {"close", "commit",  "end",     "rollback",
					    "abort", "declare", "discard", "prepare"};

	for (size_t i = 0; i < len; i++) {
		for (size_t w = 0; w < PW_COUNTOF(words); w++) {
			if ((text[i] | 0x20) == words[w][0] &&
			    begins_with(text + i, len - i, words[w]))
				return true;
		}
	}
	return false;
}

/* Both words have a v in the same place, and few others have one at all. */
bool pw_statement_may_ask(const char *text, size_t len)
{
	enum { WORD = 7, AT_V = 4 };

	for (size_t i = 0; i + WORD <= len; i++) {
		if ((text[i + AT_V] | 0x20) == 'v' && (begins_with(text + i, WORD, "currval") ||
						       begins_with(text + i, WORD, "lastval")))
			return true;
	}
	return false;
}

/* The highest number of a parameter that the text may have. */
static size_t highest_parameter(const char *text, size_t len)
{
	const char *end = text + len, *at = text;
	size_t highest = 0;

	while ((at = memchr(at, '$', (size_t)(end - at)))) {
		size_t n = 0;

		for (at++; at < end && *at >= '0' && *at <= '9' && n < UINT16_MAX; at++)
			n = 10 * n + (size_t)(*at - '0');
		highest = n > highest ? n : highest;
	}
	return highest;
}

/* A server finds out the type of a parameter by what it stands for, where the Parse does not say
 * it, or says "unknown". */
static bool has_open_types(const struct pw_statement_key *key)
{
	enum { UNKNOWN_OID = 705 };
	size_t n = key->types_len >= 2 ? (key->types_len - 2) / 4 : 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t oid = pw_load_u32(key->types + 2 + 4 * i);

		if (oid == 0 || oid == UNKNOWN_OID)
			return true;
	}
	return highest_parameter(key->text, key->text_len) > n;
}

void pw_statements_init(struct pw_statements *statements, const struct pw_hash_key *key,
			_Atomic uint64_t *total_bytes)
{
	pw_map_init(&statements->map);
	statements->key = *key;
	statements->total_bytes = total_bytes;
}

void pw_statements_fini(struct pw_statements *statements)
{
	pw_assert(statements->map.count == 0);
	pw_map_fini(&statements->map);
}

/* The parts with their lengths, so that no two keys give the same bytes. */
bool pw_statement_identify(const struct pw_statements *statements,
			   const struct pw_statement_key *key, struct pw_id *id)
{
	struct pw_strbuf text = PW_STRBUF_INIT;
	uint64_t lens[2] = {key->text_len, key->types_len};
	bool ok;

	pw_strbuf_add(&text, lens, sizeof(lens));
#ifndef PW_MUTANT_KEY_WITHOUT_TYPES
	pw_strbuf_add(&text, key->types, key->types_len);
#endif
#ifndef PW_MUTANT_KEY_WITHOUT_PARSE_STATE
	pw_strbuf_add(&text, &key->parse_state, sizeof(key->parse_state));
#endif
	pw_strbuf_add(&text, key->text, key->text_len);
	pw_strbuf_add(&text, &key->own, sizeof(key->own));
	ok = !text.has_failed;
	if (ok)
		*id = pw_hash_id(&statements->key, text.data, text.len);
	pw_strbuf_fini(&text);
	return ok;
}

static bool has_id(const struct pw_map_node *node, const void *key)
{
	return pw_id_equal(PW_CONTAINER(node, const struct pw_statement, node)->id,
			   *(const struct pw_id *)key);
}

static size_t statement_bytes(const struct pw_statement *s)
{
	return ENTRY_BYTES + s->text_len + s->types_len;
}

static struct pw_statement *create_statement(struct pw_statements *statements,
					     const struct pw_statement_key *key, struct pw_id id)
{
	struct pw_statement *s = calloc(1, sizeof(*s) + key->text_len + 1 + key->types_len);

	if (!s)
		return NULL;
	s->id = id;
	pw_statement_name(id, s->name);
	s->refs = 0;
	s->text_len = key->text_len;
	s->types_len = key->types_len;
	s->parse_state = key->parse_state;
	s->own = key->own;
	s->is_judged = false;
	s->effects = (struct pw_effects)PW_EFFECTS_INIT;
	s->may_forget = pw_statement_may_forget(key->text, key->text_len);
	s->may_ask = pw_statement_may_ask(key->text, key->text_len);
	s->may_unbind = pw_statement_may_unbind(key->text, key->text_len);
	s->is_open = has_open_types(key);
	memcpy(s->body, key->text, key->text_len + 1);
	memcpy(s->body + key->text_len + 1, key->types, key->types_len);
	if (pw_map_insert(&statements->map, &s->node, id.lo) != PW_OK) {
		free(s);
		return NULL;
	}
	atomic_fetch_add(statements->total_bytes, statement_bytes(s));
	return s;
}

static struct pw_statement *intern(struct pw_statements *statements,
				   const struct pw_statement_key *key, uint64_t max_total_bytes,
				   enum pw_status *status)
{
	struct pw_id id;
	struct pw_map_node *node;
	struct pw_statement *s;
	uint64_t cost = ENTRY_BYTES + key->text_len + key->types_len;

	*status = PW_ENOMEM;
	if (!pw_statement_identify(statements, key, &id))
		return NULL;
	node = pw_map_find(&statements->map, id.lo, has_id, &id);
	if (!node && max_total_bytes > 0 &&
	    atomic_load(statements->total_bytes) + cost > max_total_bytes) {
		*status = PW_ELIMIT;
		return NULL;
	}
	s = node ? PW_CONTAINER(node, struct pw_statement, node)
		 : create_statement(statements, key, id);
	if (!s)
		return NULL;
	s->refs++;
	*status = PW_OK;
	return s;
}

static void unref_statement(struct pw_statements *statements, struct pw_statement *s)
{
	if (--s->refs > 0)
		return;
	atomic_fetch_sub(statements->total_bytes, statement_bytes(s));
	pw_map_remove(&statements->map, &s->node);
	pw_effects_fini(&s->effects);
	free(s);
}

/* ---- names ---- */

struct pw_prepared *pw_prepared_create(struct pw_statements *statements)
{
	struct pw_prepared *prepared = calloc(1, sizeof(*prepared));

	if (prepared)
		prepared->statements = statements;
	return prepared;
}

static size_t name_bytes(const struct pw_prepared_name *name)
{
	return statement_bytes(name->statement) + ENTRY_BYTES + strlen(name->name) +
	       name->types_len;
}

void pw_prepared_unlist(struct pw_prepared_name *name)
{
	struct pw_prepared *prepared = name->owner;

	if (!name->is_listed)
		return;
	pw_map_remove(&prepared->map, &name->node);
	name->is_listed = false;
	pw_prepared_name_unref(name);
}

static uint64_t hash_of(const struct pw_prepared *prepared, const char *name)
{
	return pw_hash(&prepared->statements->key, name, strnlen(name, NAME_MAX_BYTES));
}

static bool has_name(const struct pw_map_node *node, const void *key)
{
	return strncmp(PW_CONTAINER(node, const struct pw_prepared_name, node)->name, key,
		       NAME_MAX_BYTES) == 0;
}

struct pw_prepared_name *pw_prepared_find(const struct pw_prepared *prepared, const char *name)
{
	struct pw_map_node *node;

	if (!prepared || prepared->map.count == 0)
		return NULL;
	node = pw_map_find(&prepared->map, hash_of(prepared, name), has_name, name);
	return node ? PW_CONTAINER(node, struct pw_prepared_name, node) : NULL;
}

static enum pw_status list_name(struct pw_prepared_name *name)
{
	struct pw_prepared *prepared = name->owner;

	if (pw_map_insert(&prepared->map, &name->node, hash_of(prepared, name->name)) != PW_OK)
		return PW_ENOMEM;
	name->is_listed = true;
	pw_prepared_name_ref(name);
	return PW_OK;
}

void pw_prepared_relist(struct pw_prepared_name *name)
{
	if (name->owner && !name->is_listed && !pw_prepared_find(name->owner, name->name))
		(void)list_name(name); /* without memory the name is gone, as after a Close */
}

enum pw_status pw_prepared_add(struct pw_prepared *prepared, const char *name,
			       const struct pw_statement_key *key, uint64_t max_client_bytes,
			       uint64_t max_total_bytes, struct pw_prepared_name **out)
{
	size_t len = strnlen(name, NAME_MAX_BYTES);
	struct pw_prepared_name *n;
	enum pw_status status;

	if (max_client_bytes > 0 &&
	    prepared->bytes + 2 * ENTRY_BYTES + len + key->text_len + key->types_len >
		max_client_bytes)
		return PW_ELIMIT;
	n = calloc(1, sizeof(*n) + len + 1);
	if (!n)
		return PW_ENOMEM;
	memcpy(n->name, name, len);
	n->name[len] = '\0';
	n->refs = 1;
	n->owner = prepared;
	n->statement = intern(prepared->statements, key, max_total_bytes, &status);
	if (!n->statement) {
		free(n);
		return status;
	}
	/* For as long as it lives: one that was closed may be held by answers to come. */
	prepared->bytes += name_bytes(n);
	prepared->n_added++;
	status = list_name(n);
	pw_prepared_name_unref(n); /* the list holds it now */
	*out = n;
	return status;
}

static struct pw_statement_key key_of(const struct pw_statement *s)
{
	return (struct pw_statement_key){
	    .text = (const char *)s->body,
	    .text_len = s->text_len,
	    .types = s->body + s->text_len + 1,
	    .types_len = s->types_len,
	    .parse_state = s->parse_state,
	    .own = s->own,
	};
}

/* Of about the same size as what it gives up: no limit is asked. */
static enum pw_status exchange(struct pw_prepared_name *name, const struct pw_statement_key *key)
{
	struct pw_statements *statements = name->owner->statements;
	struct pw_statement *before = name->statement, *after;
	enum pw_status status;

	after = intern(statements, key, 0, &status);
	if (!after)
		return status;
	name->owner->bytes -= name_bytes(name);
	name->statement = after;
	name->owner->bytes += name_bytes(name);
	unref_statement(statements, before);
	return PW_OK;
}

enum pw_status pw_prepared_move(struct pw_prepared_name *name, struct pw_parse_state parse_state)
{
	struct pw_statement_key key = key_of(name->statement);

	key.parse_state = parse_state;
	return exchange(name, &key);
}

/* ---- types of parameters ---- */

void pw_prepared_forget_types(struct pw_prepared_name *name)
{
	if (name->owner)
		name->owner->bytes -= name->types_len;
	free(name->types);
	name->types = NULL;
	name->types_len = 0;
	name->parameters = 0;
}

/* Without memory they are what they would be without having been told. */
void pw_prepared_tell_types(struct pw_prepared_name *name, const void *types, size_t len,
			    uint64_t parameters)
{
	if (!name->owner || name->types || len == 0 || !name->statement->is_open)
		return;
	name->types = malloc(len);
	if (!name->types)
		return;
	memcpy(name->types, types, len);
	name->types_len = len;
	name->parameters = parameters;
	name->owner->bytes += len;
}

enum pw_status pw_prepared_close_types(struct pw_prepared_name *name)
{
	struct pw_statement_key key = key_of(name->statement);

	key.types = name->types;
	key.types_len = name->types_len;
	return exchange(name, &key);
}

/* ---- references ---- */

struct pw_prepared_name *pw_prepared_name_ref(struct pw_prepared_name *name)
{
	name->refs++;
	return name;
}

/* A name without an owner has given up its statement already. */
void pw_prepared_name_unref(struct pw_prepared_name *name)
{
	if (--name->refs > 0)
		return;
	if (name->owner) {
		name->owner->bytes -= name_bytes(name);
		unref_statement(name->owner->statements, name->statement);
	}
	free(name->types);
	free(name);
}

static uint64_t identify_portal(const struct pw_prepared *prepared, const char *portal)
{
	return portal[0] ? hash_of(prepared, portal) : 0;
}

static void set_portal(struct pw_prepared_portal *portal, uint64_t id,
		       struct pw_prepared_name *name, struct pw_prepared_name *dropped)
{
	const struct pw_prepared_portal before = *portal;

	portal->id = id;
	portal->name = name ? pw_prepared_name_ref(name) : NULL;
	portal->dropped = dropped ? pw_prepared_name_ref(dropped) : NULL;
	if (before.name)
		pw_prepared_name_unref(before.name);
	if (before.dropped)
		pw_prepared_name_unref(before.dropped);
}

static struct pw_prepared_portal *find_portal(struct pw_prepared *prepared, uint64_t id)
{
	for (size_t i = 0; i < PW_PREPARED_PORTALS; i++) {
		struct pw_prepared_portal *portal = &prepared->portals[i];

		if ((portal->name || portal->dropped) && portal->id == id)
			return portal;
	}
	return NULL;
}

void pw_prepared_note_bind(struct pw_prepared *prepared, const char *portal,
			   struct pw_prepared_name *name, struct pw_prepared_name *dropped)
{
	uint64_t id = identify_portal(prepared, portal);
	struct pw_prepared_portal *known = find_portal(prepared, id);

	if (!known && !name && !dropped)
		return;
	if (!known)
		known = &prepared->portals[prepared->next_portal++ % PW_PREPARED_PORTALS];
	set_portal(known, id, name, dropped);
}

struct pw_prepared_name *pw_prepared_bound(struct pw_prepared *prepared, const char *portal)
{
	struct pw_prepared_portal *known =
	    prepared ? find_portal(prepared, identify_portal(prepared, portal)) : NULL;

	return known ? known->name : NULL;
}

bool pw_prepared_has_bound(const struct pw_prepared *prepared)
{
	for (size_t i = 0; prepared && i < PW_PREPARED_PORTALS; i++) {
		if (prepared->portals[i].name)
			return true;
	}
	return false;
}

struct pw_prepared_name *pw_prepared_dropped(struct pw_prepared *prepared, const char *portal)
{
	struct pw_prepared_portal *known =
	    prepared ? find_portal(prepared, identify_portal(prepared, portal)) : NULL;

	return known ? known->dropped : NULL;
}

void pw_prepared_unbind(struct pw_prepared *prepared, const char *portal)
{
	if (prepared)
		pw_prepared_note_bind(prepared, portal, NULL, NULL);
}

void pw_prepared_unbind_all(struct pw_prepared *prepared)
{
	for (size_t i = 0; prepared && i < PW_PREPARED_PORTALS; i++) {
		struct pw_prepared_portal *portal = &prepared->portals[i];

		if (portal->name)
			set_portal(portal, portal->id, NULL, portal->dropped);
	}
}

void pw_prepared_forget_portals(struct pw_prepared *prepared)
{
	for (size_t i = 0; prepared && i < PW_PREPARED_PORTALS; i++)
		set_portal(&prepared->portals[i], 0, NULL, NULL);
}

size_t pw_prepared_count(const struct pw_prepared *prepared)
{
	return prepared ? prepared->map.count : 0;
}

void pw_prepared_set_provisional(struct pw_prepared_name *name)
{
	name->is_provisional = true;
	name->owner->has_provisional = true;
}

void pw_prepared_settle(struct pw_prepared *prepared, unsigned epoch)
{
	struct pw_map_node *node = NULL;

	if (!prepared->has_provisional)
		return;
	prepared->has_provisional = false;
	while ((node = pw_map_next(&prepared->map, node))) {
		struct pw_prepared_name *name = PW_CONTAINER(node, struct pw_prepared_name, node);

		if (name->is_provisional)
			name->epoch = epoch;
		name->is_provisional = false;
	}
}

void pw_prepared_clear(struct pw_prepared *prepared)
{
	struct pw_map_node *node = prepared ? pw_map_next(&prepared->map, NULL) : NULL;

	/* The next one first: to begin anew each time would look through all that is empty by now.
	 */
	while (node) {
		struct pw_map_node *next = pw_map_next(&prepared->map, node);

		pw_prepared_unlist(PW_CONTAINER(node, struct pw_prepared_name, node));
		node = next;
	}
}

void pw_prepared_destroy(struct pw_prepared *prepared)
{
	if (!prepared)
		return;
	pw_prepared_clear(prepared);
	pw_prepared_forget_portals(prepared);
	pw_strbuf_wipe(&prepared->repeat);
	pw_strbuf_wipe(&prepared->answer);
	pw_map_fini(&prepared->map);
	free(prepared);
}
