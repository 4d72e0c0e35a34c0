/* SPDX-License-Identifier: PostgreSQL
 *
 * A hostile client against SCRAM's server side. Beyond memory errors: whoever is let in must have
 * shown a ClientKey that belongs to the stored verifier.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include "../auth/scram_replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pw_scram_verifier verifier;
	struct pw_scram_keys keys = {.is_set = false};
	uint8_t hashed[PW_SCRAM_KEY_LEN];

	if (replay_scram_server(data, size, &keys) != PW_OK)
		return 0;
	if (!keys.is_set || !pw_scram_verifier_parse(REPLAY_VERIFIER, &verifier) ||
	    !pw_scram_hash_key(keys.client_key, hashed) ||
	    memcmp(hashed, verifier.stored_key, sizeof(hashed)) != 0)
		abort();
	return 0;
}
