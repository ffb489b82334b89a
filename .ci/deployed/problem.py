"""What a person is told when a program cannot go on."""


class Problem(Exception):
    """What is wrong, and what to do about it. Holds no secret."""
