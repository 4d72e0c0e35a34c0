/* SPDX-License-Identifier: PostgreSQL
 *
 * What the readers of auth_file, HBA and ident files share: whole files into memory, messages
 * that say where, and arrays that grow. Files are the operator's, so their size is bounded only
 * against accidents (a device, a dump).
 */
#include "config.h"

#include "auth_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

enum { READ_SIZE = 16384, FILE_SIZE_MAX = 256 << 20, FIRST_CAP = 8 };

static enum pw_status read_all(int fd, struct pw_strbuf *out)
{
	char part[READ_SIZE];
	size_t total = 0;
	enum pw_status status = PW_OK;

	for (;;) {
		ssize_t n = read(fd, part, sizeof(part));

		if (n == 0 || (n < 0 && errno != EINTR)) {
			status = n == 0 ? PW_OK : PW_EIO;
			break;
		}
		if (n < 0)
			continue;
		pw_strbuf_add(out, part, (size_t)n);
		total += (size_t)n;
		if (out->has_failed || total > FILE_SIZE_MAX) {
			status = out->has_failed ? PW_ENOMEM : PW_EIO;
			errno = EFBIG;
			break;
		}
	}
	OPENSSL_cleanse(part, sizeof(part));
	return status;
}

enum pw_status pw_auth_read_file(const char *path, struct pw_strbuf *out)
{
	enum pw_status status;
	int fd = open(path, O_RDONLY | O_CLOEXEC), saved;

	if (fd < 0)
		return PW_EIO;
	status = read_all(fd, out);
	saved = errno;
	close(fd);
	errno = saved;
	return status;
}

void *pw_auth_grow(void *array, size_t count, size_t *cap, size_t element_size)
{
	size_t wanted = *cap ? *cap * 2 : FIRST_CAP;
	void *grown;

	if (count < *cap)
		return array;
	grown = reallocarray(array, wanted, element_size);
	if (grown)
		*cap = wanted;
	return grown;
}

void pw_auth_warn(const struct pw_auth_place *place, const char *fmt, ...)
{
	va_list ap;

	pw_strbuf_printf(place->warnings, "%s:%d: ", place->path, place->line);
	va_start(ap, fmt);
	pw_strbuf_vprintf(place->warnings, fmt, ap);
	va_end(ap);
	pw_strbuf_add_char(place->warnings, '\n');
}
