/* SPDX-License-Identifier: PostgreSQL
 *
 * A hostile server against SCRAM's client side, with remembered keys: deriving them from a
 * password takes as long as the server likes and has no parser in it.
 */
#include "config.h"

#include <stdint.h>

#include "../auth/scram_replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum pw_status status = replay_scram_client(data, size);

	if (status != PW_OK && status != PW_EPROTO && status != PW_EDENIED)
		abort();
	return 0;
}
