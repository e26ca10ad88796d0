# Completions of minirun for bash: `source <(minirun completion bash)`.
_minirun() {
  local line=${COMP_LINE:0:COMP_POINT} words word before candidate about
  IFS=$' \t' read -ra words <<<"$line"
  case $line in *[[:space:]]) words+=('') ;; esac
  word=${words[${#words[@]}-1]}
  # bash replaces only what stands after the last of these characters.
  before=
  case $word in *[:=]*) before=${word%"${word##*[:=]}"} ;; esac
  COMPREPLY=()
  while IFS=$'\t' read -r candidate about; do
    if [ "$candidate" = :files ]; then
      while IFS= read -r candidate; do COMPREPLY+=("$candidate"); done < <(compgen -f -- "$word")
      compopt -o filenames 2>/dev/null
    else
      COMPREPLY+=("${candidate#"$before"}")
    fi
  done < <("${words[0]}" complete-words -- "${words[@]}" 2>/dev/null)
}
complete -F _minirun minirun
