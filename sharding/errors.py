"""Errors that are the user's to mend, said in one sentence."""


class TarnError(Exception):
    """Names the file or key, the value, what was expected and what to do. The command line prints it alone."""

    exit_code = 1


class UsageError(TarnError):
    """The command or its configuration is wrong."""

    exit_code = 2
