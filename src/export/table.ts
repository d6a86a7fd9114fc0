/** Tables of plain text, for terminals and logs. */

export type Cell = string | number | null | undefined;
export type Align = 'left' | 'right';

export interface TableOptions {
  header?: readonly string[];
  /** By column. Left out, a column of numbers is aligned right and any other left. */
  align?: readonly (Align | undefined)[];
  /** Decimals of numbers that are not whole; 3 when left out. */
  decimals?: number;
}

/** How a value that does not exist is shown: not as 0, and not as an empty cell that looks forgotten. */
const MISSING = '-';
const GAP = '  ';

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
/** East Asian wide characters and emoji take two terminal columns. */
const WIDE =
  /^(?:\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\p{Emoji_Presentation}|[\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]|.+\ufe0f)/u;
const ZERO_WIDTH = /^[\p{Mark}\p{Cf}]+$/u;

/** Terminal columns that a text takes; combining marks take none. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const { segment } of graphemes.segment(text)) {
    if (!ZERO_WIDTH.test(segment)) width += WIDE.test(segment) ? 2 : 1;
  }
  return width;
}

const isNumeric = (cell: Cell) => typeof cell === 'number' || cell === null || cell === undefined;

function show(cell: Cell, decimals: number): string {
  if (cell === null || cell === undefined || Number.isNaN(cell)) return MISSING;
  if (typeof cell === 'number') return Number.isInteger(cell) ? String(cell) : cell.toFixed(decimals);
  // A line break or a tab would push every later column out of place.
  return cell.replace(/\s+/g, ' ');
}

/**
 * Formats rows as aligned columns under an optional header with a rule. Null, undefined and NaN show as "-".
 * @returns lines without trailing blanks, joined by newlines; no newline at the end
 */
export function formatTable(rows: readonly (readonly Cell[])[], options: TableOptions = {}): string {
  const { header, align = [], decimals = 3 } = options;
  const texts = rows.map((row) => row.map((cell) => show(cell, decimals)));
  const lines = header ? [header.map((title) => show(title, decimals)), ...texts] : texts;
  const count = lines.reduce((most, line) => Math.max(most, line.length), 0);
  const columns = Array.from({ length: count }, (_, c) => ({
    width: lines.reduce((most, line) => Math.max(most, displayWidth(line[c] ?? '')), 0),
    align: align[c] ?? (rows.length > 0 && rows.every((row) => isNumeric(row[c])) ? 'right' : 'left'),
  }));
  const format = (line: readonly string[]) =>
    columns
      .map((column, c) => {
        const text = line[c] ?? '';
        const blanks = ' '.repeat(column.width - displayWidth(text));
        return column.align === 'right' ? blanks + text : text + blanks;
      })
      .join(GAP)
      .trimEnd();
  const formatted = lines.map(format);
  if (header) formatted.splice(1, 0, columns.map(({ width }) => '-'.repeat(width)).join(GAP));
  return formatted.join('\n');
}
