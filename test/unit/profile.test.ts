/** Traces without libtorch: the bound, the tracks, and that nothing is recorded when nobody asks. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  beginIteration,
  elsewhere,
  endIteration,
  type SpanSink,
  setSink,
  span,
  stage,
} from '../../src/profile/spans.js';
import { Trace } from '../../src/profile/trace.js';

afterEach(() => setSink(undefined));

describe('spans', () => {
  it('without a profile are plain calls', () => {
    const error = new Error('mine');
    expect([span('a', () => 1), stage('b', () => 'two')]).toEqual([1, 'two']);
    expect(() =>
      span('a', () => {
        throw error;
      }),
    ).toThrow(error);
    beginIteration('cls');
    elsewhere('c', 0, 1, { id: 2, name: 'other' });
    endIteration();
  });

  it('reach a profile only within its iterations, stages always', () => {
    const sink: SpanSink = {
      isOpen: false,
      iteration: vi.fn(),
      endIteration: vi.fn(),
      timed: vi.fn((_, body) => body()) as unknown as SpanSink['timed'],
      add: vi.fn(),
    };
    setSink(sink);
    span('outside', () => 1);
    elsewhere('outside', 0, 1, { id: 2, name: 'other' });
    stage('stage', () => 1);
    expect(vi.mocked(sink.timed).mock.calls.map(([name]) => name)).toEqual(['stage']);
    expect(sink.add).not.toHaveBeenCalled();
    setSink({ ...sink, isOpen: true });
    span('inside', () => 1);
    elsewhere('inside', 0, 1, { id: 2, name: 'other' });
    expect(vi.mocked(sink.timed).mock.calls.map(([name]) => name)).toEqual(['stage', 'inside']);
    expect(sink.add).toHaveBeenCalledWith('inside', 0, 1, { id: 2, name: 'other' });
  });
});

describe('a trace', () => {
  it('is JSON with times from its origin, and names its threads', () => {
    const trace = new Trace(1000, 10);
    trace.add('span', 'step "1"\n', 1010, 1030.5);
    trace.add('span', 'build', 1000, 1001, { id: 11, name: 'loader worker 1' }, { task: 3 });
    const { traceEvents, otherData } = JSON.parse(trace.toJson({ command: 'train' }));
    expect(otherData).toEqual({ command: 'train' });
    const pid = process.pid;
    expect(traceEvents).toEqual([
      { name: 'thread_name', ph: 'M', pid, tid: 1, args: { name: 'main' } },
      { name: 'thread_name', ph: 'M', pid, tid: 11, args: { name: 'loader worker 1' } },
      { name: 'step "1"\n', cat: 'span', ph: 'X', pid, tid: 1, ts: 10, dur: 20.5 },
      { name: 'build', cat: 'span', ph: 'X', pid, tid: 11, ts: 0, dur: 1, args: { task: 3 } },
    ]);
  });

  it('does not grow beyond its limit, and says what found no place', () => {
    const trace = new Trace(0, 2);
    for (let k = 0; k < 5; k++) trace.add('span', `${k}`, k, k + 1);
    expect(trace.room).toBe(0);
    const { traceEvents, otherData } = JSON.parse(trace.toJson({}));
    expect(traceEvents.filter((event: { ph: string }) => event.ph === 'X')).toHaveLength(2);
    expect(otherData).toEqual({ eventsWithoutPlace: 3 });
  });
});
