import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { crc32c, maskedCrc32c } from '../../src/io/tensorboard/crc32c.js';
import { decodeEvent, type Event, encodeEvent, type SummaryValue } from '../../src/io/tensorboard/event.js';
import { EventWriter, eventFiles, readEventFile, readRun } from '../../src/io/tensorboard/event-file.js';
import { frameRecord, splitRecords } from '../../src/io/tensorboard/record.js';

const root = mkdtempSync(join(tmpdir(), 'io-tensorboard-'));
afterAll(() => rmSync(root, { recursive: true }));
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(root, 'run-'));
});

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const scalar = (tag: string, value: number): SummaryValue => ({ kind: 'scalar', tag, value });

describe('CRC-32C', () => {
  // RFC 3720, appendix B.4; the bytes there are the checksum in little-endian order.
  it.each([
    ['32 bytes of zeros', new Uint8Array(32), 0x8a9136aa],
    ['32 bytes of ones', new Uint8Array(32).fill(0xff), 0x62a8ab43],
    ['32 bytes that rise from 0', Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    ['32 bytes that fall to 0', Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
    ['nothing', new Uint8Array(0), 0],
  ])('of %s', (_, data, expected) => {
    expect(crc32c(data)).toBe(expected);
  });

  // The usual check value of the polynomial, and its mask by hand: rotated right by 15, plus 0xa282ead8.
  it('masks', () => {
    const crc = crc32c(Buffer.from('123456789'));
    expect(crc).toBe(0xe3069283);
    const rotated = ((crc >>> 15) | (crc << 17)) >>> 0;
    expect(maskedCrc32c(Buffer.from('123456789'))).toBe((rotated + 0xa282ead8) % 2 ** 32);
  });
});

// Bytes: SerializeToString of tensorboard 2.21's own messages.
describe('messages equal protobuf bytes', () => {
  const wallTime = 1.5;
  const png = Buffer.from('\x89PNG', 'latin1');
  it.each<[string, Event, string]>([
    [
      'scalar',
      { wallTime, step: 3, values: [scalar('train/loss', 0.25)] },
      '09000000000000f83f10032a130a110a0a747261696e2f6c6f7373150000803e',
    ],
    [
      'file version',
      { wallTime, step: 0, fileVersion: 'brain.Event:2', values: [] },
      '09000000000000f83f1a0d627261696e2e4576656e743a32',
    ],
    ['restart', { wallTime, step: 300, restart: true, values: [] }, '09000000000000f83f10ac023a020801'],
    [
      'image',
      { wallTime, step: 3, values: [{ kind: 'image', tag: 'a', height: 200, width: 3, png }] },
      '09000000000000f83f10032a140a120a0161220d08c80110031803220489504e47',
    ],
  ])('%s', (_, event, expected) => {
    expect(hex(encodeEvent(event))).toBe(expected);
    expect(decodeEvent(encodeEvent(event))).toEqual(event);
  });

  // Protobuf leaves the order of fields open (8 before 9 here, 9 before 8 there) and drops defaults (version 0).
  it('text, as torch.utils.tensorboard writes it', () => {
    const event: Event = { wallTime, step: -1, values: [{ kind: 'text', tag: 'c', text: 'hi' }] };
    const theirs =
      '09000000000000f83f10ffffffffffffffffff012a2a0a280a0e632f746578745f73756d6d617279420c0807120412020801420268694a080a060a0474657874';
    expect(decodeEvent(Buffer.from(theirs, 'hex'))).toEqual(event);
    expect(decodeEvent(encodeEvent(event))).toEqual(event);
  });

  it('passes over values of other kinds', () => {
    // Value { tag: "h", histo: {} }
    const bytes = Buffer.from('2a070a050a01682a00', 'hex');
    expect(decodeEvent(bytes)).toEqual({ wallTime: 0, step: 0, values: [] });
  });
});

const values = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('scalar' as const), tag: fc.string(), value: fc.float({ noNaN: true }) }),
    fc.record({
      kind: fc.constant('image' as const),
      tag: fc.string(),
      height: fc.nat(),
      width: fc.nat(),
      png: fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    }),
    fc.record({
      kind: fc.constant('text' as const),
      tag: fc.string({ unit: 'grapheme' }),
      text: fc.string({ unit: 'grapheme' }),
    }),
  ),
  { minLength: 1, maxLength: 4 },
);
const steps = fc.array(
  fc.tuple(
    fc.integer({ min: -(2 ** 40), max: 2 ** 40 }).filter((n) => !Object.is(n, -0)),
    values,
  ),
);

describe('event files', () => {
  it('give back what was written, in order', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const writer = new EventWriter(mkdtempSync(join(root, 'run-')));
        for (const [step, shown] of list) writer.write(step, shown);
        writer.close();
        const { events, torn } = readEventFile(writer.path);
        expect(torn).toBe(0);
        expect(events[0]).toMatchObject({ step: 0, fileVersion: 'brain.Event:2', values: [] });
        expect(events.slice(1).map((event) => [event.step, event.values])).toEqual(list);
      }),
      { numRuns: 50 },
    );
  });

  it('are named as TensorBoard names them, and sort after all that are there', () => {
    writeFileSync(join(folder, 'events.out.tfevents.9000000000.elsewhere.1.0'), '');
    const writers = [new EventWriter(folder), new EventWriter(folder)];
    for (const writer of writers) writer.close();
    for (const { path } of writers)
      expect(basename(path)).toMatch(
        new RegExp(`^events\\.out\\.tfevents\\.90000000\\d\\d\\.[\\w.-]+\\.${process.pid}\\.\\d+$`),
      );
    expect(eventFiles(folder).slice(1)).toEqual(writers.map(({ path }) => path));
  });

  it('can be read while they are written', () => {
    const writer = new EventWriter(folder);
    for (const step of [1, 2, 3]) {
      writer.write(step, [scalar('a', step)]);
      expect(readRun(folder)).toHaveLength(step);
    }
    writer.close();
    writer.close();
    expect(() => writer.write(4, [])).toThrow(
      `Expected an open event file for ${writer.path} but it was closed`,
    );
  });

  it('end cleanly wherever a killed run cut them', () => {
    const writer = new EventWriter(folder);
    writer.write(1, [scalar('a', 1)]);
    const whole = readFileSync(writer.path).length;
    writer.write(2, [scalar('a', 2)]);
    writer.close();
    const { length } = readFileSync(writer.path);
    for (let size = length - 1; size >= whole; size--) {
      truncateSync(writer.path, size);
      const { events, torn } = readEventFile(writer.path);
      expect([events.length, torn]).toEqual([2, size - whole]);
    }
  });

  it('name the record that is damaged, whichever byte it is', () => {
    const bytes = Buffer.concat([frameRecord(Buffer.from('first')), frameRecord(Buffer.from('second'))]);
    const second = 12 + 'first'.length + 4;
    for (let at = second; at < bytes.length; at++) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 1;
      const what = at < second + 12 ? 'length' : 'data';
      expect(() => splitRecords(damaged, 'run/events')).toThrow(
        new RegExp(
          `^Expected checksum 0x[0-9a-f]{8} for the ${what} of record 1 \\(byte ${second}\\) for run/events but received 0x`,
        ),
      );
    }
  });

  it('name a record that is whole but no event', () => {
    const writer = new EventWriter(folder);
    writer.close();
    appendFileSync(writer.path, frameRecord(Buffer.from([0x0b])));
    expect(() => readEventFile(writer.path)).toThrow(
      `Expected an event in record 1 for ${writer.path} but received wire type 3.`,
    );
  });

  it('refuse a folder that cannot be made, and a file that is not there', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(() => new EventWriter(join(folder, 'file', 'run'))).toThrow(/^Cannot write .*\(E(EXIST|NOTDIR)\)/);
    expect(() => readEventFile(join(folder, 'none'))).toThrow(/^Cannot read .*none: no such file exists/);
    expect(eventFiles(join(folder, 'none'))).toEqual([]);
  });
});

describe('a run that goes on', () => {
  it('shows steps that were done again once', () => {
    const first = new EventWriter(folder);
    for (const step of [1, 2, 3, 4]) first.write(step, [scalar('a', step)]);
    first.close();
    const second = new EventWriter(folder, 3);
    for (const step of [3, 4, 5]) second.write(step, [scalar('a', 10 * step)]);
    second.close();
    const shown = readRun(folder).map(({ step, values: [value] }) => [
      step,
      (value as { value: number }).value,
    ]);
    expect(shown).toEqual([
      [1, 1],
      [2, 2],
      [3, 30],
      [4, 40],
      [5, 50],
    ]);
  });
});
