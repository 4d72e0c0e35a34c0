/* SPDX-License-Identifier: PostgreSQL
 *
 * Users and secrets out of auth_file. Built by one thread, then frozen; the last reference wipes
 * every secret. Each user is an object of its own, found by name through a keyed hash map and
 * listed in the order of the file; a name that comes again replaces the secret in place.
 */
#include "config.h"

#include "pgweir/auth/userdb.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "pgweir/auth/scram.h"
#include "pgweir/base/list.h"
#include "pgweir/base/map.h"
#include "pgweir/base/refcount.h"
#include "pgweir/base/secret.h"

#include "auth_priv.h"

struct entry {
	struct pw_map_node node;
	struct pw_secret secret; /* owns user.secret */
	struct pw_user_secret user;
	char name[]; /* user.name */
};

struct pw_userdb {
	struct pw_refcount refs;
	struct pw_hash_key key;
	struct pw_map by_name;
	struct entry **entries;
	size_t count;
	size_t cap;
};

static bool is_md5(const char *secret)
{
	return strncmp(secret, "md5", 3) == 0 && strlen(secret) == 35 &&
	       strspn(secret + 3, "0123456789abcdef") == 32;
}

enum pw_secret_kind pw_secret_classify(const char *secret)
{
	struct pw_scram_verifier verifier;
	enum pw_secret_kind kind = PW_SECRET_PLAIN;

	if (secret[0] == '\0')
		kind = PW_SECRET_NONE;
	else if (is_md5(secret))
		kind = PW_SECRET_MD5;
	else if (pw_scram_verifier_parse(secret, &verifier))
		kind = PW_SECRET_SCRAM;
	OPENSSL_cleanse(&verifier, sizeof(verifier));
	return kind;
}

static bool has_name(const struct pw_map_node *node, const void *name)
{
	const struct entry *entry =
	    (const void *)((const char *)node - offsetof(struct entry, node));

	return strcmp(entry->name, name) == 0;
}

static struct entry *find_entry(const struct pw_userdb *db, const char *name, uint64_t hash)
{
	struct pw_map_node *node = pw_map_find(&db->by_name, hash, has_name, name);

	return node ? PW_CONTAINER(node, struct entry, node) : NULL;
}

static void destroy_entry(struct entry *entry)
{
	pw_secret_fini(&entry->secret);
	free(entry);
}

static struct entry *add_entry(struct pw_userdb *db, const char *name, uint64_t hash)
{
	size_t size = strlen(name) + 1;
	struct entry **entries, *entry;

	entries = pw_auth_grow(db->entries, db->count, &db->cap, sizeof(*db->entries));
	if (!entries)
		return NULL;
	db->entries = entries;
	entry = calloc(1, sizeof(*entry) + size);
	if (!entry)
		return NULL;
	memcpy(entry->name, name, size);
	entry->user.name = entry->name;
	if (pw_map_insert(&db->by_name, &entry->node, hash) != PW_OK) {
		destroy_entry(entry);
		return NULL;
	}
	db->entries[db->count++] = entry;
	return entry;
}

static enum pw_status set_user(struct pw_userdb *db, const char *name,
			       const struct pw_strbuf *secret)
{
	uint64_t hash = pw_hash(&db->key, name, strlen(name));
	struct entry *entry = find_entry(db, name, hash);

	if (!entry)
		entry = add_entry(db, name, hash);
	if (!entry)
		return PW_ENOMEM;
	/* A failure here leaves an entry without a secret, but then the whole table goes. */
	if (pw_secret_set(&entry->secret, secret->data, secret->len) != PW_OK)
		return PW_ENOMEM;
	entry->user.secret = entry->secret.data;
	entry->user.kind = pw_secret_classify(entry->secret.data);
	return PW_OK;
}

/* ---- reading ---- */

struct reader {
	const char *at;
	const char *end;
	struct pw_auth_place place;
	struct pw_strbuf name;
	struct pw_strbuf secret;
};

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_line(struct reader *reader)
{
	const char *newline = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));

	reader->at = newline ? newline : reader->end;
}

/* Moves to the next user; false at the end of the file. */
static bool seek_user(struct reader *reader)
{
	for (; reader->at < reader->end; reader->at++) {
		if (*reader->at == ';')
			skip_line(reader);
		if (reader->at == reader->end)
			return false;
		if (*reader->at == '\n')
			reader->place.line++;
		else if (!is_blank(*reader->at))
			return true;
	}
	return false;
}

#define BROKEN   "broken auth file: "
#define EXPECTED BROKEN "\"name\" \"secret\" is expected, both in double quotes"

/* "text" with "" for a quote in it. Newlines belong to the text; a zero byte ends no C string
 * here and is refused. Returns what is wrong, or NULL. */
static const char *read_quoted(struct reader *reader, struct pw_strbuf *out)
{
	pw_strbuf_reset(out);
	pw_strbuf_add(out, "", 0);
	if (reader->at == reader->end || *reader->at != '"')
		return EXPECTED;
	for (reader->at++; reader->at < reader->end; reader->at++) {
		if (*reader->at == '"') {
			reader->at++;
			if (reader->at == reader->end || *reader->at != '"')
				return NULL;
		}
		if (*reader->at == '\0')
			return BROKEN "there is a zero byte";
		if (*reader->at == '\n')
			reader->place.line++;
		pw_strbuf_add_char(out, *reader->at);
	}
	return BROKEN "a double quote is not closed";
}

/* To the quote that opens the secret. It must stand on the same line, or a line without a secret
 * would take the next line's name for one. */
static void seek_secret(struct reader *reader)
{
	while (reader->at < reader->end && *reader->at != '"' && *reader->at != '\n')
		reader->at++;
}

/* What is wrong with the user that comes next, or NULL. */
static const char *read_user(struct reader *reader)
{
	const char *wrong;

	if (*reader->at == '#')
		return EXPECTED "; a comment begins with ;";
	wrong = read_quoted(reader, &reader->name);
	if (wrong)
		return wrong;
	if (reader->name.len > PW_USERNAME_MAX)
		return "username too long in auth file";
	seek_secret(reader);
	wrong = read_quoted(reader, &reader->secret);
	if (wrong)
		return wrong;
	if (reader->secret.len > PW_SECRET_MAX)
		return "password too long in auth file";
	skip_line(reader);
	return NULL;
}

static enum pw_status read_users(struct pw_userdb *db, struct reader *reader)
{
	while (seek_user(reader)) {
		int line = reader->place.line;
		const char *wrong = read_user(reader);

		if (reader->name.has_failed || reader->secret.has_failed)
			return PW_ENOMEM;
		if (wrong) {
			reader->place.line = line;
			pw_auth_warn(&reader->place, "%s; this line and all below it do not count",
				     wrong);
			break;
		}
		if (set_user(db, reader->name.data, &reader->secret) != PW_OK)
			return PW_ENOMEM;
	}
	return PW_OK;
}

static void destroy_db(struct pw_userdb *db)
{
	for (size_t i = 0; i < db->count; i++)
		destroy_entry(db->entries[i]);
	free(db->entries);
	pw_map_fini(&db->by_name);
	free(db);
}

struct pw_userdb *pw_userdb_parse(const char *text, size_t len, const char *path,
				  const struct pw_hash_key *key, struct pw_strbuf *warnings)
{
	struct reader reader = {
	    .at = text,
	    .end = text + len,
	    .place = {.path = path, .line = 1, .warnings = warnings},
	};
	struct pw_userdb *db = calloc(1, sizeof(*db));

	if (!db)
		return NULL;
	pw_refcount_init(&db->refs);
	pw_map_init(&db->by_name);
	db->key = *key;
	if (read_users(db, &reader) != PW_OK) {
		destroy_db(db);
		db = NULL;
	}
	pw_strbuf_wipe(&reader.name);
	pw_strbuf_wipe(&reader.secret);
	return db;
}

struct pw_userdb *pw_userdb_load(const char *path, const struct pw_hash_key *key,
				 struct pw_unreadable *unreadable, struct pw_strbuf *warnings)
{
	struct pw_strbuf text = PW_STRBUF_INIT;
	struct pw_userdb *db = NULL;
	enum pw_status status;

	pw_strbuf_add(&text, "", 0);
	status = pw_auth_read_file(path, &text);
	if (status == PW_EIO) {
		pw_unreadable_add(unreadable, "auth_file", path);
		/* Half a file is no file. */
		pw_strbuf_reset(&text);
	}
	if (status != PW_ENOMEM && !text.has_failed)
		db = pw_userdb_parse(text.data, text.len, path, key, warnings);
	pw_strbuf_wipe(&text);
	return db;
}

/* The reference count is the one thing in a frozen table that changes. */
static struct pw_userdb *thaw(const struct pw_userdb *db)
{
	return (struct pw_userdb *)(uintptr_t)db;
}

const struct pw_userdb *pw_userdb_ref(const struct pw_userdb *db)
{
	pw_refcount_ref(&thaw(db)->refs);
	return db;
}

void pw_userdb_unref(const struct pw_userdb *db)
{
	if (db && pw_refcount_unref(&thaw(db)->refs))
		destroy_db(thaw(db));
}

const struct pw_user_secret *pw_userdb_find(const struct pw_userdb *db, const char *name)
{
	struct entry *entry = find_entry(db, name, pw_hash(&db->key, name, strlen(name)));

	return entry ? &entry->user : NULL;
}

size_t pw_userdb_count(const struct pw_userdb *db)
{
	return db->count;
}

const struct pw_user_secret *pw_userdb_at(const struct pw_userdb *db, size_t i)
{
	return i < db->count ? &db->entries[i]->user : NULL;
}
