/* SPDX-License-Identifier: PostgreSQL
 *
 * What the files of this folder (and their tests) share and nobody else sees: strict base64,
 * SCRAM's key arithmetic and attribute reader, the tokeniser of PostgreSQL's line-based files,
 * name lists and ident maps. Except where said otherwise these are pure functions, any thread.
 */
#ifndef PGWEIR_AUTH_AUTH_PRIV_H
#define PGWEIR_AUTH_AUTH_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/auth/hba.h"
#include "pgweir/auth/scram.h"
#include "pgweir/base/status.h"
#include "pgweir/base/strbuf.h"

/* ---- base64 (RFC 4648 section 4) ---- */
void pw_base64_add(struct pw_strbuf *out, const void *data, size_t len);
/* Accepts only what an encoder writes: no blanks, full padding, zero bits behind the end. */
PW_MUSTCHECK bool pw_base64_decode(const char *text, size_t len, uint8_t *out, size_t out_size,
				   size_t *out_len);

/* ---- SCRAM: keys. False only where OpenSSL has no memory ---- */
PW_MUSTCHECK bool pw_scram_hmac(const uint8_t key[PW_SCRAM_KEY_LEN], const void *data, size_t len,
				uint8_t out[PW_SCRAM_KEY_LEN]);
PW_MUSTCHECK bool pw_scram_hash_key(const uint8_t key[PW_SCRAM_KEY_LEN],
				    uint8_t out[PW_SCRAM_KEY_LEN]);
/* ClientKey and ServerKey of a password. Takes `iterations` HMACs: milliseconds. */
PW_MUSTCHECK bool pw_scram_keys_derive(const char *password, const uint8_t *salt, size_t salt_len,
				       uint32_t iterations, struct pw_scram_keys *out);

/* ---- SCRAM: messages ---- */
struct pw_scram_text {
	const char *data; /* borrowed from the message, not zero-terminated */
	size_t len;
};

struct pw_scram_reader {
	const char *at;
	const char *end;
};

/* False where the message is too long or has a zero byte. */
PW_MUSTCHECK bool pw_scram_reader_init(struct pw_scram_reader *reader, const uint8_t *msg,
				       size_t len);
bool pw_scram_reader_is_at_end(const struct pw_scram_reader *reader);
/* "x=value", with the comma behind it if there is one; a comma at the very end is malformed. */
PW_MUSTCHECK bool pw_scram_read_any(struct pw_scram_reader *reader, char *name,
				    struct pw_scram_text *value);
PW_MUSTCHECK bool pw_scram_read_attribute(struct pw_scram_reader *reader, char name,
					  struct pw_scram_text *value);
/* The rest: optional extensions are ignored, a mandatory one ("m") is refused. */
PW_MUSTCHECK bool pw_scram_read_extensions(struct pw_scram_reader *reader);
bool pw_scram_text_equal(struct pw_scram_text text, const char *data, size_t len);
/* Printable ASCII without a comma, not empty. */
bool pw_scram_text_is_nonce(struct pw_scram_text text);
/* A decimal number from 1 to max, no sign, no leading blank. */
PW_MUSTCHECK bool pw_scram_text_to_count(struct pw_scram_text text, uint32_t max, uint32_t *out);
/* Base64 of exactly one key. */
PW_MUSTCHECK bool pw_scram_text_to_key(struct pw_scram_text text, uint8_t out[PW_SCRAM_KEY_LEN]);

enum {
	PW_SCRAM_NONCE_BYTES = 18,
	PW_SCRAM_NONCE_SIZE = 64,  /* room for ours in base64, with the zero byte */
	PW_SCRAM_NONCE_MAX = 1024, /* longest that a peer may send */
};

/* The header that names a channel binding type; no other type is spoken. */
#define PW_SCRAM_GS2_PLUS "p=tls-server-end-point,,"

void pw_scram_make_nonce(char out[PW_SCRAM_NONCE_SIZE]);

/* For tests and fuzzers: exchanges whose random part is known. Call right after create. */
void pw_scram_server_fix(struct pw_scram_server *scram, const char *nonce);
PW_MUSTCHECK enum pw_status pw_scram_client_fix(struct pw_scram_client *scram, const char *user,
						const char *nonce);

/* ---- files ---- */
/* Appends the whole file; PW_EIO with errno set, PW_ENOMEM. */
PW_MUSTCHECK enum pw_status pw_auth_read_file(const char *path, struct pw_strbuf *out);
/* The array with room for one more element than `count`; NULL without memory (the old one stays).
 */
PW_MUSTCHECK void *pw_auth_grow(void *array, size_t count, size_t *cap, size_t element_size);

/* Where a message about a file points to. */
struct pw_auth_place {
	const char *path;
	int line;
	struct pw_strbuf *warnings;
	struct pw_unreadable *unreadable; /* where files can name files */
};

/* Adds "path:line: text\n". */
void pw_auth_warn(const struct pw_auth_place *place, const char *fmt, ...) PW_PRINTF(2, 3);

/* ---- lines of pg_hba.conf, pg_ident.conf and name files ---- */
struct pw_auth_token {
	const char *text; /* zero-terminated, in the line's buffer */
	bool is_quoted;   /* began with a quote: a name, whatever it says */
	bool is_joined;   /* a comma joins it to the token before: same field */
};

/* Owns its buffers and reuses them from line to line. */
struct pw_auth_line {
	char *buf;
	size_t buf_size;
	struct pw_auth_token *tokens;
	size_t count;
	size_t cap;
};

void pw_auth_line_init(struct pw_auth_line *line);
void pw_auth_line_fini(struct pw_auth_line *line);
/* One line without its newline. PW_EINVAL (warned) for an open quote or a zero byte. */
PW_MUSTCHECK enum pw_status pw_auth_line_read(struct pw_auth_line *line,
					      const struct pw_auth_place *place, const char *text,
					      size_t len);
bool pw_auth_token_is(const struct pw_auth_token *token, const char *keyword);

/* Reads the text line by line, sets place->line, skips lines without tokens and bad ones.
 * `use` answers PW_ENOMEM to end the reading; anything else goes on. */
typedef enum pw_status pw_auth_use_line(void *arg, const struct pw_auth_place *place,
					const struct pw_auth_line *line);
PW_MUSTCHECK enum pw_status pw_auth_each_line(struct pw_auth_place *place, const char *text,
					      size_t len, pw_auth_use_line *use, void *arg);

/* ---- the database and user columns of a rule ---- */
enum {
	PW_NAMES_ALL = 1 << 0,
	PW_NAMES_SAMEUSER = 1 << 1,
	PW_NAMES_REPLICATION = 1 << 2,
};

struct pw_auth_names {
	bool is_database;  /* which keywords there are; set before adding */
	bool is_unknown;   /* an "@file" could not be read: it might have named anybody */
	unsigned keywords; /* PW_NAMES_* */
	char **names;      /* owned */
	size_t count;
	size_t cap;
};

/* A name, a keyword, or "@file" with more of them. PW_EINVAL (warned) for what is not supported.
 * A file that cannot be read goes to place->unreadable and makes the names unknown. */
PW_MUSTCHECK enum pw_status pw_auth_names_add(struct pw_auth_names *names,
					      const struct pw_auth_place *place,
					      const struct pw_auth_token *token, int depth);
bool pw_auth_names_have(const struct pw_auth_names *names, const char *name);
void pw_auth_names_fini(struct pw_auth_names *names);

/* ---- ident maps: a list, in the order of the file ---- */
PW_MUSTCHECK enum pw_status pw_ident_parse(struct pw_ident_map **list, const char *text, size_t len,
					   const char *path, struct pw_strbuf *warnings);
const struct pw_ident_map *pw_ident_find(const struct pw_ident_map *list, const char *name);
const char *pw_ident_name(const struct pw_ident_map *map);
void pw_ident_destroy_all(struct pw_ident_map *list);

/* ---- the rules of an HBA file ---- */
enum pw_hba_type { PW_HBA_LOCAL, PW_HBA_HOST, PW_HBA_HOSTSSL, PW_HBA_HOSTNOSSL };

struct pw_hba_rule {
	enum pw_hba_type type;
	struct pw_auth_names databases;
	struct pw_auth_names users;
	bool is_any_address;
	struct pw_addr net; /* family and bytes; the port is 0 */
	uint8_t mask[16];
	enum pw_auth_type method;
	const struct pw_ident_map *map; /* NULL = none; lies in the same pw_hba */
	int line;
};

/* Takes one line apart. PW_EINVAL: warned, and nothing is held by `rule`. `maps` NULL = they could
 * not be read. */
PW_MUSTCHECK enum pw_status pw_hba_rule_parse(struct pw_hba_rule *rule,
					      const struct pw_auth_place *place,
					      const struct pw_auth_line *line,
					      struct pw_ident_map *const *maps);
void pw_hba_rule_fini(struct pw_hba_rule *rule);

#endif
