
# Keys are asked from lockd itself, where the line says that it acts; a store is never made for that.
_lockd_with_keys() {
    _lockd "$@"
    local line=${COMP_LINE:0:COMP_POINT} word words flags=() command='' operands=0 value='' key cut found=() i
    word=${line##*[[:space:]]}
    [[ $word == -* ]] && return
    read -ra words <<<"${line%"$word"}"
    for ((i = 1; i < ${#words[@]}; i++)); do
        value=''
        case ${words[i]} in
            --) return ;;
            --server | --store | --namespace | --env-file | --config)
                value=${words[i]}
                flags+=("${words[i]}" "${words[i + 1]}")
                ((i++))
                ;;
            --server=* | --store=* | --namespace=* | --env-file=* | --config=*) flags+=("${words[i]}") ;;
            @FLAGS@)
                value=${words[i]}
                ((i++))
                ;;
            -*) ;;
            *) if [[ -z $command ]]; then command=${words[i]}; else ((operands++)); fi ;;
        esac
    done
    if ((i > ${#words[@]})); then
        [[ $command == fence && $value == --key ]] || return
    else
        case $command in
            @COMMANDS@) ((operands == 0)) || return ;;
            *) return ;;
        esac
    fi
    # Bash cuts words at : and @ and wants what is behind the cut; what it gives back needs its quotes.
    word=${word//\\/}
    cut=${COMP_WORDS[COMP_CWORD]//\\/}
    [[ $cut == [:=@] ]] && cut=''
    cut=${word%"$cut"}
    while IFS= read -r key; do
        [[ $key == "$word"* ]] && found+=("$(printf %q "${key#"$cut"}")")
    done < <("$1" --quiet --no-create "${flags[@]}" list --names -- "$word" 2>/dev/null)
    ((${#found[@]})) && COMPREPLY=("${found[@]}")
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _lockd_with_keys -o nosort -o bashdefault -o default lockd
else
    complete -F _lockd_with_keys -o bashdefault -o default lockd
fi
