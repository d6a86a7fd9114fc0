/** The explicit layers, flags over YAML, as one plain object with the origin of each of its keys. */
import { expected } from './errors.js';
import { fieldAt, isSection, keysIn, leafKeys } from './keys.js';
import type { Origin, Problem } from './problems.js';
import { closest } from './suggest.js';
import { parseYaml, YamlSyntaxError } from './yaml.js';

type Section = { [name: string]: unknown };

/** An explicit flag that sets one configuration key. */
export interface FlagSetting {
  key: string;
  /** As typed, for messages: "--crop_size". */
  flag: string;
  value: unknown;
}

export class Layers {
  readonly problems: Problem[] = [];
  /** The file held no sections: what is missing is then no further fault. */
  unreadable = false;
  readonly #values: Section = {};
  #lines = new Map<string, number>();
  readonly #flags = new Map<string, string>();
  readonly #misspelt = new Set<string>();
  #file = 'the configuration';

  /** The merged values: sections are copies, so that setting one leaves the parsed document alone. */
  get values(): Readonly<Section> {
    return this.#values;
  }

  /** Whether a key or the section around it was most likely given, under a wrong name that is reported. */
  isMisspelt(key: string): boolean {
    return this.#misspelt.has(key) || (key !== '' && this.isMisspelt(split(key).section));
  }

  addFile(file: string, text: string): void {
    this.#file = file;
    try {
      const { value, lines } = parseYaml(text);
      this.#lines = lines;
      if (isPlain(value)) this.#merge(value, '');
      else this.#reject({ label: file }, expected('sections such as dataset: and train:', file, value));
    } catch (error) {
      if (!(error instanceof YamlSyntaxError)) throw error;
      this.#reject({ label: file, line: error.line }, `Expected valid YAML but found: ${error.message}`);
    }
  }

  addFlag({ key, flag, value }: FlagSetting): void {
    if (fieldAt(key) === undefined) {
      this.#reportUnknown(key, { label: flag });
      return;
    }
    this.set(key, value);
    this.#flags.set(key, flag);
  }

  /** Takes one `--set key=value`, the value in YAML. A key that has a flag of its own is set in one of the two. */
  addAssignment(assignment: string): void {
    const label = `--set ${assignment}`;
    const equals = assignment.indexOf('=');
    if (equals < 1) {
      this.#report({ label: '--set' }, expected('key=value', '--set', assignment));
      return;
    }
    const key = assignment.slice(0, equals).trim();
    const rival = this.#flags.get(key);
    if (rival !== undefined && !rival.startsWith('--set')) {
      this.#report({ label }, `Expected one source for ${key} but received both ${rival} and --set`);
    } else if (isSection(key)) {
      this.#report(
        { label },
        `Expected a single key but received the section '${key}' (${leafKeys(key).join(', ')})`,
      );
    } else {
      this.#assign(key, assignment.slice(equals + 1), label);
    }
  }

  #assign(key: string, text: string, flag: string): void {
    try {
      this.addFlag({ key, flag, value: parseYaml(text).value ?? null });
    } catch (error) {
      if (!(error instanceof YamlSyntaxError)) throw error;
      this.#report({ label: flag }, `Expected a YAML value for ${key} but found: ${error.message}`);
    }
  }

  /** The value at a key or at an element of its list ("cam.scales.1"). */
  get(key: string): unknown {
    let value: unknown = this.#values;
    for (const part of key.split('.')) {
      const container = typeof value === 'object' && value !== null ? value : {};
      value = Object.hasOwn(container, part) ? (container as Section)[part] : undefined;
    }
    return value;
  }

  /** Sets a known key. Where the file has something else than a section on the way, that is left to be reported. */
  set(key: string, value: unknown): void {
    const parts = key.split('.');
    const leaf = parts.pop()!;
    let section: Section = this.#values;
    for (const part of parts) {
      section[part] ??= {};
      if (!isPlain(section[part])) return;
      section = section[part];
    }
    section[leaf] = value;
  }

  /** Where the value of a key comes from; undefined when nobody gave it. */
  origin(key: string): Origin | undefined {
    const flag = this.#flags.get(key);
    if (flag !== undefined) return { label: flag };
    const line = this.#lines.get(key);
    return line === undefined ? undefined : { label: this.#file, line };
  }

  /** Where to look for a fault at a key: its own origin, else that of the nearest section around it. */
  place(key: string): Origin {
    for (let k = key; k !== ''; k = split(k).section) {
      const origin = this.origin(k);
      if (origin !== undefined) return origin;
    }
    return { label: this.#file };
  }

  #reportUnknown(key: string, origin: Origin): void {
    const meant = meantBy(key);
    if (meant !== undefined) this.#misspelt.add(meant);
    this.#report(origin, unknownKey(key, meant));
  }

  #reject(origin: Origin, text: string): void {
    this.unreadable = true;
    this.#report(origin, text);
  }

  #report(origin: Origin, text: string): void {
    this.problems.push({ origin, text });
  }

  #merge(values: Section, section: string): void {
    for (const [name, value] of Object.entries(values)) {
      const key = section === '' ? name : `${section}.${name}`;
      if (fieldAt(key) === undefined) this.#reportUnknown(key, this.place(key));
      else if (isSection(key) && isPlain(value)) this.#merge(value, key);
      // A section without keys ("val:") is null in YAML and means an empty one.
      else if (!(isSection(key) && value === null)) this.set(key, value);
    }
  }
}

const isPlain = (value: unknown): value is Section =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The key that an unknown one was probably meant to be: a sibling, else the same or a like name elsewhere. */
function meantBy(key: string): string | undefined {
  const { section, name } = split(key);
  const sibling = closest(name, keysIn(section));
  if (sibling !== undefined) return section === '' ? sibling : `${section}.${sibling}`;
  return leafKeys().find((known) => known.endsWith(`.${name}`)) ?? closest(key, leafKeys());
}

function unknownKey(key: string, meant: string | undefined): string {
  const { section, name } = split(key);
  const where = section === '' ? 'at the top level' : `in ${section}`;
  const fault = `Expected a known key ${where} but received '${name}'`;
  if (meant !== undefined) {
    const hint = split(meant);
    return `${fault}. Did you mean '${hint.section === section ? hint.name : meant}'?`;
  }
  const known = keysIn(section);
  return known.length === 0 ? fault : `${fault}. Known are ${known.join(', ')}`;
}

function split(key: string): { section: string; name: string } {
  const dot = key.lastIndexOf('.');
  return { section: key.slice(0, Math.max(0, dot)), name: key.slice(dot + 1) };
}
