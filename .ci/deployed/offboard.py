"""Offboards a publisher: undoes what onboarding did, in the order that loses nothing.

Contacts keep their tags and fields: they are the publisher's. The secrets can be
restored for a week.
"""

from . import tokens
from .problem import Problem
from .program import main
from .vendor_secrets import CRMS, SESAMY

LEFT = """\
What is left:
- The contacts in the CRMs, as they are. To take tags and fields off single users, `forget` them
  (docs/change.md, Delete a user's data) before you offboard.
- Messages of this publisher in the queues: each ends as `not_configured` within minutes. Its
  dead-letter messages, if there are any (docs/operate.md, Status), stay for at most 14 days.
- What is remembered of its users, in the user table (docs/change.md)."""


class Offboarding:
    def __init__(self, dialogue, stack, store, vendor):
        self.dialogue = dialogue
        self.stack = stack
        self.store = store
        self.vendor = vendor

    def run(self):
        say = self.dialogue.say
        present = [secret for secret in (*CRMS, SESAMY) if self.store.read(self.path(secret)) is not None]
        has_tokens = bool(tokens.of_vendor(self.store.read("webhook"), self.vendor))
        if not present and not has_tokens:
            raise Problem(f"{self.vendor} has neither credentials nor tokens. Nothing was changed.")
        if present:
            say("Credentials to delete: " + ", ".join(secret.title for secret in present))
        say("Ask Sesamy's support to stop this publisher's webhooks first: later ones are refused with 401 and lost.")
        if self.dialogue.ask("Type the vendor id to offboard it") != self.vendor:
            raise Problem("That is another id. Nothing was changed.")

        if self.store.change("webhook", lambda content: tokens.without_vendor(content, self.vendor)):
            say("Removed its tokens. A removed token is accepted for up to a minute.")
        if SESAMY in present:
            answer = self.stack.invoke("OperatorFunction", {"action": "resync", "vendorId": self.vendor, "do": "stop"})
            if "error" in answer:
                raise Problem(
                    f"Its resync could not be stopped: {answer['error']['message']}. "
                    "Its credentials stay; run this again."
                )
            if answer.get("did") == "stopped":
                say("Stopped its resync.")
        # Sesamy's come last: a connector that finds its own credentials but none for
        # Sesamy retries and raises an alarm.
        for secret in present:
            self.store.delete(self.path(secret))
            say(f"Deleted {self.store.name(self.path(secret))}; it can be restored for 7 days.")
        say(LEFT)

    def path(self, secret):
        return f"{self.vendor}/{secret.name}"


if __name__ == "__main__":
    main(__doc__, Offboarding)
