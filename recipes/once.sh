#!/usr/bin/env bash
# once.sh FILE COMMAND...: runs a command that makes FILE, unless FILE is there.
[ ! -e "$1" ] || exit 0
shift
exec "$@"
