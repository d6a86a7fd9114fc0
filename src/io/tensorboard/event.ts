/**
 * TensorBoard's messages: Event, Summary and SessionLog (tensorflow/core/util/event.proto,
 * tensorflow/core/framework/summary.proto), in the forms that torch.utils.tensorboard writes: simple_value for
 * scalars, Image for pictures and a string tensor for texts. Old and new readers take these.
 */
import { pb, readFields, type WireValue } from './protobuf.js';

/** What one event shows under its tag. */
export type SummaryValue =
  | { kind: 'scalar'; tag: string; value: number }
  /** `png` holds an encoded image of height x width pixels, RGB. */
  | { kind: 'image'; tag: string; height: number; width: number; png: Uint8Array }
  /** Markdown. The real tag has `/text_summary` after it, which readers take off. */
  | { kind: 'text'; tag: string; text: string };

export interface Event {
  /** Seconds since 1970. */
  wallTime: number;
  step: number;
  /** The first event of a file: "brain.Event:2". */
  fileVersion?: string;
  /** From here on, readers forget what earlier files of the folder hold at this step and after it. */
  restart?: boolean;
  values: SummaryValue[];
}

export const FILE_VERSION = 'brain.Event:2';

const RGB = 3;
const DT_STRING = 7;
const START = 1;
const TEXT_SUFFIX = '/text_summary';

function encodeValue(value: SummaryValue): Uint8Array[] {
  if (value.kind === 'scalar') return [pb.bytes(1, value.tag), pb.float(2, value.value)];
  if (value.kind === 'image') {
    const { height, width, png } = value;
    const image = [pb.int(1, height), pb.int(2, width), pb.int(3, RGB), pb.bytes(4, png)];
    return [pb.bytes(1, value.tag), pb.message(4, ...image)];
  }
  const shape = pb.message(2, pb.message(2, pb.int(1, 1)));
  const tensor = pb.message(8, pb.int(1, DT_STRING), shape, pb.bytes(8, value.text));
  const plugin = pb.message(9, pb.message(1, pb.bytes(1, 'text'), pb.message(2, pb.int(1, 0))));
  return [pb.bytes(1, value.tag + TEXT_SUFFIX), tensor, plugin];
}

/** An event's bytes. */
export function encodeEvent({ wallTime, step, fileVersion, restart, values }: Event): Uint8Array {
  const fields = [pb.double(1, wallTime)];
  if (step !== 0) fields.push(pb.int(2, step));
  if (fileVersion !== undefined) fields.push(pb.bytes(3, fileVersion));
  if (values.length > 0)
    fields.push(pb.message(5, ...values.map((value) => pb.message(1, ...encodeValue(value)))));
  if (restart) fields.push(pb.message(7, pb.int(1, START)));
  return Buffer.concat(fields);
}

/** The last value of each field; absent ones are protobuf's default. */
class Fields {
  readonly #values = new Map<number, WireValue[]>();

  constructor(message: Uint8Array) {
    for (const [field, value] of readFields(message))
      this.#values.set(field, [...(this.#values.get(field) ?? []), value]);
  }
  has(field: number): boolean {
    return this.#values.has(field);
  }
  all(field: number): Buffer[] {
    return (this.#values.get(field) ?? []).map((value) => {
      if (typeof value === 'bigint') throw new RangeError(`a number where field ${field} has bytes`);
      return value;
    });
  }
  bytes(field: number): Buffer {
    return this.all(field).at(-1) ?? Buffer.alloc(0);
  }
  int(field: number): number {
    const value = this.#values.get(field)?.at(-1) ?? 0n;
    if (typeof value !== 'bigint') throw new RangeError(`bytes where field ${field} has a number`);
    return Number(BigInt.asIntN(64, value));
  }
}

function decodeValue(message: Uint8Array): SummaryValue | undefined {
  const fields = new Fields(message);
  const tag = fields.bytes(1).toString('utf8');
  if (fields.has(2)) return { kind: 'scalar', tag, value: fields.bytes(2).readFloatLE() };
  if (fields.has(4)) {
    const image = new Fields(fields.bytes(4));
    return { kind: 'image', tag, height: image.int(1), width: image.int(2), png: image.bytes(4) };
  }
  const tensor = new Fields(fields.bytes(8));
  if (!tag.endsWith(TEXT_SUFFIX) || tensor.int(1) !== DT_STRING) return undefined;
  return { kind: 'text', tag: tag.slice(0, -TEXT_SUFFIX.length), text: tensor.bytes(8).toString('utf8') };
}

/**
 * Reads an event. Values of other kinds (histograms, graphs, ...) are left out.
 * @throws RangeError when the bytes are no such message
 */
export function decodeEvent(bytes: Uint8Array): Event {
  const fields = new Fields(bytes);
  const values = fields.all(5).flatMap((summary) => new Fields(summary).all(1).map(decodeValue));
  const event: Event = {
    wallTime: fields.has(1) ? fields.bytes(1).readDoubleLE() : 0,
    step: fields.int(2),
    values: values.filter((value) => value !== undefined),
  };
  if (fields.has(3)) event.fileVersion = fields.bytes(3).toString('utf8');
  if (fields.has(7)) event.restart = new Fields(fields.bytes(7)).int(1) === START;
  return event;
}
