#!/bin/sh
# A first plan, apply, routes and explain, then a change and its plan. It works in a temporary copy
# and leaves nothing behind. Run `make demo`, or run it directly if `sendroute` is on the PATH.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cp -R "$here/manifests" "$work/manifests"
cd "$work"

# The demo has a store of its own, whatever the environment says.
unset SENDROUTE_KEY SENDROUTE_KEY_FILE
export SENDROUTE_STORE=sqlite:///./sendroute.db SENDROUTE_SECRETS="$here/secrets"

run() {
  printf '\n$ %s\n' "$1"
  eval "$1"
}

run 'sendroute init'
run 'sendroute validate manifests'
run 'sendroute plan manifests'
run 'sendroute apply manifests --auto-approve'
run 'sendroute routes'
run 'sendroute explain news@news.example.com'

# -i.old is what both GNU and BSD sed understand.
run "sed -i.old 's/route: {managed: {}}/route: {profile: ses}/' manifests/acme.yaml"
run 'sendroute plan manifests'
