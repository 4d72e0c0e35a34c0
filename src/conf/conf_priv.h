/* SPDX-License-Identifier: PostgreSQL
 *
 * Inside of the conf layer: arena, the tables of legal keys, the ini reader, what collects
 * problems. Everything here runs on the thread that loads the configuration.
 */
#ifndef PGWEIR_CONF_PRIV_H
#define PGWEIR_CONF_PRIV_H

#include <stdbool.h>
#include <stddef.h>

#include "pgweir/base/status.h"
#include "pgweir/base/strbuf.h"
#include "pgweir/conf/conf.h"

enum {
	PW_CONF_DB_NAME_MAX = 63,
	PW_CONF_USER_NAME_MAX = 127,
};
#define PW_CONF_CONSOLE_DB "pgbouncer"

/* ---- arena: memory that is freed, and wiped, all at once ---- */

/* Failure is sticky: allocate freely, ask once at the end. */
struct pw_conf_arena *pw_conf_arena_create(void);
struct pw_conf_arena *pw_conf_arena_ref(struct pw_conf_arena *arena);
void pw_conf_arena_unref(struct pw_conf_arena *arena);
/* Zeroed; NULL without memory. */
void *pw_conf_arena_alloc(struct pw_conf_arena *arena, size_t size);
/* "" without memory, so that a loader need not check each string; NULL stays NULL. */
const char *pw_conf_arena_copy(struct pw_conf_arena *arena, const char *text);
bool pw_conf_arena_has_failed(const struct pw_conf_arena *arena);

/* ---- problems: one line each, with a place ---- */

struct pw_ini_pos {
	const char *path; /* in the arena; NULL = no place to name */
	unsigned line;    /* 0 = the file as a whole */
};

struct pw_conf_problems {
	struct pw_strbuf *out;
	unsigned count; /* further ones are only counted after the 20th */
};

void pw_conf_problem(struct pw_conf_problems *problems, const struct pw_ini_pos *pos,
		     const char *fmt, ...) PW_PRINTF(3, 4);
/* In front of all others. */
void pw_conf_problem_first(struct pw_conf_problems *problems, const struct pw_ini_pos *pos,
			   const char *text);
/* Adds those of `from`, in their order. */
void pw_conf_problems_move(struct pw_conf_problems *problems, struct pw_conf_problems *from);
/* Says how many lines were left out. */
void pw_conf_problems_end(struct pw_conf_problems *problems);

/* ---- rows of a section, while their number is not known ---- */

struct pw_conf_entry {
	const char *name; /* in the arena; the sort key */
	struct pw_ini_pos pos;
	size_t seq;
	void *row; /* owned here */
};

struct pw_conf_entries {
	struct pw_conf_entry *items;
	size_t n;
	size_t capacity;
	size_t row_size;
	const char *noun; /* for messages */
};

/* Copies the row. */
PW_MUSTCHECK enum pw_status pw_conf_entries_add(struct pw_conf_entries *to, const char *name,
						const struct pw_ini_pos *pos, const void *row);
struct pw_conf_frozen {
	const void *rows;                /* NULL = there are none */
	const struct pw_ini_pos *places; /* one per row */
	size_t n;
};

/* Gives the rows as arrays in the arena, sorted by name; of those with the same name the last one
 * counts, and there is a warning. */
PW_MUSTCHECK enum pw_status pw_conf_entries_freeze(struct pw_conf_entries *from,
						   struct pw_conf_arena *arena,
						   struct pw_conf_problems *warnings,
						   struct pw_conf_frozen *out);
void pw_conf_entries_fini(struct pw_conf_entries *entries);

/* ---- comments that are none ---- */

/* Does the text read as if a comment stood in it: a ; or # in front, or behind a blank? */
bool pw_conf_has_comment(const char *text);
/* Then `; what looks like a comment ...`, or nothing. */
void pw_conf_comment_hint(const char *text, struct pw_strbuf *out);

/* ---- nearest legal name ---- */

struct pw_nearest {
	const char *wanted;
	const char *found; /* NULL = nothing is near */
	size_t distance;
};

void pw_nearest_init(struct pw_nearest *nearest, const char *wanted);
void pw_nearest_offer(struct pw_nearest *nearest, const char *candidate);
/* `; did you mean "x"?`, or nothing. */
void pw_nearest_hint(const struct pw_nearest *nearest, struct pw_strbuf *out);

/* ---- tables of legal keys ---- */

enum pw_conf_kind {
	PW_KIND_INT, /* any base that C writes: 0777, 0x10 */
	PW_KIND_UINT,
	PW_KIND_BOOL,
	PW_KIND_TIME, /* seconds with fraction -> uint64_t us */
	PW_KIND_STRING,
	PW_KIND_CHOICE, /* int, index into the words */
	/* of connection strings: decimal, -1 = not set */
	PW_KIND_NUMBER,
	PW_KIND_SECONDS, /* whole seconds -> int64_t us */
	/* anywhere, with a unit; -1 = not set */
	PW_KIND_DURATION, /* int64_t us */
	PW_KIND_BYTES,    /* int64_t */
	PW_KIND_COUNT,
};

enum pw_conf_flags {
	PW_KEY_RELOAD = 1,    /* may change while running */
	PW_KEY_NO_EFFECT = 2, /* PgBouncer's, accepted only */
	PW_KEY_RECONNECT = 4, /* servers opened under another value must not serve */
	PW_KEY_SECRET = 8,    /* not shown */
	PW_KEY_PROSE = 16,    /* SQL and the like: a ; or # behind a blank is no accident */
};

struct pw_conf_key {
	const char *name;
	enum pw_conf_kind kind;
	unsigned flags;
	size_t offset;
	const char *default_text; /* NULL = none, the field starts as "not set" */
	const char *min;          /* CHOICE: the words, "a|b|c" */
	const char *max;          /* STRING: longest in bytes, NULL = no bound */
	const char *inherits;     /* for the reference: what holds where it is not set */
	const char *help;
};

struct pw_conf_keys {
	const struct pw_conf_key *rows;
	size_t n;
};

extern const struct pw_conf_keys pw_conf_settings;
extern const struct pw_conf_keys pw_conf_db_keys;
extern const struct pw_conf_keys pw_conf_user_keys;
extern const struct pw_conf_keys pw_conf_peer_keys;
extern const struct pw_conf_keys pw_conf_cluster_keys;
extern const struct pw_conf_keys pw_conf_node_keys;

const struct pw_conf_key *pw_conf_key_find(const struct pw_conf_keys *keys, const char *name);
/* `; did you mean "x"?` for a name that is not in the table, or nothing. */
void pw_conf_key_hint(const struct pw_conf_keys *keys, const char *name, struct pw_strbuf *out);
/* Default, or "not set". */
void pw_conf_key_reset(const struct pw_conf_key *key, struct pw_conf_arena *arena, void *object);
/* On false `why` tells, without a place, and the object is as before. */
bool pw_conf_key_parse(const struct pw_conf_key *key, const char *text, struct pw_conf_arena *arena,
		       void *object, struct pw_strbuf *why);
void pw_conf_key_copy(const struct pw_conf_key *key, struct pw_conf_arena *arena, void *to,
		      const void *from);
/* Is the value the same in both objects? */
bool pw_conf_key_equal(const struct pw_conf_key *key, const void *a, const void *b);
uint64_t pw_conf_key_hash(const struct pw_conf_key *key, const void *object,
			  const struct pw_hash_key *hash_key);
/* False = not set. */
bool pw_conf_key_show(const struct pw_conf_key *key, const void *object, struct pw_strbuf *out);
/* "a whole number from 0 to 10" */
void pw_conf_key_expects(const struct pw_conf_key *key, struct pw_strbuf *out);

/* pw_conf_key_parse() and the rules that only one setting has. */
bool pw_conf_setting_parse(const struct pw_conf_key *key, const char *text, struct pw_conf *conf,
			   struct pw_strbuf *why);

/* ---- reading ---- */

/* Cuts the next pair off *cursor, in place. PW_CLOSED at the end, PW_EINVAL on a syntax error. */
PW_MUSTCHECK enum pw_status pw_connstr_next(char **cursor, const char **key, const char **value);

/* "a, b" -> {"a", "b", NULL}; NULL where a member is empty or memory ran out. No text is no host.
 */
const char *const *pw_conf_split_hosts(const char *text, struct pw_conf_arena *arena);
/* Sets name, host and port from "host", "host:port", "[address]:port" or "/directory:port". False:
 * it is none of these. */
bool pw_conf_read_node(const char *text, size_t len, struct pw_conf_arena *arena,
		       struct pw_conf_node *node);

struct pw_ini_entry {
	struct pw_ini_pos pos;
	const char *key;
	const char *value;
};

struct pw_ini_sink {
	void *ctx;
	struct pw_conf_problems *problems; /* of syntax and of files */
	void (*section)(void *ctx, const char *name, const struct pw_ini_pos *pos);
	/* section is "" before the first header, "-" under a header that cannot be a name. */
	void (*entry)(void *ctx, const char *section, const struct pw_ini_entry *entry);
};

/* What one load reads. */
struct pw_ini_input {
	const char *path;
	const char *text; /* NULL = read the file; otherwise this, and %include is refused */
	size_t len;
};

/* Anything but PW_OK means that reading could not go on; wrong input is a problem and PW_OK. */
PW_MUSTCHECK enum pw_status pw_ini_read(const struct pw_ini_input *input,
					struct pw_conf_arena *arena,
					const struct pw_ini_sink *sink);

/* pw_conf_load() with the text from memory. */
struct pw_conf *pw_conf_parse(const struct pw_ini_input *input, const struct pw_conf *previous,
			      struct pw_strbuf *why, struct pw_strbuf *warnings);

/* Where what is checked was written. */
struct pw_conf_places {
	struct pw_ini_pos file;             /* for what was not */
	const struct pw_ini_pos *settings;  /* one per setting */
	const struct pw_ini_pos *databases; /* one per row of the configuration */
	const struct pw_ini_pos *users;
	const struct pw_ini_pos *clusters;
	struct pw_conf_frozen nodes; /* what [nodes] has: struct pw_conf_node */
};

/* Rules that span settings. */
void pw_conf_check(const struct pw_conf *conf, const struct pw_conf_places *places,
		   struct pw_conf_problems *problems, struct pw_conf_problems *warnings);

#endif
