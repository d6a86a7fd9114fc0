import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CaseRow, evaluateCases, measureMap } from '../../src/metrics/index.js';
import { captionOf, chooseCases } from '../../src/report/build-gallery.js';
import { chart, ticks } from '../../src/report/chart.js';
import { contourPath } from '../../src/report/contour.js';
import { html } from '../../src/report/html.js';
import { briefCell } from '../../src/report/numbers.js';
import { classificationSection } from '../../src/report/sections/classification.js';
import { localisationSection } from '../../src/report/sections/localisation.js';

describe('html', () => {
  it('lets no value become markup, and markup pass', () => {
    const name = `<b onclick="x">&'`;
    expect(html`<p title="${name}">${[html`<i>${1}</i>`, null, false, 'a']}</p>`.text).toBe(
      '<p title="&lt;b onclick=&quot;x&quot;&gt;&amp;&#39;"><i>1</i>a</p>',
    );
  });
});

describe('ticks', () => {
  it.each([
    [0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [0, 900, [0, 200, 400, 600, 800]],
    [-0.3, 0.3, [-0.2, 0, 0.2]],
    [7, 7, [7]],
  ])('of %d to %d', (low, high, wanted) => {
    expect(ticks(low, high)).toEqual(wanted);
  });

  it('lie within the range, evenly, and are not many', () => {
    const range = fc.tuple(
      fc.double({ min: -1e6, max: 1e6, noNaN: true }),
      fc.double({ min: 1e-3, max: 1e6, noNaN: true }),
    );
    fc.assert(
      fc.property(range, ([low, size]) => {
        const found = ticks(low, low + size);
        expect(found.length).toBeLessThanOrEqual(7);
        for (const tick of found) {
          expect(tick).toBeGreaterThanOrEqual(low - size * 1e-6);
          expect(tick).toBeLessThanOrEqual(low + size * (1 + 1e-6));
        }
      }),
    );
  });
});

describe('chart', () => {
  const options = { title: 'T', x: { label: 'x' }, y: { label: 'y' } };

  it('breaks a line where a value is missing, and stretches it over its axes', () => {
    const points = [
      [0, 0],
      [1, null],
      [2, 5],
      [3, 10],
    ] as const;
    const { text } = chart({ ...options, series: [{ name: 'a', points }] });
    // The drawing area is 56..406 by 14..238: (0, 0) at its lower left, (3, 10) at its upper right.
    expect(text).toContain('d="M56.0,238.0M289.3,126.0L406.0,14.0"');
    expect(text).toContain('aria-label="T"');
  });

  it('says so where there is nothing to draw', () => {
    expect(chart({ ...options, series: [{ name: 'a', points: [[0, null]] }] }).text).toContain(
      'Nothing to draw',
    );
  });
});

describe('contourPath', () => {
  it('goes round pixels along their edges', () => {
    // . X X
    // . X .
    const mask = { data: Uint8Array.of(0, 1, 1, 0, 1, 0), height: 2, width: 3 };
    expect(contourPath(mask, 1)).toBe('M1,0H3M2,1H3M1,2H2M1,0V2M2,1V2M3,0V1');
    expect(contourPath(mask, 2)).toBe('');
  });
});

describe('chooseCases', () => {
  const row = (name: string, label: number, score: number, dice: number | null): CaseRow => ({
    name,
    patient: null,
    labels: [label],
    scores: [score],
    localisation: dice === null ? {} : { cam: [{ dice, kind: 'positive' } as never] },
  });
  const cases = [
    ...Array.from({ length: 20 }, (_, i) => row(`p${i}`, 1, 0.9, i / 20)),
    row('missed', 1, 0.1, 0.99),
    row('alarm', 0, 0.8, null),
    row('quiet', 0, 0.2, null),
  ];
  const names = (title: string) =>
    chooseCases(cases, 1)
      .find((group) => group.title === title)!
      .cases.map(({ name }) => name);

  it('shows the worst beside the best, and what was called wrongly', () => {
    expect(names('Best maps').slice(0, 3)).toEqual(['missed', 'p19', 'p18']);
    expect(names('Worst maps').slice(0, 3)).toEqual(['p0', 'p1', 'p2']);
    expect(names('False alarms')).toEqual(['alarm']);
    expect(names('Missed')).toEqual(['missed']);
  });

  it('draws the same random cases of the same seed, none in both best and worst', () => {
    expect(names('Random')).toEqual(names('Random'));
    expect(new Set(names('Random')).size).toBe(8);
    const few = chooseCases(cases.slice(0, 5), 1);
    expect([...few[0]!.cases, ...few[1]!.cases]).toHaveLength(5);
  });
});

describe('briefCell', () => {
  it('keeps why a score is missing out of sight, but not out of reach', () => {
    const missing = { value: null, low: null, high: null, reason: 'there is no "positive" sample' };
    expect(briefCell(missing).text).toBe(
      '<td data-value="" title="there is no &quot;positive&quot; sample" aria-label="there is no &quot;positive&quot; sample">—</td>',
    );
    expect(briefCell({ value: 0.5, low: 0.25, high: 0.75 }).text).toContain(
      '0.500 <span class="soft">0.250–0.750',
    );
  });
});

describe('a report of several classes', () => {
  const CLASSES = ['person', 'dog', 'cat'];
  const row = (name: string, labels: number[], scores: number[]): CaseRow => ({
    name,
    patient: null,
    labels,
    scores,
    localisation: {},
  });
  const both = row('both', [1, 1, 0], [0.9, 0.2, 0.1]);
  const mistaken = row('mistaken', [1, 0, 0], [0.8, 0.1, 0.7]);
  const right = row('right', [0, 1, 0], [0.1, 0.9, 0.2]);

  it('counts a missed class though another was found, and an alarm though the image is positive', () => {
    const groups = chooseCases([both, mistaken, right], 1);
    const names = (title: string) => groups.find((one) => one.title === title)!.cases.map(({ name }) => name);
    expect(names('Missed')).toEqual(['both']);
    expect(names('False alarms')).toEqual(['mistaken']);
  });

  it('says under a picture which classes there are, and which were called wrongly', () => {
    expect(captionOf(both, CLASSES)).toBe('person 0.900, dog 0.200');
    expect(captionOf(mistaken, CLASSES)).toBe('person 0.800; wrongly called cat 0.700');
    expect(captionOf(row('none', [0, 0, 0], [0, 0, 0]))).toBe('no class');
    expect(captionOf(row('one', [1], [0.25]))).toBe('positive, score 0.250');
  });

  it('speaks of few images, not of patients, where no patient is known', () => {
    const cases = [both, right].map(({ name, labels, scores }) => ({ name, labels, scores }));
    const bootstrap = { random: Math.random, replicates: 5 };
    const { text } = classificationSection(evaluateCases(cases, { classes: CLASSES, bootstrap }));
    expect(text).toContain('With 2 images they are too narrow');
  });
});

describe('localisationSection', () => {
  /** One positive slice of four pixels, whose maps find so many of its two. */
  const evaluated = (cam: number, refined: number) => {
    const mask = Uint8Array.of(1, 1, 0, 0);
    const found = (count: number) =>
      measureMap(
        Float32Array.from(mask, (_, i) => Number(i < count)),
        mask,
      );
    const localisation = { cam: [found(cam)], refined: [found(refined)] };
    const cases = [{ name: 'a', labels: [1], scores: [0.9], localisation }];
    return evaluateCases(cases, { chooseMapThresholds: true });
  };

  it.each([
    [2, 1, true],
    [2, 2, false],
    [1, 2, false],
  ])(
    'says of a CAM that finds %d and a propagated one that finds %d that it became worse: %s',
    (cam, refined, worse) => {
      const { text } = localisationSection(evaluated(cam, refined));
      expect(text.includes('are worse here')).toBe(worse);
    },
  );
});
