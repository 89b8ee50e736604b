/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The JPY forms: how a JPY message is laid out on the wire, each named by the
 * draft that defines it.  One row a form; the enum, the words people type and
 * read and the JSON value all follow from this table.
 *
 * JPX_FORM(symbol, "name", family, "what an operator reads about it")
 *   family: the integer in the header's address-family element, 0 where the
 *   form has none.
 *
 * Shared by both halves: must not include anything.
 */
#ifndef JPX_FORMS_H
#define JPX_FORMS_H

#define JPX_FORMS(JPX_FORM)                                                                   \
	JPX_FORM(DRAFT02, "draft-02", 10, "five elements, family 10 (draft-...-01 to -05)")   \
	JPX_FORM(DRAFT06, "draft-06", 2, "five elements, family 2 (draft-...-06 to -10)")     \
	JPX_FORM(DRAFT21, "draft-21", 0, "two elements, header opaque (draft-...-11 to -21)") \
	JPX_FORM(DRAFT01, "draft-01", 0,                                                      \
		 "multipart-core array (draft-vanderstok-...-01); socket engine only")

enum jpx_form {
#define JPX_FORM_ENUM(sym, name, family, text) JPX_FORM_##sym,
	JPX_FORMS(JPX_FORM_ENUM)
#undef JPX_FORM_ENUM
	JPX_FORM_COUNT
};

/*
 * An IPv4 address: draft-02 and draft-01 map it (::ffff:a.b.c.d) and stay with
 * their family; draft-06 writes its 4 bytes and this family instead; draft-21
 * see wire.h.
 */
#define JPX_DRAFT06_FAMILY4 1

#endif
