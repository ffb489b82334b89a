"""Questions to a person on a terminal, or to the lines of a file."""

import getpass
import sys

from .problem import Problem


NO_ANSWER = Problem("There are no further answers. What was stored so far stays; run this again to go on.")


class Dialogue:
    def __init__(self, source=None, target=None):
        self.source = source or sys.stdin
        self.target = target or sys.stdout

    def say(self, text=""):
        print(text, file=self.target, flush=True)

    def ask(self, question, default=None, hidden=False, check=None):
        """Asks until there is an answer that `check` accepts: it returns what is
        wrong with one, or None. A hidden answer is not shown while it is typed."""
        shown = f"{question} [{default}]: " if default else f"{question}: "
        while True:
            answer = self._read(shown, hidden).strip() or default or ""
            wrong = "please answer" if not answer else check and check(answer)
            if not wrong:
                return answer
            self.say(f"  {wrong[0].upper()}{wrong[1:]}.")

    def ask_or_skip(self, question):
        """The answer, or None for an empty one."""
        return self._read(f"{question}: ", hidden=False).strip() or None

    def confirm(self, question, default=False):
        choice = {True: "Y/n", False: "y/N"}[default]
        while True:
            answer = self._read(f"{question} [{choice}]: ", hidden=False).strip().lower()
            if answer in ("", "y", "yes", "n", "no"):
                return answer.startswith("y") if answer else default
            self.say("  Please answer y or n.")

    def _read(self, prompt, hidden):
        if hidden and self.source.isatty():
            try:
                return getpass.getpass(prompt)
            except EOFError:
                raise NO_ANSWER from None
        print(prompt, end="", file=self.target, flush=True)
        line = self.source.readline()
        if not self.source.isatty():
            # What would be typed is shown by no terminal.
            self.say("" if hidden else line.rstrip("\n"))
        if not line:
            raise NO_ANSWER
        return line
