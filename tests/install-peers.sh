#!/usr/bin/env bash
# Install the tools of tests/peers.tsv (Debian and Ubuntu, as root). Quiet where all goes well.
set -euo pipefail
cd "$(dirname "$0")"

missing=()
while IFS=$'\t' read -r tool package _; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "$tool" >/dev/null || missing+=("$package")
done < <(grep -v '^#' peers.tsv)
[ ${#missing[@]} -gt 0 ] || exit 0

mapfile -t packages < <(printf '%s\n' "${missing[@]}" | sort -u)
echo "installing: ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get -qq update && apt-get -qq --yes --no-install-recommends install "${packages[@]}"; } >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    exit 1
fi
