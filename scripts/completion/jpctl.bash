# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Bash completion for jpctl.  Asks `jpctl --json registrar list' and `status' for
# names and nothing else; never changes anything.
#
# Names of Registrars and interfaces may come from anyone: they never go through
# `compgen -W', which would expand them.

_jpctl_names() # KEY VERB...: the values of KEY in the answer to VERB
{
	local key=$1 i dirs=()
	shift
	for ((i = 1; i < cword - 1; i++)); do
		case ${words[i]} in
		--run-dir | --pin-dir) dirs+=("${words[i]}" "${words[i + 1]}") ;;
		esac
	done
	timeout 2 "${words[0]}" "${dirs[@]}" --json "$@" 2>/dev/null |
		grep -o "\"$key\":\"[A-Za-z0-9._-]*\"" | cut -d'"' -f4 | sort -u
}

_jpctl_interfaces()
{
	local path
	for path in /sys/class/net/*; do
		[[ -e $path && ${path##*/} =~ ^[A-Za-z0-9._@-]+$ ]] && echo "${path##*/}"
	done
}

_jpctl_offer() # the words on stdin that begin with what was typed
{
	local word
	while read -r word; do
		[[ $word == "$cur"* ]] && COMPREPLY+=("$word")
	done
}

_jpctl()
{
	local cur prev cword words i verb='' action=''
	local common='--run-dir --pin-dir --json --help --usage --version'
	local service='--registrar --mode --jpy --join-port --uplink --xdp --content --intercept'
	service+=' --uplink-address --priority --weight --probe'

	COMPREPLY=()
	cword=$COMP_CWORD
	words=("${COMP_WORDS[@]}")
	cur=${words[cword]}
	prev=${words[cword - 1]}

	for ((i = 1; i < cword; i++)); do
		case ${words[i]} in
		--run-dir | --pin-dir | --registrar | --mode | --jpy | --join-port | --uplink | \
			--xdp | --content | --uplink-address | --max-flows | --port | --service | \
			--pledge | --limit | --priority | --weight | --probe) i=$((i + 1)) ;;
		-*) ;;
		*)
			if [[ -z $verb ]]; then
				verb=${words[i]}
			elif [[ -z $action ]]; then
				action=${words[i]}
			fi
			;;
		esac
	done

	case $prev in
	--run-dir | --pin-dir)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	--mode) _jpctl_offer < <(printf '%s\n' stateless stateful) && return ;;
	--jpy) _jpctl_offer < <(printf '%s\n' draft-21 draft-06 draft-02 draft-01) && return ;;
	--xdp) _jpctl_offer < <(printf '%s\n' auto native generic off) && return ;;
	--content) _jpctl_offer < <(printf '%s\n' dtls any) && return ;;
	--probe) _jpctl_offer < <(printf '%s\n' yes no) && return ;;
	--uplink) _jpctl_offer < <(_jpctl_interfaces) && return ;;
	--port) _jpctl_offer < <(_jpctl_names ifname status) && return ;;
	--service) _jpctl_offer < <(_jpctl_names name registrar list) && return ;;
	--registrar | --join-port | --uplink-address | --max-flows | --pledge | --limit | \
		--priority | --weight) return ;;
	esac

	if [[ $cur == -* ]]; then
		case $verb in
		attach) common="$service --max-flows $common" ;;
		registrar) [[ $action == add ]] && common="$service $common" ;;
		stats | status) common="--all $common" ;;
		flows)
			common="--port --service --pledge $common"
			[[ $action == flush ]] || common="--limit --count $common"
			;;
		esac
		_jpctl_offer < <(tr ' ' '\n' <<<"$common")
		return
	fi

	case $verb in
	'') _jpctl_offer < <(printf '%s\n' attach detach registrar status stats flows check) ;;
	attach) [[ -z $action ]] && _jpctl_offer < <(_jpctl_interfaces) ;;
	detach) [[ -z $action ]] && _jpctl_offer < <(_jpctl_names ifname status) ;;
	check) _jpctl_offer < <(_jpctl_interfaces) ;;
	flows) [[ -z $action ]] && _jpctl_offer < <(printf '%s\n' list flush) ;;
	registrar)
		case $action in
		'') _jpctl_offer < <(printf '%s\n' list add del) ;;
		del) _jpctl_offer < <(_jpctl_names name registrar list) ;;
		esac
		;;
	esac
	return 0
}

complete -F _jpctl jpctl
