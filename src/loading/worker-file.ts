import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * The file of a worker thread beside a module. Worker threads run compiled JavaScript: from src/ (as tests do)
 * the one of dist/ is used.
 * @param name './worker.js'
 * @param module the `import.meta.url` of the module
 */
export function workerFile(name: string, module: string): URL {
  const own = new URL(name, module);
  const file = module.endsWith('.ts') ? new URL(own.href.replace('/src/', '/dist/')) : own;
  if (!existsSync(fileURLToPath(file))) {
    throw new Error(
      `Expected the compiled ${fileURLToPath(file)} but received nothing: run \`npm run build:ts\` first.`,
    );
  }
  return file;
}
