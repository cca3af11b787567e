import { COMMANDS, PROGRAM } from "./program.js";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** Asks a command for its options, one a line. */
export const COMPLETE_FLAG = "--complete";

/** The completion script of a shell: commands, a command's options, and files. */
export function completionScript(shell: Shell): string {
  return { bash, zsh, fish }[shell]();
}

function bash(): string {
  return `# ${PROGRAM} completion bash > /etc/bash_completion.d/${PROGRAM}, or: eval "$(${PROGRAM} completion bash)"
_fields_pipeline() {
  local current=\${COMP_WORDS[COMP_CWORD]} command=\${COMP_WORDS[1]}
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${Object.keys(COMMANDS).join(" ")} completion --help --version" -- "$current"))
  elif [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$(${PROGRAM} "$command" ${COMPLETE_FLAG} 2> /dev/null)" -- "$current"))
  elif [ "$command" = completion ]; then
    COMPREPLY=($(compgen -W "${SHELLS.join(" ")}" -- "$current"))
  else
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}
complete -o filenames -F _fields_pipeline ${PROGRAM}
`;
}

function zsh(): string {
  const commands = Object.entries(COMMANDS).map(([name, summary]) => `    '${name}:${quoted(summary)}'`);
  return `#compdef ${PROGRAM}
# ${PROGRAM} completion zsh > "\${fpath[1]}/_${PROGRAM}"
_fields_pipeline() {
  local -a found
  found=(
${commands.join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe command found
  elif [[ $words[CURRENT] == -* ]]; then
    found=(\${(f)"$(${PROGRAM} $words[2] ${COMPLETE_FLAG} 2> /dev/null)"})
    compadd -a found
  else
    _files
  fi
}
compdef _fields_pipeline ${PROGRAM}
`;
}

function fish(): string {
  const commands = Object.entries(COMMANDS).map(
    ([name, summary]) => `complete -c ${PROGRAM} -n __fish_use_subcommand -f -a ${name} -d '${quoted(summary)}'`,
  );
  const options = `${PROGRAM} (commandline -opc)[2] ${COMPLETE_FLAG} 2> /dev/null`;
  return `# ${PROGRAM} completion fish > ~/.config/fish/completions/${PROGRAM}.fish
${commands.join("\n")}
complete -c ${PROGRAM} -n 'not __fish_use_subcommand; and string match -q -- "-*" (commandline -ct)' -a '(${options})'
`;
}

/** Inside single quotes, which these three shells end alike. */
function quoted(text: string): string {
  return text.replaceAll("'", "'\\''");
}
