/// <reference lib="dom" />
/** The report of a run: in a browser where there is one, and its numbers against the files that they come from. */
import { existsSync, rmSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ended, Workplace } from './workplace.js';

const place = new Workplace().phantom();
/** Patients 1 and 2 validate, 3 trains, and `test` is 0 to 2; a few iterations give every section something to show. */
const SETTINGS = { 'dataset.slice_split': [6, 18], 'train.max_iters': 6, 'train.eval_iters': 3 };
let run: Ended;
beforeAll(async () => {
  run = await place.train('--config', place.config(SETTINGS));
  expect(run.code, run.stderr).toBe(0);
});
const page = (file = 'work/report.html') => place.read(file).toString();

describe('report.html', () => {
  it('is written by training, and holds no address of another place', () => {
    expect(run.stdout).toMatch(/^report +work\/report\.html$/m);
    expect(page()).not.toMatch(/(?:src|href)="(?!#|data:)|https?:\/\/|@import|url\(/);
  });

  it('shows the numbers of summary.json with their intervals', () => {
    const { evaluation } = place.json('work', 'summary.json') as {
      evaluation: { perSlice: { auroc: { value: number } }; localisation: { cam: { threshold: string } } };
    };
    expect(page()).toContain(`slice AUROC<b>${evaluation.perSlice.auroc.value.toFixed(3)}</b>`);
    expect(page()).toContain(`CAM Dice at ${evaluation.localisation.cam.threshold}`);
    expect(page()).toContain('With 2 patients they are too narrow');
    expect(page()).toContain('every patient is positive');
  });

  it('is written again by its command, the same', async () => {
    const before = page();
    rmSync(place.path('work/report.html'));
    const again = await place.start('report.js', ['--config', 'work/config.yaml']).ended;
    expect(again.code, again.stderr).toBe(0);
    expect(again.stdout).toBe('work/report.html\n');
    expect(page()).toBe(before);
  });

  it('measures distances at the chosen threshold, and says where it cannot', () => {
    const { cases } = place.json('work/checkpoints', 'best_cases.json') as {
      cases: { labels: number[]; localisation: { cam: { hd95: (number | null)[] | null }[] } }[];
    };
    const positive = cases.filter(({ labels }) => labels[0] === 1);
    expect(
      positive.every(({ localisation }) => localisation.cam[0]!.hd95!.filter((d) => d !== null).length <= 1),
    ).toBe(true);
    expect(page()).toContain('the pixel spacing is known for 0 of');
  });

  it.each([
    ['no run', ['--work_dir', 'nowhere'], /Expected the summary of a finished run in nowhere\/summary\.json/],
    ['an unknown flag', ['--sort'], /unknown option '--sort'/i],
  ])('refuses %s with 2', async (_, args, message) => {
    const { code, stderr } = await place.start('report.js', ['--config', 'work/config.yaml', ...args]).ended;
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });
});

describe('the report of another split', () => {
  it('keeps the threshold that validation chose, and says which images had a part in the choice', async () => {
    const args = ['--config', 'work/config.yaml', '--split', 'test', '--device', 'cpu'];
    const { code, stdout, stderr } = await place.start('report.js', args).ended;
    expect(code, stderr).toBe(0);
    expect(stdout).toBe('work/test/report.html\n');
    const text = page('work/test/report.html');
    const summary = place.json('work', 'summary.json') as {
      evaluation: { localisation: { cam: { threshold: string } } };
    };
    const { threshold } = summary.evaluation.localisation.cam;
    expect(text).toContain(`threshold ${threshold}, chosen on validation data and frozen (oracle: `);
    expect(text).toContain('12 of these 18 images were also used to choose checkpoint and thresholds');
    expect(text).toContain("18 slices of 3 patients, split 'test'");
    expect(place.files('work/test/attention_maps')).toHaveLength(18);
    // The run's own report, maps and cases are as they were.
    expect(page()).toContain('12 slices of 2 patients');
    expect(place.files('work/attention_maps')).toHaveLength(12);
  });

  it('needs a split that exists', async () => {
    const args = ['--config', 'work/config.yaml', '--split', 'holdout'];
    const { code, stderr } = await place.start('report.js', args).ended;
    expect(code).toBe(2);
    expect(stderr).toContain("Expected 'train', 'val' or 'test' for the split but received string 'holdout'");
  });
});

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  existsSync,
);
if (!CHROMIUM)
  console.info('Skipped: no Chromium here to open the report in; `apt-get install chromium` brings one.');

describe.skipIf(!CHROMIUM)('in a browser', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM!, args: ['--no-sandbox'] });
  });
  afterAll(() => browser?.close());

  const open = async (options: Parameters<Browser['newPage']>[0] = {}) => {
    const tab = await browser.newPage({ viewport: { width: 1000, height: 800 }, ...options });
    const faults: string[] = [];
    tab.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
    tab.on('pageerror', (error) => faults.push(String(error)));
    tab.on('request', (request) => !/^(file|data):/.test(request.url()) && faults.push(request.url()));
    await tab.goto(`file://${place.path('work/report.html')}`);
    return { tab, faults };
  };

  it('renders every section, picture and chart without an error or a request', async () => {
    const { tab, faults } = await open();
    const ids = await tab.locator('main > section').evaluateAll((all) => all.map(({ id }) => id));
    expect(ids).toEqual(['classification', 'localisation', 'gallery', 'patients', 'curves', 'run']);
    const broken = await tab
      .locator('img')
      .evaluateAll(
        (all) => (all as HTMLImageElement[]).filter((img) => img.naturalWidth === 0 || img.alt === '').length,
      );
    expect(broken).toBe(0);
    expect(await tab.locator('img').count()).toBeGreaterThan(8);
    expect(await tab.locator('svg.chart[aria-label] path.line').count()).toBeGreaterThan(6);
    // Nothing is wider than the window, on a desk or on a phone.
    for (const width of [1000, 360]) {
      await tab.setViewportSize({ width, height: 800 });
      expect(await tab.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    }
    expect(faults).toEqual([]);
  });

  it('sorts patients by a column, by mouse and by keyboard', async () => {
    const { tab } = await open();
    const column = () => tab.locator('#patients tbody tr td:nth-child(4)').allTextContents();
    const head = tab.locator('#patients thead th:nth-child(4) button');
    await head.click();
    const rising = await column();
    expect(rising).toEqual(rising.toSorted((a, b) => Number(a) - Number(b)));
    await head.focus();
    await tab.keyboard.press('Enter');
    expect(await column()).toEqual(rising.toReversed());
    expect(await tab.locator('#patients thead th:nth-child(4)').getAttribute('aria-sort')).toBe('descending');
  });

  it('is readable in light, in dark and on paper', async () => {
    const contrast = async (options: Parameters<Browser['newPage']>[0], print = false) => {
      const { tab } = await open(options);
      if (print) await tab.emulateMedia({ media: 'print' });
      return tab.evaluate(() => {
        const luminance = (color: string) => {
          const channels = color
            .match(/[\d.]+/g)!
            .slice(0, 3)
            .map((v) => Number(v) / 255);
          const [r, g, b] = channels.map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
          return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
        };
        const paper = luminance(getComputedStyle(document.body).backgroundColor);
        return ['body', '.soft', 'svg.chart text'].map((selector) => {
          const element = document.querySelector(selector)!;
          const style = getComputedStyle(element);
          const ink = luminance(selector.startsWith('svg') ? style.fill : style.color);
          return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
        });
      });
    };
    // WCAG 2.2, 1.4.3: at least 4.5 to 1.
    for (const ratios of [
      await contrast({ colorScheme: 'light' }),
      await contrast({ colorScheme: 'dark' }),
      await contrast({ colorScheme: 'dark' }, true),
    ])
      for (const ratio of ratios) expect(ratio).toBeGreaterThan(4.5);
  });
});
