/* SPDX-License-Identifier: PostgreSQL
 *
 * A byte stream against the reader. The first byte chooses: bit 0 the table, bits 1 to 3 the
 * purposes (login, prepared, console), the rest how the stream is cut. Cut or not, the same bytes
 * must be handed up with the same verdict.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pgweir/base/rng.h"
#include "pgweir/base/strbuf.h"
#include "pgweir/proto/reader.h"
#include "pgweir/proto/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_TOTAL = 1 << 20 };

struct outcome {
	struct pw_strbuf bytes;
	enum pw_status status;
	uint8_t failed_type;
	bool is_inside;
};

static void must(bool claim)
{
	if (!claim)
		abort();
}

/* Looks into a whole message as the pool and the client do. */
static void look_into(const struct pw_piece *piece)
{
	struct pw_cursor body = pw_piece_body(piece);
	struct pw_error_fields fields;
	size_t left = pw_cursor_left(&body);

	while (!body.has_failed && pw_cursor_left(&body) > 0) {
		(void)strlen(pw_cursor_string(&body));
		must(body.has_failed || pw_cursor_left(&body) < left);
		left = pw_cursor_left(&body);
		(void)pw_cursor_u32(&body);
	}
	if (piece->type != 'E')
		return;
	pw_parse_error_fields(piece->data + PW_HEADER_SIZE, piece->len - PW_HEADER_SIZE, &fields);
	(void)(strlen(fields.severity) + strlen(fields.sqlstate) + strlen(fields.message) +
	       strlen(fields.detail) + strlen(fields.hint) + strlen(fields.routine));
}

static enum pw_status feed(struct pw_reader *reader, struct outcome *o, const uint8_t *data,
			   size_t len)
{
	uint8_t *chunk = malloc(len ? len : 1);
	struct pw_slice in = {chunk, len};
	struct pw_piece piece;
	enum pw_status status;

	must(chunk != NULL);
	memcpy(chunk, data, len);
	while ((status = pw_reader_next(reader, &in, &piece)) == PW_OK) {
		must(piece.len > 0 && piece.total <= MAX_TOTAL);
		must(!piece.is_first || piece.len >= PW_HEADER_SIZE);
		if (piece.is_first && piece.is_last)
			look_into(&piece);
		pw_strbuf_add(&o->bytes, piece.data, piece.len);
	}
	must(status != PW_AGAIN || in.len == 0);
	o->failed_type = status == PW_AGAIN ? 0 : piece.type;
	free(chunk);
	return status;
}

/* max_cut 0 = all at once. */
static struct outcome run(uint8_t how, const uint8_t *data, size_t size, size_t max_cut)
{
	struct outcome o = {.status = PW_AGAIN};
	struct pw_reader reader;
	struct pw_rng rng;

	pw_rng_seed(&rng, how);
	pw_reader_init(&reader, how & 1 ? &pw_backend_messages : &pw_frontend_messages, how & 0x0e);
	reader.max_total = MAX_TOTAL;
	for (size_t at = 0; at < size && o.status == PW_AGAIN;) {
		size_t len = max_cut ? 1 + pw_rng_next(&rng) % max_cut : size;

		if (len > size - at)
			len = size - at;
		o.status = feed(&reader, &o, data + at, len);
		at += len;
	}
	o.is_inside = pw_reader_is_inside(&reader);
	pw_reader_fini(&reader);
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, cut;

	if (size == 0)
		return 0;
	whole = run(data[0], data + 1, size - 1, 0);
	cut = run(data[0], data + 1, size - 1, (size_t)(data[0] >> 4) + 1);
	must(whole.status == PW_AGAIN || whole.status == PW_EPROTO || whole.status == PW_ELIMIT);
	must(whole.status == cut.status && whole.failed_type == cut.failed_type);
	must(whole.status != PW_AGAIN || whole.is_inside == cut.is_inside);
	must(whole.bytes.len == cut.bytes.len);
	must(whole.bytes.len == 0 ||
	     memcmp(whole.bytes.data, cut.bytes.data, whole.bytes.len) == 0);
	pw_strbuf_fini(&whole.bytes);
	pw_strbuf_fini(&cut.bytes);
	return 0;
}
