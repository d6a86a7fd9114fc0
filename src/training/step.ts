import type { Picture } from '../export/grid.js';
import type { Batch } from '../loading/batch.js';
import type { Wanted, WeTr } from '../models/wetr.js';
import type { PolyWarmupAdamW } from '../optim/poly-warmup-adamw.js';
import { span } from '../profile/index.js';
import { noGrad, scope, Tensor } from '../tensor/index.js';
import { stepPictures } from './pictures.js';
import { QueuedStep, type StepResult } from './queued-step.js';
import type { Phase } from './schedule.js';
import type { StepOptions } from './step-options.js';
import { countTogether, learn, type PartLosses, prepare, type StepPart } from './step-part.js';

export { QueuedStep, type StepResult } from './queued-step.js';
export type { StepOptions } from './step-options.js';

/** Buffers of the model with copies: a forward pass in train mode moves batch-norm statistics. */
function statisticsOf(model: WeTr): [own: Tensor, before: Tensor][] {
  const parameters = model.parameters();
  const buffers = [...model.state()].filter(([name]) => !parameters.has(name));
  return buffers.map(([, own]) => [own, own.clone()]);
}

/**
 * The parts' numbers as one tensor: losses are means over parts and processes, counts are the whole batch's on each of
 * them already. Behind them the share of processes that are asked to stop.
 */
function gather(parts: readonly (readonly Tensor[])[], { ddp, device, stopAsked }: StepOptions): Tensor {
  // Metal has no float64, in which counts are exact.
  const dtype = device.startsWith('mps') ? 'float32' : 'float64';
  const each = parts.map((numbers) => Tensor.stack(numbers.map((number) => number.detach().to({ dtype }))));
  const mean = each.length === 1 ? each[0]! : Tensor.stack(each).mean(0);
  const stops = ddp && stopAsked?.() ? 1 : 0;
  const all = Tensor.cat([mean, Tensor.full([1], stops, dtype, device)]);
  return ddp ? ddp.sum(all).div(ddp.processes) : all;
}

/** trainStep(), when the host has time to wait: queueStep() queues the next step meanwhile. */
export function trainStep(...step: Parameters<typeof queueStep>): StepResult {
  return queueStep(...step).take();
}

/**
 * One training step: forward, losses of the phase, backward, update. Leaves no tensor behind, and reads none: on a GPU the
 * work is queued, and its results come with take().
 * A loss or a gradient that is not finite leaves the model as it was: the device decides so. Where training is to stop at it
 * (`stopAtNonFinite` of the optimizer), so do the steps after it, which may be queued before the host knows.
 * In the classification phase the decoder does not run; its weights still decay, as in the original.
 * @param batch several of equal size make one step together: gradients and losses are those of all their images, in the
 *   memory of one of them. Only the head's BatchNorm normalises over each by itself.
 * @param logged also what a log shows: agreement, and pictures where the options ask for them, for which the host waits.
 *   It changes no number.
 */
export function queueStep(
  model: WeTr,
  optimizer: PolyWarmupAdamW,
  batch: Batch | readonly Batch[],
  phase: Phase,
  options: StepOptions,
  logged = false,
): QueuedStep {
  return scope(() => {
    const batches = [batch].flat() as Batch[];
    const lr = optimizer.learningRates()[0]!;
    const shown = logged ? (options.pictures ?? 0) : 0;
    const pixelPhase = phase !== 'cls';
    const learnt = { cls: true, seg: pixelPhase, affinity: pixelPhase };
    const wantedOf = (isShown: boolean) => ({
      ...learnt,
      affinity: pixelPhase || isShown,
      attention: isShown,
      segDetach: options.segDetach,
    });
    const step: Step = { model, optimizer, options, learnt, wantedOf, logged, shown, pictures: undefined };

    // A forward pass may run with the labels, and the head's statistics are to be those of before it.
    const statistics = pixelPhase && options.shareScaleOne ? statisticsOf(model) : undefined;
    const parts = span(pixelPhase ? 'labels' : 'images', () =>
      batches.map((one) => prepare(model, one, phase, options, shown > 0, wantedOf(shown > 0))),
    );
    optimizer.sendRates();
    const numbers = canRecord(parts, step)
      ? options.graphs!.run(phase, tensorsOf(parts[0]!), (tensors) => learnFrom([partOf(tensors)], step))
      : learnFrom(parts, step, statistics);
    optimizer.advance();
    return new QueuedStep(numbers, { phase, lr, pictures: step.pictures }, optimizer);
  });
}

/** What the parts of one step have in common. */
interface Step {
  model: WeTr;
  optimizer: PolyWarmupAdamW;
  options: StepOptions;
  /** Outputs that have a loss. */
  learnt: { cls: boolean; seg: boolean; affinity: boolean };
  wantedOf(isShown: boolean): Wanted;
  logged: boolean;
  /** Most images in its pictures. */
  shown: number;
  /** Once they are drawn. */
  pictures: Picture[] | undefined;
}

/** Whether learning is the same work on other tensors each time: nothing is shown, exchanged, or computed already. */
const canRecord = (parts: readonly StepPart[], { options, logged }: Step): boolean =>
  options.graphs !== undefined && !logged && !options.ddp && parts.length === 1 && !parts[0]!.out;

const tensorsOf = ({ images, labels, positive, targets }: StepPart): Tensor[] => [
  images,
  labels,
  ...(targets ? [targets.refined, targets.pairs] : []),
  ...(positive ? [positive] : []),
];

/** The other way round. A configuration has weights of positive labels or not, in all steps of a run. */
function partOf(tensors: readonly Tensor[]): StepPart {
  const [images, labels, ...rest] = tensors as [Tensor, Tensor, ...Tensor[]];
  const [refined, pairs, positive] = rest.length > 1 ? rest : [undefined, undefined, rest[0]];
  return { images, labels, positive, ...(refined && { targets: { refined, pairs: pairs! } }) };
}

/**
 * Forward passes, losses, backward, update: all that is the same work in every step of a phase.
 * @param statistics of before the step, where a forward pass has been made already
 * @returns the step's numbers, as QueuedStep takes them
 */
function learnFrom(
  parts: readonly StepPart[],
  step: Step,
  statistics = step.learnt.seg ? statisticsOf(step.model) : [],
): Tensor {
  const { model, optimizer, options, learnt, wantedOf, logged, shown } = step;
  const { ddp } = options;
  // A batch in one piece counts while it learns.
  const shared = parts.length === 1 ? { seg: ddp, aff: ddp } : countTogether(parts, options);
  optimizer.zeroGrad();
  const learned = parts.map((part, i) =>
    scope(() => {
      const last = i === parts.length - 1;
      const isShown = shown > 0 && last;
      const { numbers, ...own } = learn(model, part, wantedOf(isShown), shared, options);
      const loss = parts.length === 1 ? own.loss : own.loss.div(parts.length);
      // Processes exchange gradients once they are complete.
      span('backward', () => (ddp ? ddp.backward(loss, learnt, { sync: last }) : loss.backward()));
      if (isShown) step.pictures = draw(part, own, shown);
      return { numbers, agreement: logged ? agreement(own, part) : undefined };
    }),
  );
  const numbers = gather(
    learned.map((part) => part.numbers),
    options,
  );
  const found = update(numbers.select(0, 0), optimizer);
  // One NaN would stay in them for ever, and with it in every segmentation.
  const bad = found.select(0, 0).ne(0);
  for (const [own, before] of statistics) own.copy_(Tensor.where(bad, before, own));
  const agreements = learned.flatMap((part) => part.agreement ?? []);
  const extra = agreements.length > 0 ? [found, Tensor.stack(agreements).mean().reshape(1)] : [found];
  return Tensor.cat([numbers, ...extra.map((number) => number.to({ dtype: numbers.dtype }))]);
}

const draw = (
  { images, made }: StepPart,
  { out, logits }: Pick<PartLosses, 'out' | 'logits'>,
  count: number,
) =>
  span('pictures', () =>
    noGrad(() => scope(() => stepPictures({ images, out, pixels: made, logits }, count))),
  );

/** Share of pixels on which the segmentation head and the unrefined labels agree. */
function agreement({ logits }: Pick<PartLosses, 'logits'>, { made }: StepPart): Tensor | undefined {
  if (!logits || !made) return undefined;
  return logits.detach().argmax(1).eq(made.pseudo).to({ dtype: 'float32' }).mean();
}

/**
 * AdamW on the gradients that backward left. Averaged gradients are the same on all ranks, as is the loss.
 * @returns [1]: 1 where loss or gradient are not finite, and nothing was updated
 */
function update(loss: Tensor, optimizer: PolyWarmupAdamW): Tensor {
  const found = span('finite gradients', () => optimizer.findNonFinite(loss));
  span('AdamW', () => optimizer.update(found));
  return found;
}
