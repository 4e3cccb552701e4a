#include "genai/report/html.h"

namespace genai {

// Colours of runs: M. Okabe and K. Ito's, told apart by the colour-blind, darker (or, at night,
// lighter) until each has a contrast of 3 to 1 with the page.
const char* const kReportStyle = R"css(
:root {
  color-scheme: light dark;
  --page: #ffffff; --panel: #f5f6f7; --ink: #1b1e22; --soft: #565d66; --rule: #d5d9de;
  --note: #fff6dc; --note-rule: #c79a1b; --heat: 0, 103, 168; --shade: rgba(0, 0, 0, .22);
  --c1: #0067a8; --c2: #c8500a; --c3: #00795a; --c4: #a4478a; --c5: #8f6200; --c6: #2f87c4;
  --c7: #4d535a;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --panel: #1d2125; --ink: #e9ebed; --soft: #a9b1ba; --rule: #3a4148;
    --note: #2d2714; --note-rule: #c9a53a; --heat: 86, 180, 233; --shade: rgba(255, 255, 255, .22);
    --c1: #56b4e9; --c2: #ff8f45; --c3: #2fc79a; --c4: #e39bc6; --c5: #f0c04a; --c6: #9db4ff;
    --c7: #c8cdd2;
  }
}
* { box-sizing: border-box; }
html { font-size: clamp(16px, 0.55vw + 11px, 24px); -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 0 clamp(1rem, 4vw, 3rem) 4rem; max-width: 76rem;
  background: var(--page); color: var(--ink);
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  line-height: 1.5; font-variant-numeric: tabular-nums lining-nums;
}
header { padding-top: 2.5rem; }
h1, h2, h3 { line-height: 1.2; font-weight: 600; text-wrap: balance; overflow-wrap: anywhere; }
h1 { font-size: 2rem; margin: 0 0 .4rem; letter-spacing: -.015em; }
h2 { font-size: 1.35rem; margin: 3rem 0 1rem; padding-top: .8rem;
  border-top: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 0; color: var(--ink); }
p { margin: .4rem 0; max-width: 46rem; }
a { color: var(--c1); }
nav { margin-top: .8rem; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: .9rem; }
nav a { text-decoration: none; padding: .25rem 0; }
nav a:hover, nav a:focus-visible { text-decoration: underline; }
.soft, figcaption, .protocol, summary, footer { color: var(--soft); }
.small, .protocol, figcaption, footer { font-size: .84rem; }
code, pre, .mono {
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: .84rem; overflow-wrap: anywhere;
}
footer { margin-top: 3.5rem; padding-top: .8rem; border-top: 1px solid var(--rule); }

/* what is placed side by side where there is room */
.cards, .figures, .pictures { display: grid; gap: 1.5rem 2rem; align-items: start; }
.cards { grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr)); }
.figures { grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); }
.pictures { grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); }
.cards.one, .figures.one { grid-template-columns: minmax(0, 46rem); }
figure { margin: 0; min-width: 0; }
.group { margin: 1.8rem 0 .8rem; }

/* a run */
.card { background: var(--panel); padding: 1rem 1.2rem 1.1rem; border-top: .25rem solid;
  min-width: 0; }
.card h3 { font-size: 1.1rem; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .25rem 1rem;
  margin: 0; color: var(--ink); font-size: .92rem; }
h3 + dl { margin-top: .7rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }

/* tables */
/* a shadow at the edge that hides more; its cover scrolls away with the content */
.scroll {
  overflow-x: auto; margin: .8rem 0;
  background:
    linear-gradient(to left, var(--page) 50%, transparent) right -2px top / 2rem 100% no-repeat
      local,
    linear-gradient(to left, var(--shade), transparent) right / .7rem 100% no-repeat scroll;
}
.scroll tr > th:first-child { position: sticky; left: 0; background: var(--page); }
.scroll:focus-visible { outline: 2px solid var(--c1); outline-offset: 2px; }
table { border-collapse: collapse; font-size: .92rem; }
th, td { padding: .4rem 1.1rem .4rem 0; text-align: left; vertical-align: top; font-weight: 400; }
thead th { vertical-align: bottom; border-bottom: 1.5px solid var(--ink); font-weight: 600; }
tbody th, tbody td { border-bottom: 1px solid var(--rule); }
td.number, th.number { white-space: nowrap; }
tbody th[scope=row] { min-width: 9rem; }
tbody th.protocol { padding-top: 1rem; }
.protocol div { position: sticky; left: 0; display: inline-block; overflow-wrap: anywhere;
  max-width: calc(100vw - 2.4rem); }
.metric { font-weight: 600; }
.best { font-weight: 700; }
.differs th, .differs td, .scroll .differs > th:first-child { background: var(--note); }
.differs th { font-weight: 700; }
.settings td { overflow-wrap: anywhere; }

/* swatches and charts */
.c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3); } .c4 { --c: var(--c4); }
.c5 { --c: var(--c5); } .c6 { --c: var(--c6); } .c7 { --c: var(--c7); }
.card { border-color: var(--c); }
.swatch { display: inline-block; width: .7em; height: .7em; margin-right: .45em;
  border-radius: 50%; background: var(--c); }
.again.swatch { background: none; border: .18em solid var(--c); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; margin: .2rem 0 .6rem;
  font-size: .88rem; }
/* one size of letters: the drawings count in em */
svg { font-size: .84rem; }
svg text { fill: var(--soft); }
.curves { display: block; width: 100%; height: 17rem; overflow: visible; }
.curvebox { padding: .6rem 1.4rem 2.2rem 3.6rem; }
.main figure { margin: 1rem 0 1.2rem; }
.marks { padding: .5rem .4rem 0 .2rem; font-size: .84rem; }
.mark { display: flex; justify-content: space-between; gap: 1rem; overflow-wrap: anywhere; }
.mark span:last-child { white-space: nowrap; }
.strip, .scale { display: block; width: 100%; height: 1.2em; overflow: visible; font-size: 1em; }
.strip { margin-bottom: .25em; }
.scale { height: 1.7em; }
.xlabel { text-anchor: middle; }
.xlabel.first { text-anchor: start; }
.xlabel.last { text-anchor: end; }
.ylabel { text-anchor: end; }
.grid { stroke: var(--rule); }
.axis { stroke: var(--soft); }
.strong, .faint { fill: none; stroke: var(--c); vector-effect: non-scaling-stroke;
  stroke-linejoin: round; }
.strong { stroke-width: 3px; }
.faint { stroke-width: 1.6px; opacity: .8; }
.dot { fill: var(--c); }
.again { stroke-dasharray: 7 4; }
.again.dot { fill: var(--page); stroke: var(--c); stroke-width: 2px; stroke-dasharray: none; }
.again.error, .again.fill { stroke-dasharray: none; }
.error { stroke: var(--c); stroke-width: .28em; opacity: .45; }
.floor { stroke: var(--ink); stroke-width: 2px; }
.real { fill: var(--page); stroke: var(--ink); stroke-width: 1.6px; }
.fill { fill: var(--c); }
.bar { display: block; width: 100%; height: .8em; }
.bars { width: 100%; }
.bars th, .bars td { padding: .12rem .7rem .12rem 0; border: 0; vertical-align: middle; }
.bars tbody th[scope=row] { min-width: 0; white-space: nowrap; }
.bars td.wide { width: 99%; }
.key { display: inline-block; width: 1.6em; height: .9em; margin-right: .45em;
  vertical-align: -.1em; }

/* counts as a heat map: a share of the row in tenths */
.heat { border-collapse: separate; border-spacing: 1px; font-size: .8rem; }
.heat th, .heat td { padding: .2rem .35rem; text-align: right; border: 0; min-width: 2.1em; }
.heat tbody th[scope=row] { min-width: 0; }
.h0 { color: var(--soft); }
.h1 { background: rgba(var(--heat), .08); } .h2 { background: rgba(var(--heat), .14); }
.h3 { background: rgba(var(--heat), .20); } .h4 { background: rgba(var(--heat), .26); }
.h5 { background: rgba(var(--heat), .32); } .h6 { background: rgba(var(--heat), .38); }
.h7 { background: rgba(var(--heat), .44); } .h8 { background: rgba(var(--heat), .50); }
.h9 { background: rgba(var(--heat), .54); font-weight: 600; }
.h10 { background: rgba(var(--heat), .58); font-weight: 600; }

/* pictures, notes, commands */
.pictures img { display: block; width: 100%; height: auto; image-rendering: pixelated;
  border: 1px solid var(--rule); }
.pictures figcaption { margin-top: .4rem; }
.notes { background: var(--note); border-left: .25rem solid var(--note-rule); padding: .7rem 1rem;
  margin: 1rem 0; max-width: 60rem; }
.notes ul { margin: .2rem 0; padding-left: 1.2rem; }
.notes li { margin: .2rem 0; overflow-wrap: anywhere; }
details { margin: 1rem 0; }
summary { cursor: pointer; padding: .3rem 0; }
pre { margin: .3rem 0 1rem; padding: .7rem .9rem; background: var(--panel); white-space: pre-wrap; }
pre code { user-select: all; }

@media (max-width: 30rem) {
  th, td { padding-right: .8rem; }
  .heat { font-size: .68rem; }
  .heat th, .heat td { padding: .2rem; min-width: 1.6em; }
}
@media print {
  html { font-size: 10pt; }
  body { max-width: none; padding: 0; }
  nav { display: none; }
  h2, h3 { break-after: avoid; }
  figure, .card, tr, .notes, pre { break-inside: avoid; }
  .scroll { overflow: visible; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
)css";

}  // namespace genai
