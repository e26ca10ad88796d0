#compdef minirun
# Completions of minirun for zsh: a file `_minirun` in a directory of $fpath, or `source <(minirun completion zsh)`.
_minirun() {
  local -a plain
  local candidate about files= found=1
  while IFS=$'\t' read -r candidate about; do
    if [[ $candidate == :files ]]; then
      files=1
    else
      plain+=("${candidate//:/\\:}:$about")
    fi
  done < <("${words[1]}" complete-words -- "${(@)words[1,CURRENT]}" 2>/dev/null)
  (( $#plain )) && _describe minirun plain && found=0
  [[ -n $files ]] && _files && found=0
  return found
}
if [[ ${funcstack[1]} == _minirun ]]; then
  _minirun "$@"
else
  compdef _minirun minirun
fi
