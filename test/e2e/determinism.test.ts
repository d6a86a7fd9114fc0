/** Same seed, same machine, same result, however many threads prepare the slices. */
import { expect, it } from 'vitest';
import { Workplace } from './workplace.js';

const place = new Workplace().phantom();
const config = place.config();
const run = (workDir: string, ...args: string[]) =>
  place.train('--config', config, '--work_dir', workDir, ...args).then(({ code, stderr }) => {
    expect(code, stderr).toBe(0);
    return workDir;
  });

/** What holds clocks (logs, event files, seconds in last.pth, summary and report) or paths. */
const OWN = /\.(log|yaml|jsonl)$|last\.pth$|^tb_logger\/|^(summary\.json|report\.html)$|\.export\.json$/;

/** All else that a run leaves, and those files' numbers. */
function results(workDir: string): Map<string, string> {
  const names = place.files(workDir).filter((name) => !OWN.test(name));
  const files = names.map((name) => [name, place.read(workDir, name).toString('base64')] as const);
  const summary = { ...place.json(workDir, 'summary.json'), seconds: 0, dataWait: 0 };
  return new Map([
    ...files,
    ['metrics', JSON.stringify(place.metrics(workDir))],
    ['summary', JSON.stringify(summary)],
  ]);
}

/** Names of what is not the same: long contents are no use in a message. */
const differences = (a: Map<string, string>, b: Map<string, string>) =>
  [...new Set([...a.keys(), ...b.keys()])].filter((name) => a.get(name) !== b.get(name));

it('a seed decides every byte of weights, maps and scores, for any number of workers', async () => {
  const first = results(await run('first'));
  expect([...first.keys()].filter((name) => name.endsWith('.pth'))).toHaveLength(3);
  expect(differences(first, results(await run('again')))).toEqual([]);
  const workers = ['--set', 'train.num_workers=2', '--set', 'dataset.cache_bytes=0'];
  expect(differences(first, results(await run('workers', ...workers)))).toEqual([]);
  expect(differences(first, results(await run('other', '--seed', '2')))).toContain('checkpoints/best.pth');
});

it('--deterministic gives the same bytes each time, also with two threads', async () => {
  const args = ['--deterministic', '--threads', '2'];
  const first = results(await run('strict', ...args));
  expect(differences(first, results(await run('strict-again', ...args)))).toEqual([]);
  expect(place.read('strict', 'config.yaml').toString()).toMatch(/^ {2}deterministic: true/m);
  const maps = (to: string) =>
    place.genAttn(
      '--config',
      config,
      '--work_dir',
      'strict',
      '--cam_npy_dir',
      to,
      '--output_dir',
      `${to}-png`,
      ...args,
    );
  expect([(await maps('maps1')).code, (await maps('maps2')).code]).toEqual([0, 0]);
  const arrays = (folder: string) =>
    place
      .files(folder)
      .filter((name) => name.endsWith('.npy'))
      .map((name) => place.read(folder, name).toString('base64'));
  expect(arrays('maps1')).not.toEqual([]);
  expect(arrays('maps1')).toEqual(arrays('maps2'));
});
