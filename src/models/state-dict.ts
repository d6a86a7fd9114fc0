import type { RawTensor, Tensor } from '../tensor/index.js';

const SHOWN = 8;

function section(title: string, names: string[]): string[] {
  if (names.length === 0) return [];
  const more = names.length > SHOWN ? [`    ... and ${names.length - SHOWN} more`] : [];
  return [`  ${title} (${names.length}):`, ...names.slice(0, SHOWN).map((n) => `    ${n}`), ...more];
}

/** A checkpoint that does not fit the model. */
export class StateDictMismatch extends Error {
  override readonly name = 'StateDictMismatch';
  readonly exitCode = 2;

  constructor(
    source: string,
    readonly missing: string[],
    readonly unexpected: string[],
    readonly misshaped: string[],
  ) {
    super(
      [
        `${source} does not fit this model:`,
        ...section('missing', missing),
        ...section('unexpected', unexpected),
        ...section('of another shape', misshaped),
        '  Check backbone.config, backbone.stride and dataset.num_classes against the training run.',
      ].join('\n'),
    );
  }

  /** @throws StateDictMismatch unless names and shapes agree. */
  static check(
    theirs: ReadonlyMap<string, RawTensor>,
    own: ReadonlyMap<string, Tensor>,
    source: string,
  ): void {
    const missing = [...own.keys()].filter((name) => !theirs.has(name));
    const unexpected = [...theirs.keys()].filter((name) => !own.has(name));
    const misshaped: string[] = [];
    for (const [name, tensor] of own) {
      const shape = theirs.get(name)?.shape;
      if (shape && shape.join() !== tensor.shape.join())
        misshaped.push(`${name}: expected [${tensor.shape.join(', ')}] but received [${shape.join(', ')}]`);
    }
    if (missing.length + unexpected.length + misshaped.length > 0)
      throw new StateDictMismatch(source, missing, unexpected, misshaped);
  }
}
