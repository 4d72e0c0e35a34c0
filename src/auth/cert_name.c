/* SPDX-License-Identifier: PostgreSQL
 *
 * Names in certificates (RFC 6125 section 6.4). A wildcard is the whole first label, covers
 * exactly one label, never a whole registry ("*.org"), and never a part of an IP address.
 */
#include "config.h"

#include "pgweir/auth/password.h"

#include <string.h>
#include <strings.h>

#include "pgweir/base/addr.h"

/* `suffix` is what stands behind the star: two labels at least, each behind its dot. */
static bool is_wildcard_suffix(const char *suffix)
{
	const char *second;

	if (suffix[0] != '.' || suffix[1] == '.' || strchr(suffix, '*') != NULL)
		return false;
	second = strchr(suffix + 1, '.');
	return second && second[1] != '\0' && second[1] != '.';
}

bool pw_cert_name_matches(const char *cert_name, const char *name)
{
	const char *domain;
	struct pw_addr addr;

	if (cert_name[0] == '\0' || name[0] == '\0')
		return false;
	if (cert_name[0] != '*')
		return strcasecmp(cert_name, name) == 0;
	if (!is_wildcard_suffix(cert_name + 1) || pw_addr_parse(name, 0, &addr))
		return false;
	domain = strchr(name, '.');
	return domain && domain != name && strcasecmp(cert_name + 1, domain) == 0;
}
