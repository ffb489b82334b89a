"""Onboards a publisher: credentials, check, preview, token, resync.

It may be repeated: it changes only what the answers ask for.
"""

import json
import os

from . import tokens
from .problem import Problem
from .program import main
from .vendor_secrets import CRMS, SESAMY

EVENT_TYPES = (
    "userVendor.1#new",
    "userVendor.1#update",
    "checkout.1#confirm",
    "contract.1#purchased",
    "contract.1#update",
    "contract#cancelRequest",
    "entitlement.1#new",
    "entitlement.1#update",
)

MESSAGE = """\
---- send this to Sesamy's support, in a way that keeps the token secret ----
Please send the webhooks of vendor {vendor} to this address:
  URL:     {url}
  Method:  POST, with a JSON body
  Header:  Authorization: Bearer {token}
Please send all eight event types. The last two are not sent unless asked for:
  {event_types}
------------------------------------------------------------------------------"""


class Onboarding:
    def __init__(self, dialogue, stack, store, vendor):
        self.dialogue = dialogue
        self.stack = stack
        self.store = store
        self.vendor = vendor
        # Where AWS is on this machine, the APIs are fakes (`make local` names them).
        self.addresses = json.loads(os.environ.get("API_URLS", "{}")) if stack.is_local else {}

    def run(self):
        say = self.dialogue.say
        say(f"\n1. Credentials (below {self.store.name(self.vendor)}/)")
        self.store_credentials(SESAMY, f"{SESAMY.title}'s credentials")
        used = [crm for crm in CRMS if self.wants(crm)]
        if not used:
            raise Problem("A publisher needs at least one CRM. Nothing else was changed.")
        say("\n2. Check")
        for crm in used:
            self.check_until_right(crm)
        say("\n3. Preview: what a sync of one user would write. Nothing is written.")
        self.preview(used)
        say("\n4. Token of the webhooks")
        self.token()
        say("\n5. Existing users")
        self.resync(len(used))
        say("\nDone. docs/onboard.md, Did it work?, says what to look at after the first webhook.")

    def path(self, secret):
        return f"{self.vendor}/{secret.name}"

    def wants(self, crm):
        if self.store.read(self.path(crm)) is None:
            if not self.dialogue.confirm(f"Does the publisher use {crm.title}?"):
                return False
        self.store_credentials(crm, f"{crm.title}'s credentials")
        return True

    def store_credentials(self, secret, what):
        """Asks for credentials that are not stored; others only if they shall be replaced."""
        if self.store.read(self.path(secret)) is not None:
            if not self.dialogue.confirm(f"{what} are stored. Replace them?"):
                return
        self.replace_credentials(secret)

    def replace_credentials(self, secret):
        self.dialogue.say(f"  Found at {secret.where}.")
        answers = [self.ask_keys(secret)]
        while secret.several and self.dialogue.confirm("  Another list?"):
            answers.append(self.ask_keys(secret))
        # Keys that are not asked for stay.
        if secret.several:
            kept = self.kept_lists(secret, {answer["listId"] for answer in answers})
            self.store.change(self.path(secret), lambda stored: with_lists(stored, answers, kept))
        else:
            self.store.change(self.path(secret), lambda stored: {**(stored or {}), **answers[0]})
        self.dialogue.say(f"  Stored {self.store.name(self.path(secret))}.")

    def kept_lists(self, secret, given):
        """The stored lists that were not given, and stay."""
        stored = [str(one.get("listId", "")) for one in sets_of(self.store.read(self.path(secret)))]
        others = [name for name in stored if name not in given]
        return {name for name in others if self.dialogue.confirm(f"  Keep list {name}, which is stored?", default=True)}

    def ask_keys(self, secret):
        answers = {
            key.name: self.dialogue.ask(f"  {key.question}", hidden=key.hidden, check=key.wrong) for key in secret.keys
        }
        return {**answers, **self.addresses.get(secret.name, {})}

    def check_until_right(self, crm):
        while True:
            answer = self.invoke(crm, {"action": "check", "vendorId": self.vendor})
            problems = [finding for finding in answer["findings"] if finding["result"] == "problem"]
            unknown = [finding for finding in answer["findings"] if finding["code"] in ("api_asks_to_wait", "api_failing")]
            if not problems:
                self.dialogue.say(f"{crm.title}: {'works' if not unknown else 'no result now'}.")
                for finding in unknown:
                    self.say_finding(finding)
                return
            self.dialogue.say(f"{crm.title}: {count(problems, 'problem')}.")
            for finding in problems:
                self.say_finding(finding)
            if not self.dialogue.confirm(f"Correct the credentials and check {crm.title} again?", default=True):
                raise Problem(
                    f"{crm.title} does not work yet, so Sesamy should not send webhooks yet. "
                    "What was stored stays; run this again to go on."
                )
            # A check looks at both, and either may be wrong.
            self.store_credentials(SESAMY, f"{SESAMY.title}'s credentials")
            self.store_credentials(crm, f"{crm.title}'s credentials")

    def say_finding(self, finding):
        self.dialogue.say(f"  {finding['what']}: {finding['say']}")
        if "do" in finding:
            self.dialogue.say(f"    {finding['do']}")

    def preview(self, used):
        user = self.dialogue.ask_or_skip("Id of a user at Sesamy (empty to skip)")
        if user is None:
            return
        for crm in used:
            answer = self.invoke(crm, {"action": "preview", "vendorId": self.vendor, "userId": user})
            self.dialogue.say(f"{crm.title}: {preview_verdict(answer)}")
            for contact in answer["contacts"]:
                for line in preview_lines(contact):
                    self.dialogue.say(f"  {line}")

    def token(self):
        present = tokens.of_vendor(self.store.read("webhook"), self.vendor)
        if present:
            self.dialogue.say(f"The publisher has {count(present, 'token')}.")
            older = present[:-1]
            if older and self.dialogue.confirm(
                f"Remove all but the newest, which ends in {present[-1][-4:]}? "
                "Webhooks that Sesamy sends with another are refused then."
            ):
                self.store.change("webhook", lambda content: tokens.without_tokens(content, self.vendor, older))
                self.dialogue.say("Removed. A removed token is accepted for up to a minute.")
                return
            if not self.dialogue.confirm("Add another one, to replace the present one without a gap?"):
                return
        token = tokens.new_token()
        self.store.change("webhook", lambda content: tokens.with_token(content, self.vendor, token))
        self.dialogue.say("Stored. It is shown only now:\n")
        self.dialogue.say(
            MESSAGE.format(
                vendor=self.vendor,
                url=self.stack.webhook_url,
                token=token,
                event_types="\n  ".join(EVENT_TYPES),
            )
        )
        if present:
            self.dialogue.say("Once Sesamy uses it, run this again to remove the older one.")

    def resync(self, crms):
        rate = self.stack.resynced_per_minute(crms)
        self.dialogue.say(
            "Users who exist already get their tags with their next event, or by a resync now. It starts no\n"
            f"journeys. Sesamy limits requests, so 5,000 users take about {duration(5_000 / rate)} and 50,000 about\n"
            f"{duration(50_000 / rate)}."
        )
        if not self.dialogue.confirm("Start a resync of all users?"):
            return
        answer = self.stack.invoke("OperatorFunction", {"action": "resync", "vendorId": self.vendor})
        if "error" in answer:
            raise Problem(f"The resync did not start: {answer['error']['message']}")
        run = answer["run"]
        self.dialogue.say(
            f"It runs, with {run['usersPerMinute']:g} users a minute. See how far it is at\n  {run['execution']}"
        )

    def invoke(self, crm, event):
        answer = self.stack.invoke(f"{crm.name.capitalize()}Function", event)
        if "findings" not in answer and "contacts" not in answer:
            reason = answer.get("error", {}).get("message", "its log says why")
            raise Problem(f"{crm.title} did not answer: {reason}")
        return answer


def sets_of(stored):
    """The sets of credentials of a secret, which holds a list of them or one."""
    sets = stored if isinstance(stored, list) else [stored]
    return [one for one in sets if isinstance(one, dict)]


def with_lists(stored, answers, kept):
    """The sets of the answers, and of the lists that stay."""
    sets = {str(one.get("listId", "")): one for one in sets_of(stored)}
    others = [one for name, one in sets.items() if name in kept]
    return [{**sets.get(answer["listId"], {}), **answer} for answer in answers] + others


def preview_verdict(answer):
    reason = answer.get("reason") or answer.get("error", {}).get("message")
    words = {
        "would_sync": "a sync would write this.",
        "unchanged": "the contact is as it should be.",
        "skipped": f"the user would be skipped ({reason}).",
        "not_configured": f"not configured ({reason}).",
        "error": f"no result ({reason}).",
    }
    return words.get(answer["outcome"], answer["outcome"])


def preview_lines(contact):
    if contact["new"]:
        yield "a new contact"
    for sign, kind in (("+", "add"), ("-", "remove"), (" ", "stay")):
        for tag in contact["tags"][kind]:
            yield f"{sign} tag {tag['tag']}: {', '.join(tag['because'])}"
    fields = [field["name"] for field in contact["fields"]]
    if fields:
        yield f"~ fields: {', '.join(fields)}"


def duration(minutes):
    hours = round(minutes / 60)
    return f"{hours} hours" if hours < 48 else f"{round(hours / 24)} days"


def count(things, name):
    return f"{len(things)} {name}" if len(things) == 1 else f"{len(things)} {name}s"


if __name__ == "__main__":
    main(__doc__, Onboarding)
