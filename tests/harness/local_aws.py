"""The local AWS: MiniStack, with what its IAM leaves out of Scheduler and DynamoDB.

MiniStack takes every schedule for one of the group `default`, does not ask whether
the caller may pass the schedule's role, does not know which keys a call to DynamoDB
is about, and records calls to Scheduler and Lambda without what they are about.
"""

import json
from contextvars import ContextVar
from urllib.parse import unquote

import ministack.app as gateway
from ministack.core import iam_actions, iam_evaluator

app = gateway.app

# The role that the call passes to Scheduler.
passed_role = ContextVar("passed_role", default=None)

# The function that the call invokes, with its alias.
invoked_function = ContextVar("invoked_function", default=None)


def parsed(body):
    try:
        call = json.loads(body or b"{}")
    except ValueError:
        return {}
    return call if isinstance(call, dict) else {}


def first(values):
    return values[0] if isinstance(values, list) and values else values


def resource_arn(service, method, path, headers, body, query, region, account, *, known=iam_actions.extract_resource_arn):
    arn = known(service, method, path, headers, body, query, region, account)
    passed_role.set(None)
    if service == "scheduler":
        call = parsed(body)
        group = call.get("GroupName") or first(query.get("groupName")) or "default"
        arn = arn.replace(":schedule/default/", f":schedule/{group}/")
        passed_role.set(call.get("Target", {}).get("RoleArn"))
    return arn


def enforce(key, action, service, region, resource_arn="*", service_context=None, *, known=iam_evaluator.enforce):
    denied = known(key, action, service, region, resource_arn=resource_arn, service_context=service_context)
    role = passed_role.get()
    if denied or service != "scheduler" or not role:
        return denied
    context = {"iam:PassedToService": "scheduler.amazonaws.com"}
    return known(key, "iam:PassRole", service, region, resource_arn=role, service_context=context)


def dynamodb_context(body, *, known=iam_actions.dynamodb_service_context):
    from ministack.services import dynamodb

    call = parsed(body)
    table = dynamodb._tables.get(call.get("TableName")) or {}
    item = call.get("Key") or call.get("Item") or {}
    key = item.get(table.get("pk_name"))
    context = known(body)
    if key:
        context["dynamodb:LeadingKeys"] = list(key.values())
    return context


def event_name(service, method, path, headers, query, *, known=gateway._ct_event_name):
    parts = path.strip("/").split("/")
    invokes = service == "lambda" and parts[-1] == "invocations"
    invoked_function.set(unquote(parts[-2]).rpartition(":function:")[2] if invokes else None)
    if service == "scheduler" or invokes:
        action = iam_actions.extract_iam_action(service, method, path, headers, b"", query)
        return (action or service).rpartition(":")[2]
    return known(service, method, path, headers, query)


def request_parameters(headers, body, query, *, known=gateway._ct_request_params):
    parameters = known(headers, body, query)
    group, function = first(query.get("groupName")), invoked_function.get()
    if function:
        # The body is the function's own.
        return {"FunctionName": function}
    return {**parameters, "GroupName": group} if group else parameters


iam_actions.extract_resource_arn = resource_arn
iam_actions.dynamodb_service_context = dynamodb_context
iam_evaluator.enforce = enforce
gateway._ct_event_name = event_name
gateway._ct_request_params = request_parameters
