"""What a server says when it is up: where it is, how to make a user, and what stands open."""

from __future__ import annotations

from collections.abc import Iterable

from homeserver.config import Config
from homeserver.tenants import TenantPlan
from services.settings import RegistrationMode


def welcome(config: Config, plans: Iterable[TenantPlan], urls: Iterable[str], add_user: str) -> str:
    """Some lines for the person at the terminal; `add_user` is the command that makes a user here."""
    plans = tuple(plans)
    lines = [f"Hearth is up: {', '.join(urls)}"]
    lines += [f"  server name  {plan.settings.server_name}" for plan in plans]
    lines.append(f"  data         {config.data_folder.absolute()}")
    lines.append(f"  make a user  {add_user}")
    lines += [f"\n*** {warning} ***" for warning in warnings(config, plans)]
    return "\n".join(lines)


def warnings(config: Config, plans: Iterable[TenantPlan]) -> list[str]:
    """What whoever runs the server should know is open."""
    found = []
    for plan in plans:
        name, registration = plan.settings.server_name, plan.settings.registration
        if registration.mode is RegistrationMode.OPEN:
            found.append(f"REGISTRATION IS OPEN on {name}: anybody who can reach it can make an account")
        if registration.guests:
            found.append(
                f"GUESTS ARE LET IN on {name}: anybody who can reach it can use it without an account"
            )
    if not config.rate_limits.enabled:
        found.append("RATE LIMITS ARE OFF: passwords can be guessed as fast as the server hashes")
    if not config.federation.verify_certificates:
        found.append("CERTIFICATES OF OTHER SERVERS ARE NOT CHECKED: anybody can pretend to be any of them")
    return found
