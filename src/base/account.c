/* SPDX-License-Identifier: PostgreSQL
 *
 * An account's entry holds more than its name (the full name, a home), and directory servers
 * deliver long ones: what is too small for it grows, up to a bound.
 */
#include "config.h"

#include "pgweir/base/account.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRY_USUAL = 1024, ENTRY_MAX = 1024 * 1024 };

char *pw_account_name(uid_t uid)
{
	struct passwd entry, *found = NULL;
	char *name = NULL;
	int error = ERANGE;

	for (size_t size = ENTRY_USUAL; error == ERANGE && size <= ENTRY_MAX; size *= 4) {
		char *buf = malloc(size);

		if (!buf)
			return NULL;
		error = getpwuid_r(uid, &entry, buf, size, &found);
		if (error == 0 && found)
			name = strdup(found->pw_name);
		free(buf);
	}
	return name;
}
