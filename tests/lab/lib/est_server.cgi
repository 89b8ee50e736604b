#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# An EST server (RFC 7030) that is nothing but openssl commands behind an HTTPS server, for tests:
# none of jpx is in it.  Beside it lie root.pem, sub.pem and sub.key: its CA; and mode, a word
# that says how it behaves.  Called as a CGI program, with the operation in PATH_INFO.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d ./request.XXXXXX)
trap 'rm -rf "$work"' EXIT
read -r mode arg <mode || true

answer() { # STATUS TYPE [HEADER]: and the body from standard input
	printf 'Status: %s\r\nContent-Type: %s\r\n%s\r\n' "$1" "$2" "${3:+$3
}"
	cat
}

refuse() { # STATUS [HEADER]
	echo "no certificate for you" | answer "$1" text/plain "${2-}"
	exit 0
}

certs() { # FILE...: a certs-only message
	for f in "$@"; do set -- "$@" -certfile "$f"; shift; done
	openssl crl2pkcs7 -nocrl "$@" -outform DER | openssl base64
}

# Twenty octets, the most that a serial number may have.
issue() { # OUT [OPTION...]: for $work/req.der
	out=$1
	shift
	openssl x509 -req -inform DER -in "$work/req.der" -CA "${ca:-sub}.pem" -CAkey "${ca:-sub}.key" -days 30 \
		-set_serial "0x4f$(openssl rand -hex 19)" -out "$out" "$@" 2>>log
	openssl x509 -in "$out" -noout -serial -subject >>issued
}

p7='application/pkcs7-mime; smime-type=certs-only'
echo "$mode ${PATH_INFO-}" >>calls

case ${PATH_INFO-} in
/cacerts)
	case $mode in
	no-ca) refuse 500 ;;
	ca-nonsense) echo hello | answer 200 "$p7"; exit ;;
	esac
	# The root first: an order that RFC 7030 4.1.3 allows and that pledges do not want.
	certs root.pem sub.pem | answer 200 "$p7"
	exit
	;;
/csrattrs)
	# challengePassword, and the MAC address of RFC 2307 as an attribute with a set of values
	[ "$mode" != link ] || { printf MBgGCSqGSIb3DQEJBzALBgcrBgEBAQEWMQA= | answer 200 application/csrattrs; exit; }
	[ "$mode" != attrs ] || { printf MAkGBysGAQEBARY= | answer 200 application/csrattrs; exit; }
	printf 'Status: 204\r\n\r\n'
	exit
	;;
esac

# Who is no Registrar (RFC 6402 2.10) speaks for itself alone, and nobody does that here.
printf '%s\n' "${SSL_CLIENT_CERT-}" | openssl x509 -noout -ext extendedKeyUsage 2>>log |
	grep -q 'CMC Registration Authority' || refuse 403
[ "${CONTENT_TYPE-}" = application/pkcs10 ] || refuse 415
openssl base64 -d -out "$work/req.der"
openssl req -inform DER -in "$work/req.der" -noout 2>>log || refuse 400
openssl req -inform DER -in "$work/req.der" -noout -text 2>>log | grep challengePassword >>log || true

case $mode in
later) refuse 202 "Retry-After: $arg" ;;
busy) refuse 503 "Retry-After: $arg" ;;
refuse) refuse "$arg" ;;
slow) sleep "$arg" ;;
redirect) refuse 302 "Location: $arg" ;;
nonsense) head -c 3000 /dev/urandom | answer 200 "$p7"; exit ;;
page) echo '<html>Welcome</html>' | answer 200 text/html; exit ;;
endless) yes AAAAAAAAAAAAAAAA | head -c 1000000 | answer 200 "$p7"; exit ;;
nothing) answer 200 "$p7" </dev/null; exit ;;
cas) certs root.pem sub.pem | answer 200 "$p7"; exit ;;
other-ca) ca=other ;;
other-key)
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 2>>log | openssl pkey -pubout -out "$work/pub"
	issue "$work/cert.pem" -force_pubkey "$work/pub"
	certs "$work/cert.pem" | answer 200 "$p7"
	exit
	;;
esac

case ${PATH_INFO-} in
/simpleenroll | /simplereenroll)
	openssl req -inform DER -in "$work/req.der" -verify -noout 2>>log || refuse 400
	issue "$work/cert.pem"
	# With what is between: it is not for the pledge.
	certs sub.pem "$work/cert.pem" | answer 200 "$p7"
	;;
/serverkeygen)
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/key.pem" 2>>log
	openssl pkey -in "$work/key.pem" -pubout -out "$work/pub"
	issue "$work/cert.pem" -force_pubkey "$work/pub"
	{
		printf 'this is to be ignored\r\n--xyz\r\nContent-Type: application/pkcs8\r\nContent-Transfer-Encoding: base64\r\n\r\n'
		openssl pkcs8 -topk8 -nocrypt -in "$work/key.pem" -outform DER | openssl base64
		printf '\r\n--xyz\r\nContent-Type: %s\r\n\r\n' "$p7" # no encoding is said: RFC 8951 2
		certs "$work/cert.pem"
		printf '\r\n--xyz--\r\n'
	} | answer 200 'multipart/mixed; boundary=xyz'
	;;
*) refuse 404 ;;
esac
