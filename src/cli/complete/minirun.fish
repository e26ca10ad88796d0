# Completions of minirun for fish: `minirun completion fish | source`.
function __minirun_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in (command $words[1] complete-words -- $words 2>/dev/null)
        if string match -q ':files*' -- $line
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c minirun -f -a '(__minirun_complete)'
