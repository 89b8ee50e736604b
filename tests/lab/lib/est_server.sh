# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154 # for the tests; from common.sh
#
# An EST server that is not of jpx (est_server.cgi behind lighttpd), beside the Registrar, at
# https://[::1]:8443/.well-known/est.  Sourced behind common.sh.
est=$work/est-server
est_url="https://[::1]:8443/.well-known/est"
est_key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)

# sign NAME SUBJECT CA EXTENSION...: NAME.key and NAME.pem in $est
est_sign() {
	local name=$1 subject=$2 ca=$3
	shift 3
	openssl req -new "${est_key[@]}" -subj "$subject" -keyout "$est/$name.key" -out "$est/$name.req" 2>>"$est/log" &&
		printf '%s\n' "$@" >"$est/$name.ext" &&
		openssl x509 -req -in "$est/$name.req" -CA "$est/$ca.pem" -CAkey "$est/$ca.key" -days 20 -extfile "$est/$name.ext" \
			-set_serial "0x$(openssl rand -hex 8)" -out "$est/$name.pem" 2>>"$est/log"
}

est_root() { # NAME
	openssl req -x509 "${est_key[@]}" -days 20 -subj "/O=Example/CN=$1" -keyout "$est/$1.key" -out "$est/$1.pem" 2>>"$est/log"
}

# A root, an issuing CA below it, the server's own certificate, and the Registrar's: registrar.pem, with key and chain.
est_server_make() {
	mkdir -p "$est" && : >"$est/log" && : >"$est/issued" && : >"$est/calls" && est_mode plain &&
		cp "$(dirname "${BASH_SOURCE[0]}")/est_server.cgi" "$est/est.cgi" &&
		est_root root && est_root other &&
		est_sign sub '/O=Example/CN=Issuing CA' root basicConstraints=critical,CA:TRUE keyUsage=critical,keyCertSign &&
		est_sign server '/CN=EST server' root 'subjectAltName=IP:::1' &&
		est_sign ra '/O=Example/CN=Registrar' sub keyUsage=critical,digitalSignature \
			extendedKeyUsage=serverAuth,clientAuth,cmcRA &&
		(umask 077 && cat "$est/ra.pem" "$est/sub.pem" "$est/ra.key" >"$work/registrar.pem") &&
		cat "$est/server.key" "$est/server.pem" >"$est/both.pem" &&
		cat >"$est/lighttpd.conf" <<-END
			server.document-root = "$est"
			server.bind = "[::1]"
			server.port = 8443
			server.modules = ("mod_alias", "mod_cgi", "mod_openssl")
			server.errorlog = "$est/lighttpd.log"
			alias.url = ("/.well-known/est" => "$est/est.cgi")
			cgi.assign = (".cgi" => "/bin/sh")
			ssl.engine = "enable"
			ssl.pemfile = "$est/both.pem"
			ssl.ca-file = "$est/root.pem"
			ssl.verifyclient.activate = "enable"
			ssl.verifyclient.enforce = "enable"
			ssl.verifyclient.depth = 3
			ssl.verifyclient.exportcert = "enable"
		END
}

est_mode() { # WORD [ARGUMENT]: how it behaves from now on
	echo "$*" >"$est/mode.new" && mv "$est/mode.new" "$est/mode"
}

est_calls() { # OPERATION: how often it was asked
	grep -c " /$1\$" "$est/calls"
}

est_server_start() { # leaves its id in $est_pid
	PATH=$PATH:/usr/sbin spawn registrar lighttpd lighttpd -D -f "$est/lighttpd.conf"
	est_pid=$spawned
	wait_for est_listens
}

est_listens() { in_ns registrar ss -Htln 'sport = 8443' | grep -q .; }
