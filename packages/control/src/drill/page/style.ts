/** The page's own colours and measures: nothing of it is fetched. The names are the panel's. */
export const pageStyle = `
:root{color-scheme:light dark;--ground:#f5f6f7;--surface:#fff;--line:#e2e6e9;--line-strong:#c9d0d6;--text:#17212b;--muted:#56636f;
--brand:#0b6672;--ok:#146c43;--ok-ground:#e5f3ec;--bad:#b3261e;--bad-ground:#fbe9e7;--warn:#855000;--warn-ground:#fcf0da;--track:#eef1f3;
--ours:#14808f;--theirs:#6a7f93;--seen:#8fb4cf;--asked:#2f5f8f;--wrote:#14808f}
@media (prefers-color-scheme:dark){:root{--ground:#0d1217;--surface:#141b22;--line:#242e38;--line-strong:#37434f;--text:#e7ecf0;--muted:#9aa8b5;
--brand:#67c6d1;--ok:#74d6a1;--ok-ground:#12291f;--bad:#ff958c;--bad-ground:#351a1a;--warn:#f0b95f;--warn-ground:#2c2312;--track:#1b242d;
--ours:#2d9aa8;--theirs:#71869a;--seen:#3a5f84;--asked:#5c8fc2;--wrote:#2d9aa8}}
*{box-sizing:border-box}
html{font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",sans-serif;font-variant-numeric:tabular-nums;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--text)}
main{max-width:1080px;margin:0 auto;padding:32px 24px 64px}
h1,h2,h3,p,ul,ol,dl,dd,figure{margin:0;padding:0}
h1{font-size:34px;line-height:1.15;letter-spacing:-.02em;text-wrap:balance}
h2{font-size:19px;letter-spacing:-.01em;margin-bottom:4px}
.muted,figcaption{color:var(--muted)}
.lead{max-width:75ch;font-size:17px;text-wrap:pretty}
section{margin-top:32px;padding:24px;border:1px solid var(--line);border-radius:12px;background:var(--surface)}
section>p.muted{max-width:80ch;margin-bottom:16px}
header{padding:28px;border-radius:12px;border:1px solid var(--line);border-left:8px solid var(--tone);background:var(--surface)}
header .lead{margin-top:14px}
header.kept{--tone:var(--ok)}header.broken{--tone:var(--bad)}
.badge{display:inline-block;margin-bottom:12px;padding:3px 12px;border-radius:999px;font-weight:600;font-size:14px;color:var(--tone)}
.kept .badge{background:var(--ok-ground)}.broken .badge{background:var(--bad-ground)}
.facts{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin-top:18px;font-size:14px}
.facts dt{color:var(--muted)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin-top:16px;list-style:none}
.tiles li{padding:14px 16px;border:1px solid var(--line);border-radius:12px;background:var(--surface)}
.tiles b{display:block;font-size:26px;line-height:1.2;font-weight:600;letter-spacing:-.02em}
.tiles span{color:var(--muted);font-size:13px}
.tiles .bad b{color:var(--bad)}.tiles .ok b{color:var(--ok)}
.scroll{overflow-x:auto}
table{width:100%;border-collapse:collapse;font-size:14px}
th{padding:6px 12px 6px 0;border-bottom:1px solid var(--line-strong);color:var(--muted);font-weight:500;text-align:left;vertical-align:bottom}
td{padding:8px 12px 8px 0;border-bottom:1px solid var(--line);vertical-align:top}
tr:last-child td{border-bottom:0}
.n{text-align:right;white-space:nowrap}th.n{text-align:right}
td small{display:block;color:var(--muted);font-size:13px}
.mark{width:82px;white-space:nowrap;font-weight:600}.yes{color:var(--ok)}.no{color:var(--bad)}
tr.hit td:first-child{box-shadow:inset 3px 0 var(--warn);padding-left:10px}
code{font:.92em ui-monospace,"SF Mono",Menlo,"Liberation Mono",monospace;white-space:nowrap}
svg{display:block;width:100%;min-width:640px;height:auto}
svg text{font:11px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",sans-serif;fill:var(--muted)}
svg .name{fill:var(--text)}svg .shard{fill:var(--text);font-weight:600;font-size:12px}
svg .track{fill:var(--track)}svg .ours{fill:var(--ours)}svg .theirs{fill:var(--theirs)}
svg .silent{fill:var(--bad);opacity:.22}svg .trouble{fill:var(--bad)}
svg .rule{stroke:var(--line-strong);stroke-width:1}
svg .fault{stroke:var(--bad);stroke-width:1.5}svg .heal{stroke:var(--ok);stroke-width:1.5;stroke-dasharray:4 3}svg .took{stroke:var(--asked);stroke-width:1.5;stroke-dasharray:2 2}
svg text.fault-word{fill:var(--bad);font-weight:600}svg text.heal-word{fill:var(--ok);font-weight:600}svg text.took-word{fill:var(--asked);font-weight:600}
.legend{display:flex;flex-wrap:wrap;gap:4px 20px;margin-top:12px;font-size:13px;color:var(--muted);list-style:none}
.legend i{display:inline-block;width:12px;height:12px;margin-right:6px;border-radius:3px;vertical-align:-1px}
.split{display:flex;height:22px;margin:8px 0 4px;border-radius:6px;overflow:hidden;background:var(--track)}
.split i{display:block;min-width:2px}
.handover+.handover{margin-top:20px}
ol.steps{list-style:none;font-size:14px}
ol.steps li{display:grid;grid-template-columns:92px 1fr;gap:12px;padding:4px 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
ol.steps li:last-child{border-bottom:0}
ol.steps time{color:var(--muted);text-align:right}
.notes{padding-left:20px}
details summary{cursor:pointer;color:var(--brand)}
footer{margin-top:32px;color:var(--muted);font-size:13px;max-width:80ch}
@media (max-width:640px){main{padding:16px 12px 40px}section,header{padding:18px 16px}h1{font-size:26px}}
@media print{:root{color-scheme:light}body{background:#fff}main{max-width:none;padding:0}section,header,.tiles li{break-inside:avoid;box-shadow:none}
section.long{break-inside:auto}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}details::details-content{content-visibility:visible;height:auto}}
`
