import yaml from 'js-yaml';
import { isSection, keysIn } from './keys.js';
import type { Config } from './schema.js';

/**
 * The configuration as a YAML file for the work directory: every key, defaults included, so that it
 * reads back as the same configuration. Behind each value stands its source, where `sources` has one.
 */
export function dumpConfig(config: Config, sources: Readonly<Record<string, string>> = {}): string {
  return `${dumpSection(config, '', sources).join('\n')}\n`;
}

function dumpSection(values: object, section: string, sources: Readonly<Record<string, string>>): string[] {
  const indent = section === '' ? '' : '  '.repeat(section.split('.').length);
  return keysIn(section).flatMap((name) => {
    const key = section === '' ? name : `${section}.${name}`;
    const value: unknown = values[name as keyof typeof values];
    if (isSection(key)) return [`${indent}${name}:`, ...dumpSection(value as object, key, sources)];
    if (value === undefined) return [];
    const source = sources[key] === undefined ? '' : `  # ${sources[key].replaceAll(/\s+/g, ' ')}`;
    return [`${indent}${name}: ${dumpLeaf(value)}${source}`];
  });
}

const dumpLeaf = (value: unknown): string =>
  yaml.dump(value, { flowLevel: 0, lineWidth: -1, schema: yaml.CORE_SCHEMA }).trimEnd();
