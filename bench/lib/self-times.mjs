// Where the time of recorded iterations went: for each event what is left of it when those inside it are taken off.

const end = ({ ts, dur }) => ts + dur;

/**
 * Self times of the events of one thread that lie in `window`, by name.
 * @param events of Chrome's trace format, complete ('X')
 * @returns {Map<string, {name: string, cat: string, count: number, self: number}>} microseconds
 */
export function selfTimes(events, window) {
  const inside = events
    .filter((event) => event.ts >= window.ts && end(event) <= end(window))
    .toSorted((a, b) => a.ts - b.ts || b.dur - a.dur);
  const found = new Map();
  const open = [];
  const close = () => {
    const { event, children } = open.pop();
    const entry = found.get(event.name) ?? { name: event.name, cat: event.cat, count: 0, self: 0 };
    entry.count += 1;
    entry.self += event.dur - children;
    found.set(event.name, entry);
  };
  for (const event of inside) {
    while (open.length > 0 && end(open.at(-1).event) <= event.ts) close();
    if (open.length > 0) open.at(-1).children += event.dur;
    open.push({ event, children: 0 });
  }
  while (open.length > 0) close();
  return found;
}

/** Kinds of work by the names of operations; the first that fits. */
const GROUPS = [
  ['resizing', /upsample/],
  ['attention', /scaled_dot_product|flash_attention/],
  ['convolutions', /conv/],
  ['matrix products', /::(add|b|badd)?mm|linear|matmul|dot/],
  ['normalisation', /norm/],
  ['activations', /gelu|relu|softmax|sigmoid/],
  [
    'copies and layout',
    /copy|contiguous|clone|::to|cat|stack|permute|reshape|view|expand|empty|fill|zero|as_strided|pad/,
  ],
  ['PAR', /^PAR$/],
  ['AdamW', /^AdamW$/],
  ['files and waiting', /^wait for/],
  ['other operations', /::/],
];

/** The kind of work of an event; what has no operation of its own is the addon's code, or JavaScript around it. */
export const groupOf = ({ name }) =>
  GROUPS.find(([, pattern]) => pattern.test(name))?.[0] ?? 'addon and JavaScript';
