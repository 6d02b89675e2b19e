# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_lockd_global_optspecs
    string join \n server= store= namespace= no-create env-file= config= o/output= json q/quiet v/verbose color= s3-endpoint= s3-region= s3-allow-http s3-virtual-hosted s3-sse= s3-kms-key= azure-endpoint= azure-allow-http azure-key-file= azure-sas-file= ca-file= h/help V/version
end

function __fish_lockd_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_lockd_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_lockd_using_subcommand
    set -l cmd (__fish_lockd_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c lockd -n "__fish_lockd_needs_command" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_needs_command" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_needs_command" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_needs_command" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_needs_command" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_needs_command" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_needs_command" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_needs_command" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_needs_command" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_needs_command" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_needs_command" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_needs_command" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_needs_command" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_needs_command" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_needs_command" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_needs_command" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_needs_command" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_needs_command" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_needs_command" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_needs_command" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_needs_command" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_needs_command" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_needs_command" -s V -l version -d 'Print version'
complete -c lockd -n "__fish_lockd_needs_command" -f -a "exec" -d 'Run a command while holding a lease'
complete -c lockd -n "__fish_lockd_needs_command" -f -a "acquire" -d 'Take a lease and print it for the shell'
complete -c lockd -n "__fish_lockd_needs_command" -f -a "keepalive" -d 'Extend the lease in the environment'
complete -c lockd -n "__fish_lockd_needs_command" -f -a "release" -d 'Give the lease in the environment back'
complete -c lockd -n "__fish_lockd_needs_command" -f -a "get" -d 'Print the state of a key'
complete -c lockd -n "__fish_lockd_needs_command" -f -a "update" -d 'Replace the state of a key'
complete -c lockd -n "__fish_lockd_needs_command" -f -a "edit" -d 'Change parts of the state of a key, atomically'
complete -c lockd -n "__fish_lockd_needs_command" -f -a "remove" -d 'Delete the state of a key'
complete -c lockd -n "__fish_lockd_needs_command" -f -a "status" -d 'Who holds a key, and what is known of it'
complete -c lockd -n "__fish_lockd_needs_command" -f -a "list" -d 'List keys: who holds them, and their states'
complete -c lockd -n "__fish_lockd_needs_command" -f -a "watch" -d 'Tell what happens to a key'
complete -c lockd -n "__fish_lockd_needs_command" -f -a "break" -d 'Free a key by force: its holder can write nothing any more'
complete -c lockd -n "__fish_lockd_needs_command" -f -a "fence" -d 'Admit or refuse effects by their fencing tokens: for whoever receives them'
complete -c lockd -n "__fish_lockd_needs_command" -f -a "bench" -d 'Measure how fast a store is'
complete -c lockd -n "__fish_lockd_needs_command" -f -a "serve" -d 'Run a server'
complete -c lockd -n "__fish_lockd_needs_command" -f -a "verify" -d 'Check whether a place can hold locks'
complete -c lockd -n "__fish_lockd_needs_command" -f -a "config" -d 'Write a configuration file, or show the settings that hold'
complete -c lockd -n "__fish_lockd_needs_command" -f -a "completions" -d 'Print a completion script for a shell'
complete -c lockd -n "__fish_lockd_needs_command" -f -a "man" -d 'Print the manual page, or write all pages into a directory'
complete -c lockd -n "__fish_lockd_needs_command" -f -a "help" -d 'Explain a command or a topic'
complete -c lockd -n "__fish_lockd_using_subcommand exec" -s w -l wait -d 'Wait at most so long, 0 is not at all [default: for ever]' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -s E -l conflict-exit-code -d 'Exit with this code instead of 75 when the key stays busy (0 to 255)' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l if-busy -d 'What to do when somebody else holds a key: wait, fail (as --no-wait) or skip (exit 0, nothing ran) [default: wait]' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l once-per -d 'Skip (exit 0, nothing ran) when a run with this option that succeeded began less than 0.9 of DUR ago, by the wall clock. It saves double work and excludes nothing' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l ttl -d 'How long the lease lives without renewal, 2s to 24h [env: LOCKD_TTL] [default: 30s]' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l owner -d 'Who holds the lease, for people: at most 256 bytes [env: LOCKD_OWNER] [default: user@host:pid]' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l reason -d 'What the lease is for, for people: at most 1,024 bytes' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l min-hold -d 'Go on holding until so long after the grant, also when the command is quick; a signal ends that' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l kill-grace -d 'Time between TERM and KILL when the command must end. Where the deadline of the lease is why, TERM comes so long before it and KILL 0.5s before it: 0.5s of the grace are lost then, with a TTL of 2s all of it [default: 5s or a quarter of the TTL, the smaller]' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l max-runtime -d 'End the command after so long, with exit code 124' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l report -d 'Write what came of it as one JSON object: schema, outcome (ran, busy, skipped, interrupted, lost, broken, timeout, unknown, error), exit, child_exit, child_signal, waited_ms, held_ms, token, key. What there was none of is null' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand exec" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand exec" -s n -l no-wait -d 'Do not wait when somebody else holds the key'
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l record-command -d 'Record the whole command line for others to see, not only its first word'
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l state-file -d 'LOCKD_STATE_FILE names a private file with the state, missing when there is none. When the command exits 0, what it left there is the new state: unchanged commits nothing, removed removes, and what is not one JSON value is kept, with exit code 65. Any other exit commits nothing'
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand exec" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand exec" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand exec" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand exec" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -s w -l wait -d 'Wait at most so long, 0 is not at all [default: for ever]' -r
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -s E -l conflict-exit-code -d 'Exit with this code instead of 75 when the key stays busy (0 to 255)' -r
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l if-busy -d 'What to do when somebody else holds the key: wait, fail (as --no-wait) or skip (the script ends with success) [default: wait]' -r
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l ttl -d 'How long the lease lives without renewal, 2s to 24h [env: LOCKD_TTL] [default: 30s]' -r
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l owner -d 'Who holds the lease, for people: at most 256 bytes [env: LOCKD_OWNER] [default: user@host:pid]' -r
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l reason -d 'What the lease is for, for people: at most 1,024 bytes' -r
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l for-pid -d 'The process whose life counts for --keep, where it is not that shell' -r
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -s n -l no-wait -d 'Do not wait when somebody else holds the key'
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l keep -d 'Leave a keeper behind that renews the lease while the shell lives and gives it back when that has ended: the process that runs this command, or the shell that its subshell comes from'
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand acquire" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -l ttl -d 'How long the lease lives from now on; it never becomes shorter [env: LOCKD_TTL] [default: 30s]' -r
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand keepalive" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand release" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand release" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand release" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand release" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand release" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand release" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand release" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand release" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand release" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand release" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand release" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand release" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand release" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand release" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand release" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand release" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand release" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand release" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand release" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand release" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand release" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand release" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand release" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand get" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand get" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand get" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand get" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand get" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand get" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand get" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand get" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand get" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand get" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand get" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand get" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand get" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand get" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand get" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand get" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand get" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand get" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand get" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand get" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand get" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand get" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand get" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand update" -l if-version -d 'Change it only when its version is this one' -r
complete -c lockd -n "__fish_lockd_using_subcommand update" -l if-etag -d 'Change it only when its ETag is this one' -r
complete -c lockd -n "__fish_lockd_using_subcommand update" -s w -l wait -d 'Wait at most so long, 0 is not at all [default: for ever]' -r
complete -c lockd -n "__fish_lockd_using_subcommand update" -s E -l conflict-exit-code -d 'Exit with this code instead of 75 when the key stays busy (0 to 255)' -r
complete -c lockd -n "__fish_lockd_using_subcommand update" -l ttl -d 'How long the lease lives without renewal, 2s to 24h [env: LOCKD_TTL] [default: 30s]' -r
complete -c lockd -n "__fish_lockd_using_subcommand update" -l owner -d 'Who holds the lease, for people: at most 256 bytes [env: LOCKD_OWNER] [default: user@host:pid]' -r
complete -c lockd -n "__fish_lockd_using_subcommand update" -l reason -d 'What the lease is for, for people: at most 1,024 bytes' -r
complete -c lockd -n "__fish_lockd_using_subcommand update" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand update" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand update" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand update" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand update" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand update" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand update" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand update" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand update" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand update" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand update" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand update" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand update" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand update" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand update" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand update" -s n -l no-wait -d 'Do not wait when somebody else holds the key'
complete -c lockd -n "__fish_lockd_using_subcommand update" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand update" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand update" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand update" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand update" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand update" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand update" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand update" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l if-version -d 'Change it only when its version is this one' -r
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l if-etag -d 'Change it only when its ETag is this one' -r
complete -c lockd -n "__fish_lockd_using_subcommand edit" -s w -l wait -d 'Wait at most so long, 0 is not at all [default: for ever]' -r
complete -c lockd -n "__fish_lockd_using_subcommand edit" -s E -l conflict-exit-code -d 'Exit with this code instead of 75 when the key stays busy (0 to 255)' -r
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l ttl -d 'How long the lease lives without renewal, 2s to 24h [env: LOCKD_TTL] [default: 30s]' -r
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l owner -d 'Who holds the lease, for people: at most 256 bytes [env: LOCKD_OWNER] [default: user@host:pid]' -r
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l reason -d 'What the lease is for, for people: at most 1,024 bytes' -r
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand edit" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand edit" -s n -l no-wait -d 'Do not wait when somebody else holds the key'
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand edit" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand edit" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand edit" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand edit" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l if-version -d 'Change it only when its version is this one' -r
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l if-etag -d 'Change it only when its ETag is this one' -r
complete -c lockd -n "__fish_lockd_using_subcommand remove" -s w -l wait -d 'Wait at most so long, 0 is not at all [default: for ever]' -r
complete -c lockd -n "__fish_lockd_using_subcommand remove" -s E -l conflict-exit-code -d 'Exit with this code instead of 75 when the key stays busy (0 to 255)' -r
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l ttl -d 'How long the lease lives without renewal, 2s to 24h [env: LOCKD_TTL] [default: 30s]' -r
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l owner -d 'Who holds the lease, for people: at most 256 bytes [env: LOCKD_OWNER] [default: user@host:pid]' -r
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l reason -d 'What the lease is for, for people: at most 1,024 bytes' -r
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand remove" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand remove" -s n -l no-wait -d 'Do not wait when somebody else holds the key'
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand remove" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand remove" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand remove" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand status" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand status" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand status" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand status" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand status" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand status" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand status" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand status" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand status" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand status" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand status" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand status" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand status" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand status" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand status" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand status" -l check -d 'Print nothing; exit 0 when the key is held, 1 when it is free'
complete -c lockd -n "__fish_lockd_using_subcommand status" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand status" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand status" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand status" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand status" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand status" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand status" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand list" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand list" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand list" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand list" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand list" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand list" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand list" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand list" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand list" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand list" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand list" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand list" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand list" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand list" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand list" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand list" -l held -d 'Only keys that are held'
complete -c lockd -n "__fish_lockd_using_subcommand list" -l waiters -d 'Also tell how many wait for each key; only a server knows'
complete -c lockd -n "__fish_lockd_using_subcommand list" -l names -d 'Print the names alone, one a line'
complete -c lockd -n "__fish_lockd_using_subcommand list" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand list" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand list" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand list" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand list" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand list" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand list" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand watch" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand watch" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand watch" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand watch" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand watch" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand watch" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand watch" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand watch" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand watch" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand watch" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand watch" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand watch" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand watch" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand watch" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand watch" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand watch" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand watch" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand watch" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand watch" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand watch" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand watch" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand watch" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand watch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand break" -l reason -d 'Why, for people: at most 1,024 bytes; it is recorded' -r
complete -c lockd -n "__fish_lockd_using_subcommand break" -l lease-id -d 'Break this lease only; `lockd status` shows its id' -r
complete -c lockd -n "__fish_lockd_using_subcommand break" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand break" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand break" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand break" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand break" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand break" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand break" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand break" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand break" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand break" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand break" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand break" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand break" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand break" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand break" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand break" -l drain -d 'Wait until the old holder\'s command can no longer run'
complete -c lockd -n "__fish_lockd_using_subcommand break" -s y -l yes -d 'Do not ask'
complete -c lockd -n "__fish_lockd_using_subcommand break" -l dry-run -d 'Say what would happen and do nothing'
complete -c lockd -n "__fish_lockd_using_subcommand break" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand break" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand break" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand break" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand break" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand break" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand break" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand break" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -f -a "admit" -d 'Admit an effect, and run it under a lock on the resource'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and not __fish_seen_subcommand_from admit check" -f -a "check" -d 'Tell whether an effect would be admitted'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -l token -d 'The token that came with it' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -l key -d 'Also refuse it when this key has given out a higher token, though no effect with that one has come yet' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -s w -l wait -d 'Wait for it at most so long, 0 is not at all [default: for ever]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -s E -l conflict-exit-code -d 'Exit with this code instead of 75 (0 to 255)' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -s n -l no-wait -d 'Do not wait while another effect on the resource is under way: exit 75'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from admit" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -l token -d 'The token that came with it' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -l key -d 'Also refuse it when this key has given out a higher token, though no effect with that one has come yet' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand fence; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l clients -d 'Clients at the same time; several numbers, each in its turn' -r
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l keys -d 'Keys of the suite `scale`; several numbers, each in its turn' -r
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l states -d 'Sizes of the state in the suite `update`; several, each in its turn' -r
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l replicas -d 'Engines on the store, as many processes would have; clients take turns' -r
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l runs -d 'Runs of each work' -r
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l duration -d 'How long a run is' -r
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l rate -d 'Operations that are due a second, by all clients together [default: as many as they can]' -r
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l baseline -d 'Compare with this file, which an earlier run with --json printed' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l tolerance -d 'How much worse than the baseline operations a second or median latency may be' -r
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l report -d 'Write a page with plots to this file: HTML that needs nothing else' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand bench" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand bench" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand bench" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand bench" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand bench" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l listen -d 'Where to listen: ADDR:PORT or unix:///path; may be repeated [env: LOCKD_LISTEN] [default: 127.0.0.1:9341]' -r
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l max-ttl -d 'The longest TTL that is given; longer ones are cut [env: LOCKD_MAX_TTL] [default: 30m]' -r
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l drain -d 'How long holders may go on when the server is asked to end [env: LOCKD_DRAIN] [default: 30s]' -r
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l log -d 'How to log on standard error: text or json [env: LOCKD_LOG] [default: text]' -r
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand serve" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l insecure -d 'Listen where others than this host can reach it, without any authentication [env: LOCKD_INSECURE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand serve" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand serve" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand serve" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand verify; and not __fish_seen_subcommand_from store" -f -a "store" -d 'Check whether a store can hold locks'
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l soak -d 'Let all processes race for so long at the end [default: 60s with --full, else not at all]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l processes -d 'How many processes race, from 2 to 64' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l quick -d 'Take less than five seconds'
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l full -d 'Take minutes: more rounds, a large object of 100 MiB, and a soak'
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l peer -d 'Meet the same command on another host through the store, and race it'
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l restored -d 'A backup was restored here: when all is well, raise the epoch, so that fencing tokens go on rising'
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l allow-volatile -d 'Accept a directory whose content is gone after a restart (tmpfs) with a warning'
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand verify; and __fish_seen_subcommand_from store" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -f -a "gen" -d 'Print a configuration file with every setting explained'
complete -c lockd -n "__fish_lockd_using_subcommand config; and not __fish_seen_subcommand_from gen show" -f -a "show" -d 'Show the settings that hold'
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from gen" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from gen" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from gen" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from gen" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from gen" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from gen" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from gen" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from gen" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from gen" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from gen" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from gen" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from gen" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from gen" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from gen" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from gen" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from gen" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from gen" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from gen" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from gen" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from gen" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from gen" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from gen" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from gen" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -l origin -d 'Also tell where each value came from'
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand config; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand completions" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand completions" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand completions" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand completions" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand completions" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand completions" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand completions" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand completions" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand completions" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand completions" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand completions" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand completions" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand completions" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand completions" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand completions" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand completions" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand completions" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand completions" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand completions" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand completions" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand completions" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand completions" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand man" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand man" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand man" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand man" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand man" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand man" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand man" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand man" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand man" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand man" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand man" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand man" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand man" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand man" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand man" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand man" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand man" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand man" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand man" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand man" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand man" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand man" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand man" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lockd -n "__fish_lockd_using_subcommand help" -l server -d 'A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn [env: LOCKD_SERVER]' -r
complete -c lockd -n "__fish_lockd_using_subcommand help" -l store -d 'Open this store directly, in this process [env: LOCKD_STORE] [default: see `lockd help stores`]' -r
complete -c lockd -n "__fish_lockd_using_subcommand help" -l namespace -d 'The namespace of the keys [env: LOCKD_NAMESPACE] [default: default]' -r
complete -c lockd -n "__fish_lockd_using_subcommand help" -l env-file -d 'Read settings from this file of NAME=value lines; may be repeated, the last one wins' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand help" -l config -d 'The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]' -r -F
complete -c lockd -n "__fish_lockd_using_subcommand help" -s o -l output -d 'How to print: text, json or yaml' -r
complete -c lockd -n "__fish_lockd_using_subcommand help" -l color -d 'Colour: auto, always or never [env: LOCKD_COLOR] [default: auto]' -r
complete -c lockd -n "__fish_lockd_using_subcommand help" -l s3-endpoint -d 's3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon\'s in the region] [env: LOCKD_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]' -r
complete -c lockd -n "__fish_lockd_using_subcommand help" -l s3-region -d 's3://: the region of the bucket, such as eu-central-1 [env: LOCKD_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]' -r
complete -c lockd -n "__fish_lockd_using_subcommand help" -l s3-sse -d 's3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says] [env: LOCKD_S3_SSE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand help" -l s3-kms-key -d 's3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service\'s own] [env: LOCKD_S3_KMS_KEY]' -r
complete -c lockd -n "__fish_lockd_using_subcommand help" -l azure-endpoint -d 'azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net] [env: LOCKD_AZURE_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_SERVICE_ENDPOINT]' -r
complete -c lockd -n "__fish_lockd_using_subcommand help" -l azure-key-file -d 'azure://: a file with one of the account\'s two keys, such as /etc/lockd/azure.key [default: none] [env: LOCKD_AZURE_KEY_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand help" -l azure-sas-file -d 'azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none] [env: LOCKD_AZURE_SAS_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand help" -l ca-file -d 'Certificates (PEM) to trust beside the system\'s own, such as /etc/ssl/certs/internal.pem [default: none] [env: LOCKD_CA_FILE]' -r
complete -c lockd -n "__fish_lockd_using_subcommand help" -l no-create -d 'Never make a store that is missing [env: LOCKD_NO_CREATE] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand help" -l json -d 'Print JSON: short for --output json'
complete -c lockd -n "__fish_lockd_using_subcommand help" -s q -l quiet -d 'Say nothing but errors'
complete -c lockd -n "__fish_lockd_using_subcommand help" -s v -l verbose -d 'Say more: the store in use, for example'
complete -c lockd -n "__fish_lockd_using_subcommand help" -l s3-allow-http -d 's3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way [env: LOCKD_S3_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand help" -l s3-virtual-hosted -d 's3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path [env: LOCKD_S3_VIRTUAL_HOSTED] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand help" -l azure-allow-http -d 'azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way [env: LOCKD_AZURE_ALLOW_HTTP] [default: false]'
complete -c lockd -n "__fish_lockd_using_subcommand help" -s h -l help -d 'Print help (see more with \'--help\')'

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
            case --server --store --namespace --env-file --config --azure-endpoint --azure-key-file --azure-sas-file --baseline --ca-file --clients --color --conflict-exit-code --drain --duration --for-pid --if-busy --if-etag --if-version --key --keys --kill-grace --lease-id --listen --log --max-runtime --max-ttl --min-hold --once-per --output --owner --processes --rate --reason --replicas --report --runs --s3-endpoint --s3-kms-key --s3-region --s3-sse --soak --states --token --tolerance --ttl --wait -E -o -w
                set value yes
            case '-*'
            case '*'
                test -n "$command"; and return 1
                set command $word
        end
    end
    test $value = no; and contains -- "$command" exec acquire keepalive release get update edit remove status list watch break
end

complete -c lockd -n __lockd_wants_key -f -a '(__lockd_keys)'
complete -c lockd -n '__fish_seen_subcommand_from fence' -l key -r -f -a '(__lockd_keys)'
