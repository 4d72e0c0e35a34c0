/* SPDX-License-Identifier: PostgreSQL
 *
 * See the header. Each column is hashed by itself with the process's key; the sum keeps the order.
 */
#include "config.h"

#include "pgweir/proto/row_description.h"

enum { TABLE_BYTES = 4 + 2, TYPE_BYTES = 4 + 2 + 4, FORMAT_BYTES = 2, NO_DATA = 1 };

static uint64_t hash_column(const struct pw_hash_key *key, struct pw_cursor *body)
{
	const char *name = pw_cursor_string(body);
	const uint8_t *table = pw_cursor_bytes(body, TABLE_BYTES);
	const uint8_t *type = pw_cursor_bytes(body, TYPE_BYTES);
	const uint8_t *format = pw_cursor_bytes(body, FORMAT_BYTES);

	if (!table || !type || !format || body->has_failed)
		return 0;
	return pw_hash(key, name, strlen(name)) * 31 + pw_hash(key, type, TYPE_BYTES);
}

uint64_t pw_row_description_hash(const struct pw_hash_key *key, const struct pw_piece *piece)
{
	struct pw_cursor body = pw_piece_body(piece);
	uint64_t hash = NO_DATA + 1;
	uint16_t n;

	if (!piece->is_first || !piece->is_last)
		return 0;
	if (piece->type == 'n')
		return NO_DATA;
	n = pw_cursor_u16(&body);
	hash += n;
	for (uint16_t i = 0; i < n && !body.has_failed; i++)
		hash = hash * 0x9e3779b97f4a7c15u + hash_column(key, &body);
	if (body.has_failed || pw_cursor_left(&body) > 0)
		return 0;
	return hash > NO_DATA ? hash : hash + NO_DATA + 1;
}

uint64_t pw_parameter_description_hash(const struct pw_hash_key *key, const struct pw_piece *piece)
{
	struct pw_cursor body = pw_piece_body(piece);
	uint64_t hash;
	uint16_t n;

	if (!piece->is_first || !piece->is_last)
		return 0;
	n = pw_cursor_u16(&body);
	if (body.has_failed || pw_cursor_left(&body) != 4 * (size_t)n)
		return 0;
	hash = pw_hash(key, body.at, pw_cursor_left(&body));
	return hash > 0 ? hash : 1;
}
