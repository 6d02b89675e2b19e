# Keys are asked from lockd itself, where the line says that it acts; a store is never made for that.
(( $+functions[_lockd_keys] )) ||
_lockd_keys() {
    local -a flags keys expl
    local -i i
    for ((i = 2; i < CURRENT; i++)); do
        case $words[i] in
            (--server|--store|--namespace|--env-file|--config) flags+=($words[i] ${(Q)words[i+1]}) ;;
            (--server=*|--store=*|--namespace=*|--env-file=*|--config=*) flags+=(${(Q)words[i]}) ;;
        esac
    done
    keys=(${(f)"$(command lockd --quiet --no-create $flags list --names -- ${(Q)PREFIX} 2>/dev/null)"})
    _wanted keys expl key compadd -a keys
}

