import yaml, { type State } from 'js-yaml';

/** A YAML document and, for each dotted path in it ("cam.scales.1"), its line, counted from 1. */
export interface YamlDocument {
  value: unknown;
  lines: Map<string, number>;
}

/** A syntax error; `line` counts from 1. */
export class YamlSyntaxError extends Error {
  constructor(
    reason: string,
    readonly line: number | undefined,
  ) {
    super(reason);
  }
}

/** Parses one YAML document by the 1.2 core schema: 6e-5 is a number; dates and `yes` stay text. */
export function parseYaml(text: string): YamlDocument {
  const lines = new LineRecorder();
  try {
    const value = yaml.load(text, {
      schema: yaml.CORE_SCHEMA,
      listener: (event, state) => (event === 'open' ? lines.open(state) : lines.close(state)),
    });
    return { value, lines: lines.found };
  } catch (error) {
    if (!(error instanceof yaml.YAMLException)) throw error;
    const line = error.mark === undefined ? undefined : error.mark.line + 1;
    throw new YamlSyntaxError(error.reason ?? error.message, line);
  }
}

/** The parser opens and closes nodes depth first; a scalar with a colon behind it is a key of its parent. */
class LineRecorder {
  readonly found = new Map<string, number>();
  readonly #stack: { path: string; line: number; key?: string; items: number }[] = [];

  open(state: State): void {
    const parent = this.#stack.at(-1);
    const name = parent === undefined ? '' : (parent.key ?? String(parent.items++));
    const path = parent?.path ? `${parent.path}.${name}` : name;
    if (parent !== undefined && parent.key === undefined) this.found.set(path, state.line + 1);
    this.#stack.push({ path, line: state.line, items: 0 });
  }

  close(state: State): void {
    const node = this.#stack.pop();
    const parent = this.#stack.at(-1);
    if (node === undefined || parent === undefined) return;
    const isKey =
      state.kind === 'scalar' && /^[ \t]*:(?=\s|$|[,[\]{}])/.test(state.input.slice(state.position));
    parent.key = isKey ? String(state.result) : undefined;
    if (isKey) this.found.set(parent.path ? `${parent.path}.${parent.key}` : parent.key!, node.line + 1);
  }
}
