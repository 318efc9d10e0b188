"""The root of the errors that a user can cause."""


class TclifError(Exception):
    """Base of every error that a user can cause and mend; the command line prints it and exits with status 2."""
