#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2034,SC2317 # for common.sh; called through check
#
# `jpreg serve' behind the proxy: certificates by EST-coaps in each JPY form and statefully, with
# libcoap's own client as the pledge and the openssl command as the judge; what requests that lie, strangers
# and junk get; and that nothing issued is forgotten.
JPX_LAB=t-est
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=tests/lab/lib/registrar.sh
. "$(dirname "$0")/lib/registrar.sh"
needs openssl coap-client-openssl python3 "$build/tests/est_blocks"
registrar=2001:db8:2::52
anchors=$work/maker.pem
forms="draft-01 draft-02 draft-06 draft-21"
# A pledge is one address here, and each request a flow of a few seconds.
conf="$quiet
flows { per-pledge = 8 idle = 4 rest = 1 }
port pj0 {}
registrar direct { address = \"[$registrar]:5684\" mode = stateful }"
for form in $forms; do
	conf+="
registrar $form { address = \"[$registrar]:7634\" jpy = $form }"
done
declare -A port=()

# ---- keys, certificates, requests ---------------------------------------------------

key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)

authority() { # NAME
	openssl req -x509 "${key[@]}" -days 20 -subj "/CN=$1" -addext keyUsage=keyCertSign \
		-keyout "$work/$1.key" -out "$work/$1.pem" 2>>"$work/req.log"
}

# idevid FILE AUTHORITY SUBJECT [OPTION...]: for ever, as RFC 5280 4.1.2.5 has it, if no option says otherwise
idevid() {
	local file=$1 ca=$2 subject=$3
	shift 3
	openssl req -new "${key[@]}" -subj "$subject" -keyout "$work/$file.key" -out "$work/$file.req" 2>>"$work/req.log" &&
		printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\n' >"$work/ext" &&
		signs "$ca" "$file" "$@"
}

# "openssl ca" alone sets any time.
signs() { # AUTHORITY FILE [OPTION...]
	local ca=$1 file=$2
	shift 2
	mkdir -p "$work/db"
	: >"$work/db/index"
	cat >"$work/ca.conf" <<-END
		[ca]
		default_ca = c
		[c]
		database = $work/db/index
		new_certs_dir = $work/db
		rand_serial = yes
		default_md = sha256
		policy = p
		unique_subject = no
		preserve = yes
		[p]
		organizationName = optional
		commonName = optional
		serialNumber = optional
	END
	[ $# -gt 0 ] || set -- -startdate 20200101000000Z -enddate 99991231235959Z
	openssl ca -batch -notext -config "$work/ca.conf" -cert "$work/$ca.pem" -keyfile "$work/$ca.key" -extfile "$work/ext" \
		-in "$work/$file.req" -out "$work/$file.pem" "$@" 2>>"$work/req.log"
}

csr() { # FILE SUBJECT [OPTION...]: FILE.csr, DER, with a key of its own
	local file=$1 subject=$2
	shift 2
	openssl req -new "${key[@]}" -subj "$subject" -keyout "$work/$file.new" -outform DER -out "$work/$file.csr" \
		"$@" 2>>"$work/req.log"
}

# ---- the pledge -------------------------------------------------------------------------

# ask FILE SERVICE CODE PATH [OPTION...]: is the answer's code CODE ("2.04")?  Who asks is $as; the answer is in FILE.
as=pledge
ask() {
	local file=$1 to=${port[$2]} want=$3 path=$4 got
	shift 4
	rm -f "$work/$file"
	in_ns pledge timeout 30 coap-client-openssl -v 6 -B 20 -c "$work/$as.pem" -j "$work/$as.key" -C "$work/state/ca.pem" \
		-o "$work/$file" "$@" "coaps://[$(pj_address pj0)%pl0]:$to/$path" >"$work/client" 2>&1
	got=$(sed -n 's/^v:1 t:[A-Z]* c:\([2-5]\.[0-9][0-9]\) .*/\1/p' "$work/client" | tail -n 1)
	[ "$got" = "$want" ] && return 0
	echo "# $path by $2: ${got:-nothing}, not $want: $(tail -n 1 "$work/client")"
	return 1
}

enrol() { # FILE SERVICE CODE CSR [OPTION...]
	local file=$1 service=$2 code=$3 request=$4
	shift 4
	ask "$file" "$service" "$code" .well-known/est/sen -m post -t 286 -f "$work/$request.csr" "$@"
}

p7_to_pem() { # DER PEM
	openssl pkcs7 -inform DER -in "$work/$1" -print_certs -out "$work/$2" && has BEGIN "$work/$2"
}

good() { # PEM CSR-NAME: the CA's, of that key
	openssl verify -CAfile "$work/state/ca.pem" "$work/$1" >>"$work/verify.log" 2>&1 &&
		[ "$(openssl x509 -in "$work/$1" -noout -pubkey)" = "$(openssl pkey -in "$work/$2.new" -pubout)" ]
}

enrols() { # SERVICE
	csr "csr-$1" "$me" && enrol "$1.p7" "$1" 2.04 "csr-$1" && p7_to_pem "$1.p7" "$1.pem" && good "$1.pem" "csr-$1"
}

# ---- the Registrar --------------------------------------------------------------------------

counter() { # NAME
	local lines
	lines=$(grep -c '^{' "$work/jpreg.log")
	kill -USR1 "$jpreg_pid"
	wait_for more_lines "$lines" || return 1
	grep '^{' "$work/jpreg.log" | tail -n 1 | jq ".$1"
}

more_lines() { [ "$(grep -c '^{' "$work/jpreg.log")" -gt "$1" ]; }

proxy_up() {
	local name
	jpd_start "$conf" && wait_for all_serving || return 1
	for name in direct $forms; do
		port[$name]=$(status ".services[] | select(.name == \"$name\") | .join_port")
		[ "${port[$name]}" -gt 0 ] || return 1
	done
}

by_xdp() {
	local fast sockets
	fast=$(stats .fast_path.packets) sockets=$(stats .socket.packets)
	[ "$fast" -ge 30 ] && [ $((3 * sockets)) -lt "$fast" ] && return 0
	echo "# $fast datagrams by XDP, $sockets by sockets"
	return 1
}

# ---- what the functions answer -----------------------------------------------------------------

cacerts() { # FILE FORMAT
	case $2 in
	281) p7_to_pem "$1" "$1.pem" ;;
	287) openssl x509 -inform DER -in "$work/$1" -out "$work/$1.pem" ;;
	62) # one part of format 287, in CBOR's own words
		[ "$(head -c 4 "$work/$1" | xxd -p)" = 8219011f ] &&
			tail -c +8 "$work/$1" | openssl x509 -inform DER -out "$work/$1.pem" ;;
	esac && [ "$(openssl x509 -in "$work/$1.pem" -noout -fingerprint)" = \
		"$(openssl x509 -in "$work/state/ca.pem" -noout -fingerprint)" ]
}

gets_cacerts() { # FORMAT
	ask "crts.$1" draft-02 2.05 est/crts -A "$1" && cacerts "crts.$1" "$1"
}

core_has() {
	ask core draft-02 2.05 '.well-known/core?rt=ace.est*' &&
		has '</est>;rt="ace.est"' "$work/core" && has '</est/sen>;ct="281 287";rt="ace.est.sen"' "$work/core"
}

# Of all sizes of blocks, in both ways; the answer is the same certificate: it is the same request.
same_in_blocks() {
	local size
	csr blocks "$me" && enrol blocks.der draft-21 2.04 blocks -A 287 || return 1
	for size in 16 32 64 128 256 512 1024; do
		enrol "blocks.$size" draft-21 2.04 blocks -A 287 -b "$size" && cmp "$work/blocks.der" "$work/blocks.$size" || return 1
	done
	[ "$(issued "[.issued[] | select(.subject == \"$(name_of blocks.der)\")] | length")" -gt 0 ]
}

name_of() {
	openssl x509 -inform DER -in "$work/$1" -noout -subject -nameopt rfc2253 | sed 's/^subject=//'
}

# Takes a multipart body apart: FILE.FORMAT each; prints the formats.
parts() { # FILE
	python3 - "$1" <<'END'
import sys
body = open(sys.argv[1], "rb").read()
assert body[0] == 0x84
at, parts = 1, []
for _ in range(2):
    assert body[at] == 0x19
    form, at = int.from_bytes(body[at + 1:at + 3], "big"), at + 3
    size = {0x58: 1, 0x59: 2}[body[at]]
    n, at = int.from_bytes(body[at + 1:at + 1 + size], "big"), at + 1 + size
    open(f"{sys.argv[1]}.{form}", "wb").write(body[at:at + n])
    at += n
    parts.append(form)
assert at == len(body)
print(*parts)
END
}

server_key() {
	csr skg "$me" && ask skg draft-06 2.04 est/skg -m post -t 286 -f "$work/skg.csr" && [ "$(parts "$work/skg")" = "284 281" ] &&
		openssl pkey -inform DER -in "$work/skg.284" -pubout -out "$work/skg.pub" && p7_to_pem skg.281 skg.pem &&
		[ "$(openssl x509 -in "$work/skg.pem" -noout -pubkey)" = "$(cat "$work/skg.pub")" ] &&
		openssl verify -CAfile "$work/state/ca.pem" "$work/skg.pem" >>"$work/verify.log"
}

# For the key of the pledge's certificate, signed by the Registrar; openssl opens it.
enveloped_key() {
	"$build/tests/est_blocks" enveloped "$work/pledge.pem" "$work/env.csr" &&
		ask env draft-06 2.04 est/skc -m post -t 286 -f "$work/env.csr" && [ "$(parts "$work/env")" = "280 287" ] &&
		openssl cms -decrypt -inform DER -in "$work/env.280" -recip "$work/pledge.pem" -inkey "$work/pledge.key" -outform DER \
			-out "$work/env.signed" 2>>"$work/cms.log" &&
		openssl cms -verify -inform DER -in "$work/env.signed" -CAfile "$work/state/ca.pem" -purpose any -out "$work/env.key" 2>>"$work/cms.log" &&
		[ "$(openssl pkey -inform DER -in "$work/env.key" -pubout)" = "$(openssl x509 -inform DER -in "$work/env.287" -noout -pubkey)" ]
}

no_such_envelope() { # HOW LOGGED
	"$build/tests/est_blocks" "$1" "$work/pledge.pem" "$work/env.csr" &&
		ask env draft-06 4.00 est/skg -m post -t 286 -f "$work/env.csr" && logged "$2"
}

renews() {
	cp "$work/direct.pem" "$work/ldevid.pem" && cp "$work/csr-direct.new" "$work/ldevid.key" && csr again "$me" || return 1
	as=ldevid ask again.p7 draft-21 2.04 est/sren -m post -t 286 -f "$work/again.csr" && p7_to_pem again.p7 again.pem && good again.pem again
}

# ---- who and what is refused ----------------------------------------------------------------------

refused() { # CODE CSR LOGGED
	enrol refused draft-06 "$1" "$2" && logged "$3"
}

spoiled() { # a bit of the signature is another
	csr spoiled "$me" && python3 - "$work/spoiled.csr" <<'END'
import sys
b = bytearray(open(sys.argv[1], "rb").read())
b[-1] ^= 1
open(sys.argv[1], "wb").write(b)
END
}

no_session() { # AS
	as=$1
	! ask nothing draft-02 2.05 est/crts >/dev/null
}

stranger() { # AS LOGGED
	(no_session "$1") && logged "refused the pledge .*: its certificate: $2"
}

# 100000 pledges' ClientHellos, without a cookie and with one that we never gave; some are answered, with a
# HelloVerifyRequest each and no more.
flood() {
	in_ns proxy python3 - "$registrar" <<'END'
import os, socket, sys

def hello(cookie):
    body = b"\xfe\xfd" + os.urandom(32) + b"\0" + bytes([len(cookie)]) + cookie + bytes.fromhex("0002c0ae" "0100" "0000")
    size = len(body).to_bytes(3, "big")
    message = b"\x01" + size + b"\0\0" + b"\0\0\0" + size + body
    return b"\x16\xfe\xfd" + bytes(8) + len(message).to_bytes(2, "big") + message

answered = wrong = 0
hellos = hello(b""), hello(os.urandom(32))
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.connect((sys.argv[1], 7634))
for i in range(100000):
    inside = hellos[i % 2]
    s.send(b"\x82\x48" + i.to_bytes(8, "big") + b"\x58" + bytes([len(inside)]) + inside)
    try:
        while i % 64 == 0:
            answer = s.recv(2048, socket.MSG_DONTWAIT)
            answered += 1
            # Behind the JPY header and the string's: a handshake record with type 3.
            wrong += answer[12] != 0x16 or answer[12 + 13] != 3
    except BlockingIOError:
        pass
print(f"# {answered} answers, {wrong} of them no cookie")
sys.exit(not answered or wrong)
END
}

# half_open N: so many pledges that return the cookie, and then say nothing more.
half_open() {
	in_ns proxy python3 - "$registrar" "$1" <<'END'
import os, socket, sys

def u(n, size):
    return n.to_bytes(size, "big")

# P-256, uncompressed points, ECDSA with SHA-256.
extensions = bytes.fromhex("000a00040002" "0017" "000b00020100" "000d00040002" "0403")

def hello(random, cookie, seq):
    body = b"\xfe\xfd" + random + b"\0" + bytes([len(cookie)]) + cookie + bytes.fromhex("0002c0ae" "0100") + u(len(extensions), 2) + extensions
    size = u(len(body), 3)
    message = b"\x01" + size + u(seq, 2) + b"\0\0\0" + size + body
    return b"\x16\xfe\xfd\0\0" + u(seq, 6) + u(len(message), 2) + message

def jpy(header, inside):
    return b"\x82\x48" + header + b"\x58" + bytes([len(inside)]) + inside

s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.connect((sys.argv[1], 7634))
s.settimeout(5)
begun = 0
for i in range(int(sys.argv[2])):
    header, random = os.urandom(8), os.urandom(32)
    s.send(jpy(header, hello(random, b"", 0)))
    while True:
        answer = s.recv(2048)
        if answer[2:10] == header and answer[12 + 13] == 3:
            break
    cookie = answer[12 + 25 + 3:]
    s.send(jpy(header, hello(random, cookie, 1)))
    answer = s.recv(2048)
    # A ServerHello: the first of our flight.
    begun += answer[2:10] == header and answer[10] == 0x59 and answer[13] == 0x16
print(f"# {begun} handshakes begun")
sys.exit(begun != int(sys.argv[2]))
END
}

# More than there are places: newcomers take those of others who did not go on, and never of who did.
crowded() {
	stop "$jpreg_pid"
	serve --max-pledges 16 && half_open 100 && [ "$(counter pledges)" -le 16 ] && [ "$(counter pledges_evicted)" -ge 84 ] &&
		enrols draft-21 || return 1
	(sleep 0.2; half_open 200) >"$work/half_open" 2>&1 &
	local crowd=$!
	bad_blocks >"$work/blocks" 2>&1 && wait $crowd && ! has '^not ok' "$work/blocks" && return 0
	cat "$work/blocks" "$work/half_open" | sed 's/^/# /'
	return 1
}

# They are forgotten.
vanished() {
	stop "$jpreg_pid"
	serve --idle 2 && half_open 50 && [ "$(counter pledges)" = 50 ] && wait_for none_left
}

none_left() { [ "$(counter pledges)" = 0 ]; }

rss_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$jpreg_pid/status"; }

stays_small() {
	local before after
	before=$(rss_kb)
	flood || return 1
	after=$(rss_kb)
	echo "# resident: $before kB before, $after kB after"
	[ $((after - before)) -lt 1024 ] && [ "$(counter pledges)" = 0 ]
}

junk() {
	in_ns proxy python3 - "$registrar" <<'END'
import os, random, socket, sys
random.seed(7)
for port in (7634, 5684):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.connect((sys.argv[1], port))
    for i in range(3000):
        n = random.randrange(0, 300)
        body = os.urandom(n)
        if i % 3 == 0:
            body = b"\x16\xfe\xfd\0\0" + body[:8] + b"\x01" + body
        if port == 7634 and i % 2:
            body = b"\x82\x48" + os.urandom(8) + b"\x59" + len(body).to_bytes(2, "big") + body
        try:
            s.send(body)
        except ConnectionRefusedError:
            sys.exit(1)
END
}

# ---- the record ------------------------------------------------------------------------------------------

killed() {
	before=$(issued '.issued | length') fingerprint=$(openssl x509 -in "$work/state/ca.pem" -noout -fingerprint)
	kill -KILL "$jpreg_pid"
	wait "$jpreg_pid" 2>/dev/null
	[ "$before" -gt 5 ] && serve && [ "$(issued '.issued | length')" = "$before" ] &&
		[ "$(openssl x509 -in "$work/state/ca.pem" -noout -fingerprint)" = "$fingerprint" ]
}

same_after() { # the pledge did not hear the answer, and asks again
	enrol after.der draft-21 2.04 blocks -A 287 && cmp "$work/blocks.der" "$work/after.der" &&
		[ "$(issued '.issued | length')" = "$before" ]
}

# Its state is on a file system of its own, which is full.
disk_full() {
	stop "$jpreg_pid"
	mkdir "$work/small" && mount -t tmpfs -o size=512k tmpfs "$work/small" && cp -a "$work/state/." "$work/small/" &&
		mount --move "$work/small" "$work/state" && serve || return 1
	dd if=/dev/zero of="$work/state/fill" bs=4k 2>/dev/null
	csr full "$me"
	enrol full draft-21 5.03 full && has 'Max-Age:60' "$work/client" && logged 'cannot be recorded' &&
		before=$(issued '.issued | length') && rm "$work/state/fill" && enrol full.p7 draft-21 2.04 full &&
		[ "$(issued '.issued | length')" = $((before + 1)) ]
}

restore() {
	umount -l "$work/state"
}
trap 'umount -l "$work/state" 2>/dev/null; cleanup' EXIT

# Who was revoked comes in no more; others are told by a list that openssl reads.
revokes() {
	local serial
	serial=$(openssl x509 -in "$work/again.pem" -noout -serial | sed 's/^serial=//')
	as=again_ ask crts.again direct 2.05 est/crts || return 1
	"$build/jpreg" revoke --state-dir "$work/state" "$serial" && (no_session again_) && logged 'certificate revoked' &&
		[ "$(issued "[.issued[] | select(.revoked != \"\")] | length")" = 1 ] &&
		"$build/jpreg" crl --state-dir "$work/state" >"$work/crl.pem" &&
		openssl crl -in "$work/crl.pem" -CAfile "$work/state/ca.pem" -noout -text >"$work/crl" 2>&1 && has 'verify OK' "$work/crl" &&
		has "Serial Number: $serial" "$work/crl" &&
		! openssl verify -crl_check -CAfile "$work/state/ca.pem" -CRLfile "$work/crl.pem" "$work/again.pem" >"$work/verify.crl" 2>&1 &&
		has 'certificate revoked' "$work/verify.crl" &&
		openssl verify -crl_check -CAfile "$work/state/ca.pem" -CRLfile "$work/crl.pem" "$work/blocks.pem" >>"$work/verify.log"
}

revokes_nothing() {
	! "$build/jpreg" revoke --state-dir "$work/state" 4711 2>"$work/said" && has 'no certificate with serial number 4711' "$work/said" &&
		! "$build/jpreg" revoke --state-dir "$work/state" xyz 2>"$work/said" && has 'is no serial number' "$work/said"
}

# The maker has revoked a device; another list, signed by somebody else, says nothing.
makers_crl() {
	idevid stolen maker /O=Maker/serialNumber=6666 && cp "$work/pledge.pem" "$work/fine.pem" && cp "$work/pledge.key" "$work/fine.key" || return 1
	for ca in maker other; do
		openssl ca -config "$work/ca.conf" -cert "$work/$ca.pem" -keyfile "$work/$ca.key" -gencrl -crldays 20 -out "$work/$ca.none" 2>>"$work/req.log"
	done
	openssl ca -config "$work/ca.conf" -cert "$work/other.pem" -keyfile "$work/other.key" -revoke "$work/fine.pem" 2>>"$work/req.log" &&
		openssl ca -config "$work/ca.conf" -cert "$work/other.pem" -keyfile "$work/other.key" -gencrl -crldays 20 -out "$work/crl.other" 2>>"$work/req.log" &&
		: >"$work/db/index" &&
		openssl ca -config "$work/ca.conf" -cert "$work/maker.pem" -keyfile "$work/maker.key" -revoke "$work/stolen.pem" 2>>"$work/req.log" &&
		openssl ca -config "$work/ca.conf" -cert "$work/maker.pem" -keyfile "$work/maker.key" -gencrl -crldays 20 -out "$work/crl.maker" 2>>"$work/req.log" &&
		cat "$work/crl.other" "$work/crl.maker" >"$work/crls.pem" && stop "$jpreg_pid"
	serve --crl "$work/crls.pem" && stranger stolen 'certificate revoked' && ask crts.fine direct 2.05 est/crts &&
		! "$build/jpreg" serve --anchors "$work/maker.pem" --state-dir "$work/none" --crl "$work/maker.pem" 2>"$work/said" &&
		has 'has no revocation list' "$work/said"
}

# ---- the test ---------------------------------------------------------------------------------------------

me=/O=Maker/serialNumber=4711
authority maker && authority other
check idevid idevid pledge maker $me
lab_up 1
check serves serve
check proxy proxy_up
for service in direct $forms; do check "enrols-$service" enrols "$service"; done
check by-xdp-but-draft-01 by_xdp
for format in 281 287 62; do check "cacerts-$format" gets_cacerts $format; done
check default-is-281 ask crts.none draft-02 2.05 est/crts
check default-is-281-indeed cacerts crts.none 281
check core core_has
check label ask crts.label draft-02 2.05 .well-known/est/any-label/crts
check no-such-function ask none draft-02 4.04 est/nothing
check no-attributes ask none draft-02 4.04 est/att
check blocks same_in_blocks
# Prints a line of its own for each.
bad_blocks() {
	cat "$work/pledge.pem" "$work/pledge.key" >"$work/both.pem"
	chmod 600 "$work/both.pem"
	in_ns pledge timeout 300 "$build/tests/est_blocks" "[$(pj_address pj0)%pl0]:${port[draft-02]}" "$work/both.pem" "$work/blocks.csr"
}
check bad-blocks bad_blocks
check server-key server_key
check enveloped-key enveloped_key
check not-symmetric no_such_envelope symmetric 'by a symmetric key'
check not-for-a-stranger no_such_envelope stranger "for a key that is not its certificate's"
check renews renews

check method ask none draft-02 4.05 est/sen
check other-format ask none draft-02 4.06 est/crts -A 0
csr plain $me
check other-body ask none draft-02 4.15 est/sen -m post -t 0 -f "$work/plain.csr"
spoiled
check bad-signature refused 4.00 spoiled "the CSR's signature is not its key's"
csr somebody /O=Maker/serialNumber=4712
check somebody-else refused 4.03 somebody 'the CSR names somebody else'
csr ca $me -addext basicConstraints=critical,CA:TRUE
check no-ca refused 4.00 ca 'asks for the certificate of a CA'
openssl req -new -newkey rsa:512 -nodes -subj $me -keyout "$work/rsa.new" -outform DER -out "$work/rsa.csr" 2>/dev/null
check rsa-512 refused 4.00 rsa 'RSA key has 512 bits'
head -c 8192 /dev/urandom >"$work/large.csr"
check too-large enrol refused draft-06 4.13 large -b 512
printf x >>"$work/plain.csr"
check trailing refused 4.00 plain 'no PKCS#10'
check renewing-by-idevid ask none draft-02 4.03 est/sren -m post -t 286 -f "$work/blocks.csr"

idevid wrong other $me
check wrong-maker stranger wrong 'unable to get local issuer certificate'
idevid expired maker $me -startdate 20200101000000Z -enddate 20200201000000Z
check expired stranger expired 'certificate has expired'
idevid early maker $me -startdate 20990101000000Z -enddate 99991231235959Z
check not-yet-valid stranger early 'certificate is not yet valid'

check junk junk
check goes-on enrols draft-06
check flood stays_small
check goes-on-after enrols draft-02

cp "$work/again.pem" "$work/again_.pem"
cp "$work/again.new" "$work/again_.key"
openssl x509 -inform DER -in "$work/blocks.der" -out "$work/blocks.pem"
check revokes revokes
check revokes-nothing revokes_nothing

check crowded crowded
check vanished vanished
stop "$jpreg_pid"
serve
check killed killed
check same-after same_after
check disk-full disk_full
restore
check makers-crl makers_crl
check no-drops no_drops
finish
