import { describe, expect, it } from 'vitest';
import { displayWidth, formatTable } from '../../src/export/table.js';

describe('displayWidth', () => {
  // Columns as terminals draw them (Unicode UAX #11): wide is 2, combining marks are 0.
  it.each([
    ['Dice', 4],
    ['naïve', 5],
    ['nai\u0308ve', 5],
    ['左心房', 6],
    ['ｆｕｌｌ', 8],
    ['🫀', 2],
    ['👩‍⚕️', 2],
    ['μ ± σ', 5],
    ['', 0],
  ])('%s', (text, width) => {
    expect(displayWidth(text)).toBe(width);
  });
});

describe('formatTable', () => {
  it('aligns numbers right and text left, with a rule under the header', () => {
    const table = formatTable(
      [
        ['auroc', 0.98765],
        ['slices', 96],
        ['camDice', null],
      ],
      { header: ['score', 'value'] },
    );
    expect(table).toBe('score    value\n-------  -----\nauroc    0.988\nslices      96\ncamDice      -');
  });

  it('measures wide characters by the columns they take', () => {
    expect(
      formatTable([
        ['左', 'x'],
        ['abc', 'y'],
      ]),
    ).toBe('左   x\nabc  y');
  });

  it('takes rows of different length, an alignment and decimals', () => {
    const rows = [['a'], ['bbb', 'c', 1.25]] as const;
    expect(formatTable(rows, { align: ['right'], decimals: 1 })).toBe('  a\nbbb  c  1.3');
    expect(formatTable([], { header: ['x', 'yy'] })).toBe('x  yy\n-  --');
    expect(formatTable([])).toBe('');
  });

  it('shows NaN and undefined as missing, and keeps a cell on one line', () => {
    expect(formatTable([['a\nb', NaN, undefined, -0.5]])).toBe('a b  -  -  -0.500');
  });
});
