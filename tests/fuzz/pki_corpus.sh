#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# tests/fuzz/pki_corpus.sh: writes what the fuzzers of certificates, requests, keys and lists start
# from into tests/fuzz/corpus-*, good ones and mean ones.  Each run makes other keys, all of
# them for nothing else; what a fuzzer found is kept under names that are not overwritten here.
set -eu
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p corpus-{csr,certs,multipart,pemfile,serials,policy,trace}
ec=(ec -pkeyopt ec_paramgen_curve:P-256)

hex() { # HEX...: its octets
	printf '%s' "$@" | tr -d ' ' | xxd -r -p
}

# Mends the lengths of nothing: each of these is DER that is wrong in one place.
flip() { # FILE OFFSET-FROM-END: one bit of it is another
	python3 -c 'import sys; d = bytearray(sys.stdin.buffer.read()); d[-int(sys.argv[1])] ^= 1
sys.stdout.buffer.write(d)' "$2" <"$1"
}

# ---- requests ----

csr() { # NAME KEY-OPTION... -- OPTION...
	local name=$1 key=()
	shift
	while [ "$1" != -- ]; do key+=("$1"); shift; done
	shift
	openssl req -new -nodes -newkey "${key[@]}" -keyout "$tmp/$name.key" -outform DER -out "corpus-csr/$name" "$@" 2>/dev/null
}

csr p256 "${ec[@]}" -- -subj /serialNumber=1/O=jpx
csr p384 ec -pkeyopt ec_paramgen_curve:P-384 -- -subj /serialNumber=1
csr p521 ec -pkeyopt ec_paramgen_curve:P-521 -- -subj /serialNumber=1
csr k256 ec -pkeyopt ec_paramgen_curve:secp256k1 -- -subj /serialNumber=1
csr explicit "${ec[@]}" -pkeyopt ec_param_enc:explicit -- -subj /serialNumber=1
csr rsa2048 rsa:2048 -- -subj /serialNumber=1
csr rsa1024 rsa:1024 -- -subj /serialNumber=1
csr pss rsa:2048 -- -subj /serialNumber=1 -sigopt rsa_padding_mode:pss
csr ed25519 ed25519 -- -subj /serialNumber=1
csr nobody "${ec[@]}" -- -subj /
csr names "${ec[@]}" -- -subj /CN=a -addext 'subjectAltName=DNS:a.example,email:a@example,IP:::1,otherName:1.3.6.1.5.5.7.8.10;UTF8:x'
csr asks-to-be-ca "${ec[@]}" -- -subj /CN=a -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign
csr utf8 "${ec[@]}" -- -utf8 -subj $'/CN=\xc3\xa9\x1b[31m'
flip corpus-csr/p256 1 >corpus-csr/bad-signature
(cat corpus-csr/p256; printf '\0') >corpus-csr/trailing
head -c 200 corpus-csr/p256 >corpus-csr/cut
(hex 3080; tail -c +4 corpus-csr/nobody; hex 0000) >corpus-csr/indefinite
hex 3084ffffffff 30 >corpus-csr/long

# ---- certificates ----

maker() { # NAME
	openssl req -x509 -nodes -newkey "${ec[@]}" -keyout "$tmp/$1.key" -out "$tmp/$1.pem" -days 100000 \
		-subj "/CN=$1" -addext keyUsage=keyCertSign 2>/dev/null
}

device() { # NAME MAKER SUBJECT [EXTENSION...]
	local name=$1 maker=$2 subject=$3 ext
	shift 3
	: >"$tmp/ext"
	for ext in "$@"; do echo "$ext" >>"$tmp/ext"; done
	openssl req -new -nodes -newkey "${ec[@]}" -keyout "$tmp/$name.key" -out "$tmp/$name.req" -subj "$subject" 2>/dev/null
	openssl x509 -req -in "$tmp/$name.req" -CA "$tmp/$maker.pem" -CAkey "$tmp/$maker.key" -days 90000 \
		-set_serial 7 -extfile "$tmp/ext" -out "$tmp/$name.pem" 2>/dev/null
	openssl x509 -in "$tmp/$name.pem" -outform DER -out "$tmp/$name.der"
}

maker maker
maker other
cp "$tmp/maker.pem" corpus-policy.pem
sign=keyUsage=digitalSignature
device one maker /serialNumber=1/O=jpx "$sign"
device denied maker /serialNumber=13 "$sign"
device named maker /serialNumber=2 "$sign" subjectAltName=DNS:a.example
device nameless maker / "$sign" subjectAltName=critical,DNS:a.example
device ca maker /CN=sub basicConstraints=critical,CA:TRUE keyUsage=keyCertSign,digitalSignature
device stranger other /serialNumber=1/O=jpx "$sign"
device agrees maker /serialNumber=3 keyUsage=keyAgreement

p7() { # NAME PEM...
	local name=$1 args=()
	shift
	for f in "$@"; do args+=(-certfile "$tmp/$f.pem"); done
	openssl crl2pkcs7 -nocrl "${args[@]}" -outform DER -out "corpus-certs/$name"
}
p7 p7-one maker
p7 p7-two maker one
p7 p7-four maker one named other
p7 p7-five maker one named other ca
cp "$tmp/one.der" corpus-certs/single
cp "$tmp/nameless.der" corpus-certs/single-nameless
(cat "$tmp/one.der" "$tmp/maker.pem") >corpus-certs/single-trailing
openssl cms -sign -signer "$tmp/one.pem" -inkey "$tmp/one.key" -outform DER -out corpus-certs/signed </dev/null 2>/dev/null
hex 3023 06092a864886f70d010702 a016 3014 020101 3100 300b 06092a864886f70d010701 3100 >corpus-certs/p7-none
hex 300f 06092a864886f70d010702 a002 3000 >corpus-certs/p7-hollow
hex 300b 06092a864886f70d010702 >corpus-certs/p7-bare
hex 300f 06092a864886f70d010701 a002 0400 >corpus-certs/p7-data
flip corpus-certs/p7-one 8 >corpus-certs/p7-flipped

# ---- multipart: a format and a byte string by turns ----

key_of() { openssl pkcs8 -topk8 -nocrypt -in "$1" -outform DER; }
part() { # FORMAT FILE
	python3 -c 'import sys, struct; b = open(sys.argv[2], "rb").read()
sys.stdout.buffer.write(b"\x19" + struct.pack(">H", int(sys.argv[1])) + b"\x59" + struct.pack(">H", len(b)) + b)' "$@"
}
key_of "$tmp/one.key" >"$tmp/one.p8"
(hex 84; part 284 "$tmp/one.p8"; part 287 "$tmp/one.der") >corpus-multipart/key-cert
(hex 84; part 287 "$tmp/one.der"; part 284 "$tmp/one.p8") >corpus-multipart/cert-key
hex 84 19011c 48 0123456789abcdef 190119 48 fedcba9876543210 >corpus-multipart/small
hex 80 >corpus-multipart/none
hex 82 00 40 >corpus-multipart/empty-part
hex 90 0041aa 0041aa 0041aa 0041aa 0041aa 0041aa 0041aa 0041aa >corpus-multipart/eight
hex 92 0041aa 0041aa 0041aa 0041aa 0041aa 0041aa 0041aa 0041aa 0041aa >corpus-multipart/nine
hex 82 1b0000000000000001 5b0000000000000001 aa >corpus-multipart/long-heads
hex 82 00 5bffffffffffffffff aa >corpus-multipart/huge-part
hex 9bfffffffffffffffe 00 40 >corpus-multipart/huge-array
hex 9f 00 40 ff >corpus-multipart/indefinite
hex 82 00 5f 41aa ff >corpus-multipart/chunks
hex 82 c0 00 40 >corpus-multipart/tag
hex 83 00 40 00 >corpus-multipart/odd
hex 82 1a00010000 40 >corpus-multipart/large-format

# ---- files of PEM ----

cp "$tmp/one.key" corpus-pemfile/key
cp "$tmp/maker.pem" corpus-pemfile/cert
cat "$tmp/one.key" "$tmp/one.pem" "$tmp/maker.pem" >corpus-pemfile/identity
cat "$tmp"/{one,maker,other,named}.pem >corpus-pemfile/four
cat "$tmp"/{one,maker,other,named,ca}.pem >corpus-pemfile/five
openssl ec -in "$tmp/one.key" -out corpus-pemfile/key-sec1 2>/dev/null
openssl ec -in "$tmp/one.key" -out corpus-pemfile/key-sec1-secret -aes128 -passout pass:x 2>/dev/null
openssl pkcs8 -topk8 -in "$tmp/one.key" -passout pass:x -out corpus-pemfile/key-secret
openssl ec -in "$tmp/one.key" -param_enc explicit -out corpus-pemfile/key-explicit 2>/dev/null
openssl genpkey -algorithm ed25519 -out corpus-pemfile/key-ed25519
openssl genpkey -algorithm x25519 -out corpus-pemfile/key-x25519
openssl genrsa -traditional -out corpus-pemfile/key-rsa 1024 2>/dev/null
openssl ecparam -name prime256v1 -out corpus-pemfile/parameters
(head -n 4 "$tmp/maker.pem"; cat "$tmp/one.pem") >corpus-pemfile/cut
(cat "$tmp/one.pem"; printf -- '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n') >corpus-pemfile/broken-second
(printf 'text before\r\n'; sed 's/$/\r/' "$tmp/one.pem") >corpus-pemfile/crlf
sed 's/BEGIN CERTIFICATE/BEGIN TRUSTED CERTIFICATE/; s/END CERTIFICATE/END TRUSTED CERTIFICATE/' "$tmp/one.pem" >corpus-pemfile/trusted

# ---- lists of serial numbers ----

printf '1\n2 # the second\n\n# none\n  13\t\r\n' >corpus-serials/list
printf '1' >corpus-serials/no-end
printf '1\0002\n3\n' >corpus-serials/zero
printf '1\0002' >corpus-serials/zero-at-the-end
printf '\xef\xbb\xbf13\n' >corpus-serials/byte-order-mark
printf '%064d\n' 1 >corpus-serials/longest
printf '%065d\n' 1 >corpus-serials/too-long
printf '#%0300d\n1\n' 1 >corpus-serials/long-comment
printf '%0254d#' 0 >corpus-serials/just-cut
printf '1 2\n' >corpus-serials/two-words
iconv -t UTF-16 <corpus-serials/list >corpus-serials/utf-16
seq 40 -1 1 >corpus-serials/many

# ---- a client's certificate, and its CSR ----

asks() { # NAME DEVICE OPTION...: a request by DEVICE
	local name=$1 device=$2
	shift 2
	openssl req -new -nodes -newkey "${ec[@]}" -keyout "$tmp/new.key" -outform DER -out "$tmp/new.csr" "$@" 2>/dev/null
	cat "$tmp/$device.der" "$tmp/new.csr" >"corpus-policy/$name"
}
asks good one -subj /serialNumber=1/O=jpx
asks nobody one -subj /
asks other one -subj /serialNumber=2/O=jpx
asks denied denied -subj /serialNumber=13
asks stranger stranger -subj /serialNumber=1/O=jpx
asks of-a-ca ca -subj /CN=sub
asks cannot-sign agrees -subj /serialNumber=3
asks named named -subj /serialNumber=2 -addext subjectAltName=DNS:a.example
asks name-left-out named -subj /serialNumber=2
asks another-name named -subj /serialNumber=2 -addext subjectAltName=DNS:b.example
asks more-names named -subj /serialNumber=2 -addext subjectAltName=DNS:a.example,DNS:b.example
asks name-without one -subj /serialNumber=1/O=jpx -addext subjectAltName=DNS:a.example
asks nameless nameless -subj / -addext subjectAltName=DNS:a.example
asks folded one -subj '/serialNumber=1/O=JPX '
cp "$tmp/one.der" corpus-policy/no-csr

# ---- JPY messages with DTLS in them ----

# of a five-element array and of draft-21's, the port's id and the pledge's; then the content, whose head is 59 and its length
five='85 50 fe8000000000000000000000000000ab 191234 0a 03'
two='82 52 01 02 1234 020000fffe0000ab 020000000001'
jpy() { # NAME HEADER CONTENT
	local content=${3// /}
	hex "$2" "59$(printf %04x $((${#content} / 2)))" "$content" >"corpus-trace/$1"
}
mkdir -p corpus-trace
hello='16fefd 0000 000000000000 0020 01 000014 0000 000000 000014 fefd 00000000000000000000000000000000 0000'
alert='15fefd 0000 000000000001 0002 022a'
data='17fefd 0001 000000000005 0008 0102030405060708'
jpy hello "$two" "$hello"
jpy hello-five "$five" "$hello"
jpy fragment "$two" '16fefd 0000 000000000000 0010 0b ffffff 0001 fffffe 000004 01020304'
jpy short-handshake "$two" '16fefd 0000 000000000000 0004 01ffffff'
jpy alert "$two" "$alert"
jpy alert-of-one "$two" '15feff 0000 ffffffffffff 0001 02'
jpy claims-more "$two" '16fefd 0000 000000000000 ffff 01000000'
jpy connection-id "$two" '19fefd 0001 000000000001 0102030405060708090a0b0c'
jpy unified "$two" '2c 0001 0008 0102030405060708'
jpy unified-short "$two" '2c 00'
jpy unified-cid "$two" '3f 0102030405060708'
jpy ten-records "$two" "$alert$alert$alert$alert$alert$alert$alert$alert$alert$alert"
jpy then-junk "$five" "$data 00ff00ff"
hex 83 183c 83 69 1b5b33316d0a22c3a9 19237d 07 82 19011e 55 16fefd 0000 000000000000 0008 0102030405060708 >corpus-trace/escapes
hex 85 60 191234 0a 3bffffffffffffffff 4d "$alert" >corpus-trace/odd-elements
hex 82 58 20 "$(printf '01%.0s' {1..32})" 40 >corpus-trace/long-header
