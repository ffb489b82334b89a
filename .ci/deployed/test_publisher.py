"""Tests of onboarding and offboarding, against a fake stack and a fake Secrets Manager."""

import io
import json
import os
import re
import unittest
import unittest.mock
from pathlib import Path

from botocore.exceptions import ClientError, ConnectTimeoutError

from . import tokens
from .dialogue import Dialogue
from .offboard import Offboarding
from .onboard import EVENT_TYPES, Onboarding
from .problem import Problem
from .secret_store import PENDING, SecretStore
from .stack import default_region
from .vendor_secrets import CRMS, SESAMY, vendor_id_fault

PROJECT = Path(__file__).resolve().parent.parent.parent

RULE = next(crm for crm in CRMS if crm.name == "rule")


class FakeSecretsManager:
    """Secrets with versions and labels, as far as Secrets Manager documents them."""

    def __init__(self, contents=()):
        self.versions = {}
        self.labels = {}
        self.deleted = {}
        self.writes = []
        self.before_move = lambda: None
        for name, content in dict(contents).items():
            self.create_secret(Name=name, SecretString=json.dumps(content))
        self.writes.clear()

    def content(self, name):
        return json.loads(self.versions[name][self.labels[name]["AWSCURRENT"]])

    def get_secret_value(self, SecretId):
        self._find(SecretId, "GetSecretValue")
        version = self.labels[SecretId]["AWSCURRENT"]
        return {"SecretString": self.versions[SecretId][version], "VersionId": version}

    def create_secret(self, Name, SecretString, KmsKeyId=None):
        if Name in self.deleted:
            raise refused("InvalidRequestException", "CreateSecret")
        if Name in self.versions:
            raise refused("ResourceExistsException", "CreateSecret")
        self.writes.append(("create", Name))
        self.key = KmsKeyId
        self.versions[Name] = {"v1": SecretString}
        self.labels[Name] = {"AWSCURRENT": "v1"}

    def put_secret_value(self, SecretId, SecretString, VersionStages):
        self._find(SecretId, "PutSecretValue")
        new = f"v{len(self.versions[SecretId]) + 1}"
        self.versions[SecretId][new] = SecretString
        self.writes.append(("put", SecretId))
        for label in VersionStages:
            self.labels[SecretId][label] = new
        return {"VersionId": new}

    def update_secret_version_stage(self, SecretId, VersionStage, MoveToVersionId=None, RemoveFromVersionId=None):
        self._find(SecretId, "UpdateSecretVersionStage")
        if VersionStage == "AWSCURRENT":
            self.before_move()
        labels = self.labels[SecretId]
        if labels.get(VersionStage) != RemoveFromVersionId:
            raise refused("InvalidParameterException", "UpdateSecretVersionStage")
        del labels[VersionStage]
        if MoveToVersionId:
            labels[VersionStage] = MoveToVersionId

    def delete_secret(self, SecretId, RecoveryWindowInDays=0, ForceDeleteWithoutRecovery=False):
        self._find(SecretId, "DeleteSecret")
        self.writes.append(("delete", SecretId))
        self.deleted[SecretId] = RecoveryWindowInDays

    def restore_secret(self, SecretId):
        del self.deleted[SecretId]

    def _find(self, name, operation):
        if name in self.deleted:
            raise refused("InvalidRequestException", operation)
        if name not in self.versions:
            raise refused("ResourceNotFoundException", operation)


def refused(code, operation):
    return ClientError({"Error": {"Code": code, "Message": "refused"}}, operation)


def works(action):
    return {"action": action, "outcome": "ok", "findings": [{"what": "it", "result": "ok", "code": "works", "say": ""}]}


class FakeStack:
    is_local = False
    webhook_url = "https://api.example/webhooks/sesamy"

    def __init__(self):
        self.invoked = []
        # Answers of checks before they work.
        self.failing_checks = []
        self.resync_error = None

    def resynced_per_minute(self, connectors):
        return 20 / connectors

    def invoke(self, logical_id, event):
        self.invoked.append((logical_id, event))
        if event["action"] == "check":
            return self.failing_checks.pop(0) if self.failing_checks else works("check")
        if event["action"] == "preview":
            tag = {"tag": "sesamy_active_subscriber", "because": ["has an active subscription (c1)"]}
            contact = {"new": True, "tags": {"add": [tag], "remove": [], "stay": []}, "fields": [{"name": "Sesamy_User.ID"}]}
            return {"outcome": "would_sync", "contacts": [contact]}
        if self.resync_error:
            return {"action": "resync", "error": {"message": self.resync_error}}
        run = {"usersPerMinute": 20.0, "execution": "https://console.example"}
        return {"did": "stopped" if event.get("do") == "stop" else "started", "run": run}


class Publisher:
    """A publisher that a test onboards or offboards, and what was said meanwhile."""

    def __init__(self, contents=(), vendor="acme"):
        self.client = FakeSecretsManager(contents)
        self.stack = FakeStack()
        self.vendor = vendor

    def onboard(self, *answers):
        return self._run(Onboarding, answers)

    def offboard(self, *answers):
        return self._run(Offboarding, answers)

    def _run(self, program, answers):
        said = io.StringIO()
        dialogue = Dialogue(io.StringIO("".join(f"{answer}\n" for answer in answers)), said)
        self.client.writes.clear()
        try:
            program(dialogue, self.stack, SecretStore(self.client, "p"), self.vendor).run()
        except Problem as problem:
            said.write(f"PROBLEM {problem}")
        return said.getvalue()


SESAMY_ANSWERS = ("client", "sesamy-secret-value")
ONLY_RULE = ("y", "rule-key-value", "n", "n", "n", "n")
NO_PREVIEW, NO_RESYNC = "", "n"
ONBOARDED = {
    "p/acme/sesamy": {"clientId": "client", "clientSecret": "secret", "syncUnconfirmed": True},
    "p/acme/rule": {"apiKey": "key", "events": False},
    "p/webhook": {"vendors": {"acme": {"tokens": ["a" * 20], "accept": False}, "other": {"tokens": ["b" * 20]}}, "x": 1},
}
# Keep Sesamy's, Rule's; no other CRM; no preview.
KEEP_ALL = ("n", "n", "n", "n", "n", "n", NO_PREVIEW)


class Onboard(unittest.TestCase):
    def test_a_new_publisher_is_stored_checked_previewed_and_told_what_sesamy_needs(self):
        publisher = Publisher()
        said = publisher.onboard(*SESAMY_ANSWERS, *ONLY_RULE, "email|anna", "y")
        client = publisher.client
        self.assertEqual(client.content("p/acme/sesamy"), {"clientId": "client", "clientSecret": "sesamy-secret-value"})
        self.assertEqual(client.content("p/acme/rule"), {"apiKey": "rule-key-value"})
        (token,) = client.content("p/webhook")["vendors"]["acme"]["tokens"]
        self.assertEqual(len(token), 64)
        self.assertIn(f"Authorization: Bearer {token}", said)
        self.assertIn(FakeStack.webhook_url, said)
        for event_type in EVENT_TYPES:
            self.assertIn(event_type, said)
        self.assertIn("5,000 users take about 4 hours and 50,000 about\n42 hours.", said)
        self.assertIn("+ tag sesamy_active_subscriber: has an active subscription (c1)", said)
        actions = [(name, event["action"]) for name, event in publisher.stack.invoked]
        expected = [("RuleFunction", "check"), ("RuleFunction", "preview"), ("OperatorFunction", "resync")]
        self.assertEqual(actions, expected)
        # The token comes after all that may still be wrong.
        self.assertEqual([name for _, name in client.writes], ["p/acme/sesamy", "p/acme/rule", "p/webhook"])

    def test_hidden_answers_are_not_repeated(self):
        said = Publisher().onboard(*SESAMY_ANSWERS, *ONLY_RULE, NO_PREVIEW, NO_RESYNC)
        self.assertNotIn("sesamy-secret-value", said)
        self.assertNotIn("rule-key-value", said)

    def test_repeated_with_nothing_to_change_it_writes_nothing(self):
        publisher = Publisher(ONBOARDED)
        said = publisher.onboard(*KEEP_ALL, "n", NO_RESYNC)
        self.assertIn("Done.", said)
        self.assertEqual(publisher.client.writes, [])

    def test_replaced_credentials_keep_the_keys_that_are_not_asked_for(self):
        publisher = Publisher(ONBOARDED)
        publisher.onboard("y", "new-client", "new-secret", "y", "new-key", "n", "n", "n", "n", "", "n", "n")
        sesamy = {"clientId": "new-client", "clientSecret": "new-secret", "syncUnconfirmed": True}
        self.assertEqual(publisher.client.content("p/acme/sesamy"), sesamy)
        self.assertEqual(publisher.client.content("p/acme/rule"), {"apiKey": "new-key", "events": False})

    def test_a_token_is_rotated_by_adding_one_and_then_removing_the_older(self):
        publisher = Publisher(ONBOARDED)
        publisher.onboard(*KEEP_ALL, "y", NO_RESYNC)
        webhook = publisher.client.content("p/webhook")
        old, new = webhook["vendors"]["acme"]["tokens"]
        self.assertEqual(old, "a" * 20)
        publisher.onboard(*KEEP_ALL, "y", NO_RESYNC)
        expected = {"vendors": {"acme": {"tokens": [new], "accept": False}, "other": {"tokens": ["b" * 20]}}, "x": 1}
        self.assertEqual(publisher.client.content("p/webhook"), expected)

    def test_what_a_check_finds_is_told_and_can_be_corrected_at_once(self):
        publisher = Publisher()
        finding = {"what": "reading the tags", "result": "problem", "code": "credentials_refused", "say": "401"}
        publisher.stack.failing_checks = [{"outcome": "problem", "findings": [{**finding, "do": "store valid credentials"}]}]
        said = publisher.onboard(*SESAMY_ANSWERS, *ONLY_RULE, "y", "n", "y", "right-key", NO_PREVIEW, NO_RESYNC)
        self.assertIn("Rule: 1 problem.\n  reading the tags: 401\n    store valid credentials", said)
        self.assertIn("Rule: works.", said)
        self.assertEqual(publisher.client.content("p/acme/rule"), {"apiKey": "right-key"})

    def test_sesamy_gets_no_token_while_a_check_fails(self):
        publisher = Publisher()
        finding = {"what": "it", "result": "problem", "code": "credentials_refused", "say": "401"}
        publisher.stack.failing_checks = [{"outcome": "problem", "findings": [finding]}]
        said = publisher.onboard(*SESAMY_ANSWERS, *ONLY_RULE, "n")
        self.assertIn("PROBLEM Rule does not work yet", said)
        self.assertNotIn("p/webhook", publisher.client.versions)

    def test_addresses_of_fakes_are_stored_only_where_aws_is_local(self):
        urls = '{"rule": {"apiUrl": "http://127.0.0.1:1/rule"}}'
        for is_local, expected in [(True, {"apiKey": "rule-key-value", **json.loads(urls)["rule"]}), (False, {"apiKey": "rule-key-value"})]:
            publisher = Publisher()
            publisher.stack.is_local = is_local
            with unittest.mock.patch.dict("os.environ", API_URLS=urls):
                publisher.onboard(*SESAMY_ANSWERS, *ONLY_RULE, NO_PREVIEW, NO_RESYNC)
            self.assertEqual(publisher.client.content("p/acme/rule"), expected)

    def test_make_takes_a_set_of_credentials_per_list(self):
        publisher = Publisher()
        answers = ("n", "n", "y", "user", "key", "7", "y", "user", "key2", "8", "n", "n", "n")
        publisher.onboard(*SESAMY_ANSWERS, *answers, NO_PREVIEW, NO_RESYNC)
        sets = [{"userId": "user", "apiKey": "key", "listId": "7"}, {"userId": "user", "apiKey": "key2", "listId": "8"}]
        self.assertEqual(publisher.client.content("p/acme/make"), sets)

    def test_makes_stored_lists_and_their_other_keys_stay_unless_they_are_dropped(self):
        stored = [{"userId": "u", "apiKey": "k", "listId": str(number), "apiUrl": "https://x"} for number in (7, 8, 9)]
        publisher = Publisher({**ONBOARDED, "p/acme/make": stored})
        # Sesamy's, Rule's and Mailmojo's; Make.as's are replaced for list 8, 7 stays, 9 is dropped.
        publisher.onboard("n", "n", "n", "y", "new-user", "new-key", "8", "n", "y", "n", "n", "n", NO_PREVIEW, "n", NO_RESYNC)
        replaced = {"userId": "new-user", "apiKey": "new-key", "listId": "8", "apiUrl": "https://x"}
        self.assertEqual(publisher.client.content("p/acme/make"), [replaced, stored[0]])

    def test_a_token_that_somebody_adds_meanwhile_is_not_removed(self):
        content = {"vendors": {"acme": {"tokens": ["a" * 20, "b" * 20]}}}
        publisher = Publisher({**ONBOARDED, "p/webhook": content})

        def somebody_else():
            publisher.client.before_move = lambda: None
            change = lambda stored: tokens.with_token(stored, "acme", "c" * 20)
            SecretStore(publisher.client, "p").change("webhook", change)

        publisher.client.before_move = somebody_else
        said = publisher.onboard(*KEEP_ALL, "y", NO_RESYNC)
        self.assertIn("which ends in bbbb?", said)
        self.assertEqual(publisher.client.content("p/webhook")["vendors"]["acme"]["tokens"], ["b" * 20, "c" * 20])

    def test_wrong_and_empty_answers_are_asked_again(self):
        publisher = Publisher()
        said = publisher.onboard("", *SESAMY_ANSWERS, "maybe", "n", "n", "n", "y", "k-us1", "9", "anyhow", "pending", "n", "", "n")
        self.assertIn("Please answer.", said)
        self.assertIn("Please answer y or n.", said)
        self.assertIn("One of subscribed, pending, transactional.", said)
        expected = {"apiKey": "k-us1", "listId": "9", "newStatus": "pending"}
        self.assertEqual(publisher.client.content("p/acme/mailchimp"), expected)

    def test_a_malformed_token_secret_is_not_touched(self):
        for content in [[], {"vendors": []}, {}, {"vendors": {"acme": []}}, {"vendors": {"acme": {"tokens": "t"}}}]:
            with self.subTest(content):
                publisher = Publisher({**ONBOARDED, "p/webhook": content})
                said = publisher.onboard(*KEEP_ALL, "y", NO_RESYNC)
                self.assertIn("PROBLEM The secret with the webhooks' tokens is malformed", said)
                self.assertEqual(publisher.client.writes, [])

    def test_without_further_answers_it_stops_and_says_so(self):
        self.assertIn("PROBLEM There are no further answers.", Publisher().onboard("client"))

    def test_a_publisher_without_a_crm_is_not_onboarded(self):
        said = Publisher().onboard(*SESAMY_ANSWERS, "n", "n", "n", "n", "n")
        self.assertIn("PROBLEM A publisher needs at least one CRM", said)


class Offboard(unittest.TestCase):
    def test_tokens_go_first_and_sesamys_credentials_last(self):
        publisher = Publisher(ONBOARDED)
        said = publisher.offboard("acme")
        expected = [("put", "p/webhook"), ("delete", "p/acme/rule"), ("delete", "p/acme/sesamy")]
        self.assertEqual(publisher.client.writes, expected)
        self.assertEqual(publisher.client.content("p/webhook"), {"vendors": {"other": {"tokens": ["b" * 20]}}, "x": 1})
        self.assertEqual(publisher.client.deleted["p/acme/rule"], 7)
        self.assertIn("Stopped its resync.", said)

    def test_another_id_changes_nothing(self):
        publisher = Publisher(ONBOARDED)
        self.assertIn("PROBLEM That is another id.", publisher.offboard("acne"))
        self.assertEqual(publisher.client.writes, [])

    def test_credentials_stay_while_its_resync_cannot_be_stopped(self):
        publisher = Publisher(ONBOARDED)
        publisher.stack.resync_error = "Step Functions throttles"
        said = publisher.offboard("acme")
        self.assertIn("PROBLEM Its resync could not be stopped: Step Functions throttles", said)
        self.assertEqual(publisher.client.deleted, {})
        publisher.stack.resync_error = None
        publisher.offboard("acme")
        self.assertEqual(sorted(publisher.client.deleted), ["p/acme/rule", "p/acme/sesamy"])

    def test_an_unknown_publisher_is_said_to_be_unknown(self):
        said = Publisher(ONBOARDED, vendor="unknown").offboard("unknown")
        self.assertIn("PROBLEM unknown has neither credentials nor tokens", said)

    def test_an_offboarded_publisher_can_be_onboarded_again(self):
        publisher = Publisher(ONBOARDED)
        publisher.offboard("acme")
        publisher.onboard(*SESAMY_ANSWERS, *ONLY_RULE, NO_PREVIEW, NO_RESYNC)
        self.assertEqual(publisher.client.content("p/acme/rule")["apiKey"], "rule-key-value")
        self.assertEqual(publisher.client.deleted, {})
        self.assertEqual(len(publisher.client.content("p/webhook")["vendors"]["acme"]["tokens"]), 1)


class Changes(unittest.TestCase):
    """A change of a secret loses none of another person's."""

    def test_a_change_is_applied_to_what_somebody_else_stored_meanwhile(self):
        client = FakeSecretsManager({"p/webhook": {"vendors": {}}})
        store = SecretStore(client, "p")

        def somebody_else():
            client.before_move = lambda: None
            store.change("webhook", lambda content: tokens.with_token(content, "other", "o"))

        client.before_move = somebody_else
        store.change("webhook", lambda content: tokens.with_token(content, "acme", "a"))
        expected = {"vendors": {"other": {"tokens": ["o"]}, "acme": {"tokens": ["a"]}}}
        self.assertEqual(client.content("p/webhook"), expected)
        self.assertNotIn(PENDING, client.labels["p/webhook"])

    def test_somebody_who_creates_it_meanwhile_keeps_theirs(self):
        client = FakeSecretsManager()
        store = SecretStore(client, "p")
        create = client.create_secret

        def create_second(**arguments):
            client.create_secret = create
            create(Name="p/webhook", SecretString='{"vendors": {"other": {"tokens": ["o"]}}}')
            return create(**arguments)

        client.create_secret = create_second
        store.change("webhook", lambda content: tokens.with_token(content, "acme", "a"))
        expected = {"vendors": {"other": {"tokens": ["o"]}, "acme": {"tokens": ["a"]}}}
        self.assertEqual(client.content("p/webhook"), expected)

    def test_one_that_never_comes_through_is_told(self):
        client = FakeSecretsManager({"p/webhook": {"vendors": {}}})
        store = SecretStore(client, "p")
        count = iter(range(100))

        def somebody_else():
            client.versions["p/webhook"][f"other{next(count)}"] = '{"vendors": {}}'
            client.labels["p/webhook"]["AWSCURRENT"] = list(client.versions["p/webhook"])[-1]

        client.before_move = somebody_else
        with self.assertRaisesRegex(Problem, "keeps being changed by somebody else"):
            store.change("webhook", lambda content: tokens.with_token(content, "acme", "a"))

    def test_a_change_whose_answer_was_lost_is_made_once(self):
        client = FakeSecretsManager({"p/webhook": {"vendors": {}}})
        store = SecretStore(client, "p")
        move = client.update_secret_version_stage

        def move_twice(**arguments):
            client.update_secret_version_stage = move
            move(**arguments)
            # As the SDK repeats it.
            move(**arguments)

        client.update_secret_version_stage = move_twice
        store.change("webhook", lambda content: tokens.with_token(content, "acme", "a"))
        self.assertEqual(client.content("p/webhook"), {"vendors": {"acme": {"tokens": ["a"]}}})

    def test_a_secret_without_a_value_is_told(self):
        client = FakeSecretsManager()
        client.create_secret = lambda **_: (_ for _ in ()).throw(refused("ResourceExistsException", "CreateSecret"))
        with self.assertRaisesRegex(Problem, "p/webhook exists but has no value"):
            SecretStore(client, "p").change("webhook", lambda content: tokens.with_token(content, "acme", "a"))

    def test_aws_out_of_reach_is_told_in_words(self):
        def unreachable(**_):
            raise ConnectTimeoutError(endpoint_url="https://secretsmanager.example")

        for operation in ["get_secret_value", "put_secret_value", "update_secret_version_stage", "delete_secret"]:
            with self.subTest(operation):
                client = FakeSecretsManager({"p/webhook": {"vendors": {}}})
                store = SecretStore(client, "p")
                setattr(client, operation, unreachable)
                with self.assertRaisesRegex(Problem, "p/webhook: AWS cannot be reached"):
                    store.change("webhook", lambda content: tokens.with_token(content, "acme", "a"))
                    store.delete("webhook")

    def test_new_secrets_are_encrypted_with_the_stacks_key(self):
        client = FakeSecretsManager()
        SecretStore(client, "p", "arn:key").change("acme/rule", lambda _: {"apiKey": "k"})
        self.assertEqual(client.key, "arn:key")

    def test_what_is_no_json_is_told_and_kept(self):
        client = FakeSecretsManager({"p/webhook": {}})
        client.versions["p/webhook"]["v1"] = "not json"
        with self.assertRaisesRegex(Problem, "p/webhook is not JSON"):
            SecretStore(client, "p").change("webhook", lambda content: content)

    def test_a_refusal_names_the_secret(self):
        client = FakeSecretsManager()
        client.get_secret_value = lambda **_: (_ for _ in ()).throw(refused("AccessDeniedException", "GetSecretValue"))
        with self.assertRaisesRegex(Problem, "p/webhook: Secrets Manager answers AccessDeniedException"):
            SecretStore(client, "p").read("webhook")


class Questions(unittest.TestCase):
    def test_the_region_is_that_of_either_variable(self):
        for variables, region in [
            ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-north-1"}, "eu-west-1"),
            ({"AWS_DEFAULT_REGION": "eu-north-1"}, "eu-north-1"),
        ]:
            with unittest.mock.patch.dict("os.environ", variables):
                if "AWS_REGION" not in variables:
                    os.environ.pop("AWS_REGION", None)
                self.assertEqual(default_region(), region)

    def test_vendor_ids_are_those_that_the_webhook_takes(self):
        for vendor in ["acme", "a|b", "åå", "x" * 256]:
            self.assertIsNone(vendor_id_fault(vendor), vendor)
        for vendor in ["a/b", "a b", "a\u200bb", "a\nb", "å" * 129]:
            self.assertIsNotNone(vendor_id_fault(vendor), vendor)

    def test_the_crms_are_those_of_the_template(self):
        (names,) = re.findall(r"^# connectors: (.*)$", (PROJECT / "template.yaml").read_text(), re.M)
        self.assertEqual([crm.name.capitalize() for crm in CRMS], names.split())

    def test_every_key_that_is_asked_for_is_in_the_docs(self):
        page = (PROJECT / "docs/onboard.md").read_text()
        for secret in (SESAMY, *CRMS):
            (row,) = re.findall(rf"^\| `{{prefix}}/{{vendorId}}/{secret.name}` \|(.*)$", page, re.M)
            for key in secret.keys:
                self.assertIn(f"`{key.name}`", row, secret.name)


if __name__ == "__main__":
    unittest.main()
