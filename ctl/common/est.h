/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * EST over CoAP (RFC 9148): its paths, formats and resource types, for both ends.
 */
#ifndef JPX_EST_H
#define JPX_EST_H

#define EST_WELL_KNOWN                                                                             \
	".well-known/est" /* RFC 9148 4.1; without the slash in front, as libcoap has paths */
#define EST_SHORT "est"	  /* the short root that is found by discovery */
#define EST_RT	  "ace.est"

/* Formats in which the functions answer, as links tell them. */
#define EST_CT_CRTS "\"281 287 62\""
#define EST_CT_SEN  "\"281 287\""
#define EST_CT_ATT  "285"
#define EST_CT_SKG  "62"

/* Content formats, from IANA's registry for CoAP (RFC 9148 8.1, RFC 8710). */
enum est_format {
	EST_FORMAT_NONE = -1,
	EST_FORMAT_MULTIPART = 62,  /* application/multipart-core */
	EST_FORMAT_SERVERKEY = 280, /* application/pkcs7-mime;smime-type=server-generated-key */
	EST_FORMAT_CERTS = 281,	    /* ... smime-type=certs-only */
	EST_FORMAT_KEY = 284,	    /* application/pkcs8 */
	EST_FORMAT_ATTRS = 285,	    /* application/csrattrs */
	EST_FORMAT_CSR = 286,	    /* application/pkcs10 */
	EST_FORMAT_CERT = 287,	    /* application/pkix-cert */
};

#endif
