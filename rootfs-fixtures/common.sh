# Shared by the recipes; sourced, not run. Plain sh, GNU tar; neither root nor a running minirun.

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
out=${1:?usage: $0 OUT.tar}
umask 022
export LC_ALL=C
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

die() { echo "${0##*/}: $*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# fetch URL FILE: quietly, giving up soon where there is no internet.
fetch() {
  if have curl; then curl -fsSL --connect-timeout 4 --max-time 120 -o "$2" "$1" 2>/dev/null
  elif have wget; then wget -q -T 4 -t 1 -O "$2" "$1" 2>/dev/null
  else return 1; fi
}

# unpack_debs DIRECTORY PATTERN PACKAGE...: lays Debian packages there, and those that they need and whose names match,
# without installing any: no server is to start on this host. A fresh machine has no lists; root may get them.
unpack_debs() {
  have apt-get && have dpkg-deb || return 1
  into=$1
  shift
  download_debs "$@" || { [ "$(id -u)" = 0 ] && apt-get update -qq >/dev/null 2>&1 && download_debs "$@"; } || return 1
  for deb in "$work/debs"/*.deb; do dpkg-deb -x "$deb" "$into" || return 1; done
}

download_debs() {
  pattern=$1
  shift
  packages=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
    --no-enhances "$@" 2>/dev/null | grep -E "^($pattern)" | sort -u)
  rm -rf "$work/debs"
  mkdir "$work/debs"
  # Names of packages are words without blanks.
  # shellcheck disable=SC2086
  [ -n "$packages" ] && (cd "$work/debs" && apt-get download -qq $packages >/dev/null 2>&1)
}

# pack DIRECTORY [UID:GID PATH]...: the tar $out. Owners are root but where named, times and order are fixed, so the same
# files always give the same bytes.
pack() {
  stage=$1; shift
  flags="--format=gnu --no-recursion --numeric-owner --mtime=@1704067200"
  : >"$work/others"
  for argument; do case $argument in .*) echo "$argument" >>"$work/others";; esac; done
  (cd "$stage" && find . -mindepth 1) | sort >"$work/names"
  grep -vxF -f "$work/others" "$work/names" >"$work/roots" || true
  # The flags are words without blanks.
  # shellcheck disable=SC2086
  tar $flags --owner=0 --group=0 -C "$stage" -T "$work/roots" -cf "$work/out.tar"
  while [ $# -gt 1 ]; do
    # shellcheck disable=SC2086
    tar $flags --owner="${1%:*}" --group="${1#*:}" -C "$stage" -rf "$work/out.tar" "$2"
    shift 2
  done
}

# publish SOURCE: puts $work/out.tar in its place whole or not at all, and says what it was made of.
publish() {
  mkdir -p "$(dirname -- "$out")"
  cp "$work/out.tar" "$out.$$"
  echo "$1" >"${out%.tar}.source"
  mv "$out.$$" "$out"
  echo "$1"
}
