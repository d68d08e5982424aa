"""Template of the report: page, style sheet and script, without any data.

In: nothing. Out: three texts that `report` puts together. They are Python strings and not files beside the
module so that a page can be written wherever the package can be imported.
"""

from __future__ import annotations

from string import Template

__all__ = ["PAGE", "SCRIPT", "STYLE"]

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="$policy">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="gputwas">
<title>$title</title>
<style>
$style
</style>
</head>
<body>
<a class="skip" href="#main">Skip to the results</a>
<header class="top">
<div class="wrap">
<p class="brand">gputwas report</p>
<h1>$title</h1>
$subtitle
</div>
</header>
<main id="main" class="wrap">
$notices
$headline
$contents
$sections
</main>
<footer class="wrap">
<p>One file, no network: pictures, style and script are inside. Written by gputwas.</p>
</footer>
<script>$script</script>
</body>
</html>
""")

STYLE = """
:root {
  --page: #fdfdfc; --ink: #1d2025; --soft: #5b616b; --line: #e2e3e6; --panel: #f5f5f3; --accent: #1347c2;
  --head: #ffffff; --stripe: #f9f9f7; --warn: #8a4b00; --warn-panel: #fff6e8; --bar: #c7d4f4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14161a; --ink: #e6e7ea; --soft: #a2a8b3; --line: #2d3138; --panel: #1c1f25; --accent: #8fb0ff;
    --head: #191c21; --stripe: #181b20; --warn: #ffc27a; --warn-panel: #2c2216; --bar: #2c4684;
  }
}
*, *::before, *::after { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
.wrap { max-width: 72rem; margin: 0 auto; padding: 0 clamp(1rem, 4vw, 2.5rem); }
.skip { position: absolute; left: -999rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--head); padding: .5rem 1rem; z-index: 3; }
.top { border-bottom: 1px solid var(--line); padding: clamp(2rem, 6vw, 4rem) 0 clamp(1.2rem, 3vw, 2rem); }
.brand {
  margin: 0 0 .6rem; color: var(--accent); font-size: .8rem; font-weight: 600; letter-spacing: .08em;
  text-transform: uppercase;
}
h1 {
  margin: 0; font-size: clamp(1.7rem, 4.5vw, 2.6rem); line-height: 1.15; letter-spacing: -.02em;
  font-weight: 700;
  overflow-wrap: anywhere; text-wrap: balance;
}
.subtitle {
  margin: .7rem 0 0; color: var(--soft); font-size: 1.08rem; max-width: 46rem; overflow-wrap: anywhere;
}
h2 { margin: 0 0 .9rem; font-size: 1.4rem; letter-spacing: -.01em; line-height: 1.25; }
h3 { margin: 0 0 .4rem; font-size: 1rem; }
section { margin: clamp(2.5rem, 6vw, 4rem) 0; scroll-margin-top: 1rem; }
.lead { margin: -.5rem 0 1.2rem; color: var(--soft); max-width: 46rem; }
.paper-note { display: none; }
.after, .paper-note { margin: .8rem 0 0; color: var(--soft); font-size: .9rem; }
.numbers {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 1px;
  margin: 2rem 0 0; padding: 0;
  background: var(--line); border: 1px solid var(--line); border-radius: .6rem; overflow: hidden;
}
.numbers > div { display: flex; flex-direction: column; background: var(--head); padding: 1rem 1.1rem; }
.numbers > .key { box-shadow: inset 0 3px 0 var(--accent); }
.numbers dt { color: var(--soft); font-size: .85rem; line-height: 1.35; }
.numbers dd {
  order: -1; margin: 0; font-size: 1.55rem; font-weight: 650; font-variant-numeric: tabular-nums;
  line-height: 1.3;
}
.meaning { margin: .7rem 0 0; color: var(--soft); font-size: .93rem; }
.contents { margin: 1.4rem 0 0; font-size: .93rem; }
.contents ul { display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; margin: 0; padding: 0; list-style: none; }
a { color: var(--accent); text-underline-offset: .2em; }
.notice {
  margin: 1.5rem 0 0; padding: .8rem 1.1rem; background: var(--warn-panel);
  border-left: 3px solid var(--warn);
  border-radius: 0 .4rem .4rem 0; overflow-wrap: anywhere;
}
.notice strong { color: var(--warn); }
figure { margin: 0 0 2.5rem; break-inside: avoid; }
figure .paper {
  background: #fff; border: 1px solid var(--line); border-radius: .6rem; padding: .7rem;
  overflow-x: auto;
}
figure img { display: block; width: 100%; height: auto; }
figure.wide img { min-width: 44rem; }  /* a phone scrolls: smaller, its text could not be read */
figcaption {
  margin: .7rem 0 0; color: var(--soft); font-size: .93rem; max-width: 52rem; overflow-wrap: anywhere;
}
figcaption b { color: var(--ink); }
.pair {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr)); gap: 0 2rem;
}
.pair figure.small:only-child { max-width: 34rem; }
.tools { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; margin: 0 0 .7rem; }
.tools[hidden] { display: none; }
.tools label {
  display: flex; flex-wrap: wrap; gap: .3rem .6rem; align-items: center; font-size: .9rem;
  color: var(--soft);
}
.tools input {
  font: inherit; font-size: .95rem; padding: .4rem .7rem; width: min(20rem, 80vw);
  color: var(--ink); background: var(--head); border: 1px solid var(--soft); border-radius: .4rem;
}
.tools output { font-size: .9rem; color: var(--soft); font-variant-numeric: tabular-nums; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.scroll { overflow: auto; max-height: 38rem; border: 1px solid var(--line); border-radius: .6rem; }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-size: .86rem; line-height: 1.4; }
caption {
  text-align: left; position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%);
}
th, td {
  padding: .5rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line);
}
tbody tr:last-child > * { border-bottom: 0; }
tbody tr:nth-child(even) > * { background-color: var(--stripe); }
thead th {
  position: sticky; top: 0; z-index: 1; background: var(--panel); white-space: nowrap; font-weight: 600;
  padding: .2rem .15rem;
}
th button {
  font: inherit; color: inherit; background: none; border: 0; cursor: pointer; padding: .35rem .45rem;
  width: 100%;
  text-align: inherit; border-radius: .3rem;
}
th button:hover { color: var(--accent); }
th button::after { content: "\\2195"; margin-left: .35em; opacity: .35; }
th[aria-sort="ascending"] button::after { content: "\\2191"; opacity: 1; color: var(--accent); }
th[aria-sort="descending"] button::after { content: "\\2193"; opacity: 1; color: var(--accent); }
.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
tbody th { font-weight: 500; }
.gene { font-style: italic; font-weight: 600; }
.id { overflow-wrap: anywhere; min-width: 16.5rem; }
.sub { display: block; color: var(--soft); font-size: .93em; font-style: normal; font-weight: 400; }
.dot {
  display: inline-block; width: .62em; height: .62em; border-radius: 50%; margin-right: .4em;
  background: var(--c);
  box-shadow: 0 0 0 1px rgba(255, 255, 255, .35);
}
.share {
  background-image: linear-gradient(var(--bar), var(--bar)); background-repeat: no-repeat;
  background-position: left bottom; background-size: var(--w) .2rem;
}
sup { line-height: 0; font-size: .75em; }
.facts {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr));
  gap: 1.5rem 2.5rem;
}
.facts dl {
  display: grid; grid-template-columns: minmax(7rem, auto) 1fr; gap: .25rem 1rem; margin: 0;
  font-size: .9rem;
}
.facts dt { color: var(--soft); }
.facts dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
footer { padding-top: 1.2rem; padding-bottom: 3rem; color: var(--soft); font-size: .85rem; }
footer p { border-top: 1px solid var(--line); padding-top: 1.2rem; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
@media print {
  :root {
    --page: #fff; --ink: #000; --soft: #444; --line: #bbb; --panel: #eee; --accent: #1347c2; --head: #fff;
    --stripe: #fff; --warn: #8a4b00; --warn-panel: #fff; --bar: #c7d4f4;
  }
  @page { size: A4; margin: 15mm; }
  body { font-size: 9.5pt; }
  .wrap { max-width: none; padding: 0; }
  .top { padding-top: 0; }
  .tools, .contents, .skip { display: none; }
  .numbers { grid-template-columns: repeat(3, 1fr); }
  .scroll { overflow: visible; max-height: none; border: 0; }
  .pair { grid-template-columns: 1fr 1fr; gap: 0 6mm; }
  figure.wide img { min-width: 0; }
  figure { margin-bottom: 6mm; }
  section { margin: 8mm 0; }
  h2, .lead { break-after: avoid; }
  footer { padding: 0; }
  thead { display: table-header-group; }
  thead th { position: static; white-space: normal; }
  th button { display: contents; }
  th button::after { content: none; }
  tbody tr:nth-child(n+101) { display: none; }
  .paper-note { display: block; }
  table { font-size: 7pt; }
  tr { break-inside: avoid; }
  th, td { padding: .2rem .25rem; }
  .id { min-width: 40mm; }
}
""".strip()

SCRIPT = """
"use strict";
for (const block of document.querySelectorAll("[data-table]")) {
  const body = block.querySelector("tbody");
  const rows = Array.from(body.rows);
  const tools = block.querySelector(".tools");
  const words = new Map(rows.map(row => [row, row.textContent.toLowerCase()]));
  const order = new Intl.Collator("en", { numeric: true });
  const value = (row, column) => {
    const cell = row.cells[column];
    return "v" in cell.dataset ? parseFloat(cell.dataset.v) : cell.textContent.trim();
  };
  const missing = key => key === "" || Number.isNaN(key);
  const compare = (one, two) => typeof one === "number" ? one - two : order.compare(one, two);
  const heads = Array.from(block.querySelectorAll("thead th"));
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const now = head.getAttribute("aria-sort");
    const first = head.dataset.first;
    const turned = first === "ascending" ? "descending" : "ascending";
    const next = now === first ? turned : first;
    const sign = next === "ascending" ? 1 : -1;
    for (const other of heads) other.setAttribute("aria-sort", other === head ? next : "none");
    const keyed = rows.map((row, index) => [value(row, column), index, row]);
    keyed.sort((one, two) => {
      const gaps = missing(one[0]) - missing(two[0]);
      return gaps || (missing(one[0]) ? 0 : sign * compare(one[0], two[0])) || one[1] - two[1];
    });
    body.append(...keyed.map(key => key[2]));
  }));
  if (!tools) continue;
  tools.hidden = false;
  const count = tools.querySelector("output");
  const show = () => {
    const wanted = tools.querySelector("input").value.toLowerCase().split(/\\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      row.hidden = !wanted.every(word => words.get(row).includes(word));
      shown += !row.hidden;
    }
    const total = rows.length.toLocaleString("en");
    const part = shown === rows.length ? "" : shown.toLocaleString("en") + " of ";
    count.textContent = part + total + " rows";
  };
  tools.querySelector("input").addEventListener("input", show);
  show();
}
""".strip()
