# Shared by the demos; sourced, not run. $place is where a demo's files lie meanwhile.

title() { printf '\n%s\n' "$1"; }
line() { printf '  %-10s %s\n' "$1" "$2"; }
die() { echo "demo: $*" >&2; exit 1; }

# show COMMAND...: prints it as one would type it, and runs it; its output is indented.
show() {
  typed=
  for word; do
    case $word in *[!A-Za-z0-9_./:=,@%+-]*) word="'$word'" ;; esac
    typed="$typed $word"
  done
  echo "  \$$typed" | sed "s|$PWD/||g"
  "$@" >"$place/output" 2>&1 || { status=$?; cat "$place/output"; return $status; }
  sed 's/^/  /' "$place/output"
}

# free_port FIRST: sets port to the first free port from FIRST on; prints a note for each that is taken.
free_port() {
  port=$1
  while status=0; curl -s -o /dev/null --max-time 2 "http://127.0.0.1:$port/" || status=$?; [ $status != 7 ]; do
    line note "port $port is taken on this machine; trying $((port + 1))"
    port=$((port + 1))
  done
}

# base RECIPE IMAGE INSTRUCTION...: the image from its registry, unless DEMO_BASES=made; else what the recipe makes.
base() {
  recipe=$1 image=$2
  shift 2
  if [ "${DEMO_BASES:-}" != made ] && timeout 300 minirun pull -q "$image" >/dev/null 2>&1; then
    line pulled "$image"
    return
  fi
  import_recipe "$recipe" "$image" "$@"
}

# import_recipe RECIPE IMAGE INSTRUCTION...: makes the archive, unless it lies there ready, and imports it.
import_recipe() {
  recipe=$1 image=$2
  shift 2
  archive=rootfs-fixtures/build/$recipe.tar
  if [ ! -e "$archive" ]; then
    archive=$place/$recipe.tar
    sh "rootfs-fixtures/$recipe" "$archive" >/dev/null
  fi
  line made "by rootfs-fixtures/$recipe"
  line of "$(cat "${archive%.tar}.source")"
  for instruction; do
    set -- "$@" -c "$instruction"
    shift
  done
  show minirun import "$@" "$archive" "$image"
}

# took NAME SINCE: notes how long a part took that began at the time `now` said.
now() { date +%s%3N; }
took() { printf '  %-34s %6.1f s\n' "$1" "$(($(now) - $2))e-3" >>"$place/times"; }
