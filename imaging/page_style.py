"""How the pages look: on a phone and a desk, in light and dark, and on paper."""

STYLE = """
:root{color-scheme:light dark;--ground:#fff;--card:#f4f6f8;--ink:#17212b;--soft:#4a5763;--line:#c9d1d9;--link:#0b57a4;
--warn:#7a3c00;--warn-ground:#fff2df;--good:#0d5c36;--good-ground:#e5f5ec;--bad:#8f1d1d;--bad-ground:#fdeaea;--bar:#4b83b8}
@media (prefers-color-scheme:dark){:root{--ground:#12171d;--card:#1b222a;--ink:#e8edf2;--soft:#aeb9c4;--line:#39444f;
--link:#8cc4ff;--warn:#ffcf8f;--warn-ground:#3b2a12;--good:#8fe0b4;--good-ground:#12321f;--bad:#ffb3b3;
--bad-ground:#3d1a1a;--bar:#5b97d0}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);font:1rem/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;
overflow-wrap:break-word}
aside.research p{margin:0}
.research{position:sticky;top:0;z-index:2;background:#8a1c1c;color:#fff;font-weight:600;text-align:center;
padding:.4rem .8rem;font-size:.9rem;margin:0}
.skip{position:absolute;left:-100vw}.skip:focus{left:.5rem;top:.5rem;z-index:3;background:var(--ground);padding:.5rem}
header,main,footer{max-width:70rem;margin:0 auto;padding:0 1rem}
header{padding-top:1rem}footer{padding-bottom:2rem;color:var(--soft);font-size:.9rem}
h1{font-size:1.7rem;line-height:1.2;margin:.3rem 0}
h2{font-size:1.25rem;margin:2.2rem 0 .6rem;padding-bottom:.25rem;border-bottom:2px solid var(--line)}
h3{font-size:1.05rem;margin:1.4rem 0 .5rem}
h2,h3,tr,figure{scroll-margin-top:3rem}
a{color:var(--link)}:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.finding{font-size:1.2rem;font-weight:600;margin:.4rem 0}.soft{color:var(--soft);margin:.3rem 0}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;padding:0;margin:.8rem 0 0}
nav a{display:inline-block;padding:.25rem 0}
.box{border-left:5px solid;border-radius:4px;padding:.6rem 1rem;margin:1rem 0}.box p,.box ul{margin:.2rem 0}
.warn{background:var(--warn-ground);border-color:var(--warn)}.warn strong{color:var(--warn)}
.good{background:var(--good-ground);border-color:var(--good)}.good strong{color:var(--good)}
.bad{background:var(--bad-ground);border-color:var(--bad)}.bad strong{color:var(--bad)}
dl{display:grid;grid-template-columns:minmax(7rem,14rem) 1fr;gap:.3rem 1rem;margin:.6rem 0}
dt{color:var(--soft)}dd{margin:0;min-width:0}
code{font:.9em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.scroll{overflow-x:auto;margin:.8rem 0;border:1px solid var(--line);border-radius:6px}
table{border-collapse:collapse;width:100%;font-size:.95rem}
caption{text-align:left;padding:.5rem .7rem;color:var(--soft)}
th,td{text-align:left;vertical-align:top;padding:.4rem .7rem;border-top:1px solid var(--line)}
thead th{background:var(--card);border-top:0;vertical-align:bottom}
tbody th{font-weight:600;min-width:6.5rem}td ul{margin:0;padding-left:1.1rem}
.numbers td{font-variant-numeric:tabular-nums;white-space:nowrap}.numbers small{color:var(--soft);white-space:nowrap}
.swatch{display:inline-block;width:.85em;height:.85em;border-radius:2px;border:1px solid var(--soft);margin-right:.45em;
vertical-align:-.05em}
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(46%,15.5rem),1fr));gap:.9rem;margin:.6rem 0}
.wide{grid-template-columns:repeat(auto-fill,minmax(min(100%,24rem),1fr))}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:6px;overflow:hidden}
figure img{display:block;width:100%;height:auto;background:#000}
figcaption{padding:.4rem .6rem;font-size:.88rem;color:var(--soft)}
details{margin:.8rem 0}summary{cursor:pointer;padding:.3rem 0;color:var(--link)}
.bar{display:block;height:.55rem;background:var(--bar);border-radius:2px;min-width:1px}
.bars td:last-child{width:40%}
th button{font:inherit;font-weight:600;color:inherit;background:none;border:0;padding:0;cursor:pointer;text-align:left}
th button::after{content:" \\2195";color:var(--soft)}
[aria-sort=ascending] button::after{content:" \\2191"}[aria-sort=descending] button::after{content:" \\2193"}
.chart svg{display:block;width:100%;height:auto;padding:.5rem .6rem 0}.chart text{font-size:10px;fill:var(--soft)}
.sorts td:nth-child(2),.sorts td:last-child,.why td:last-child{min-width:14rem}
.canvas{height:min(70vh,26rem);background:#000;border-radius:6px;overflow:hidden}
.canvas canvas{width:100%;height:100%;display:block}
.controls{display:flex;flex-wrap:wrap;gap:.5rem 1rem;margin:.6rem 0}
.controls label{display:flex;gap:.5rem;align-items:center}
.controls button{font:inherit;padding:.4rem .8rem;border:1px solid var(--line);border-radius:6px;background:var(--card);
color:var(--ink);cursor:pointer}pre{white-space:pre-wrap;font-size:.8rem}
.in{fill:var(--bar)}.out{fill:#c2410c}.median{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:3 2}
@media (max-width:30rem){h1{font-size:1.4rem}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}
th,td{padding:.35rem .5rem}}
@page{size:A4;margin:14mm 12mm 16mm;
@bottom-center{content:"Research use only. Not a medical device.";font:9pt sans-serif;color:#8a1c1c}
@bottom-right{content:counter(page) " / " counter(pages);font:9pt sans-serif}}
@media print{:root{color-scheme:light;--ground:#fff;--card:#fff;--ink:#000;--soft:#333;--line:#999;--link:#000;
--warn:#000;--warn-ground:#fff;--good:#000;--good-ground:#fff;--bad:#000;--bad-ground:#fff;--bar:#555}
body{font-size:10pt}header,main,footer{max-width:none;padding:0}nav,.skip,.screen{display:none}
.research{position:static;background:#fff;color:#8a1c1c;border:2px solid #8a1c1c}
figure,tr,.box,.keep{break-inside:avoid}h2,h3{break-after:avoid}thead{display:table-header-group}
.scroll{overflow:visible;border:0}table{font-size:9pt}
.pictures{grid-template-columns:repeat(4,1fr);gap:3mm}.wide{grid-template-columns:repeat(2,1fr)}
details::details-content{content-visibility:visible;block-size:auto;height:auto}summary{list-style:none;color:#000}
a{text-decoration:none}.swatch,.bar,figure img{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
