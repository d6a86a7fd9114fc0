import { existsSync } from 'node:fs';
import { Team } from '../distributed/index.js';
import type { ExportOptions } from '../export/attention-maps.js';
import { evaluateCases, type MapMeasurement, measureMap } from '../metrics/index.js';
import { readCases, type SavedCase, saveCases } from './cases.js';

type OnMap = NonNullable<ExportOptions['onMap']>;

/**
 * Measures how far map and mask lie apart (HD95) while maps are exported, at the threshold that validation has chosen,
 * and adds it to the saved cases. Validation itself does not know the threshold before its end, and distances at all of
 * them would cost more than the maps.
 * The export keeps the strongest class of each pixel: with several classes distances stay unmeasured.
 */
export class MapDistances {
  readonly #path: string;
  readonly #saved: ReturnType<typeof readCases> | undefined;
  readonly #byName: ReadonlyMap<string, SavedCase>;
  readonly #threshold: string | undefined;
  readonly #measured: [name: string, measurement: MapMeasurement][] = [];

  /**
   * @param path of the cases; without such a file nothing is measured
   * @param threshold chosen elsewhere; absent: on these cases, which are then the validation's
   */
  constructor(path: string, threshold?: string) {
    this.#path = path;
    this.#saved = existsSync(path) ? readCases(path) : undefined;
    const cases = this.#saved?.cases ?? [];
    this.#byName = new Map(cases.map((one) => [one.name, one]));
    const single = cases[0]?.labels.length === 1;
    const choose = () => evaluateCases(cases, { chooseMapThresholds: true }).localisation.cam?.threshold;
    this.#threshold = single ? (threshold ?? choose() ?? undefined) : undefined;
  }

  readonly onMap: OnMap = (name, map, mask) => {
    const one = this.#byName.get(name);
    if (!this.#threshold || !mask || !one?.localisation?.cam) return;
    const { data, height, width } = mask;
    const surface = { height, width, spacing: one.spacing, thresholds: [this.#threshold] };
    this.#measured.push([name, measureMap(map, data, { surface })]);
  };

  /** Saves what all processes of a team have measured; all of them call it. */
  async save(team = new Team()): Promise<void> {
    if (!this.#saved || !this.#threshold) return;
    for (const [name, measurement] of (await team.gather(this.#measured)).flat())
      Object.assign(this.#byName.get(name)!.localisation!, { cam: [measurement] });
    if (team.isLead) saveCases(this.#path, this.#saved);
  }
}
