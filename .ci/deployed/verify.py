"""Verifies a deployed stack without a CRM: `make verify STACK=name`.

It adds a throw-away vendor, posts webhooks to the stack's own URL, follows one to every
connector, and removes what it made. It says each behaviour of AWS that it saw hold
(docs/aws.md).
"""

import argparse
import json
import secrets
import sys
import time
import uuid
from datetime import datetime, timezone

from botocore.exceptions import BotoCoreError, ClientError

from . import tokens
from .problem import Problem
from .secret_store import SecretStore
from .stack import Stack, default_region
from .vendor_secrets import CRMS

# The queue's delay, a poll and a start of each function; the webhook looks for new
# tokens every ten seconds.
TIMEOUT = 90

MAX_BODY = 64 * 1024


class Unverified(Exception):
    """What was expected, and what was seen."""


class Verification:
    def __init__(self, stack, store, say=print, pause=time.sleep, timeout=TIMEOUT):
        self.stack = stack
        self.store = store
        self.say = say
        self.pause = pause
        self.timeout = timeout
        self.vendor = f"verify-{secrets.token_hex(6)}"
        self.token = tokens.new_token()
        self.failed = 0

    def run(self):
        """Whether everything was verified."""
        for step in (self.outputs, self.alarms, self.status, self.permissions, self.state_machine):
            self.attempt(step)
        if self.store.is_being_deleted("webhook"):
            raise Problem(
                f"{self.store.name('webhook')} was deleted and can still be restored: `aws secretsmanager restore-secret`. "
                "The rest needs it and was not verified."
            )
        had_tokens = self.store.read("webhook") is not None
        try:
            self.store.change("webhook", lambda content: tokens.with_token(content, self.vendor, self.token))
            self.attempt(self.conditional_change)
            self.attempt(self.refusals)
            self.attempt(self.path_of_an_event)
        finally:
            self.store.change("webhook", lambda content: tokens.without_vendor(content, self.vendor))
        if not had_tokens:
            self.say(f"Left: {self.store.name('webhook')}, which is new and without vendors. `make onboard` adds them.")
        self.say("Removed the throw-away vendor. Left: log lines, an execution of the state machine, and three")
        self.say("refused webhooks in the metrics: repeated within six hours, their alarms may ring.")
        return not self.failed

    def attempt(self, step):
        title, _, seen = step.__doc__.partition("\n\n")
        try:
            step()
        except (Unverified, Problem, ClientError, BotoCoreError, KeyError) as error:
            self.failed += 1
            reason = f"{error} is missing" if isinstance(error, KeyError) else error
            self.say(f"FAILED  {title}\n        {reason}")
        else:
            self.say(f"ok      {title}")
            for line in filter(None, map(str.strip, seen.splitlines())):
                self.say(f"        seen: {line}")

    def outputs(self):
        """The stack has its outputs."""
        names = ["WebhookUrl", "DashboardUrl", "ResyncStateMachineArn", "UserTableName"]
        for crm in CRMS:
            names += [f"{connector(crm)}QueueUrl", f"{connector(crm)}DeadLetterQueueUrl"]
        missing = [name for name in names if name not in self.stack.outputs]
        expect(not missing, "all outputs", f"no {', '.join(missing)}")

    def alarms(self):
        """Every alarm publishes to the topic of alarms."""
        topic = self.stack.physical_ids["AlarmTopic"]
        names = [self.stack.physical_ids[name] for name in self.stack.physical_ids if name.endswith("Alarm")]
        client = self.stack.client("cloudwatch")
        pages = client.get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{self.stack.name}-")
        found = {alarm["AlarmName"]: alarm for page in pages for alarm in page["MetricAlarms"]}
        for name in names:
            expect(name in found, f"the alarm {name}", "none")
            expect(topic in found[name]["AlarmActions"], f"{name} publishes to {topic}", found[name]["AlarmActions"])
        expect(names, "alarms", "none")
        subscriptions = self.stack.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        confirmed = [one for one in subscriptions if one["SubscriptionArn"].startswith("arn:")]
        if not confirmed:
            self.say("note    No one has subscribed to the alarms, or confirmed it: set AlarmEmail, confirm its e-mail.")

    def status(self):
        """The operator function reads every queue."""
        answer = self.stack.invoke("OperatorFunction", {"action": "status"})
        for crm in CRMS:
            queue = answer["connectors"][crm.name].get("queue")
            expect(queue is not None, f"the depth of {crm.title}'s queue", answer["connectors"][crm.name])

    def permissions(self):
        """Every connector reaches the user table and its schedules, and may pass the wake-ups' role.

        A schedule can be made and deleted by the function's role, and its own role be passed
        """
        for crm in CRMS:
            event = {"action": "check", "vendorId": self.vendor}
            # A new role takes some seconds to work everywhere.
            answer = self.eventually(
                lambda: self.stack.invoke(f"{connector(crm)}Function", event), lambda answer: not unexpected(answer)
            )
            for finding, expected in unexpected(answer):
                reason = f"{finding['what']}: {finding['say']}"
                expect(False, f"{expected} at {crm.title}", reason)

    def state_machine(self):
        """The state machine of resyncs invokes the operator function and ends.

        An execution's Task invokes the function, and its Choice reads the answer
        """
        client = self.stack.client("stepfunctions")
        started = client.start_execution(
            stateMachineArn=self.stack.outputs["ResyncStateMachineArn"],
            name=f"verify-{uuid.uuid4()}",
            input=json.dumps({"run": ended_run(self.vendor)}),
        )
        ended = self.eventually(
            lambda: state_of(client, started["executionArn"]), lambda state: state["status"] != "RUNNING"
        )
        expect(ended["status"] == "SUCCEEDED", "SUCCEEDED", f"{ended['status']}: {ended.get('cause', '')}")

    def conditional_change(self):
        """A change of the tokens' secret is refused where another came first.

        The label AWSCURRENT moves only from the version that is named
        """
        expect(self.store.refuses_stale_change("webhook"), "a refusal", "an accepted change")

    def refusals(self):
        """The webhook refuses what is not authentic, malformed or too large.

        API Gateway passes the header Authorization and the whole body to the function
        """
        event = json.dumps(self.event())
        unauthenticated = self.stack.post(event, None)
        for what, status, body, token in [
            ("no token", 401, event, None),
            ("another token", 401, event, "x" * 64),
            ("no JSON", 400, "{", self.token),
            ("a body of more than 64 KiB", 413, json.dumps({"x": "y" * MAX_BODY}), self.token),
        ]:
            answer = self.stack.post(body, token)
            expect(answer[0] == status, f"{status} for {what}", answer)
            if status == 401:
                expect(answer == unauthenticated, "the same answer for every 401", answer)

    def path_of_an_event(self):
        """A webhook reaches every connector, once, and ends as not_configured.

        A FIFO queue drops the second message of the same deduplication id
        An event source delivers a message, and deletes it when the function is done
        """
        body = json.dumps(self.event())
        status, answer = self.eventually(lambda: self.stack.post(body, self.token), lambda answer: answer[0] != 401)
        expect(status == 202, "202 for a valid webhook", (status, answer))
        event_id = json.loads(answer)["eventId"]
        repeated = self.stack.post(body, self.token)
        expect(repeated == (status, answer), "the same event for the same webhook", repeated)
        since = int(time.time() * 1000) - 300_000
        for crm in CRMS:
            group = self.stack.physical_ids[f"{connector(crm)}LogGroup"]
            syncs = self.eventually(lambda: self.stack.logged(group, event_id, since), lambda lines: lines)
            expect(syncs, f"a sync of {crm.title} within {self.timeout} s", "none in its log")
            outcomes = [json.loads(line).get("outcome") for line in syncs]
            expect(outcomes == ["not_configured"], f"one sync of {crm.title}, not_configured", outcomes)
        answer = self.stack.invoke("OperatorFunction", {"action": "status"})
        expect(self.vendor not in json.dumps(answer), "no dead-letter message", answer)

    def event(self):
        return {
            "eventType": "userVendor.1#update",
            "vendorId": self.vendor,
            "userId": "verify",
            "occured_at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def eventually(self, read, is_right):
        """The first reading that is right, or the last one."""
        end = time.monotonic() + self.timeout
        while True:
            value = read()
            if is_right(value) or time.monotonic() > end:
                return value
            self.pause(2)


def connector(crm):
    return crm.name.capitalize()


def expect(holds, expected, seen):
    if not holds:
        raise Unverified(f"expected {expected}, saw {seen}")


def unexpected(answer):
    """The findings of a check that a vendor without secrets should not have, and what they should be."""
    wanted = [
        (finding, "secret_missing" if finding["what"].startswith("secret ") else "works") for finding in answer["findings"]
    ]
    return [(finding, code) for finding, code in wanted if finding["code"] != code]


def state_of(client, arn):
    return client.describe_execution(executionArn=arn)


def ended_run(vendor):
    """A run that has read all users, so that its first step ends it."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    cursor = {"offset": 0, "known": [], "stepsBack": 0, "stale": 0, "total": 0, "end": True}
    return {
        "id": uuid.uuid4().hex,
        "vendorId": vendor,
        "connectors": ["rule"],
        "startedAt": now,
        "updatedAt": now,
        "nextStepAt": now,
        "visited": 0,
        "cursor": cursor,
        "pending": [],
        "execution": 1,
        "events": 0,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stack", required=True)
    parser.add_argument("--region", default="")
    given = parser.parse_args()
    try:
        region = given.region or default_region()
        if not region:
            raise Problem("Which region? make verify STACK=… REGION=eu-north-1")
        stack = Stack(given.stack, region)
        print(f"Verifying the stack {stack.name} of account {stack.account} in {region} (up to two minutes)")
        store = SecretStore(stack.session.client("secretsmanager"), stack.secret_prefix, stack.secrets_key_arn)
        if not Verification(stack, store).run():
            raise Problem("Not everything was verified: see above.")
    except Problem as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main()
