/* SPDX-License-Identifier: PostgreSQL
 *
 * Copies of secrets, wiped before they are freed.
 */
#include "config.h"

#include "pgweir/base/secret.h"

#include <stdlib.h>
#include <string.h>

enum pw_status pw_secret_set(struct pw_secret *secret, const void *data, size_t len)
{
	char *copy = malloc(len + 1);

	if (!copy)
		return PW_ENOMEM;
	if (len > 0)
		memcpy(copy, data, len);
	copy[len] = '\0';
	pw_secret_fini(secret);
	secret->data = copy;
	secret->len = len;
	return PW_OK;
}

void pw_secret_fini(struct pw_secret *secret)
{
	if (secret->data) {
		explicit_bzero(secret->data, secret->len);
		free(secret->data);
	}
	secret->data = NULL;
	secret->len = 0;
}

bool pw_secret_equal(const void *a, const void *b, size_t len)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t diff = 0;

	for (size_t i = 0; i < len; i++)
		diff |= (uint8_t)(x[i] ^ y[i]);
	return diff == 0;
}
