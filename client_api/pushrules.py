"""Push rules (§Push Rules: API)."""

from client_api import ClientCall
from protocol.push_rules.parse import parse_actions, parse_kind, parse_rule
from protocol.push_rules.rule import Kind, PushRule
from services.push.rules import change_ruleset, ruleset_of
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json

_ALL = "/_matrix/client/v3/pushrules/"
_GLOBAL = _ALL + "global/"
_RULE = _GLOBAL + "{kind}/{ruleId}"


@endpoint("GET", _ALL, auth=Auth.USER)
async def get_push_rules(call: ClientCall) -> Json:
    """All rules: there are global ones only."""
    return {"global": await get_push_rules_global(call)}


@endpoint("GET", _GLOBAL, auth=Auth.USER)
async def get_push_rules_global(call: ClientCall) -> Json:
    """All rules by kind, each kind in the order in which they are asked."""
    user_id = call.requester.user_id
    return (await ruleset_of(call.tenant, user_id)).as_json(user_id)


@endpoint("GET", _RULE, auth=Auth.USER)
async def get_push_rule(call: ClientCall) -> Json:
    """One rule."""
    kind, rule = await _rule(call)
    return rule.as_json(kind, call.requester.user_id)


@endpoint("PUT", _RULE, auth=Auth.USER, limit=GENERAL)
async def set_push_rule(call: ClientCall) -> Json:
    """Adds a rule of the user's own, or changes one."""
    kind = _kind(call)
    rule = parse_rule(kind, call.path["ruleId"], call.json_object())
    before, after = call.query_text("before", None), call.query_text("after", None)
    await change_ruleset(
        call.tenant, call.requester.user_id, lambda rules: rules.with_rule(kind, rule, before, after)
    )
    return {}


@endpoint("DELETE", _RULE, auth=Auth.USER)
async def delete_push_rule(call: ClientCall) -> Json:
    """Deletes a rule of the user's own."""
    kind, rule_id = _kind(call), call.path["ruleId"]
    await change_ruleset(call.tenant, call.requester.user_id, lambda rules: rules.without_rule(kind, rule_id))
    return {}


@endpoint("GET", _RULE + "/actions", auth=Auth.USER)
async def get_push_rule_actions(call: ClientCall) -> Json:
    """What a rule does."""
    _, rule = await _rule(call)
    return {"actions": list(rule.actions.json)}


@endpoint("PUT", _RULE + "/actions", auth=Auth.USER)
async def set_push_rule_actions(call: ClientCall) -> Json:
    """Lets a rule, also a default one, do something else."""
    kind, rule_id, actions = (
        _kind(call),
        call.path["ruleId"],
        parse_actions(call.json_object().get("actions")),
    )
    await change_ruleset(
        call.tenant, call.requester.user_id, lambda rules: rules.with_actions(kind, rule_id, actions)
    )
    return {}


@endpoint("GET", _RULE + "/enabled", auth=Auth.USER)
async def is_push_rule_enabled(call: ClientCall) -> Json:
    """Is the rule on?"""
    _, rule = await _rule(call)
    return {"enabled": rule.enabled}


@endpoint("PUT", _RULE + "/enabled", auth=Auth.USER)
async def set_push_rule_enabled(call: ClientCall) -> Json:
    """Switches a rule, also a default one, on or off."""
    kind, rule_id, enabled = _kind(call), call.path["ruleId"], call.flag("enabled")
    await change_ruleset(
        call.tenant, call.requester.user_id, lambda rules: rules.with_enabled(kind, rule_id, enabled)
    )
    return {}


def _kind(call: ClientCall) -> Kind:
    return parse_kind(call.path["kind"])


async def _rule(call: ClientCall) -> tuple[Kind, PushRule]:
    kind = _kind(call)
    rules = await ruleset_of(call.tenant, call.requester.user_id)
    return kind, rules.rule(kind, call.path["ruleId"])
