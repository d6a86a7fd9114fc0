import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MetricsLog } from '../../src/training/metrics-log.js';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'metrics-log-'));
  path = join(folder, 'metrics.jsonl');
});
afterEach(() => rmSync(folder, { recursive: true }));

const records = () =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('MetricsLog', () => {
  it('has every record on the disk when append returns, with null for what is no number', () => {
    const log = new MetricsLog(path);
    log.append({ iteration: 1, loss: 0.5 });
    expect(records()).toEqual([{ iteration: 1, loss: 0.5 }]);
    log.append({ iteration: 2, loss: NaN, lr: Infinity, scores: { auroc: null } });
    expect(records()[1]).toEqual({ iteration: 2, loss: null, lr: null, scores: { auroc: null } });
    log.close();
    log.close();
    expect(() => log.append({})).toThrow('it was closed');
  });

  it('goes on in an existing file', () => {
    new MetricsLog(path).append({ iteration: 1 });
    new MetricsLog(path).append({ iteration: 2 });
    expect(records()).toEqual([{ iteration: 1 }, { iteration: 2 }]);
  });

  it('forgets what a resumed run will write again, and a line cut short', () => {
    writeFileSync(path, '{"iteration":1}\n{"note":"x"}\n{"iteration":3}\n{"iteration":2}\n{"itera');
    new MetricsLog(path, 2).append({ iteration: 3, again: true });
    expect(records()).toEqual([
      { iteration: 1 },
      { note: 'x' },
      { iteration: 2 },
      { iteration: 3, again: true },
    ]);
  });

  it('starts a file where none is, and says why it cannot', () => {
    new MetricsLog(path, 0).append({ iteration: 1 });
    expect(records()).toHaveLength(1);
    expect(() => new MetricsLog(join(folder, 'absent', 'metrics.jsonl'))).toThrow(
      /Cannot write .*absent.*folder/,
    );
  });
});
