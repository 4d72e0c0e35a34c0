/* SPDX-License-Identifier: PostgreSQL
 *
 * Cuts a byte stream into protocol messages, whatever the boundaries of the reads.
 *
 * The reader walks headers; bodies pass through as pieces of the input. Only what the message
 * table marks for the owner's purposes is brought together first (in a buffer that exists only
 * while such a message is incomplete). What readers hold of long texts is counted in common, and
 * beyond a bound such a text is handed up in pieces. 64 bytes when idle. One thread; the count is
 * shared by all.
 */
#ifndef PGWEIR_PROTO_READER_H
#define PGWEIR_PROTO_READER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/status.h"
#include "pgweir/proto/messages.h"

struct pw_strbuf;

struct pw_slice {
	const uint8_t *data;
	size_t len;
};

/* A run of bytes of one message, header included; or several whole messages of one type, which the
 * table has to call bulk. */
struct pw_piece {
	const uint8_t *data;
	size_t len;
	uint32_t total; /* of the whole message (of several: the first), type byte included */
	uint8_t type;
	bool is_first;     /* data begins with the 5 bytes of the header */
	bool is_last;      /* the message ends with it */
	bool is_transient; /* data dies at the next call; else it lies in the input */
};

struct pw_reader {
	const struct pw_message_table *table;
	struct pw_strbuf *part; /* a gathered message, incomplete */
	/* What the process holds of texts, beyond PW_PLAIN_TEXT_GATHER_CAP of each: no reader takes
	 * it beyond PW_TEXTS_HELD_MAX. Borrowed, set by the owner; NULL = nobody counts. */
	_Atomic uint64_t *texts_held;
	uint32_t counted;   /* this one's share of it */
	uint32_t max_total; /* longer messages are refused */
	uint32_t max_parse; /* so much is gathered of a Parse with a name */
	uint32_t max_text;  /* a Query, or a Parse without, of up to so much is gathered */
	uint32_t left;      /* bytes of the message still to come */
	uint32_t total;
	uint8_t type;
	uint8_t gather_for; /* PW_FOR_*: the owner's purposes */
	uint8_t have;       /* bytes of a cut header */
	uint8_t head[PW_HEADER_SIZE];
	bool is_done;     /* `part` was handed up: drop it */
	bool is_too_much; /* others hold so much that this text is not waited for */
};

void pw_reader_init(struct pw_reader *reader, const struct pw_message_table *table,
		    unsigned gather_for);
void pw_reader_fini(struct pw_reader *reader);

/*
 * Takes the next piece from `in` (and shortens it). PW_AGAIN: `in` is used up. PW_EPROTO: unknown
 * type or impossible length; PW_ELIMIT: longer than max_total; PW_ENOMEM. After a failure the
 * connection is past saving; `piece->type` and `piece->total` tell what was met. A gathered message
 * that was handed up is freed by the next call, also by one without input.
 */
PW_MUSTCHECK enum pw_status pw_reader_next(struct pw_reader *reader, struct pw_slice *in,
					   struct pw_piece *piece);

/* Adds what there is of a message of which no piece has been handed up: the owner will feed it
 * again, and what follows it. */
void pw_reader_give_back(struct pw_reader *reader, struct pw_strbuf *out);

/* Takes back the piece that was just handed up, which must be a first one: the owner will feed its
 * bytes, and all that follow, again. */
void pw_reader_unread(struct pw_reader *reader);

/* In the middle of a message? */
static inline bool pw_reader_is_inside(const struct pw_reader *reader)
{
	return reader->left > 0 || reader->have > 0 || (reader->part && !reader->is_done);
}

/* ---- looking into gathered bodies ---- */

/* A cursor over one message body; reads past the end fail and stay failed. */
struct pw_cursor {
	const uint8_t *at, *end;
	bool has_failed;
};

static inline struct pw_cursor pw_cursor(const void *data, size_t len)
{
	const uint8_t *at = (const uint8_t *)data;

	return (struct pw_cursor){at, at + len, false};
}

/* The body of a piece that begins with its header. */
static inline struct pw_cursor pw_piece_body(const struct pw_piece *piece)
{
	return pw_cursor(piece->data + PW_HEADER_SIZE, piece->len - PW_HEADER_SIZE);
}

static inline size_t pw_cursor_left(const struct pw_cursor *c)
{
	return (size_t)(c->end - c->at);
}

uint8_t pw_cursor_u8(struct pw_cursor *c);
uint16_t pw_cursor_u16(struct pw_cursor *c);
uint32_t pw_cursor_u32(struct pw_cursor *c);
/* Zero-terminated; "" and failed where no terminator follows. */
const char *pw_cursor_string(struct pw_cursor *c);
/* NULL and failed where fewer than n bytes are left. */
const uint8_t *pw_cursor_bytes(struct pw_cursor *c, size_t n);

#endif
