/* SPDX-License-Identifier: PostgreSQL
 *
 * The message types of protocol 3 as two tables of facts, one per direction, indexed by the type
 * byte. What must be looked at, and how much of it, is decided here and nowhere else.
 * Const, any thread.
 *
 * Source: PostgreSQL 15 docs, 55.7 "Message Formats".
 */
#ifndef PGWEIR_PROTO_MESSAGES_H
#define PGWEIR_PROTO_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How much of a message the reader brings together before handing it up. */
enum pw_gather {
	PW_GATHER_NOTHING,   /* handed up as it comes */
	PW_GATHER_ALL,       /* the whole message, at most `gather_cap` bytes of it */
	PW_GATHER_NAMES_1,   /* until the first zero byte of the body, at most gather_cap */
	PW_GATHER_NAMES_2,   /* until the second */
	PW_GATHER_KIND_NAME, /* one kind byte, then until the first zero byte */
	PW_GATHER_TEXT,      /* the whole message, at most the reader's max_text bytes of it */
	PW_GATHER_PARSE,     /* the same where the statement has no name, else max_parse */
};

/* A reader gathers only for the purposes that its owner has asked for. */
enum {
	PW_FOR_ALWAYS = 1 << 0,
	PW_FOR_LOGIN = 1 << 1,
	PW_FOR_PREPARED = 1 << 2, /* statement names matter: they are virtual */
	PW_FOR_CONSOLE = 1 << 3,
	PW_FOR_SESSION = 1 << 4, /* texts matter: they may leave something in a session */
};

enum pw_message_role {
	PW_ROLE_NONE,
	PW_ROLE_QUERY,    /* answered up to its own ReadyForQuery: Query */
	PW_ROLE_FUNCTION, /* the same: FunctionCall */
	PW_ROLE_SYNC,
	PW_ROLE_PARSE,
	PW_ROLE_BIND,
	PW_ROLE_DESCRIBE,
	PW_ROLE_EXECUTE,
	PW_ROLE_CLOSE,
	PW_ROLE_FLUSH,
	PW_ROLE_COPY_DATA,
	PW_ROLE_COPY_END, /* CopyDone, CopyFail */
	PW_ROLE_TERMINATE,
	PW_ROLE_PASSWORD, /* also SASL and GSS answers */
};

struct pw_message_row {
	const char *name;          /* NULL = no such type: 08P01 */
	enum pw_message_role role; /* frontend messages */
	enum pw_gather gather;
	unsigned gather_for; /* PW_FOR_* */
	uint32_t gather_cap;
	uint32_t min_body; /* bytes after the length word */
	bool is_bulk;      /* whole ones that follow each other are handed up as one piece */
};

struct pw_message_table {
	struct pw_message_row rows[256];
};

extern const struct pw_message_table pw_frontend_messages;
extern const struct pw_message_table pw_backend_messages;

enum {
	PW_HEADER_SIZE = 5, /* type byte and length word */
	/* PostgreSQL takes messages of 1 GB less a little; so do the bounds here. */
	PW_MESSAGE_MAX = 0x7fffffff,
	PW_NAME_GATHER_CAP = 128 * 1024,
	PW_PARSE_GATHER_CAP = 64 * 1024 * 1024,
	PW_TEXT_GATHER_CAP = 4 * 1024 * 1024, /* where texts matter for sessions */
	PW_PLAIN_TEXT_GATHER_CAP = 256 * 1024,
	/* Readers hold no more of texts that are not whole yet, beyond that of each, where the
	 * process has so much of them. */
	PW_TEXTS_HELD_MAX = 64 * 1024 * 1024,
	PW_PASSWORD_GATHER_CAP = 65535 + 1,
	PW_ERROR_GATHER_CAP = 64 * 1024,
	PW_ROW_GATHER_CAP = 256 * 1024, /* 1664 columns with names of 64 bytes */
};

static inline uint32_t pw_load_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint16_t pw_load_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

#endif
