/* SPDX-License-Identifier: PostgreSQL
 *
 * The transport of a stream without TLS: the socket itself.
 */
#include "config.h"

#include "net_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static enum pw_io classify_errno(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? PW_IO_WANT_READ
									 : PW_IO_ERROR;
}

/* The library's own recv() and send() are points of thread cancellation, which nobody here uses and
 * which costs two locked instructions each in a process of several threads. */
static ssize_t raw_recv(int fd, void *buf, size_t size)
{
	return syscall(SYS_recvfrom, fd, buf, size, 0, NULL, NULL);
}

static ssize_t raw_send(int fd, const void *data, size_t len)
{
	return syscall(SYS_sendto, fd, data, len, MSG_NOSIGNAL, NULL, 0);
}

static enum pw_io plain_recv(void *transport PW_UNUSED, int fd, uint8_t *buf, size_t size,
			     size_t *n)
{
	ssize_t got = raw_recv(fd, buf, size);

	if (got < 0)
		return classify_errno();
	*n = (size_t)got;
	return got == 0 ? PW_IO_EOF : PW_IO_OK;
}

static enum pw_io plain_send(void *transport PW_UNUSED, int fd, const struct iovec *iov, int n_iov,
			     size_t *n)
{
	struct msghdr msg = {.msg_iovlen = (size_t)n_iov};
	ssize_t sent;

	memcpy(&msg.msg_iov, &iov, sizeof(iov)); /* sendmsg does not write through it */
	sent = n_iov == 1 ? raw_send(fd, iov->iov_base, iov->iov_len)
			  : sendmsg(fd, &msg, MSG_NOSIGNAL);
	if (sent < 0)
		return classify_errno() == PW_IO_ERROR ? PW_IO_ERROR : PW_IO_WANT_WRITE;
	*n = (size_t)sent;
	return PW_IO_OK;
}

static bool plain_has_pending(void *transport PW_UNUSED)
{
	return false;
}

static void plain_destroy(void *transport PW_UNUSED)
{
}

static const char *plain_error(void *transport PW_UNUSED)
{
	return strerror(errno);
}

const struct pw_transport_ops pw_plain_transport = {
    .recv = plain_recv,
    .send = plain_send,
    .has_pending = plain_has_pending,
    .destroy = plain_destroy,
    .error = plain_error,
};
