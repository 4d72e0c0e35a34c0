/* SPDX-License-Identifier: PostgreSQL
 *
 * A ClientHello may say that it is 128 kB long, and as soon as OpenSSL has seen its first four
 * bytes it makes room for all of them, for whoever that is. Here the bytes are looked at on their
 * way from the socket to OpenSSL, and a handshake ends whose ClientHello is to be longer than a
 * record. It can be the second one, after a HelloRetryRequest. Source: RFC 8446, 4 and 5.1.
 */
#include "config.h"

#include "tls_priv.h"

enum {
	RECORD_HEADER = 5,
	MESSAGE_HEADER = 4,
	HANDSHAKE = 22,
	CLIENT_HELLO = 1,
	HELLO_MAX = SSL3_RT_MAX_PLAIN_LENGTH
};

static void take_message_byte(struct pw_tls_hello *hello, uint8_t byte)
{
	if (hello->message_left > 0) {
		hello->message_left--;
		return;
	}
	hello->message[hello->n_message++] = byte;
	if (hello->n_message < MESSAGE_HEADER)
		return;
	hello->n_message = 0;
	hello->message_left = (uint32_t)hello->message[1] << 16 | (uint32_t)hello->message[2] << 8 |
			      hello->message[3];
#ifndef PW_MUTANT_HELLO_UNBOUNDED
	if (hello->message[0] == CLIENT_HELLO && hello->message_left > HELLO_MAX)
		hello->is_too_long = true;
#endif
}

static void take_byte(struct pw_tls_hello *hello, uint8_t byte)
{
	if (hello->n_record < RECORD_HEADER) {
		hello->record[hello->n_record++] = byte;
		if (hello->n_record == RECORD_HEADER)
			hello->record_left = (uint16_t)(hello->record[3] << 8 | hello->record[4]);
	} else {
		if (hello->record[0] == HANDSHAKE)
			take_message_byte(hello, byte);
		hello->record_left--;
	}
	if (hello->n_record == RECORD_HEADER && hello->record_left == 0)
		hello->n_record = 0;
}

static long on_bio(BIO *bio, int what, const char *data, size_t size PW_UNUSED, int argi PW_UNUSED,
		   long argl PW_UNUSED, int ret, size_t *processed)
{
	struct pw_tls *tls = (struct pw_tls *)(void *)BIO_get_callback_arg(bio);

	if (what != (BIO_CB_READ | BIO_CB_RETURN) || ret <= 0)
		return ret;
	/* From the answer to the first one on, older versions know no second, and encrypt. */
	if (SSL_version(tls->ssl) < TLS1_3_VERSION)
		return ret;
	for (size_t i = 0; i < *processed; i++)
		take_byte(&tls->hello, (uint8_t)data[i]);
	if (!tls->hello.is_too_long)
		return ret;
	BIO_clear_retry_flags(bio);
	return -1;
}

void pw_tls_hello_watch(struct pw_tls *tls)
{
	BIO *bio = SSL_get_rbio(tls->ssl);

	BIO_set_callback_arg(bio, (char *)tls);
	BIO_set_callback_ex(bio, on_bio);
}

void pw_tls_hello_done(struct pw_tls *tls)
{
	BIO_set_callback_ex(SSL_get_rbio(tls->ssl), NULL);
}
