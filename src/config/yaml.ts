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

interface OpenNode {
  path: string;
  line: number;
  start: number;
  /** Of a mapping: the key that was read last, while its value is awaited. */
  key?: string;
  /** Of a sequence: how many elements were opened; the parser passes empty ones ("- ") over. */
  items: number;
}

/** The parser opens and closes nodes depth first; a scalar with a colon behind it is a key of its parent. */
class LineRecorder {
  readonly found = new Map<string, number>();
  readonly #stack: OpenNode[] = [];

  open(state: State): void {
    const parent = this.#stack.at(-1);
    const node = { path: '', line: state.line + 1, start: state.position, items: 0 };
    this.#stack.push(node);
    if (parent === undefined) return;
    node.path = childPath(parent, state);
    if (parent.key === undefined && node.path !== parent.path) this.found.set(node.path, node.line);
  }

  close(state: State): void {
    const node = this.#stack.pop();
    const parent = this.#stack.at(-1);
    if (node === undefined || parent === undefined) return;
    const isKey = state.kind === 'scalar' && COLON.test(state.input.slice(state.position));
    parent.key = isKey ? String(state.result) : undefined;
    if (parent.key !== undefined) this.found.set(join(parent.path, parent.key), node.line);
  }
}

const COLON = /^[ \t]*:(?=\s|$|[,[\]{}])/;
const NOTHING_YET = /^(\s|#.*\n|[&!]\S+(?=\s|$))*$/;

const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);

function childPath(parent: OpenNode, state: State): string {
  if (parent.key !== undefined) return join(parent.path, parent.key);
  // A node is first tried as the key of a block mapping, as a child that starts where its parent does.
  if (NOTHING_YET.test(state.input.slice(parent.start, state.position))) return parent.path;
  return join(parent.path, String(parent.items++));
}
