
# Keys are asked from lockd itself, where the line says that it acts; a store is never made for that.
function __lockd_keys
    set -l words (commandline -opc)
    set -l flags
    for i in (seq 2 (count $words))
        switch $words[$i]
            case --server --store --namespace --env-file --config
                set -l next (math $i + 1)
                set flags $flags $words[$i] $words[$next]
            case '--server=*' '--store=*' '--namespace=*' '--env-file=*' '--config=*'
                set flags $flags $words[$i]
        end
    end
    command lockd --quiet --no-create $flags list --names 2>/dev/null
end

# Whether the next word is the first operand of a command that takes a key.
function __lockd_wants_key
    set -l words (commandline -opc)
    set -e words[1]
    set -l command
    set -l value no
    for word in $words
        if test $value = yes
            set value no
            continue
        end
        switch $word
            case --
                return 1
            case @FLAGS@
                set value yes
            case '-*'
            case '*'
                test -n "$command"; and return 1
                set command $word
        end
    end
    test $value = no; and contains -- "$command" @COMMANDS@
end

complete -c lockd -n __lockd_wants_key -f -a '(__lockd_keys)'
complete -c lockd -n '__fish_seen_subcommand_from fence' -l key -r -f -a '(__lockd_keys)'
