/* SPDX-License-Identifier: PostgreSQL
 *
 * Plays one recorded SCRAM exchange against either side, with everything random fixed, so that a
 * file can hold a valid one. Shared by the fuzz targets and the test that replays their corpora.
 *
 * Server: line 1 "tls MECHANISM" or "notls MECHANISM", line 2 client-first, the rest client-final.
 * Client: line 1 "n", "y" or "p" (the binding flag), line 2 server-first, the rest server-final.
 * Newlines at the end of the file do not count.
 */
#ifndef PGWEIR_TEST_AUTH_SCRAM_REPLAY_H
#define PGWEIR_TEST_AUTH_SCRAM_REPLAY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/auth_priv.h"
#include "pgweir/auth/scram.h"

/* The password "pencil" with the salt of RFC 7677. */
#define REPLAY_VERIFIER                                                                            \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"                                             \
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"                                            \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define REPLAY_BINDING "0123456789abcdef0123456789abcdef"
#define REPLAY_NONCE   "replayreplayreplayreplay"

struct replay_part {
	uint8_t *data; /* a block of exactly that size: reading past it is seen */
	size_t len;
};

static inline struct replay_part replay_copy(const uint8_t *data, size_t len)
{
	struct replay_part part = {malloc(len ? len : 1), len};

	if (!part.data)
		abort();
	if (len > 0)
		memcpy(part.data, data, len);
	return part;
}

/* Three parts; a missing one is empty. */
static inline void replay_split(const uint8_t *data, size_t size, struct replay_part parts[3])
{
	while (size > 0 && data[size - 1] == '\n')
		size--;
	for (int i = 0; i < 3; i++) {
		const uint8_t *newline = i < 2 && size > 0 ? memchr(data, '\n', size) : NULL;
		size_t len = newline ? (size_t)(newline - data) : size;

		parts[i] = replay_copy(data, len);
		data += len + (newline ? 1 : 0);
		size -= len + (newline ? 1 : 0);
	}
}

static inline enum pw_status replay_server_parts(struct replay_part parts[3],
						 struct pw_scram_keys *keys)
{
	struct pw_scram_verifier verifier;
	struct pw_scram_server *scram;
	struct pw_strbuf out = PW_STRBUF_INIT;
	char head[64] = "";
	const char *mechanism;
	bool is_tls;
	enum pw_status status;

	memcpy(head, parts[0].data, parts[0].len < sizeof(head) ? parts[0].len : sizeof(head) - 1);
	is_tls = strncmp(head, "tls ", 4) == 0;
	mechanism = strchr(head, ' ');
	if (!pw_scram_verifier_parse(REPLAY_VERIFIER, &verifier))
		abort();
	scram = pw_scram_server_create(&verifier, is_tls ? (const uint8_t *)REPLAY_BINDING : NULL,
				       is_tls ? sizeof(REPLAY_BINDING) - 1 : 0);
	if (!scram)
		abort();
	pw_scram_server_fix(scram, REPLAY_NONCE);
	status = pw_scram_server_first(scram, mechanism ? mechanism + 1 : "", parts[1].data,
				       parts[1].len, &out);
	pw_strbuf_reset(&out);
	if (status == PW_OK)
		status = pw_scram_server_final(scram, parts[2].data, parts[2].len, &out, keys);
	pw_strbuf_fini(&out);
	pw_scram_server_destroy(scram);
	return status;
}

static inline enum pw_status replay_client_parts(struct replay_part parts[3])
{
	struct pw_scram_keys keys = {.is_set = true};
	struct pw_scram_client *scram;
	struct pw_strbuf out = PW_STRBUF_INIT;
	char flag = parts[0].len > 0 ? (char)parts[0].data[0] : 'n';
	enum pw_status status;

	memset(keys.client_key, 0x11, sizeof(keys.client_key));
	memset(keys.server_key, 0x22, sizeof(keys.server_key));
	scram = pw_scram_client_create(NULL, &keys,
				       flag == 'p' ? (const uint8_t *)REPLAY_BINDING : NULL,
				       flag == 'p' ? sizeof(REPLAY_BINDING) - 1 : 0, flag == 'y');
	if (!scram || pw_scram_client_fix(scram, "", REPLAY_NONCE) != PW_OK)
		abort();
	status = pw_scram_client_first(scram, &out);
	pw_strbuf_reset(&out);
	if (status == PW_OK)
		status = pw_scram_client_final(scram, parts[1].data, parts[1].len, &out);
	if (status == PW_OK)
		status = pw_scram_client_verify(scram, parts[2].data, parts[2].len);
	if (pw_scram_client_is_verified(scram) != (status == PW_OK))
		abort();
	pw_strbuf_fini(&out);
	pw_scram_client_destroy(scram);
	return status;
}

static inline void replay_free(struct replay_part parts[3])
{
	for (int i = 0; i < 3; i++)
		free(parts[i].data);
}

/* PW_OK = the client of the file was let in; then `keys` are its keys. */
static inline enum pw_status replay_scram_server(const uint8_t *data, size_t size,
						 struct pw_scram_keys *keys)
{
	struct replay_part parts[3];
	enum pw_status status;

	replay_split(data, size, parts);
	status = replay_server_parts(parts, keys);
	replay_free(parts);
	return status;
}

/* PW_OK = the server of the file was believed. */
static inline enum pw_status replay_scram_client(const uint8_t *data, size_t size)
{
	struct replay_part parts[3];
	enum pw_status status;

	replay_split(data, size, parts);
	status = replay_client_parts(parts);
	replay_free(parts);
	return status;
}

#endif
