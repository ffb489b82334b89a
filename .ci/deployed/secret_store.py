"""Secrets Manager, with changes that lose no one else's."""

import json

from botocore.exceptions import BotoCoreError, ClientError

from .problem import Problem

# Marks a version that is not the current one yet.
PENDING = "sesamy-crm-sync-pending"

ATTEMPTS = 5

RECOVERY_DAYS = 7

# The code of a refusal where the secret is being deleted.
BEING_DELETED = "InvalidRequestException"


class SecretStore:
    def __init__(self, client, prefix, key_arn=""):
        self.client = client
        self.prefix = prefix
        self.key_arn = key_arn

    def name(self, rest):
        return f"{self.prefix}/{rest}"

    def read(self, rest):
        """The content, or None where there is no such secret or it is being deleted."""
        return self._read(rest)[0]

    def is_being_deleted(self, rest):
        """Whether the secret was deleted and can still be restored."""
        try:
            self.client.get_secret_value(SecretId=self.name(rest))
        except ClientError as error:
            return code(error) == BEING_DELETED
        except BotoCoreError as error:
            raise self._unreachable(error, rest) from None
        return False

    def change(self, rest, change):
        """Stores what `change` makes of the content (None where there is none).

        If somebody else stores another content meanwhile, `change` is applied to that
        one. Returns whether anything was written."""
        for _ in range(ATTEMPTS):
            content, version = self._read(rest)
            changed = change(content)
            if changed == content:
                return False
            if self._store(rest, version, json.dumps(changed)):
                return True
        raise Problem(f"{self.name(rest)} keeps being changed by somebody else. Run this again.")

    def delete(self, rest):
        """Deletes a secret; it can be restored for a week."""
        self._call(self.client.delete_secret, rest, RecoveryWindowInDays=RECOVERY_DAYS)

    def refuses_stale_change(self, rest):
        """Whether Secrets Manager refuses a change of a version that is no longer current."""
        content, version = self._read(rest)
        text = json.dumps(content)
        other = self._call(self.client.put_secret_value, rest, SecretString=text, VersionStages=[PENDING])["VersionId"]
        try:
            self._move(rest, "AWSCURRENT", MoveToVersionId=other, RemoveFromVersionId=other)
            return False
        except ClientError:
            return self._read(rest)[1] == version
        finally:
            self._move(rest, PENDING, RemoveFromVersionId=other)

    def _read(self, rest):
        try:
            secret = self.client.get_secret_value(SecretId=self.name(rest))
        except ClientError as error:
            if code(error) in ("ResourceNotFoundException", BEING_DELETED):
                return None, None
            raise self._problem(error, rest) from None
        except BotoCoreError as error:
            raise self._unreachable(error, rest) from None
        try:
            return json.loads(secret["SecretString"]), secret["VersionId"]
        except (KeyError, ValueError):
            raise Problem(f"{self.name(rest)} is not JSON. Correct or delete it, then run this again.") from None

    def _store(self, rest, version, text):
        """Whether the content was stored as the successor of this version."""
        if version is None:
            return self._create(rest, text)
        # Secrets Manager writes unconditionally, but moves a label only from the version
        # that is named: the new content becomes current if the old one still is.
        added = self._call(self.client.put_secret_value, rest, SecretString=text, VersionStages=[PENDING])
        new = added["VersionId"]
        try:
            self._move(rest, "AWSCURRENT", MoveToVersionId=new, RemoveFromVersionId=version)
        except ClientError as error:
            current = self._read(rest)[1]
            # An answer that was lost, and the same call repeated by the SDK.
            if current == new:
                return True
            if current != version:
                return False
            raise self._problem(error, rest) from None
        except BotoCoreError as error:
            raise self._unreachable(error, rest) from None
        try:
            self._move(rest, PENDING, RemoveFromVersionId=new)
        except (ClientError, BotoCoreError):
            pass  # The next change takes the label with it.
        return True

    def _move(self, rest, label, **versions):
        self.client.update_secret_version_stage(SecretId=self.name(rest), VersionStage=label, **versions)

    def _create(self, rest, text):
        options = {"KmsKeyId": self.key_arn} if self.key_arn else {}
        try:
            self.client.create_secret(Name=self.name(rest), SecretString=text, **options)
            return True
        except ClientError as error:
            if code(error) == "ResourceExistsException":
                if self._read(rest)[1] is None:
                    raise Problem(
                        f"{self.name(rest)} exists but has no value. Delete it or give it one, then run this again."
                    ) from None
                return False  # Somebody else was faster.
            if code(error) != BEING_DELETED:
                raise self._problem(error, rest) from None
        except BotoCoreError as error:
            raise self._unreachable(error, rest) from None
        # It is being deleted: restored, it has its old content, which is then changed.
        self._call(self.client.restore_secret, rest)
        return False

    def _call(self, operation, rest, **arguments):
        try:
            return operation(SecretId=self.name(rest), **arguments)
        except ClientError as error:
            raise self._problem(error, rest) from None
        except BotoCoreError as error:
            raise self._unreachable(error, rest) from None

    def _unreachable(self, error, rest):
        return Problem(f"{self.name(rest)}: AWS cannot be reached ({error}). Run this again: it may be stored or not.")

    def _problem(self, error, rest):
        return Problem(f"{self.name(rest)}: Secrets Manager answers {code(error)}: {error.response['Error'].get('Message', '')}")


def code(error):
    return error.response.get("Error", {}).get("Code", "")
