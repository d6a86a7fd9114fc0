import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { calEta, formatDuration } from '../../src/training/eta.js';
import { findPython, runPython } from '../oracles/python.js';

describe('formatDuration', () => {
  // Python: str(datetime.timedelta(seconds=...)).
  it.each([
    [0, '0:00:00'],
    [65, '0:01:05'],
    [65.9, '0:01:05'],
    [86_399, '23:59:59'],
    [86_400, '1 day, 0:00:00'],
    [3 * 86_400 + 4 * 3600 + 5, '3 days, 4:00:05'],
    [-1, '0:00:00'],
  ])('%d s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});

describe('calEta', () => {
  it('extends the pace so far', () => {
    expect(calEta(0, 100, 400, 65_000)).toEqual({ elapsed: '0:01:05', eta: '0:03:15' });
    expect(calEta(new Date(1000), 1, 1001, new Date(2999))).toEqual({ elapsed: '0:00:01', eta: '0:16:40' });
  });

  it('ends at 0 and does not guess before the first iteration', () => {
    expect(calEta(0, 400, 400, 65_000).eta).toBe('0:00:00');
    expect(calEta(0, 401, 400, 65_000).eta).toBe('0:00:00');
    expect(calEta(0, 0, 400, 65_000)).toEqual({ elapsed: '0:01:05', eta: '-:--:--' });
  });
});

const python = findPython([]);

describe.skipIf(!python)('against Python datetime', () => {
  const CAL_ETA_IN_PYTHON = `
import datetime as d, json, sys
out = []
for seconds, cur, total in json.loads(sys.argv[1]):
    start = d.datetime(2026, 1, 1)
    now = start + d.timedelta(seconds=seconds)
    eta = (now + (now - start) * ((total - cur) / float(cur))).replace(microsecond=0) - now
    out.append([str(now - start), str(eta)])
print(json.dumps(out))
`;
  it('gives the same texts', () => {
    const runs = fc.sample(fc.tuple(fc.nat(300_000), fc.integer({ min: 1, max: 5000 }), fc.nat(20_000)), {
      numRuns: 300,
      seed: 3,
    });
    const cases = runs.map(([seconds, cur, more]) => [seconds, cur, cur + more] as const);
    const answers = JSON.parse(runPython(python!, CAL_ETA_IN_PYTHON, [JSON.stringify(cases)]));
    expect(
      cases.map(([seconds, cur, total]) => Object.values(calEta(0, cur, total, seconds * 1000))),
    ).toEqual(answers);
  });
});
