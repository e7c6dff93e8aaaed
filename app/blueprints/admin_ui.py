"""`GET /admin`: a plain page until the admin UI is there; says how the credentials stand and what to do next."""

from __future__ import annotations

from flask import Blueprint, Response
from markupsafe import Markup, escape

from app.services import services

bp = Blueprint("admin_ui", __name__)

_PAGE = Markup("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>kiro-py</title>
<style>:root{{color-scheme:light dark}}
body{{font:16px/1.6 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem}}
code{{background:#8882;padding:.1em .35em;border-radius:4px}}</style></head>
<body><h1>kiro-py</h1><p>{stand}</p><p>{next_step}</p>
<p>The admin interface comes with a later version; until then the command line does its work:
<code>flask --app wsgi credentials list</code>, <code>flask --app wsgi settings list</code>,
<code>flask --app wsgi requests</code>.</p>
</body></html>
""")


@bp.get("/admin")
@bp.get("/admin/")
def admin() -> Response:
    """How the gateway stands, without names or addresses: the page needs no sign-in."""
    total, usable = len(services().store.all()), services().pool.usable_count()
    if not total:
        stand, next_step = "No Kiro credential is stored.", "Sign in with `flask --app wsgi login`."
    elif not usable:
        stand, next_step = (
            f"{total} credentials are stored, none can be used now.",
            "See why with `flask --app wsgi credentials list`.",
        )
    else:
        stand = f"{usable} of {total} credentials can be used now."
        next_step = "The gateway answers at /v1/messages."
    return Response(
        _PAGE.format(stand=stand, next_step=_code(next_step)),
        content_type="text/html; charset=utf-8",
        headers={"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"},
    )


def _code(text: str) -> Markup:
    """Back-quoted parts as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else escape(part) for index, part in enumerate(parts)
    )
