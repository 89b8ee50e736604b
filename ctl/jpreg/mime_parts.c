/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See mime_parts.h. */
#include "mime_parts.h"

#include <gmime/gmime.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_MAX 8
#define TEXT_MAX  65536

/* Not decoded: RFC 8951 has parts that do not say that they are base64. */
static char *text_of(GMimePart *part)
{
	GMimeDataWrapper *content = g_mime_part_get_content(part);
	GMimeStream *stream = content ? g_mime_data_wrapper_get_stream(content) : NULL;
	gint64 len = stream ? g_mime_stream_length(stream) : -1;
	char *text = len >= 0 && len <= TEXT_MAX ? malloc((size_t)len + 1) : NULL;
	ssize_t n;

	if (!text)
		return NULL;
	g_mime_stream_reset(stream);
	n = g_mime_stream_read(stream, text, (size_t)len);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static bool tell(GMimeObject *object, bool (*fn)(void *arg, const char *type, const char *text),
		 void *arg)
{
	char *type, *text;
	bool good;

	if (!GMIME_IS_PART(object))
		return true;
	type = g_mime_content_type_get_mime_type(g_mime_object_get_content_type(object));
	text = text_of(GMIME_PART(object));
	good = type && text && fn(arg, type, text);
	g_free(type);
	if (text)
		OPENSSL_cleanse(text, strlen(text)); /* it may be a key */
	free(text);
	return good;
}

bool mime_parts_each(const char *type, const void *body, size_t len,
		     bool (*fn)(void *arg, const char *part_type, const char *text), void *arg)
{
	static bool started;
	GMimeObject *object;
	GMimeStream *stream;
	GMimeParser *parser;
	GByteArray *bytes;
	bool good = false;

	/* A header ends with its line. */
	if (strpbrk(type, "\r\n"))
		return false;
	if (!started)
		g_mime_init();
	started = true;
	bytes = g_byte_array_sized_new((guint)(14 + strlen(type) + 4 + len));
	g_byte_array_append(bytes, (const guint8 *)"Content-Type: ", 14);
	g_byte_array_append(bytes, (const guint8 *)type, (guint)strlen(type));
	g_byte_array_append(bytes, (const guint8 *)"\r\n\r\n", 4);
	g_byte_array_append(bytes, body, (guint)len);
	stream = g_mime_stream_mem_new_with_byte_array(bytes);
	g_mime_stream_mem_set_owner(GMIME_STREAM_MEM(stream), FALSE);
	parser = g_mime_parser_new_with_stream(stream);
	object = g_mime_parser_construct_part(parser, NULL);
	if (object && GMIME_IS_MULTIPART(object)) {
		GMimeMultipart *all = GMIME_MULTIPART(object);
		int n = g_mime_multipart_get_count(all);

		good = n > 0 && n <= PARTS_MAX;
		for (int i = 0; good && i < n; i++)
			good = tell(g_mime_multipart_get_part(all, i), fn, arg);
	}
	if (object)
		g_object_unref(object);
	g_object_unref(parser);
	g_object_unref(stream);
	OPENSSL_cleanse(bytes->data, bytes->len);
	g_byte_array_unref(bytes);
	return good;
}

long mime_base64_read(const char *text, uint8_t **out)
{
	size_t len = strlen(text);
	EVP_ENCODE_CTX *ctx = EVP_ENCODE_CTX_new();
	int n = 0, rest = 0;
	bool good;

	*out = len <= TEXT_MAX ? malloc(len / 4 * 3 + 64) : NULL;
	if (!*out || !ctx) {
		EVP_ENCODE_CTX_free(ctx);
		free(*out);
		*out = NULL;
		return -1;
	}
	EVP_DecodeInit(ctx);
	/* OpenSSL takes a hyphen for the end, as PEM has it there. */
	good = !strchr(text, '-') &&
	       EVP_DecodeUpdate(ctx, *out, &n, (const uint8_t *)text, (int)len) >= 0 &&
	       EVP_DecodeFinal(ctx, *out + n, &rest) == 1 && n + rest > 0;
	EVP_ENCODE_CTX_free(ctx);
	if (good)
		return n + rest;
	free(*out);
	*out = NULL;
	return -1;
}

char *mime_base64_write(const uint8_t *data, size_t len)
{
	EVP_ENCODE_CTX *ctx = EVP_ENCODE_CTX_new();
	char *text = len <= TEXT_MAX ? malloc(len / 48 * 65 + 130) : NULL;
	int n = 0, rest = 0;

	if (ctx && text) {
		EVP_EncodeInit(ctx);
		EVP_EncodeUpdate(ctx, (uint8_t *)text, &n, data, (int)len);
		EVP_EncodeFinal(ctx, (uint8_t *)text + n, &rest);
		text[n + rest] = '\0';
	} else {
		free(text);
		text = NULL;
	}
	EVP_ENCODE_CTX_free(ctx);
	return text;
}
