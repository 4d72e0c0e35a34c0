/* SPDX-License-Identifier: PostgreSQL
 *
 * Addresses to and from what the system calls take, and to text. Pure functions.
 */
#include "config.h"

#include "pgweir/base/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

struct pw_addr pw_addr_from_sockaddr(const struct sockaddr *sa)
{
	struct pw_addr addr = {.family = sa->sa_family};

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;

		addr.port = ntohs(in->sin_port);
		memcpy(addr.bytes, &in->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;

		addr.port = ntohs(in6->sin6_port);
		memcpy(addr.bytes, &in6->sin6_addr, 16);
	}
	return addr;
}

socklen_t pw_addr_to_sockaddr(const struct pw_addr *addr, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (addr->family == AF_INET) {
		struct sockaddr_in *in = (void *)out;

		in->sin_family = AF_INET;
		in->sin_port = htons(addr->port);
		memcpy(&in->sin_addr, addr->bytes, 4);
		return sizeof(*in);
	}
	if (addr->family == AF_INET6) {
		struct sockaddr_in6 *in6 = (void *)out;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(addr->port);
		memcpy(&in6->sin6_addr, addr->bytes, 16);
		return sizeof(*in6);
	}
	return 0;
}

bool pw_addr_parse(const char *text, uint16_t port, struct pw_addr *out)
{
	memset(out, 0, sizeof(*out));
	out->port = port;
	if (inet_pton(AF_INET, text, out->bytes) == 1) {
		out->family = AF_INET;
		return true;
	}
	if (inet_pton(AF_INET6, text, out->bytes) == 1) {
		out->family = AF_INET6;
		return true;
	}
	return false;
}

bool pw_addr_equal(const struct pw_addr *a, const struct pw_addr *b)
{
	return a->family == b->family && a->port == b->port &&
	       memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

void pw_addr_format(const struct pw_addr *addr, char *out, size_t size)
{
	if (addr->family == AF_INET || addr->family == AF_INET6)
		inet_ntop(addr->family, addr->bytes, out, (socklen_t)size);
	else
		snprintf(out, size, "%s", addr->family == AF_UNIX ? "unix" : "(none)");
}

void pw_addr_format_port(const struct pw_addr *addr, char *out, size_t size)
{
	char host[PW_ADDR_TEXT_SIZE];

	pw_addr_format(addr, host, sizeof(host));
	if (addr->family == AF_INET6) {
		snprintf(out, size, "[%s]:%u", host, (unsigned)addr->port);
	} else if (addr->family == AF_UNIX) {
		uint32_t pid;

		memcpy(&pid, addr->bytes, sizeof(pid));
		snprintf(out, size, "unix(%u):%u", (unsigned)pid, (unsigned)addr->port);
	} else {
		snprintf(out, size, "%s:%u", host, (unsigned)addr->port);
	}
}
