/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Enumerations of include/jpx to the words that people type and read, and back.
 * Every word is in one table in words.c or one X-macro of include/jpx.
 */
#ifndef JPX_WORDS_H
#define JPX_WORDS_H

#include <jpx/abi.h>

/* The word, or "?" for a value out of range. */
const char *jpx_link_word(unsigned int link);
const char *jpx_mode_word(unsigned int mode);
const char *jpx_engine_word(unsigned int engine);
const char *jpx_xdp_word(unsigned int xdp);
const char *jpx_source_word(unsigned int source);
const char *jpx_drop_word(unsigned int reason);
const char *jpx_drop_text(unsigned int reason);
const char *jpx_handoff_word(unsigned int reason);
const char *jpx_handoff_text(unsigned int reason);
const char *jpx_told_word(unsigned int told);
const char *jpx_told_text(unsigned int told);

/* The value, or -1. */
int jpx_mode_by_word(const char *word);
int jpx_xdp_by_word(const char *word);

#endif
