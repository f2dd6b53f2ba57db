/**
 * The `completions` command: `source <(program completions bash)` makes the shell complete the
 * names of commands and options.
 *
 * @module
 */
import type { Command as Program, Option } from "npm:commander@15.1.0";
import { Command } from "./mod.ts";

/** Prints completion scripts for bash, fish and zsh. */
export class CompletionsCommand extends Command {
  /** Makes the command; it completes the program it is added to. */
  constructor() {
    super();
    this.description("Generate shell completions.");
    for (const [shell, script] of Object.entries({ bash, fish, zsh })) {
      const command = new Command()
        .description(`Generate shell completions for ${shell}.`)
        .action(() => console.log(script(this.program.parent!)));
      this.command(shell, command);
    }
  }
}

/** A command with the words that lead to it, the main command left out. */
interface Place {
  words: string[];
  commands: readonly Program[];
  options: Option[];
}

function places(program: Program, words: string[] = []): Place[] {
  const { commands } = program;
  const options = program.createHelp().visibleOptions(program);
  const below = commands.flatMap((child) => places(child, [...words, child.name()]));
  return [{ words, commands, options }, ...below];
}

function candidates({ commands, options }: Place): string {
  const flags = options.flatMap(({ short, long }) => [short, long]).filter(Boolean);
  return [...commands.map((child) => child.name()), ...flags].join(" ");
}

function functionName(main: Program): string {
  return `_${main.name().replace(/\W/g, "_")}`;
}

/**
 * Shell lines shared by bash and zsh: find the command from the words before the cursor, then
 * offer what it accepts. `at` is the place, its words joined by slashes.
 */
function walk(main: Program, before: string, offer: (words: string) => string): string {
  const all = places(main);
  const known = all.slice(1).map(({ words }) => `"/${words.join("/")}"`).join("|");
  const offers = all.map((place) => {
    const at = place.words.map((word) => `/${word}`).join("");
    return `    "${at}") ${offer(candidates(place))} ;;`;
  });
  return `  local at="" word
  for word in ${before}; do
    case "$at/$word" in ${known}) at="$at/$word" ;; esac
  done
  case "$at" in
${offers.join("\n")}
  esac`;
}

/** Completion script for bash; where nothing matches, bash completes file names. */
function bash(main: Program): string {
  const offer = (words: string) =>
    `COMPREPLY=($(compgen -W "${words}" -- "\${COMP_WORDS[COMP_CWORD]}"))`;
  return `${functionName(main)}() {
${walk(main, '"${COMP_WORDS[@]:1:COMP_CWORD-1}"', offer)}
}
complete -o default -F ${functionName(main)} ${main.name()}`;
}

/** Completion script for zsh; where nothing matches, zsh completes file names. */
function zsh(main: Program): string {
  return `#compdef ${main.name()}
${functionName(main)}() {
${walk(main, '"${(@)words[2,CURRENT-1]}"', (words) => `compadd -- ${words} || _files`)}
}
compdef ${functionName(main)} ${main.name()}`;
}

/** Completion script for fish: one line for every command and option. */
function fish(main: Program): string {
  const lines = places(main).flatMap(({ words, commands, options }) => {
    const names = commands.map((child) => child.name());
    const conditions = [
      ...words.map((word) => `__fish_seen_subcommand_from ${word}`),
      ...(names.length ? [`not __fish_seen_subcommand_from ${names.join(" ")}`] : []),
    ];
    const when = conditions.length ? ` -n ${quote(conditions.join("; and "))}` : "";
    const start = `complete -c ${main.name()}${when}`;
    return [
      ...commands.map((child) => `${start} -f -a ${child.name()} -d ${quote(child.description())}`),
      ...options.map(({ short, long, description }) => {
        const spellings = [short && `-s ${short.slice(1)}`, long && `-l ${long.slice(2)}`];
        return `${start} ${spellings.filter(Boolean).join(" ")} -d ${quote(description)}`;
      }),
    ];
  });
  return lines.join("\n");
}

function quote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
