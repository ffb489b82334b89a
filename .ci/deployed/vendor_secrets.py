"""What a publisher's secrets hold, as a person is asked for it (docs/onboard.md)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Key:
    name: str
    question: str
    hidden: bool = False
    choices: tuple = ()

    def wrong(self, answer):
        """What is wrong with an answer, or None."""
        if self.choices and answer not in self.choices:
            return f"one of {', '.join(self.choices)}"
        return None


@dataclass(frozen=True)
class VendorSecret:
    name: str
    title: str
    where: str
    keys: tuple
    # Whether the secret may hold several sets of credentials, for several lists.
    several: bool = False


SESAMY = VendorSecret(
    "sesamy",
    "Sesamy",
    'Sesamy\'s dashboard: Settings, API, Applications, type "Management API"',
    (Key("clientId", "Client id"), Key("clientSecret", "Client secret", hidden=True)),
)

CRMS = (
    VendorSecret("rule", "Rule", "Rule: Settings, API", (Key("apiKey", "API key", hidden=True),)),
    VendorSecret(
        "mailmojo",
        "Mailmojo",
        "Mailmojo: account settings, API token; the list's settings",
        (Key("apiToken", "API token", hidden=True), Key("listId", "List id")),
    ),
    VendorSecret(
        "make",
        "Make.as",
        "Make.as's support",
        (Key("userId", "User id"), Key("apiKey", "API key", hidden=True), Key("listId", "List id")),
        several=True,
    ),
    VendorSecret(
        "mailchimp",
        "Mailchimp",
        "Mailchimp: profile, Extras, API keys; audience settings, Audience ID",
        (
            Key("apiKey", "API key", hidden=True),
            Key("listId", "Audience id"),
            Key(
                "newStatus",
                "With what consent does a new contact come to the audience? subscribed, pending or transactional",
                choices=("subscribed", "pending", "transactional"),
            ),
        ),
    ),
    VendorSecret(
        "hubspot",
        "HubSpot",
        "HubSpot: a private app that may read and write contacts and their properties",
        (Key("accessToken", "Access token", hidden=True),),
    ),
)


def vendor_id_fault(vendor):
    """Why this is no vendor id, or None. The rules are the webhook's (docs/webhook.md)."""
    if len(vendor.encode()) > 256:
        return "a vendor id has at most 256 bytes"
    if "/" in vendor or not vendor.isprintable() or any(character.isspace() for character in vendor):
        return "a vendor id has no slash, blank or invisible character"
    return None
