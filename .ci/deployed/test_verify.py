"""Tests of verify.py, against a fake stack that may be broken in one place."""

import json
import unittest

from .problem import Problem
from .secret_store import SecretStore
from .test_publisher import FakeSecretsManager
from .vendor_secrets import CRMS
from .verify import Verification, connector

OUTPUTS = ["WebhookUrl", "DashboardUrl", "ResyncStateMachineArn", "UserTableName"]


class FakeAws:
    """CloudWatch, SNS and Step Functions."""

    def __init__(self, stack):
        self.stack = stack

    def get_paginator(self, _):
        return self

    def paginate(self, AlarmNamePrefix):
        yield {"MetricAlarms": [{"AlarmName": "s-RuleAlarm", "AlarmActions": [self.stack.alarms_go_to]}]}

    def list_subscriptions_by_topic(self, TopicArn):
        return {"Subscriptions": []}

    def start_execution(self, stateMachineArn, name, input):
        json.loads(input)["run"]
        return {"executionArn": "arn:run"}

    def describe_execution(self, executionArn):
        return {"status": self.stack.execution, "cause": "no"}


class FakeStack:
    def __init__(self, store, **broken):
        self.store = store
        self.name = "s"
        self.outputs = dict.fromkeys(OUTPUTS, "x")
        self.outputs |= {f"{connector(crm)}{kind}Url": "x" for crm in CRMS for kind in ("Queue", "DeadLetterQueue")}
        self.physical_ids = {"AlarmTopic": "arn:topic", "RuleAlarm": "s-RuleAlarm"}
        self.physical_ids |= {f"{connector(crm)}LogGroup": crm.name for crm in CRMS}
        self.alarms_go_to = "arn:topic"
        self.execution = "SUCCEEDED"
        self.memory = "works"
        self.dead_letters = ""
        self.answers = {}
        self.syncs = ["not_configured"]
        for name, value in broken.items():
            setattr(self, name, value)

    def client(self, _):
        return FakeAws(self)

    def invoke(self, logical_id, event):
        if event["action"] == "status":
            queues = {crm.name: {"queue": {}, "deadLetters": event and self.dead_letters} for crm in CRMS}
            return {"connectors": queues, "samples": self.store.last_vendor() if self.dead_letters else ""}
        secret = {"what": "secret p/x", "code": "secret_missing", "say": ""}
        return {"findings": [secret, {"what": "user table", "code": self.memory, "say": "refused"}]}

    def post(self, body, token):
        event = None
        try:
            event = json.loads(body)
        except ValueError:
            pass
        known = token in self.store.tokens()
        case = "large" if len(body) > 65536 else "json" if event is None else "valid" if known else "token"
        default = {"large": 413, "json": 400, "token": 401, "valid": 202}[case]
        return self.answers.get(case, default), json.dumps({"eventId": "e"} if case == "valid" else {})

    def logged(self, group, event_id, since):
        return [json.dumps({"outcome": outcome}) for outcome in self.syncs]


class Store(SecretStore):
    def vendors(self):
        return (self.read("webhook") or {"vendors": {}})["vendors"]

    def tokens(self):
        return [token for entry in self.vendors().values() for token in entry["tokens"]]

    def last_vendor(self):
        return list(self.vendors())[-1]


OTHERS = {"p/webhook": {"vendors": {"other": {"tokens": ["t" * 20]}}}}


def verified(contents=OTHERS, **broken):
    """Whether all was verified, what was said, and the secrets after it."""
    client = FakeSecretsManager(contents)
    store = Store(client, "p")
    said = []
    verification = Verification(FakeStack(store, **broken), store, say=said.append, pause=lambda _: None, timeout=0)
    return verification.run(), "\n".join(said), client


class Verify(unittest.TestCase):
    def test_a_stack_that_works_is_verified(self):
        passed, said, client = verified()
        self.assertTrue(passed, said)
        self.assertNotIn("FAILED", said)
        self.assertEqual(client.content("p/webhook"), OTHERS["p/webhook"])

    def test_what_is_broken_is_named_and_the_rest_is_still_verified(self):
        for said_of_it, broken in [
            ("publishes to arn:topic", {"alarms_go_to": "arn:other"}),
            ("expected SUCCEEDED, saw FAILED: no", {"execution": "FAILED"}),
            ("expected works at Rule, saw user table: refused", {"memory": "secret_unreadable"}),
            ("expected 413 for a body", {"answers": {"large": 202}}),
            ("expected 400 for no JSON", {"answers": {"json": 500}}),
            ("expected 401 for no token", {"answers": {"token": 403}}),
            ("expected 202 for a valid webhook", {"answers": {"valid": 503}}),
            ("expected a sync of Rule within", {"syncs": []}),
            ("not_configured, saw ['retry']", {"syncs": ["retry"]}),
            ("one sync of Rule", {"syncs": ["not_configured", "not_configured"]}),
            ("expected no dead-letter message", {"dead_letters": "x"}),
            ("WebhookUrl", {"outputs": {}}),
        ]:
            with self.subTest(said_of_it):
                passed, said, client = verified(**broken)
                self.assertFalse(passed)
                self.assertIn(said_of_it, said)
                self.assertGreaterEqual(said.count("ok      "), 5, said)
                self.assertEqual(client.content("p/webhook"), OTHERS["p/webhook"])

    def test_a_secret_that_was_not_there_stays_for_those_who_onboard_meanwhile(self):
        passed, said, client = verified(contents={})
        self.assertTrue(passed, said)
        self.assertIn("Left: p/webhook", said)
        self.assertEqual(client.content("p/webhook"), {"vendors": {}})
        self.assertEqual(client.deleted, {})

    def test_a_secret_that_is_being_deleted_is_not_touched(self):
        client = FakeSecretsManager(OTHERS)
        client.delete_secret("p/webhook", RecoveryWindowInDays=7)
        client.writes.clear()
        store = Store(client, "p")
        with self.assertRaisesRegex(Problem, "p/webhook was deleted and can still be restored"):
            Verification(FakeStack(store), store, say=lambda _: None, timeout=0).run()
        self.assertEqual(client.writes, [])
        self.assertEqual(client.deleted, {"p/webhook": 7})

    def test_a_secrets_manager_that_takes_a_stale_change_is_noticed(self):
        client = FakeSecretsManager(OTHERS)
        store = Store(client, "p")
        self.assertTrue(store.refuses_stale_change("webhook"))

        def move(SecretId, VersionStage, MoveToVersionId=None, RemoveFromVersionId=None):
            client.labels[SecretId][VersionStage] = MoveToVersionId or "v1"

        client.update_secret_version_stage = move
        self.assertFalse(store.refuses_stale_change("webhook"))


if __name__ == "__main__":
    unittest.main()
