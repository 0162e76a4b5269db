"""The settings of upstream logins: every mistake with its line, and each tenant its own."""

from __future__ import annotations

from pathlib import Path

from homeserver.config_load import load
from homeserver.tenants import plans
from services.upstream.settings import CasProvider, LdapTls, OidcProvider
from tests.homeserver.test_config import mistakes, written


def test_mistakes_are_told_with_their_lines(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """\
oauth: {enabled: false}
upstream_logins:
  - id: ldap
    name: One
    issuer: ftp://x
  - id: two
    name: Two
    kind: saml
  - {id: three, name: Three, mapping: {localpart: "{name"}}
  - {id: three, name: Again, kind: cas, icon: https://x/y.png}
  - {id: five, name: Five, issuer: https://five.example, client_id: x, scopes: [email]}
ldap:
  url: https://ldap.example
  base: dc=x
  filter: uid=x
  ca_file: /nowhere.pem
""",
    )
    said = "\n".join(mistakes(file))
    for expected in (
        "hearth.yaml:3: upstream_logins[1].id must be a short name",
        "hearth.yaml:5: upstream_logins[1].issuer must be a URL that begins with http: or https:",
        "hearth.yaml:8: upstream_logins[2].kind must be one of oidc, cas",
        "hearth.yaml:9: upstream_logins[3].mapping.localpart must be text with attributes as {name}",
        "hearth.yaml:10: upstream_logins[4].icon must be an mxc:// URI",
        "hearth.yaml:13: ldap.url must be a URL that begins with ldap: or ldaps:",
        "hearth.yaml:15: ldap.filter must be an LDAP filter in parentheses with {name} in it",
    ):
        assert expected in said, said


def test_what_does_not_go_together_is_told(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """\
oauth: {enabled: false}
upstream_logins:
  - {id: three, name: Three}
  - {id: three, name: Again, kind: cas}
  - {id: five, name: Five, issuer: https://five.example, client_id: x, scopes: [email]}
ldap: {url: ldap://x, base: dc=x, ca_file: /nowhere.pem}
tenants:
  - server_name: a.example
    upstream_logins: [{id: a, name: A}]
""",
    )
    said = mistakes(file)
    for expected in (
        "hearth.yaml:3: upstream_logins[1]: issuer is missing, which oidc needs",
        "hearth.yaml:3: upstream_logins[1]: client_id is missing, which oidc needs",
        "hearth.yaml:4: upstream_logins[2]: url is missing, which cas needs",
        "hearth.yaml:4: upstream_logins[2] repeats 'three'",
        "hearth.yaml:5: upstream_logins[3]: client_secret is missing; public clients say client_auth: none",
        "hearth.yaml:5: upstream_logins[3]: scopes must name openid",
        "hearth.yaml:6: ldap.ca_file: there is no file /nowhere.pem",
        "hearth.yaml:9: upstream_logins[1]: issuer is missing, which oidc needs",
    ):
        assert expected in said, said
    assert any("upstream_logins need oauth.enabled" in one for one in said)
    assert any("with tenants, upstream_logins and ldap stand in each tenant" in one for one in said)


def test_each_tenant_has_its_own(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """\
trusted_clients: [https://chat.example]
tenants:
  - server_name: a.example
    upstream_logins:
      - {id: x, name: X, issuer: https://x.example, client_id: me, client_secret: s, mapping: {localpart: "{sub}"}}
  - server_name: b.example
    upstream_logins: [{id: y, name: Y, kind: cas, url: https://y.example/cas, required: [{name: g, value: v}]}]
    ldap: {url: ldaps://l.example, base: dc=x, tls: none}
""",
    )
    one, two = (plan.settings.upstream for plan in plans(load(file, {})))
    [x], [y] = one.providers, two.providers
    assert isinstance(x, OidcProvider)
    assert (x.issuer, x.client_secret, x.mapping.localpart) == ("https://x.example", "s", "{sub}")
    assert isinstance(y, CasProvider)
    assert (y.url, y.required) == ("https://y.example/cas", (("g", "v"),))
    assert one.ldap is None
    assert two.ldap is not None
    assert (two.ldap.tls, two.ldap.mapping.localpart) == (LdapTls.NONE, "{uid}")
    assert one.trusted_clients == ("https://chat.example",)
