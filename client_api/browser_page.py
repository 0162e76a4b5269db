"""A small page for a browser: a title, and HTML in which whoever wrote it has escaped what needs it."""

from html import escape

from web.reply import Reply

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>body{{font-family:sans-serif;max-width:30em;margin:3em auto;padding:0 1em;line-height:1.5;overflow-wrap:anywhere}}
button,input{{font-size:1em;padding:.4em .8em;margin:.2em 0}}</style></head>
<body><h1>{title}</h1>{content}</body></html>"""

_NOTHING_ELSE = "default-src 'none'; style-src 'unsafe-inline'; form-action {forms}; base-uri 'none'; {more}"


def page(
    title: str, content: str, status: int = 200, *, may: str = "frame-ancestors 'none'", forms: str = "'self'"
) -> Reply:
    """The page; `may` adds to what it may do, and `forms` says where its forms may lead (Content-Security-Policy)."""
    headers = {
        "Content-Security-Policy": _NOTHING_ELSE.format(forms=forms, more=may),
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    body = _PAGE.format(title=escape(title), content=content).encode()
    return Reply(status, body, headers, "text/html; charset=utf-8")
