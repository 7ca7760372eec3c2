"""A page around charts: one HTML file with everything inside."""

from html import escape

_LIGHT = ("#0b6bcb", "#d9580d", "#15803d", "#7c3aed", "#c79a00", "#c2257a", "#0e8f9e", "#5b6470")
_DARK = ("#5aa9f5", "#fb923c", "#4ade80", "#b794f6", "#fde047", "#f472b6", "#22d3ee", "#9ca3af")
_DASHES = ("", "7 4", "2 3", "9 3 2 3", "12 4", "4 2", "1 3", "6 2 1 2")


def _colours(colours: tuple[str, ...]) -> str:
    return "".join(f"--s{number}:{colour};" for number, colour in enumerate(colours))


_SERIES = "".join(
    f".s{number}{{--c:var(--s{number})}}.line.s{number}{{stroke-dasharray:{dashes or 'none'}}}"
    for number, dashes in enumerate(_DASHES)
)
STYLE = f"""
:root{{color-scheme:light dark;--ink:#1b2330;--soft:#5b6675;--faint:#e3e7ee;--ground:#fff;--card:#f6f8fb;{_colours(_LIGHT)}}}
@media (prefers-color-scheme:dark){{:root{{
--ink:#e6eaf1;--soft:#9aa6b6;--faint:#2c3644;--ground:#12171f;--card:#1a212c;{_colours(_DARK)}}}}}
*{{box-sizing:border-box}}
body{{margin:0 auto;padding:28px 20px 60px;max-width:1040px;background:var(--ground);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}}
h1{{font-size:26px;margin:0 0 4px}}h2{{font-size:19px;margin:38px 0 4px}}h3{{font-size:15px;margin:22px 0 2px}}
p{{margin:4px 0 12px;max-width:78ch}}.lead{{font-size:17px}}.soft,figcaption{{color:var(--soft)}}
figure{{margin:10px 0 18px}}figcaption{{font-size:13px;margin-top:2px}}
.chart{{display:block;width:100%;height:auto}}
.chart text{{font-size:12px;fill:var(--ink)}}.chart .tick,.chart .note{{fill:var(--soft);font-size:11.5px}}
.chart .inside{{fill:var(--ground);font-size:10.5px}}
.grid{{stroke:var(--faint)}}.axis{{stroke:var(--soft)}}.over{{stroke:var(--ink);stroke-opacity:.25;stroke-dasharray:2 3}}
.limit{{stroke:var(--soft);stroke-dasharray:4 3}}.free{{fill:var(--faint)}}
.line{{fill:none;stroke:var(--c);stroke-width:1.7;stroke-linejoin:round}}.area{{fill:var(--c);fill-opacity:.16}}
.fill{{fill:var(--c)}}.thick{{stroke:var(--c);stroke-width:6;stroke-linecap:round;stroke-opacity:.55}}
.thin{{stroke:var(--c);stroke-width:1.6}}
{_SERIES}
.wide{{overflow-x:auto}}table{{border-collapse:collapse;margin:8px 0 16px;font-variant-numeric:tabular-nums}}
th,td{{text-align:right;padding:4px 14px 4px 0;border-bottom:1px solid var(--faint);white-space:nowrap}}
th:first-child,td:first-child{{text-align:left}}th{{color:var(--soft);font-weight:600;font-size:13px}}
@media print{{body{{max-width:none;padding:0}}figure{{break-inside:avoid}}}}
"""


def page(title: str, *body: str) -> str:
    """The whole file."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style></head>\n'
        f"<body>\n{chr(10).join(body)}\n</body></html>\n"
    )


def heading(words: str, level: int = 2) -> str:
    return f"<h{level}>{escape(words)}</h{level}>"


def paragraph(words: str, kind: str = "") -> str:
    return f'<p class="{kind}">{escape(words)}</p>' if kind else f"<p>{escape(words)}</p>"


def figure(drawn: str, caption: str) -> str:
    return f"<figure>{drawn}<figcaption>{escape(caption)}</figcaption></figure>"


def bullets(lines: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def table(headers: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in headers)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'
