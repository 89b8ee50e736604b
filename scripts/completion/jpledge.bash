# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Bash completion for jpledge.  Asks nobody and changes nothing.
#
# Names of interfaces may come from anyone: they never go through `compgen -W', which
# would expand them.

_jpledge_offer() # the words on stdin that begin with what was typed
{
	local word
	while read -r word; do
		[[ $word == "$cur"* ]] && COMPREPLY+=("$word")
	done
}

_jpledge_interfaces()
{
	local path
	for path in /sys/class/net/*; do
		[[ -e $path && ${path##*/} =~ ^[A-Za-z0-9._@-]+$ ]] && echo "${path##*/}"
	done
}

_jpledge()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local common='--help --usage --version'

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		_jpledge_offer < <(printf '%s\n' discover enroll reenroll swarm mint "${common// /$'\n'}")
	elif [[ $prev == --way ]]; then
		_jpledge_offer < <(printf '%s\n' coap grasp mdns)
	elif [[ $prev == --identity || $prev == --ca || $prev == --out || $prev == --identities || (${COMP_WORDS[1]} == mint && $cur != -*) ]]; then
		_jpledge_offer < <(compgen -f -- "$cur")
	elif [[ $prev == --seconds || $prev == --proxy || $prev == --count || $prev == --first || $prev == --rate ]]; then
		return 0
	elif [[ $cur == -* ]]; then
		case ${COMP_WORDS[1]} in
		discover) _jpledge_offer < <(printf '%s\n' --seconds --way --json "${common// /$'\n'}") ;;
		enroll) _jpledge_offer < <(printf '%s\n' --proxy --identity --ca --out --server-keygen --attributes --profile --timeout --json "${common// /$'\n'}") ;;
		reenroll) _jpledge_offer < <(printf '%s\n' --proxy --identity --ca --out --attributes --profile --timeout --json "${common// /$'\n'}") ;;
		swarm) _jpledge_offer < <(printf '%s\n' --proxy --identities --ca --count --first --rate --one-address --json "${common// /$'\n'}") ;;
		mint) _jpledge_offer < <(printf '%s\n' --count --first "${common// /$'\n'}") ;;
		esac
	else
		_jpledge_offer < <(_jpledge_interfaces)
	fi
	return 0
}

complete -F _jpledge jpledge
