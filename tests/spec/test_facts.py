"""Our copy of the specification's facts is what its files say."""

import csv
import json
from typing import Any

from tests.spec.facts import Operation, operations
from tests.spec_location import spec_path
from web.endpoint import Auth

APIS = ("client-server", "server-server", "push-gateway")

SCHEMES = {
    "accessTokenBearer": Auth.USER,
    "accessTokenQuery": Auth.USER,
    "appserviceAccessTokenBearer": Auth.APPSERVICE,
    "appserviceAccessTokenQuery": Auth.APPSERVICE,
    "signedRequest": Auth.SERVER,
}


def auth_of(operation: dict[str, Any]) -> Auth:
    """`{}` among the alternatives means: or without."""
    schemes = {name for alternative in operation.get("security") or () for name in alternative}
    if not schemes:
        return Auth.NONE
    (auth,) = {SCHEMES[name] for name in schemes}
    return Auth.OPTIONAL if {} in operation["security"] else auth


def from_openapi(api: str) -> dict[tuple[str, str, str], tuple[str, Auth, bool]]:
    """Operation ID, authentication and whether 429 is documented, by API, method and path."""
    document = json.loads(spec_path("openapi", f"{api}.json").read_text(encoding="utf-8"))
    return {
        (api, method.upper(), path): (
            operation["operationId"],
            auth_of(operation),
            "429" in operation["responses"],
        )
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def test_the_facts_are_those_of_the_openapi_files() -> None:
    expected = {key: value for api in APIS for key, value in from_openapi(api).items()}
    ours = {
        (o.api, o.method, o.path): (o.operation_id, o.auth, o.rate_limited)
        for o in operations()
        # The specification writes some operations (OAuth, policy servers) in prose only.
        if (o.api, o.method, o.path) in expected
    }
    assert ours == expected


def test_the_facts_are_those_of_the_specifications_own_list() -> None:
    with spec_path("endpoints.tsv").open(encoding="utf-8", newline="") as table:
        rows = [
            row for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE) if row["api"] in APIS
        ]
    ours: dict[str, Operation] = {operation.line: operation for operation in operations()}
    assert sorted(ours) == sorted(f"{row['api']} {row['method']} {row['path']}" for row in rows)
    for row in rows:
        operation = ours[f"{row['api']} {row['method']} {row['path']}"]
        assert operation.rate_limited is (row["rate_limited"] == "yes")
        # «displayname only»: guests are let in, and what they may do there is the endpoint's to say.
        assert (operation.guest is True) is (row["guest"] in ("yes", "displayname only"))
