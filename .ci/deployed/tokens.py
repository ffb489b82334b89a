"""The secret of the webhooks' tokens: `{"vendors": {ID: {"tokens": [...]}}}`. Pure.

It holds the tokens of all vendors, so each change keeps what it is not about.
"""

import copy
import secrets

from .problem import Problem

MALFORMED = (
    "The secret with the webhooks' tokens is malformed: {}. Nothing was changed. "
    "docs/change.md, Rotate a secret, shows how to correct it."
)


def new_token():
    return secrets.token_hex(32)


def of_vendor(content, vendor):
    return list(_entry(content, vendor).get("tokens", []))


def with_token(content, vendor, token):
    changed = copy.deepcopy(content) if content else {"vendors": {}}
    tokens = [*of_vendor(changed, vendor), token]
    changed["vendors"][vendor] = {**_entry(changed, vendor), "tokens": tokens}
    return changed


def without_tokens(content, vendor, gone):
    changed = copy.deepcopy(content)
    entry = _entry(changed, vendor)
    if entry:
        entry["tokens"] = [token for token in of_vendor(changed, vendor) if token not in gone]
    return changed


def without_vendor(content, vendor):
    changed = copy.deepcopy(content)
    _entry(changed, vendor)
    if changed:
        changed["vendors"].pop(vendor, None)
    return changed


def _entry(content, vendor):
    if content is None:
        return {}
    vendors = content.get("vendors") if isinstance(content, dict) else None
    if not isinstance(vendors, dict):
        raise Problem(MALFORMED.format('it has no object "vendors"'))
    entry = vendors.get(vendor, {})
    if not isinstance(entry, dict) or not isinstance(entry.get("tokens", []), list):
        raise Problem(MALFORMED.format(f'the entry of {vendor} has no list "tokens"'))
    return entry
