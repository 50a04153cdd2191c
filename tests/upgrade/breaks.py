"""What would go wrong if one template were deployed over another: in sentences, for whoever changes the template.

From CloudFormation's reference of each resource ("Update requires: Replacement"), and from what is lost if a resource
goes that holds something. Functions, roles and the like may come and go.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.translation import Template

HOLDS: Mapping[str, str] = {
    "AWS::ApiGatewayV2::Api": "the address that platforms were given",
    "AWS::DynamoDB::Table": "every job and batch",
    "AWS::Events::EventBus": "the rules of others",
    "AWS::KMS::Key": "what everything is encrypted with",
    "AWS::Logs::LogGroup": "the logs",
    "AWS::SNS::Topic": "its subscriptions",
    "AWS::SQS::Queue": "messages that wait",
    "AWS::SecretsManager::Secret": "keys that people have put there or handed out",
}
"""What is lost with a resource of a type."""
REPLACED_BY: Mapping[str, tuple[str, ...]] = {
    "AWS::ApiGatewayV2::Api": ("ProtocolType",),
    "AWS::DynamoDB::Table": ("TableName", "KeySchema", "LocalSecondaryIndexes", "ImportSourceSpecification"),
    "AWS::Events::EventBus": ("Name", "EventSourceName"),
    "AWS::IAM::ManagedPolicy": ("ManagedPolicyName", "Path", "Description"),
    "AWS::IAM::Role": ("RoleName", "Path"),
    "AWS::KMS::Key": ("KeySpec", "KeyUsage", "MultiRegion"),
    "AWS::Lambda::Function": ("FunctionName", "PackageType"),
    "AWS::Logs::LogGroup": ("LogGroupName", "LogGroupClass"),
    "AWS::SNS::Topic": ("TopicName", "FifoTopic"),
    "AWS::SQS::Queue": ("QueueName", "FifoQueue"),
    "AWS::SecretsManager::Secret": ("Name",),
}
"""Properties whose change makes CloudFormation make another resource, and delete this one with what it holds."""
NAMES = frozenset(
    {"TableName", "Name", "ManagedPolicyName", "RoleName", "FunctionName", "LogGroupName", "TopicName", "QueueName"}
)
ENCRYPTION: Mapping[str, tuple[str, ...]] = {
    "AWS::DynamoDB::Table": ("SSESpecification",),
    "AWS::Events::EventBus": ("KmsKeyIdentifier",),
    "AWS::Logs::LogGroup": ("KmsKeyId",),
    "AWS::SNS::Topic": ("KmsMasterKeyId",),
    "AWS::SQS::Queue": ("KmsMasterKeyId", "SqsManagedSseEnabled"),
    "AWS::SecretsManager::Secret": ("KmsKeyId",),
}
_KEPT = ("Retain", "RetainExceptOnCreate")


def breaks(old: Template, new: Template) -> list[str]:
    """What goes wrong if `new` is deployed over `old`, both translated; nothing, if it can be."""
    return [sentence for rule in _RULES for sentence in rule(old, new)]


# --- Resources -------------------------------------------------------------------------------------------------------

type _Resource = Mapping[str, Any]


def _both(old: Template, new: Template) -> Iterator[tuple[str, _Resource, _Resource]]:
    """Resources of both, with their logical id, if they are of the same type still."""
    for name, before in old["Resources"].items():
        after = new["Resources"].get(name)
        if after is not None and after["Type"] == before["Type"]:
            yield name, before, after


def _properties(resource: _Resource) -> Mapping[str, Any]:
    found: Mapping[str, Any] = resource.get("Properties", {})
    return found


def _gone(old: Template, new: Template) -> Iterator[str]:
    for name, before in old["Resources"].items():
        kind, after = before["Type"], new["Resources"].get(name)
        if after is None and kind in HOLDS:
            yield (
                f"{name} ({kind}) is gone or has another logical id: CloudFormation deletes it, or lets go of it, and "
                f"with it {HOLDS[kind]}. Keep its logical id."
            )
        elif after is not None and after["Type"] != kind:
            yield (
                f"{name} was of type {kind} and is of type {after['Type']}: CloudFormation refuses such an update. "
                "Give the new resource a logical id of its own."
            )


def _conditional(old: Template, new: Template) -> Iterator[str]:
    for name, before, after in _both(old, new):
        condition = after.get("Condition")
        if before["Type"] in HOLDS and condition and condition != before.get("Condition"):
            yield (
                f"{name} is there on the condition {condition} only: where that does not hold, a "
                f"stack loses {HOLDS[before['Type']]}. Leave it out of conditions."
            )


def _replaced(old: Template, new: Template) -> Iterator[str]:
    for name, before, after in _both(old, new):
        for prop in REPLACED_BY.get(before["Type"], ()):
            was, is_now = _properties(before).get(prop), _properties(after).get(prop)
            if was == is_now or (prop == "KeySchema" and _keys(was) == _keys(is_now)):
                continue
            lost = f", which loses {HOLDS[before['Type']]}" if before["Type"] in HOLDS else ""
            fixed = prop in NAMES and isinstance(is_now, str)
            named = " A fixed name also keeps a second stack from being deployed." if fixed else ""
            yield f"{name}.{prop} has changed: CloudFormation replaces {name}{lost}. Leave it as it was.{named}"


def _less_protected(old: Template, new: Template) -> Iterator[str]:
    for name, before, after in _both(old, new):
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            if before.get(policy) in _KEPT and after.get(policy) not in _KEPT:
                yield (
                    f"{name}.{policy} was {before[policy]} and is {after.get(policy, 'Delete')}: "
                    "what the last release has promised to keep is deleted with the stack. Leave it as it was."
                )


def _less_encrypted(old: Template, new: Template) -> Iterator[str]:
    for name, before, after in _both(old, new):
        properties = ENCRYPTION.get(before["Type"], ())
        was = {prop for prop in properties if _properties(before).get(prop)}
        is_now = {prop for prop in properties if _properties(after).get(prop)}
        if was and not is_now:
            yield f"{name} is not encrypted by {', '.join(sorted(was))} any more. Leave it as it was."


# --- The table -------------------------------------------------------------------------------------------------------


def _keys(schema: Any) -> Any:
    """A key schema, whatever the order of its parts."""
    return {part["KeyType"]: part["AttributeName"] for part in schema} if isinstance(schema, list) else schema


def _tables(old: Template, new: Template) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    for name, before, after in _both(old, new):
        if before["Type"] == "AWS::DynamoDB::Table":
            yield name, _properties(before), _properties(after)


def _key_types(old: Template, new: Template) -> Iterator[str]:
    for name, before, after in _tables(old, new):
        was, is_now = _attributes(before), _attributes(after)
        for attribute in was.keys() & is_now:
            if was[attribute] != is_now[attribute]:
                yield (
                    f"{name}: the attribute {attribute} was of type {was[attribute]} and is of type "
                    f"{is_now[attribute]}: CloudFormation replaces {name}, which loses every job and batch. "
                    "Give the new key another name."
                )


def _attributes(table: Mapping[str, Any]) -> dict[str, str]:
    return {part["AttributeName"]: part["AttributeType"] for part in table.get("AttributeDefinitions", [])}


def _indexes(old: Template, new: Template) -> Iterator[str]:
    for name, before, after in _tables(old, new):
        was, is_now = _index_forms(before), _index_forms(after)
        changed = sorted(index for index in was.keys() & is_now if was[index] != is_now[index])
        for index in changed:
            yield (
                f"{name}: the index {index} has other keys or attributes: DynamoDB cannot change an index. "
                "Make another one beside it, and remove this one in the release after the next."
            )
        made, removed = sorted(is_now.keys() - was), sorted(was.keys() - is_now)
        if len(made) + len(removed) > 1:
            what = ", ".join([f"{index} is made" for index in made] + [f"{index} is removed" for index in removed])
            yield (
                f"{name}: more than one index changes ({what}): DynamoDB takes one at a time, so the update fails. "
                "Change one in this release, and the next one in another."
            )


def _index_forms(table: Mapping[str, Any]) -> dict[str, Any]:
    """An index's name, and what of it cannot change."""
    return {
        index["IndexName"]: (
            sorted(_keys(index["KeySchema"]).items()),
            index["Projection"]["ProjectionType"],
            sorted(index["Projection"].get("NonKeyAttributes", [])),
        )
        for index in table.get("GlobalSecondaryIndexes", [])
    }


def _expiry(old: Template, new: Template) -> Iterator[str]:
    for name, before, after in _tables(old, new):
        was, is_now = (table.get("TimeToLiveSpecification") or {} for table in (before, after))
        if was.get("Enabled") and is_now.get("Enabled") and was["AttributeName"] != is_now["AttributeName"]:
            yield (
                f"{name}: what expires is told by {is_now['AttributeName']} instead of {was['AttributeName']}: "
                "DynamoDB refuses to change that while it is on, so the update fails. Leave it as it was."
            )


# --- Secrets ---------------------------------------------------------------------------------------------------------


def _secrets(old: Template, new: Template) -> Iterator[str]:
    for name, before, after in _both(old, new):
        if before["Type"] != "AWS::SecretsManager::Secret":
            continue
        if any(_properties(before).get(prop) != _properties(after).get(prop) for prop in _VALUES):
            yield (
                f"{name}: what its first value is made of has changed: CloudFormation makes a new value and puts it "
                "over the one that people use. Leave GenerateSecretString and SecretString as they were."
            )


_VALUES = ("GenerateSecretString", "SecretString")


# --- What people have typed or refer to ------------------------------------------------------------------------------


def _outputs(old: Template, new: Template) -> Iterator[str]:
    for name, before in old.get("Outputs", {}).items():
        after = new.get("Outputs", {}).get(name)
        if after is None:
            yield f"The output {name} is gone: what others read it from breaks. Keep its name."
        elif before.get("Export") and before["Export"] != after.get("Export"):
            yield f"The output {name} is exported under another name, or not any more: stacks that import it block it."


def _parameters(old: Template, new: Template) -> Iterator[str]:
    was, is_now = old.get("Parameters", {}), new.get("Parameters", {})
    for name in sorted(was.keys() - is_now):
        yield (
            f"The parameter {name} is gone: whoever has it in a samconfig.toml cannot deploy. "
            "Keep it, say in its description that it does nothing, and remove it with the next major release."
        )
    for name in sorted(is_now.keys() - was):
        if "Default" not in is_now[name]:
            yield f"The parameter {name} is new and has no default: an update that does not name it fails. Give it one."
    for name in sorted(is_now.keys() & was):
        yield from _parameter(name, was[name], is_now[name])


def _parameter(name: str, was: Mapping[str, Any], is_now: Mapping[str, Any]) -> Iterator[str]:
    if was["Type"] != is_now["Type"]:
        yield f"The parameter {name} was a {was['Type']} and is a {is_now['Type']}: values that were given may not fit."
    if "Default" in was and "Default" not in is_now:
        yield f"The parameter {name} has no default any more: a deployment that does not name it fails. Give it one."
    if refused := [
        value for value in was.get("AllowedValues", []) if value not in is_now.get("AllowedValues", [value])
    ]:
        values = ", ".join(map(str, refused))
        yield f"The parameter {name} does not take {values} any more: stacks with it cannot update."
    if "AllowedValues" not in was and "AllowedValues" in is_now:
        yield f"The parameter {name} takes certain values only, which it did not: stacks with others cannot update."
    for bound, sign in (("MinValue", -1), ("MaxValue", 1), ("MinLength", -1), ("MaxLength", 1)):
        if bound in is_now and (bound not in was or sign * float(is_now[bound]) < sign * float(was[bound])):
            yield f"The parameter {name} has a narrower {bound}: stacks that use what is beyond it cannot update."
    if "AllowedPattern" in is_now and was.get("AllowedPattern") != is_now["AllowedPattern"]:
        yield (
            f"The parameter {name} has another AllowedPattern: stacks whose value it does not match cannot update. "
            "Leave it as it was, or check the value where it is used."
        )


_RULES: tuple[Callable[[Template, Template], Iterator[str]], ...] = (
    _gone,
    _conditional,
    _replaced,
    _less_protected,
    _less_encrypted,
    _key_types,
    _indexes,
    _expiry,
    _secrets,
    _outputs,
    _parameters,
)
