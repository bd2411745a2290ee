#!/bin/sh
# Decrypts encrypted/NAMESPACE/NAME/KEY.sops into secrets/NAMESPACE/NAME/KEY, readable only by you.
set -eu
umask 077
find encrypted -name '*.sops' | sort | while read -r file; do
  target=secrets/${file#encrypted/}
  target=${target%.sops}
  mkdir -p "$(dirname "$target")"
  sops decrypt --input-type binary --output-type binary "$file" >"$target"
done
