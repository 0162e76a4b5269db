"""What a mail says: a template as text, whose first line is the subject, and the same as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail to be sent; `headers` are further ones, such as List-Unsubscribe."""

    recipient: str
    subject: str
    text: str
    html: str
    headers: Mapping[str, str] = field(default_factory=dict)


def write_letter(
    tenant: Tenant,
    template: str,
    recipient: str,
    values: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
) -> Letter:
    """A letter made of `template.txt` and `template.html`, which see the values, `service` and `server_name`.

    All values are escaped where they stand in HTML.
    """
    from services.mail.templates import render  # see there

    known = {**values, "service": tenant.settings.mail.service or tenant.name, "server_name": tenant.name}
    subject, _, text = render(f"{template}.txt", known).partition("\n")
    html = render(f"{template}.html", {**known, "title": subject})
    return Letter(recipient, " ".join(subject.split()), text.strip() + "\n", html, headers or {})
