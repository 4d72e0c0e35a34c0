/* SPDX-License-Identifier: PostgreSQL
 *
 * A table in which an entry stands at one of a few places behind that of its hash; where all are
 * taken the first gives way, so that it never fills up. Ids are keyed hashes already.
 */
#include "config.h"

#include "pgweir/pool/parsed.h"

#include <stdlib.h>

enum { SIZE_MIN = 64, PLACES = 4 };

struct pw_parsed_entry {
	struct pw_id id; /* both zero: free */
	unsigned epoch;
};

void pw_parsed_init(struct pw_parsed *parsed)
{
	pthread_mutex_init(&parsed->lock, NULL);
	parsed->entries = NULL;
	parsed->size = parsed->n = 0;
}

void pw_parsed_fini(struct pw_parsed *parsed)
{
	free(parsed->entries);
	pthread_mutex_destroy(&parsed->lock);
}

static struct pw_id id_in(uint64_t pool, struct pw_id statement)
{
	statement.hi ^= pool * UINT64_C(0x9e3779b97f4a7c15);
	return statement;
}

static struct pw_parsed_entry *find(const struct pw_parsed *parsed, struct pw_id id)
{
	for (size_t i = 0; parsed->size > 0 && i < PLACES; i++) {
		struct pw_parsed_entry *e = &parsed->entries[(id.lo + i) & (parsed->size - 1)];

		if (pw_id_equal(e->id, id))
			return e;
	}
	return NULL;
}

static bool is_free(const struct pw_parsed_entry *e)
{
	return pw_id_equal(e->id, (struct pw_id){0, 0});
}

static void put(struct pw_parsed *parsed, const struct pw_parsed_entry *entry)
{
	struct pw_parsed_entry *place = &parsed->entries[entry->id.lo & (parsed->size - 1)];

	for (size_t i = 0; i < PLACES; i++) {
		struct pw_parsed_entry *e =
		    &parsed->entries[(entry->id.lo + i) & (parsed->size - 1)];

		if (is_free(e)) {
			place = e;
			parsed->n++;
			break;
		}
	}
	*place = *entry;
}

/* Without memory it stays as large as it is. */
static void grow(struct pw_parsed *parsed)
{
	struct pw_parsed bigger = {.size = parsed->size ? 2 * parsed->size : SIZE_MIN};

	bigger.entries = calloc(bigger.size, sizeof(*bigger.entries));
	if (!bigger.entries)
		return;
	for (size_t i = 0; i < parsed->size; i++) {
		if (!is_free(&parsed->entries[i]))
			put(&bigger, &parsed->entries[i]);
	}
	free(parsed->entries);
	parsed->entries = bigger.entries;
	parsed->size = bigger.size;
	parsed->n = bigger.n;
}

void pw_parsed_note(struct pw_parsed *parsed, uint64_t pool, struct pw_id statement, unsigned epoch)
{
	const struct pw_parsed_entry entry = {id_in(pool, statement), epoch};
	struct pw_parsed_entry *known;

	pthread_mutex_lock(&parsed->lock);
	if (2 * parsed->n >= parsed->size && parsed->size < PW_PARSED_MAX)
		grow(parsed);
	known = find(parsed, entry.id);
	if (known)
		known->epoch = epoch;
	else if (parsed->size > 0)
		put(parsed, &entry);
	pthread_mutex_unlock(&parsed->lock);
}

bool pw_parsed_is_current(struct pw_parsed *parsed, uint64_t pool, struct pw_id statement,
			  unsigned epoch)
{
	const struct pw_parsed_entry *e;
	bool result;

	pthread_mutex_lock(&parsed->lock);
	e = find(parsed, id_in(pool, statement));
	result = e && e->epoch == epoch;
	pthread_mutex_unlock(&parsed->lock);
	return result;
}
