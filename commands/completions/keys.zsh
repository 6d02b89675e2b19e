# Keys are asked from lockd itself, where the line says that it acts; a store is never made for that.
(( $+functions[_lockd_keys] )) ||
_lockd_keys() {
    local -a flags keys expl
    local -i i
    # Of the whole line: by now `words` begins at the command.
    for ((i = 2; i <= $#lockd_words; i++)); do
        case $lockd_words[i] in
            (--) break ;;
            (--server|--store|--namespace|--env-file|--config) flags+=($lockd_words[i] ${(Q)lockd_words[i+1]}) ;;
            (--server=*|--store=*|--namespace=*|--env-file=*|--config=*) flags+=(${(Q)lockd_words[i]}) ;;
        esac
    done
    keys=(${(f)"$(command lockd --quiet --no-create $flags list --names -- ${(Q)PREFIX} 2>/dev/null)"})
    _wanted keys expl key compadd -a keys
}

