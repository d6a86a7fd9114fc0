import { StringDecoder } from 'node:string_decoder';

const KEPT = 20;

/** Passes a process's output on line by line, each with a prefix, and keeps its last error lines. */
export class PrefixedLines {
  readonly #errors: string[] = [];

  constructor(readonly prefix: string) {}

  pipe(from: NodeJS.ReadableStream, to: NodeJS.WritableStream, areErrors = false): void {
    const decoder = new StringDecoder('utf8');
    let rest = '';
    const pass = (line: string) => {
      if (areErrors) this.#keep(line);
      to.write(`${this.prefix}${line}\n`);
    };
    from.on('data', (chunk: Buffer) => {
      const lines = (rest + decoder.write(chunk)).split('\n');
      rest = lines.pop()!;
      lines.forEach(pass);
    });
    from.on('end', () => {
      rest += decoder.end();
      if (rest !== '') pass(rest);
      rest = '';
    });
  }

  /** The last lines of the error output. */
  lastErrors(): string {
    return this.#errors.join('\n');
  }

  #keep(line: string): void {
    if (line.trim() !== '') this.#errors.push(line);
    if (this.#errors.length > KEPT) this.#errors.shift();
  }
}
