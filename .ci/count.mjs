// Counts what .ci/run left in a folder: vitest.json, test-code and demo-code. The demo counts as one check.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMain } from '../scripts/lib/run.mjs';

/**
 * @param {string} folder
 * @returns {{ passed: number, failed: number }}
 */
export function count(folder) {
  const code = (/** @type {string} */ name) => Number(readFileSync(join(folder, name), 'utf8'));
  let passed = 0;
  let failed = 0;
  const report = join(folder, 'vitest.json');
  if (existsSync(report)) {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(report, 'utf8'));
    passed += numPassedTests;
    failed += numFailedTests;
    for (const file of testResults) {
      // A file that could not even be loaded has no tests that failed.
      const reported = file.assertionResults.some(
        (/** @type {{ status: string }} */ test) => test.status === 'failed',
      );
      if (file.status === 'failed' && !reported) failed += 1;
    }
  }
  // Set-up, lint or an error outside any test.
  if (code('test-code') !== 0 && failed === 0) failed += 1;
  if (code('demo-code') === 0) passed += 1;
  else failed += 1;
  return { passed, failed };
}

if (isMain(import.meta.url)) {
  const { passed, failed } = count(process.argv[2] ?? '.');
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
