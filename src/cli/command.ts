import { Command } from 'commander';

/** What an example does, and the command line that does it. */
export type Example = readonly [what: string, commandLine: string];

/**
 * A command that throws where commander would exit, so that `runMain` words and codes every fault.
 * `name` is how people start it ("node dist/train.js"); it stands in the help.
 */
export function createCommand(name: string, description: string, examples: readonly Example[]): Command {
  return new Command(name)
    .description(description)
    .helpOption('-h, --help', 'show this help')
    .option('--verbose', 'say more, and show the stack of an error')
    .addHelpText('after', `\nFlags may be written with - or _ between words.\n\n${exampleText(examples)}`)
    .exitOverride()
    .configureOutput({ outputError: () => {} });
}

const exampleText = (examples: readonly Example[]): string =>
  ['Examples:', ...examples.map(([what, line]) => `  # ${what}\n  ${line}`)].join('\n');

/** Parses arguments (without node and script) and returns the options by their names as shown in the help. */
export function parseArguments<T extends object>(command: Command, argv: readonly string[]): T {
  return command.parse(snakeCased(command, argv), { from: 'user' }).opts<T>();
}

// The original's flags are snake_case; --crop-size is the same flag. Unknown flags stay as typed, for the message.
function snakeCased(command: Command, argv: readonly string[]): string[] {
  const known = new Set(command.options.map((option) => option.long));
  const end = argv.indexOf('--');
  return argv.map((token, i) => {
    const name = /^--[a-z][^=]*/i.exec(token)?.[0];
    if (name === undefined || known.has(name) || (end !== -1 && i > end)) return token;
    const snake = `--${name.slice(2).replaceAll('-', '_')}`;
    if (known.has(snake)) return snake + token.slice(name.length);
    // Commander knows a negation by its hyphen.
    const negation = token.replace(/^--no_/, '--no-');
    return known.has(negation) ? negation : token;
  });
}
