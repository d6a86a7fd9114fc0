/** The report's look. Colours are variables: light, dark and print set them; series colours are Okabe and Ito's. */
export const STYLE = `
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1d21; --soft: #5b626d; --rule: #d9dde3; --card: #f5f7f9;
  --warn: #fff1d6; --warn-ink: #5c3b00; --s0: #0072b2; --s1: #d55e00; --s2: #009e73; --s3: #cc79a7; --s4: #7a5f00; --s5: #56b4e9; }
@media (prefers-color-scheme: dark) { :root { --paper: #15171a; --ink: #e8eaed; --soft: #a3abb6; --rule: #353a41;
  --card: #1f2226; --warn: #4a3500; --warn-ink: #ffe3ab; --s0: #56b4e9; --s1: #ff8a3d; --s2: #2fd0a0; --s3: #e79fc6; --s4: #f0e442; --s5: #8ab8ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 1.25rem 0 .5rem; }
p { max-width: 46rem; margin: .4rem 0; } .soft, figcaption, .none { color: var(--soft); font-size: .875rem; }
a { color: inherit; } nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; list-style: none; margin: .75rem 0 0; padding: 0; }
.skip { position: absolute; left: -99rem; } .skip:focus { left: 1rem; top: 1rem; background: var(--paper); padding: .5rem; }
.warning { background: var(--warn); color: var(--warn-ink); border-left: 4px solid; padding: .6rem .9rem; margin: 1rem 0; border-radius: 4px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem; margin: 1.25rem 0; padding: 0; list-style: none; }
.cards li { background: var(--card); border-radius: 8px; padding: .75rem .9rem; }
.cards b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; } .cards span { color: var(--soft); font-size: .8rem; display: block; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1rem 1.5rem; }
figure { margin: 0; } figure > h3 { margin-top: 0; }
svg.chart { width: 100%; height: auto; max-width: 34rem; } svg.chart text { font-size: 11px; fill: var(--soft); }
.axis { fill: none; stroke: var(--soft); } .grid { stroke: var(--rule); } .line { fill: none; stroke-width: 2; }
.reference { stroke: var(--soft); stroke-dasharray: 2 4; } line.mark { stroke: var(--soft); stroke-dasharray: 5 3; } text.mark { font-size: 10px !important; }
.s0 { stroke: var(--s0); } .s1 { stroke: var(--s1); stroke-dasharray: 7 3; } .s2 { stroke: var(--s2); stroke-dasharray: 2 2; }
.s3 { stroke: var(--s3); stroke-dasharray: 9 3 2 3; } .s4 { stroke: var(--s4); stroke-dasharray: 4 4; } .s5 { stroke: var(--s5); stroke-dasharray: 12 3; }
circle.s0 { fill: var(--s0); }
.legend { display: flex; flex-wrap: wrap; gap: .15rem .9rem; list-style: none; padding: 0; margin: .1rem 0 0; font-size: .8rem; color: var(--soft); }
.legend svg { width: 24px; height: 8px; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; margin: .5rem 0; }
th, td { text-align: right; padding: .3rem .7rem; border-bottom: 1px solid var(--rule); vertical-align: top; } th:first-child, td:first-child { text-align: left; padding-left: 0; }
thead th { color: var(--soft); font-weight: 600; } tbody th { font-weight: 400; } td.text { text-align: left; white-space: normal; }
th button { all: unset; cursor: pointer; color: inherit; } th button:focus-visible { outline: 2px solid var(--s0); outline-offset: 2px; }
th[aria-sort=ascending] button::after { content: ' \\25b2'; } th[aria-sort=descending] button::after { content: ' \\25bc'; }
.confusion thead td { background: none; } .confusion tbody td { min-width: 5rem; text-align: center; background: var(--card); border: 2px solid var(--paper); }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(13.5rem, 1fr)); gap: 1rem; list-style: none; padding: 0; margin: .5rem 0 1.5rem; }
.gallery .pair { display: flex; gap: 2px; } .gallery .pair > * { width: 50%; position: relative; }
.gallery img { width: 100%; height: auto; display: block; image-rendering: pixelated; border-radius: 3px; }
.gallery svg { position: absolute; inset: 0; width: 100%; height: 100%; } .contour { fill: none; stroke: #fff; vector-effect: non-scaling-stroke; stroke-width: 2; }
.contour.under { stroke: #000; stroke-width: 4; } .gallery p { margin: .25rem 0 0; font-size: .8rem; overflow-wrap: anywhere; }
details { margin: .75rem 0; } summary { cursor: pointer; } pre { background: var(--card); padding: .75rem; overflow-x: auto; font-size: .8rem; border-radius: 6px; }
@media print { :root { color-scheme: light; --paper: #fff; --ink: #000; --soft: #444; --rule: #bbb; --card: #f2f2f2; --warn: #fff; --warn-ink: #000;
  --s0: #0072b2; --s1: #d55e00; --s2: #009e73; --s3: #cc79a7; --s4: #7a5f00; --s5: #56b4e9; }
  body { max-width: none; padding: 0; font-size: 10pt; } nav, .skip { display: none; } figure, .gallery li, .cards li, tr { break-inside: avoid; } h2 { break-after: avoid; }
  * { print-color-adjust: exact; } }
`;
