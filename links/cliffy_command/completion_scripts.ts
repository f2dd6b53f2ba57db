import type { Command } from "./command.ts";
import type { Option } from "./types.ts";

/** A command with the words that lead to it, the main command left out. */
interface Place {
  words: string[];
  commands: Command[];
  options: Option[];
}

const HELP: Option = {
  flags: ["-h", "--help"],
  description: "Show this help.",
};

function places(command: Command, words: string[] = []): Place[] {
  const commands = command.getCommands();
  const below = commands.flatMap((child) => places(child, [...words, child.getName()]));
  return [
    { words, commands, options: [HELP, ...command.getOptions()] },
    ...below,
  ];
}

function candidates({ commands, options }: Place): string {
  return [
    ...commands.map((child) => child.getName()),
    ...options.flatMap(({ flags }) => flags),
  ]
    .join(" ");
}

function functionName(main: Command): string {
  return `_${main.getName().replace(/\W/g, "_")}`;
}

/**
 * Shell lines shared by bash and zsh: find the command from the words before the cursor, then
 * offer what it accepts. `at` is the place, its words joined by slashes.
 */
function walk(
  main: Command,
  before: string,
  offer: (words: string) => string,
): string {
  const all = places(main);
  const known = all.slice(1).map(({ words }) => `"/${words.join("/")}"`).join(
    "|",
  );
  const move = known ? `\n    case "$at/$word" in ${known}) at="$at/$word" ;; esac` : "\n    :";
  const offers = all.map((place) => {
    const at = place.words.map((word) => `/${word}`).join("");
    return `    "${at}") ${offer(candidates(place))} ;;`;
  });
  return `  local at="" word
  for word in ${before}; do${move}
  done
  case "$at" in
${offers.join("\n")}
  esac`;
}

/** Completion script for bash; where nothing matches, bash completes file names. */
export function bash(main: Command): string {
  const offer = (words: string) =>
    `COMPREPLY=($(compgen -W "${words}" -- "\${COMP_WORDS[COMP_CWORD]}"))`;
  return `${functionName(main)}() {
${walk(main, '"${COMP_WORDS[@]:1:COMP_CWORD-1}"', offer)}
}
complete -o default -F ${functionName(main)} ${main.getName()}`;
}

/** Completion script for zsh; where nothing matches, zsh completes file names. */
export function zsh(main: Command): string {
  return `#compdef ${main.getName()}
${functionName(main)}() {
${walk(main, '"${(@)words[2,CURRENT-1]}"', (words) => `compadd -- ${words} || _files`)}
}
compdef ${functionName(main)} ${main.getName()}`;
}

/** Completion script for fish: one line for every command and option. */
export function fish(main: Command): string {
  const lines = places(main).flatMap(({ words, commands, options }) => {
    const names = commands.map((child) => child.getName());
    const conditions = [
      ...words.map((word) => `__fish_seen_subcommand_from ${word}`),
      ...(names.length ? [`not __fish_seen_subcommand_from ${names.join(" ")}`] : []),
    ];
    const when = conditions.length ? ` -n ${quote(conditions.join("; and "))}` : "";
    const start = `complete -c ${main.getName()}${when}`;
    return [
      ...commands.map((child) =>
        `${start} -f -a ${child.getName()} -d ${quote(child.getShortDescription())}`
      ),
      ...options.map(({ flags, description }) => {
        const spellings = flags.map((flag) =>
          flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`
        );
        return `${start} ${spellings.join(" ")} -d ${quote(description)}`;
      }),
    ];
  });
  return lines.join("\n");
}

function quote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
