#!/bin/sh
# Fails where src/gen is not what buf makes of proto/ now.
set -eu
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
buf generate --output "$fresh"
if ! diff -r "$fresh/src/gen" src/gen; then
  echo 'src/gen is not current: run "npm run generate" and commit the result' >&2
  exit 1
fi
