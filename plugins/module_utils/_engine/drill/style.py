# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the page of a drill looks: in light, in dark, on a narrow screen, and on paper."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #f6f7f9; --card: #ffffff; --ink: #1b2430; --soft: #5a6675; --rule: #dde2e8;
  --good: #14713d; --good-soft: #e2f4e9; --bad: #b3261e; --bad-soft: #fde8e6;
  --line: #2463b5; --silent: #c98a1b; --down: #7a8594; --back: #2463b5; --sync: #2e8b57;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #12161c; --card: #1b212a; --ink: #e6eaf0; --soft: #9aa6b5; --rule: #2f3844;
    --good: #6fd39b; --good-soft: #173527; --bad: #ff9a91; --bad-soft: #43201d;
    --line: #7fb2ff; --silent: #e0ac4d; --down: #7d899a; --back: #7fb2ff; --sync: #63c48d;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
main { max-width: 66rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
header { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: baseline; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; letter-spacing: -.01em; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1.05rem; margin: 0 0 .75rem; display: flex; flex-wrap: wrap; gap: .6rem; align-items: center; }
p { margin: .5rem 0 1rem; }
code, .mono { font-family: ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; font-size: .9em; }
.lead { font-size: 1.05rem; color: var(--soft); margin: .4rem 0 1.5rem; overflow-wrap: anywhere; }
.badge {
  display: inline-block; padding: .1rem .65rem; border-radius: 999px; font-size: .85rem; font-weight: 600;
  border: 1px solid currentColor; white-space: nowrap;
}
.passed { color: var(--good); background: var(--good-soft); }
.failed { color: var(--bad); background: var(--bad-soft); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem; margin: 0; }
.tiles div, .card {
  background: var(--card); border: 1px solid var(--rule); border-radius: .6rem; padding: .9rem 1.1rem;
}
.tiles dt { color: var(--soft); font-size: .85rem; }
.tiles dd { margin: .1rem 0 0; font-size: 1.45rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.tiles small { display: block; color: var(--soft); font-size: .8rem; font-weight: 400; line-height: 1.35; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem; margin: 1.25rem 0 0; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.card { margin: 0 0 1rem; }
.reason { color: var(--bad); font-weight: 600; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); font-size: .85rem; padding: 0 0 .4rem; }
th, td { text-align: left; padding: .4rem .75rem .4rem 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
td { white-space: nowrap; }
.paths td { white-space: normal; }
thead th { color: var(--soft); font-weight: 600; font-size: .82rem; white-space: nowrap; }
tbody th { font-weight: 600; overflow-wrap: anywhere; min-width: 8rem; }
tbody tr:last-child > * { border-bottom: 0; }
.paths tbody th, .steps tbody th { font-weight: 400; overflow-wrap: anywhere; }
.wide + .wide { margin-top: 1.25rem; }
.charts { margin: 0 0 1rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: .75rem; }
figure { margin: 0; }
.chart { background: var(--card); border: 1px solid var(--rule); border-radius: .6rem; padding: .75rem .75rem .6rem; }
.chart figcaption { display: flex; justify-content: space-between; font-size: .9rem; padding: 0 .35rem; }
.time { margin: 0 0 1rem; }
svg { display: block; width: 100%; height: auto; }
.line { fill: none; stroke: var(--line); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.dot { fill: var(--line); stroke: var(--card); stroke-width: 1.5; }
.cross { stroke: var(--bad); stroke-width: 2; fill: none; stroke-linecap: round; }
.grid { stroke: var(--rule); stroke-width: 1; }
.label { fill: var(--soft); font-size: 11px; }
.end { text-anchor: end; }
.middle { text-anchor: middle; }
.part { stroke: none; }
rect.silent { fill: var(--silent); } rect.down { fill: var(--down); }
rect.back { fill: var(--back); } rect.sync { fill: var(--sync); }
.keys { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.25rem; margin: .35rem 0 0; padding: 0; }
.keys li { font-size: .85rem; color: var(--soft); }
.key { display: inline-block; width: .75rem; height: .75rem; border-radius: .2rem; margin-right: .4rem; }
.key.silent { background: var(--silent); } .key.down { background: var(--down); }
.key.back { background: var(--back); } .key.sync { background: var(--sync); }
footer { color: var(--soft); font-size: .85rem; margin-top: 2.5rem; border-top: 1px solid var(--rule); }
@media print {
  :root {
    --paper: #fff; --card: #fff; --ink: #000; --soft: #444; --rule: #bbb;
    --good: #0b5a2d; --good-soft: #fff; --bad: #9b1c15; --bad-soft: #fff; --line: #1f4e96;
    --silent: #c98a1b; --down: #7a8594; --back: #2463b5; --sync: #2e8b57;
  }
  body { font-size: 11pt; }
  main { max-width: none; padding: 0; }
  .card, .chart, .tiles div, tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .wide { overflow: visible; }
  rect, .key { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
