import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // The addon is one per process and libtorch's thread pool must not be shared: processes, not threads.
    pool: 'forks',
    maxWorkers: 2,
    env: { OMP_NUM_THREADS: '1' },
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
